//! Systems that tell of nodes beside Mesos, in histories whose policy asks them: Jenkins, ZooKeeper, the cloud's list of
//! servers. They fall silent, forget, and tell of what people and other machines have done there.

use super::*;
use millwright_coordinator::fleet::outside::{
    Computer, EnsembleSeen, Jenkins, MemberSaid, Observation, RunningBuild,
    openstack::{OpenStackSeen, Power, Server},
};
use millwright_decision::Source;

/// Who is asked.
const ASKED: [Source; 3] = [Source::Jenkins, Source::ZooKeeper, Source::OpenStack];
/// They are asked no more often.
const RHYTHM: SignedDuration = SignedDuration::from_secs(20);
/// What lasts for so long has been seen by whoever looks in this rhythm.
pub const SEEN_WITHIN: SignedDuration = SignedDuration::from_secs(120);

/// What is so there, in truth.
#[derive(Debug, Default)]
pub struct Others {
    silent_until: BTreeMap<Source, Timestamp>,
    heard_at: BTreeMap<Source, Timestamp>,
    /// Jenkins has lost its list of computers until then.
    pub forgets_until: Option<Timestamp>,
    /// Builds that go on though their tasks have gone from every list: where, since when, until when.
    pub builds: BTreeMap<String, Lasting>,
    /// Members of ZooKeeper that take no part, on machines that are well.
    pub lost_members: BTreeMap<NodeName, Lasting>,
    /// Servers that somebody has locked.
    pub locked: BTreeMap<NodeName, Lasting>,
    /// Names that two servers have.
    pub twins: BTreeMap<NodeName, Lasting>,
    /// People have vouched for a source about a node until then.
    vouched: BTreeMap<(NodeName, Source), Timestamp>,
}

/// Something about a node that begins and ends.
#[derive(Debug, Clone)]
pub struct Lasting {
    pub node: NodeName,
    pub since: Timestamp,
    pub until: Timestamp,
}

/// What people and machines do there, in words of the ledger.
pub const OF_OTHERS: [&str; 5] =
    ["source_silent", "jenkins_forgets", "member_lost", "server_locked", "server_twin"];

impl Others {
    /// Whether a coordinator born then has heard of what has been so since then, and nobody has vouched for the contrary.
    fn is_told(&self, source: Source, about: &Lasting, born_at: Timestamp, now: Timestamp) -> bool {
        let vouched = self.vouched.get(&(about.node.clone(), source)).is_some_and(|until| now < *until);
        let heard = self.heard_at.get(&source).copied();
        !vouched && heard.is_some_and(|heard| heard > about.since.max(born_at) + RHYTHM)
    }
}

impl World {
    pub(super) fn look_at_others(&mut self) {
        let now = self.now;
        if !self.setting.asks_others() || self.is_paused() {
            return;
        }
        self.forget_what_is_over();
        for source in ASKED {
            let asked_at = self.others.heard_at.get(&source);
            if asked_at.is_some_and(|at| now.duration_since(*at) < RHYTHM) {
                continue;
            }
            let is_silent = self.others.silent_until.get(&source).is_some_and(|until| now < *until);
            let answer =
                if is_silent { Err("503 Service Unavailable".to_owned()) } else { Ok(self.tells(source)) };
            if answer.is_ok() {
                self.others.heard_at.insert(source, now);
            }
            let old = self.old.as_ref().map(|(old, _)| old);
            for coordinator in self.coordinator.iter().chain(old) {
                coordinator.fleet().take_observation(source, answer.clone(), coordinator.clock.read(now));
            }
        }
    }

    fn forget_what_is_over(&mut self) {
        let (now, nodes) = (self.now, &self.nodes);
        let Others { builds, lost_members, locked, twins, .. } = &mut self.others;
        for lasting in [lost_members, locked, twins] {
            lasting.retain(|_, lasting| now < lasting.until);
        }
        // A machine that went down took its builds along.
        builds.retain(|_, build| {
            let node = nodes.get(&build.node);
            now < build.until && node.is_some_and(|node| node.is_up && node.booted_at < build.since)
        });
    }

    fn tells(&self, source: Source) -> Observation {
        match source {
            Source::Jenkins => Observation::Jenkins(self.jenkins_tells()),
            Source::ZooKeeper => Observation::ZooKeeper(vec![self.zookeeper_tells()]),
            _ => Observation::OpenStack(self.servers_listed()),
        }
    }

    fn jenkins_tells(&self) -> Jenkins {
        let forgets = self.others.forgets_until.is_some_and(|until| self.now < until);
        let working = self.nodes.values().filter(|node| node.is_up).flat_map(|node| &node.tasks);
        let builds = working.filter(|task| matches!(task.kind, TaskKind::Build | TaskKind::Checker));
        let names = builds.map(|task| &task.id).chain(self.others.builds.keys()).filter(|_| !forgets);
        let computer = |name: &String| Computer {
            name: name.clone(),
            builds: vec![RunningBuild { name: format!("build of {name}"), ..RunningBuild::default() }],
            ..Computer::default()
        };
        Jenkins {
            version: "2.426".to_owned(),
            computers: names.map(computer).collect(),
            ..Jenkins::default()
        }
    }

    /// Whether the member of ZooKeeper on a master takes part, as long as enough others do.
    pub fn takes_part(&self, name: &NodeName) -> bool {
        self.nodes.get(name).is_some_and(|node| node.is_up && node.docker_ok)
            && !self.others.lost_members.contains_key(name)
    }

    fn zookeeper_tells(&self) -> EnsembleSeen {
        let masters =
            || self.nodes.keys().filter(|name| self.nodes.get(*name).is_some_and(|node| !node.takes_tasks()));
        let in_quorum: Vec<&NodeName> = masters().filter(|name| self.takes_part(name)).collect();
        let is_whole = in_quorum.len() > masters().count() / 2;
        let said = |name: &NodeName| {
            if !in_quorum.contains(&name) || self.is_cut_off(name) || !is_whole {
                return Err("This ZooKeeper instance is not currently serving requests".to_owned());
            }
            let leads = in_quorum.first() == Some(&name);
            Ok(MemberSaid {
                version: "3.4.13".to_owned(),
                mode: if leads { "leader" } else { "follower" }.to_owned(),
                epoch: Some(1),
                ..MemberSaid::default()
            })
        };
        EnsembleSeen {
            name: "mesos".to_owned(),
            members: masters().map(|name| (name.clone(), said(name))).collect(),
        }
    }

    fn servers_listed(&self) -> OpenStackSeen {
        let mut servers = Vec::new();
        for node in self.nodes.values().filter(|node| !node.is_deleted) {
            let first = self.server(node, String::new());
            let second =
                self.others.twins.contains_key(&node.name).then(|| self.server(node, "-old".to_owned()));
            servers.extend([first].into_iter().chain(second));
        }
        OpenStackSeen { servers, ..OpenStackSeen::default() }
    }

    fn server(&self, node: &SimNode, suffix: String) -> Server {
        let is_locked = self.others.locked.contains_key(&node.name);
        Server {
            project: "sandbox".to_owned(),
            id: format!("{}-server{suffix}", node.name),
            name: Some(node.display.clone()),
            status: if node.is_stopped { "SHUTOFF" } else { "ACTIVE" }.to_owned(),
            task_state: None,
            power: if node.is_stopped { Power::Off } else { Power::On },
            zone: None,
            flavor: None,
            image: None,
            locked: is_locked || node.is_stopped,
            locked_reason: is_locked.then(|| "do not touch".to_owned()),
            volumes: Vec::new(),
            metadata: Vec::new(),
            created: None,
            fault: None,
        }
    }

    /// A build goes on for a while though its task is in no list any more.
    pub(super) fn outlives_its_task(&mut self, name: &NodeName, id: &str) {
        if !self.setting.asks_others() || !self.trouble("jenkins_forgets", 1500) {
            return;
        }
        let seconds = self.chance.between(60, 3000);
        let build = self.lasting(name, seconds);
        self.others.builds.insert(id.to_owned(), build);
        self.coverage.count("fault/build_outlives_task");
    }

    /// The member of a master that has booted copies for a while before it takes part.
    pub(super) fn copies_first(&mut self, name: &NodeName) {
        let is_master = self.nodes.get(name).is_some_and(|node| !node.takes_tasks());
        if self.setting.asks_others() && is_master && !self.is_quiet {
            let seconds = self.chance.between(0, 1500);
            let copies = self.lasting(name, seconds);
            self.others.lost_members.insert(name.clone(), copies);
        }
    }

    fn lasting(&self, name: &NodeName, seconds: i64) -> Lasting {
        let until = self.now + SignedDuration::from_secs(seconds);
        Lasting { node: name.clone(), since: self.now, until }
    }

    /// Trouble of a kind of `OF_OTHERS`, at a node or for all.
    pub(super) fn strike_others(&mut self, kind: &'static str, name: &NodeName) {
        if !self.setting.asks_others() {
            return;
        }
        let is_of_server = matches!(kind, "server_locked" | "server_twin");
        // Whoever has read that a node is to be made anew or deleted goes and locks its server.
        let threatened = self.threatened();
        let is_meant = is_of_server && self.chance.happens(6000);
        let name = self.chance.one_of(&threatened).filter(|_| is_meant).unwrap_or(name);
        let is_master = self.nodes.get(name).is_some_and(|node| !node.takes_tasks());
        self.note(kind, is_of_server.then_some(name));
        let most = if is_of_server || self.chance.happens(3000) { 12_000 } else { 1500 };
        let seconds = self.chance.between(30, most);
        let lasting = self.lasting(name, seconds);
        match kind {
            "source_silent" => {
                let Some(source) = self.chance.one_of(&ASKED).copied() else { return };
                self.others.silent_until.insert(source, lasting.until);
            }
            "jenkins_forgets" => self.others.forgets_until = Some(lasting.until),
            "server_locked" => drop(self.others.locked.insert(name.clone(), lasting)),
            "server_twin" => drop(self.others.twins.insert(name.clone(), lasting)),
            _ => {
                let masters: Vec<NodeName> = self
                    .nodes
                    .values()
                    .filter(|node| !node.takes_tasks())
                    .map(|node| node.name.clone())
                    .collect();
                let meant = self.chance.one_of(&masters).filter(|_| !is_master).cloned();
                let meant = meant.unwrap_or_else(|| name.clone());
                self.others.lost_members.insert(meant.clone(), Lasting { node: meant, ..lasting });
            }
        }
    }

    /// Somebody looks at a system that does not answer, and vouches for it.
    pub fn vouch(&mut self, name: &NodeName, source: Source) {
        let until = self.now + SignedDuration::from_mins(20);
        self.others.vouched.insert((name.clone(), source), until);
    }

    /// Whether a master's member has taken no part for so long that everybody knows.
    pub fn is_out_of_ensemble(&self, name: &NodeName) -> bool {
        let lost = self.others.lost_members.get(name);
        self.setting.asks_others()
            && lost.is_some_and(|lost| self.now.duration_since(lost.since) > SEEN_WITHIN)
    }

    /// What these systems tell that speaks against an irreversible step on a node, known to the coordinator for long enough.
    pub fn told_against(
        &self,
        name: &NodeName,
        step: Step,
        let_go: &[String],
    ) -> Option<(&'static str, String)> {
        let coordinator = self.coordinator.as_ref().filter(|_| self.setting.asks_others())?;
        let (now, born_at) = (self.now, coordinator.born_at);
        let is_old = |lasting: &Lasting| now.duration_since(lasting.since) > SEEN_WITHIN;
        let others = &self.others;
        let told =
            |source, lasting: &&Lasting| is_old(lasting) && others.is_told(source, lasting, born_at, now);
        if matches!(step, Step::Rebuild | Step::Quarantine | Step::HardReboot) {
            if let Some(locked) = others.locked.get(name).filter(|locked| told(Source::OpenStack, locked)) {
                return Some(("S4", format!("{step} of {name}, locked by somebody since {}", locked.since)));
            }
            if others.twins.get(name).is_some_and(|twins| told(Source::OpenStack, &twins)) {
                return Some(("S21", format!("{step} of {name}, and two servers have that name")));
            }
        }
        let forgot = others
            .forgets_until
            .is_some_and(|until| now.duration_since(until) < SignedDuration::from_mins(10));
        let is_reset = step == Step::HardReboot;
        let build = others.builds.iter().find(|(id, build)| {
            let was_placed = build.since.duration_since(born_at) > SEEN_WITHIN;
            build.node == *name && was_placed && !let_go.contains(id) && told(Source::Jenkins, build)
        });
        if let Some((id, _)) = build.filter(|_| !forgot && !is_reset && step != Step::Create) {
            return Some(("S7", format!("{step} of {name} ends the build {id}, of which Jenkins tells")));
        }
        let is_master = self.nodes.get(name).is_some_and(|node| !node.takes_tasks());
        if !is_master || step == Step::Create {
            return None;
        }
        let lost = others.lost_members.values().find(|lost| lost.node != *name && is_old(lost))?;
        Some(("S1", format!("{step} of {name} while {} takes no part in its ensemble", lost.node)))
    }
}
