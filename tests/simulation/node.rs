//! A simulated node: a machine that boots and dies, what runs on it, and the production machine of orders.

use super::chance::Chance;
use jiff::{SignedDuration, Timestamp};
use millwright_agent::{
    clock::Moment,
    identity::Identity,
    memory::SimDisk,
    orders::{
        check::Rules,
        local::{Known, LocalFacts},
        machine::Machine,
    },
};
use millwright_coordinator::fleet::Again;
use millwright_decision::Class;
use millwright_protocol::{
    Container, ContainerFacts, ContainerRole, Evidence, Facts, Finding, ImageFact, LocalHold,
    MesosAgentFacts, MesosMasterFacts, NodeName, PROTOCOL_VERSION, PuppetFacts, Report, Resources, Status,
    SystemFacts, Task, TaskState, VolumeFact, ZooKeeperFacts,
};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

/// What runs on a node.
#[derive(Debug, Clone)]
pub struct SimTask {
    pub id: String,
    pub kind: TaskKind,
    pub started_at: Timestamp,
}

/// What a task is, by the shipped policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    Build,
    Checker,
    Service,
    Pinned,
    Disposable,
}

impl TaskKind {
    pub fn id(self, number: u64) -> String {
        match self {
            Self::Build => format!("mesos-jenkins-{number:032x}-slc7_x86-64-larg"),
            Self::Checker => format!("mesos-jenkins-{number:032x}-light"),
            Self::Service => format!("web.{number}"),
            Self::Pinned => format!("repo.{number}"),
            Self::Disposable => format!("trial.{number}"),
        }
    }
}

/// What a node sends: mostly what it sent before, under another head.
pub struct Sent {
    pub sequence: u64,
    pub sent_at: Timestamp,
    pub uptime_seconds: u64,
    pub report: Arc<Report>,
    /// A digest of the report, its head apart.
    pub content: u64,
}

impl Sent {
    pub fn again(&self) -> Again<'_> {
        Again {
            sequence: self.sequence,
            sent_at: self.sent_at,
            uptime_seconds: self.uptime_seconds,
            looked_seconds_ago: LOOKED,
            mesos_id: self.report.facts.mesos_agent.as_ref().and_then(|facts| facts.agent_id.as_deref()),
        }
    }

    /// The whole of it.
    pub fn whole(&self) -> Report {
        Report {
            sequence: self.sequence,
            sent_at: self.sent_at,
            uptime_seconds: self.uptime_seconds,
            ..Report::clone(&self.report)
        }
    }
}

/// What an agent says that is not so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lie {
    /// Nothing runs.
    Idle,
    /// It is this Mesos agent, which is another node's.
    Claims(String),
}

/// So long before a report the node has looked for its tasks and containers.
const LOOKED: u64 = 1;

pub struct SimNode {
    pub name: NodeName,
    pub display: String,
    pub class: Class,
    pub attributes: BTreeMap<String, String>,
    pub confirm_reboot: bool,
    pub image: Option<String>,
    pub is_up: bool,
    /// It will never come back by itself.
    pub is_dead: bool,
    /// A boot is under way: a second one changes nothing.
    pub is_booting: bool,
    pub booted_at: Timestamp,
    pub boots: u32,
    pub builds: u32,
    /// Which registration of its Mesos agent this is.
    pub mesos_number: u32,
    pub docker_ok: bool,
    pub volume_ok: bool,
    /// Its agents do nothing, and everything else goes on.
    pub is_hung: bool,
    pub tasks: Vec<SimTask>,
    pub has_image: bool,
    pub puppet_clean: u32,
    pub puppet_failed: u32,
    pub agent: Option<Machine<SimDisk>>,
    pub disk: SimDisk,
    pub sequence: u64,
    /// Nothing comes through to or from the coordinator until then.
    pub cut_off_until: Timestamp,
    /// It reports, and hears nothing.
    pub deaf_until: Timestamp,
    /// The power goes with this write of the agent's memory.
    pub power_goes_at: Option<u64>,
    pub holds: Vec<LocalHold>,
    /// The node's clock minus the true one.
    pub offset: SignedDuration,
    pub is_stopped: bool,
    pub is_deleted: bool,
    /// Since when it does not do what it is for.
    pub ill_since: Option<Timestamp>,
    /// Containers that belong to nobody any more, and until when they run.
    pub orphans: Vec<String>,
    pub orphans_until: Timestamp,
    pub lie: Option<Lie>,
    /// Trouble that comes with its next boot.
    pub at_boot: Option<&'static str>,
    /// When one of its checks last said something else.
    pub changed_at: Timestamp,
    /// What it last sent, and the digest of that.
    sent: Option<(u64, Arc<Report>)>,
}

impl SimNode {
    pub fn new(name: NodeName, display: String, class: Class, now: Timestamp) -> Self {
        Self {
            name,
            display,
            class,
            attributes: BTreeMap::new(),
            confirm_reboot: false,
            image: None,
            is_up: true,
            is_dead: false,
            is_booting: false,
            booted_at: now - SignedDuration::from_hours(30),
            boots: 1,
            builds: 1,
            mesos_number: 1,
            docker_ok: true,
            volume_ok: true,
            is_hung: false,
            tasks: Vec::new(),
            has_image: true,
            puppet_clean: 9,
            puppet_failed: 0,
            agent: None,
            disk: SimDisk::default(),
            sequence: 1,
            cut_off_until: now,
            deaf_until: now,
            power_goes_at: None,
            holds: Vec::new(),
            offset: SignedDuration::ZERO,
            is_stopped: false,
            is_deleted: false,
            ill_since: None,
            orphans: Vec::new(),
            orphans_until: now,
            lie: None,
            at_boot: None,
            changed_at: now - SignedDuration::from_hours(30),
            sent: None,
        }
    }

    pub fn boot_id(&self) -> String {
        format!("{}-boot-{}", self.name, self.boots)
    }

    pub fn machine_id(&self) -> String {
        format!("{}-machine-{}", self.name, self.builds)
    }

    pub fn mesos_id(&self) -> String {
        format!("S{}-{}", self.mesos_number, self.name)
    }

    pub fn takes_tasks(&self) -> bool {
        self.class != Class::Master
    }

    /// Everything it is for works.
    pub fn is_healthy(&self) -> bool {
        self.is_up && self.docker_ok && self.volume_ok && !self.is_stopped && !self.is_deleted
    }

    pub fn moment(&self, now: Timestamp) -> Moment {
        let uptime = now.duration_since(self.booted_at);
        Moment { wall: now + self.offset, uptime: Duration::try_from(uptime).unwrap_or_default() }
    }

    /// The agent's process begins.
    pub fn start_agent(&mut self, now: Timestamp) {
        let rules = Rules {
            identity: Identity {
                name: self.display.clone(),
                name_source: "simulation",
                boot_id: self.boot_id(),
                machine_id: self.machine_id(),
                server_uuid: Some(format!("{}-server", self.name)),
            },
            enabled: true,
            confirm_reboot: self.confirm_reboot,
            images: self.image.iter().cloned().collect(),
            puppet: true,
            ..Rules::default()
        };
        self.agent = Some(Machine::open(self.disk.clone(), rules, self.moment(now)));
    }

    /// The tasks that its agent tells of.
    fn told_tasks(&self) -> &[SimTask] {
        if self.lie == Some(Lie::Idle) { &[] } else { &self.tasks }
    }

    /// What the node itself has to say to an order.
    pub fn local_facts(&self) -> LocalFacts {
        let seen = |ids: Vec<String>| Known::Seen { age_seconds: 1, value: ids };
        let names = self.told_tasks().iter().map(|task| task.id.clone()).collect();
        let containers =
            self.told_tasks().iter().map(|task| (format!("mesos-{}", task.id), ContainerRole::Task));
        let orphans = self.orphans.iter().map(|id| (format!("mesos-{id}"), ContainerRole::Orphan));
        LocalFacts {
            holds: self.holds.clone(),
            tasks: if self.takes_tasks() { seen(names) } else { Known::NotHere },
            containers: if self.docker_ok {
                Known::Seen { age_seconds: 1, value: containers.chain(orphans).collect() }
            } else {
                Known::Unknown
            },
            zookeeper: if self.takes_tasks() {
                Known::NotHere
            } else {
                Known::Seen { age_seconds: 1, value: "follower".to_owned() }
            },
            ..LocalFacts::default()
        }
    }

    pub fn report(&mut self, now: Timestamp) -> Sent {
        self.sequence += 1;
        let content = self.content();
        let known = self.sent.as_ref().filter(|(sent, _)| *sent == content);
        let report = known.map_or_else(|| Arc::new(self.whole_report(now)), |(_, report)| Arc::clone(report));
        self.sent = Some((content, Arc::clone(&report)));
        Sent {
            sequence: self.sequence,
            sent_at: now + self.offset,
            uptime_seconds: self.moment(now).uptime.as_secs(),
            report,
            content,
        }
    }

    /// Everything that a report depends on beside the time.
    fn content(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.boots, self.builds, self.mesos_number, self.docker_ok, self.volume_ok, self.has_image)
            .hash(&mut hasher);
        (self.puppet_clean, self.puppet_failed, self.changed_at, self.offset).hash(&mut hasher);
        for task in &self.tasks {
            task.id.hash(&mut hasher);
        }
        (&self.orphans, &self.lie).hash(&mut hasher);
        for hold in &self.holds {
            (&hold.author, hold.since, hold.until).hash(&mut hasher);
        }
        if let Some(seen) = self.agent.as_ref().and_then(Machine::seen) {
            (seen.fence.generation, seen.fence.epoch, seen.position, seen.ordered_at).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn whole_report(&self, now: Timestamp) -> Report {
        let status = |works: bool| if works { Status::Ok } else { Status::Crit };
        let since = self.changed_at + self.offset;
        Report {
            protocol: PROTOCOL_VERSION,
            node: self.display.clone(),
            agent_version: "0.1.0".to_owned(),
            boot_id: self.boot_id(),
            machine_id: self.machine_id(),
            server_uuid: Some(format!("{}-server", self.name)),
            sequence: self.sequence,
            sent_at: now + self.offset,
            uptime_seconds: self.moment(now).uptime.as_secs(),
            findings: vec![
                finding("docker", status(self.docker_ok), since),
                finding("volume", status(self.volume_ok), since),
                finding("mesos_agent", Status::Ok, since),
            ],
            facts: self.facts(),
            seen: self.agent.as_ref().and_then(Machine::seen),
            local_holds: self.holds.clone(),
            whitelist: None,
        }
    }

    fn facts(&self) -> Facts {
        let tasks: Vec<Task> = self.told_tasks().iter().map(task_of).collect();
        let container = |id: &String, role| Container {
            name: format!("mesos-{id}"),
            image: String::new(),
            state: "running".to_owned(),
            role,
            started_at: None,
            restarts: 0,
        };
        let of_tasks = self.told_tasks().iter().map(|task| container(&task.id, ContainerRole::Task));
        let orphans = self.orphans.iter().map(|id| container(id, ContainerRole::Orphan));
        let containers = of_tasks.chain(orphans);
        let claimed = match &self.lie {
            Some(Lie::Claims(id)) => id.clone(),
            _ => self.mesos_id(),
        };
        let is_master = !self.takes_tasks();
        Facts {
            mesos_agent: (!is_master).then(|| MesosAgentFacts {
                url: "http://127.0.0.1:5051/slave(1)".to_owned(),
                agent_id: Some(claimed),
                version: "1.11.0".to_owned(),
                hostname: self.host(),
                registered: Some(true),
                attributes: self.attributes.clone(),
                tasks,
                age_seconds: LOOKED,
            }),
            mesos_master: is_master
                .then(|| MesosMasterFacts { elected: Some(false), ..MesosMasterFacts::default() }),
            containers: self.docker_ok.then(|| ContainerFacts {
                containers: containers.collect(),
                age_seconds: LOOKED,
                ..ContainerFacts::default()
            }),
            volumes: vec![VolumeFact {
                mount: if is_master { "/data" } else { "/build" }.to_owned(),
                mounted: self.volume_ok,
                read_write: self.volume_ok,
                uuid: Some(format!("uuid-of-{}", self.name)),
                size_bytes: 600_000_000_000,
                free_bytes: 300_000_000_000,
                ..VolumeFact::default()
            }],
            images: self
                .image
                .iter()
                .map(|image| ImageFact {
                    name: image.clone(),
                    present: self.has_image,
                    ..ImageFact::default()
                })
                .collect(),
            zookeeper: is_master
                .then(|| ZooKeeperFacts { mode: Some("follower".to_owned()), ..ZooKeeperFacts::default() }),
            puppet: Some(PuppetFacts {
                clean: Some(self.puppet_failed == 0),
                clean_streak: self.puppet_clean,
                failed_streak: self.puppet_failed,
                ..PuppetFacts::default()
            }),
            system: Some(SystemFacts::default()),
        }
    }

    pub fn host(&self) -> String {
        format!("{}.cern.ch", self.display)
    }

    /// The machine stops: what runs is lost.
    pub fn go_down(&mut self, now: Timestamp) {
        self.ill_since.get_or_insert(now);
        self.is_up = false;
        self.agent = None;
        self.tasks.clear();
        self.orphans.clear();
        self.lie = None;
    }

    /// It is there again, in another boot.
    pub fn come_up(&mut self, now: Timestamp, chance: &mut Chance) {
        self.is_booting = false;
        self.is_up = true;
        self.boots += 1;
        self.booted_at = now;
        self.puppet_clean = 0;
        self.puppet_failed = 0;
        // One in twelve comes back with Docker down.
        self.docker_ok = !chance.happens(800);
        self.volume_ok = true;
        self.changed_at = now;
        self.is_hung = false;
        self.disk.repair();
        self.power_goes_at = None;
        if self.docker_ok {
            self.ill_since = None;
        }
        self.holds.clear();
        self.start_agent(now);
    }

    /// A new system disk: the agent's memory is gone with the old one.
    pub fn rebuild(&mut self) {
        self.builds += 1;
        self.mesos_number += 1;
        self.disk = SimDisk::default();
        self.has_image = false;
        self.sequence = 1;
    }
}

pub fn task_of(task: &SimTask) -> Task {
    let (framework, role, cpus) = match task.kind {
        TaskKind::Build => ("Jenkins Scheduler", None, 8.0),
        TaskKind::Checker => ("Jenkins Scheduler", None, 1.0),
        TaskKind::Service | TaskKind::Pinned => ("marathon", None, 1.0),
        TaskKind::Disposable => ("trials", Some("mesostest".to_owned()), 1.0),
    };
    Task {
        id: task.id.clone(),
        // Its instances have a name in common.
        name: if task.kind == TaskKind::Service { "web".to_owned() } else { task.id.clone() },
        framework: framework.to_owned(),
        framework_id: String::new(),
        role,
        state: TaskState::Running,
        resources: Resources { cpus, ..Resources::default() },
        labels: BTreeMap::new(),
        started_at_secs: Some(task.started_at.as_second()),
    }
}

fn finding(check: &str, status: Status, since: Timestamp) -> Finding {
    Finding {
        check: check.to_owned(),
        item: None,
        status,
        gating: true,
        sentence: format!("{check} is {}", status.as_str()),
        evidence: vec![Evidence::new("seen", status.as_str(), "agent")],
        since,
        age_seconds: 1,
        next: None,
    }
}
