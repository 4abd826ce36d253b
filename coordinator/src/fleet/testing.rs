//! Small fleets and reports for tests, with a clock that is turned by hand.

use super::{Fleet, MasterAgent, MasterAnswer, OperationsSaid};
use jiff::Timestamp;
use millwright_decision::{
    Action, Class, Mode, NodePolicy, Policy, TaskClass, TaskRule, Tasks, example,
    fleet::{Operation, Progress},
};
use millwright_protocol::{
    ContainerFacts, Evidence, Facts, Finding, MesosAgentFacts, NodeName, PROTOCOL_VERSION, Report, Resources,
    Status, SystemFacts, Task, TaskState, VolumeFact,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub(crate) fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// So many seconds after the coordinator's start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + seconds).unwrap()
}

/// Three masters and so many agents; Mesos is required; Jenkins builds are protected, "spare" is disposable.
pub(crate) fn policy(agents: usize) -> Policy {
    let mut policy = Policy::unreadable("", name("coordinator"));
    policy.unreadable = None;
    policy.cluster = "test".into();
    policy.version = "v1".into();
    let listed = |display: String, class, zone: &str| {
        let node = NodePolicy { zone: Some(zone.to_owned()), ..example::listed(&display, class) };
        (name(&display), node)
    };
    policy.nodes.extend((1..=3).map(|n| listed(format!("alimesos{n:02}"), Class::Master, "a")));
    policy.nodes.extend((1..=agents).map(|n| listed(format!("alibuild{n:02}"), Class::Agent, "b")));
    for class in [Class::Master, Class::Agent] {
        policy.classes.insert(class, example::class());
    }
    let rule = |name: &str, id: &str, class| TaskRule {
        name: name.to_owned(),
        id: Some(regex_lite::Regex::new(id).unwrap()),
        task_name: None,
        framework: None,
        role: None,
        min_cpus: None,
        below_cpus: None,
        class,
        warm_up_seconds: 0,
        owner: None,
    };
    policy.tasks = Tasks {
        rules: vec![
            rule("builds must finish", "^mesos-jenkins", TaskClass::Protected),
            rule("spare work", "^spare", TaskClass::Disposable),
            rule("a service", "^service", TaskClass::Service),
        ],
    };
    policy
}

pub(crate) fn finding(check: &str, item: Option<&str>, status: Status, gating: bool) -> Finding {
    Finding {
        check: check.to_owned(),
        item: item.map(str::to_owned),
        status,
        gating,
        sentence: format!("{check} is {} as far as this test is concerned", status.as_str()),
        evidence: vec![Evidence::new("seen", status.as_str(), "agent")],
        since: at(-7200),
        age_seconds: 1,
        next: (status != Status::Ok).then(|| format!("look at {check}")),
    }
}

/// A healthy, empty node; its clock is right when it is taken at `at(10 * sequence)`.
pub(crate) fn report(node: &str, sequence: u64) -> Report {
    Report {
        protocol: PROTOCOL_VERSION,
        node: node.to_owned(),
        agent_version: "0.1.0".into(),
        boot_id: format!("boot-of-{node}"),
        machine_id: format!("machine-of-{node}"),
        server_uuid: Some(format!("server-of-{node}")),
        sequence,
        sent_at: at(10 * i64::try_from(sequence).unwrap()),
        uptime_seconds: 7200,
        findings: vec![
            finding("docker", None, Status::Ok, true),
            finding("mesos_agent", None, Status::Ok, true),
            finding("volume", Some("/"), Status::Warn, false),
            finding("load", None, Status::Ok, false),
        ],
        facts: facts(node),
        seen: None,
        local_holds: Vec::new(),
        whitelist: None,
    }
}

fn facts(node: &str) -> Facts {
    Facts {
        mesos_agent: Some(MesosAgentFacts {
            url: "http://127.0.0.1:5051/slave(1)".into(),
            agent_id: Some(mesos_id(node)),
            version: "1.11.0".into(),
            hostname: format!("{node}.example.org"),
            registered: Some(true),
            ..MesosAgentFacts::default()
        }),
        containers: Some(ContainerFacts {
            version: "20.10".into(),
            storage_driver: "overlay2".into(),
            ..ContainerFacts::default()
        }),
        volumes: vec![VolumeFact {
            mount: "/build".into(),
            mounted: true,
            uuid: Some("5f0c1f43-7d9c-4f6c-8f6e-3d3a1e9d0c11".into()),
            size_bytes: 500,
            free_bytes: 100,
            hours_to_full: Some(36.5),
            ..VolumeFact::default()
        }],
        system: Some(SystemFacts { cpus: 8, load: [0.5, 0.25, 0.0], ..SystemFacts::default() }),
        ..Facts::default()
    }
}

pub(crate) fn mesos_id(node: &str) -> String {
    format!("S-{node}")
}

pub(crate) fn task(id: &str) -> Task {
    Task {
        id: id.to_owned(),
        name: id.to_owned(),
        framework: "Jenkins Scheduler".into(),
        framework_id: String::new(),
        role: None,
        state: TaskState::Running,
        resources: Resources { cpus: 4.0, ..Resources::default() },
        labels: BTreeMap::new(),
        started_at_secs: Some(at(-600).as_second()),
    }
}

/// What the master says when every agent is there and empty.
pub(crate) fn master(policy: &Policy) -> MasterAnswer {
    let agent = |node: &NodePolicy| MasterAgent {
        id: mesos_id(&node.display),
        hostname: format!("{}.example.org", node.display),
        active: true,
        ..MasterAgent::default()
    };
    MasterAnswer {
        leader: "alimesos01".into(),
        elected_at_secs: Some(1),
        version: "1.11.0".into(),
        agents: policy.nodes.values().map(agent).collect(),
        ..MasterAnswer::default()
    }
}

/// Listed nodes that report every ten seconds beside a master that answers, until told otherwise.
pub(crate) struct Story {
    pub fleet: Fleet,
    pub master: Option<MasterAnswer>,
    /// Nodes that do not report.
    pub quiet: BTreeSet<NodeName>,
    /// Changes what a node says.
    pub twist: BTreeMap<NodeName, fn(&mut Report)>,
    /// The round that comes next, at `at(10 * round)`.
    pub round: u64,
    pub transitions: Vec<crate::view::Transition>,
}

impl Story {
    pub fn new(agents: usize) -> Self {
        let policy = policy(agents);
        Self {
            master: Some(master(&policy)),
            fleet: Fleet::new(Arc::new(policy), at(0)),
            quiet: BTreeSet::new(),
            twist: BTreeMap::new(),
            round: 1,
            transitions: Vec::new(),
        }
    }

    pub fn now(&self) -> Timestamp {
        at(10 * i64::try_from(self.round - 1).unwrap())
    }

    /// Lets so many rounds of ten seconds pass.
    pub fn rounds(&mut self, count: u64) -> &mut Self {
        for _ in 0..count {
            let now = at(10 * i64::try_from(self.round).unwrap());
            let listed: Vec<(NodeName, String)> = self
                .fleet
                .policy()
                .nodes
                .iter()
                .filter(|(name, _)| !self.quiet.contains(*name))
                .map(|(name, node)| (name.clone(), node.display.clone()))
                .collect();
            for (name, display) in listed {
                let mut report = report(&display, self.round);
                if let Some(twist) = self.twist.get(&name) {
                    twist(&mut report);
                }
                self.transitions.extend(self.fleet.take_report(&name, report, now).transitions);
            }
            let answer = self.master.as_ref().ok_or("connection refused");
            self.transitions.extend(self.fleet.take_master_state(answer, now));
            self.transitions.extend(self.fleet.tick(now));
            self.round += 1;
        }
        self
    }

    pub fn node(&self, node: &str) -> &millwright_decision::Node {
        &self.fleet.snapshot().nodes[&name(node)]
    }

    /// From here on the node says it differently.
    pub fn twist(&mut self, node: &str, how: fn(&mut Report)) -> &mut Self {
        self.twist.insert(name(node), how);
        self
    }
}

/// A fleet whose first node runs spare work, a build and a service, and whose second the same service. All have owners.
pub(crate) fn owned() -> Story {
    let mut story = Story::new(3);
    let mut policy = policy(3);
    policy.classes.values_mut().for_each(|class| class.mode = Mode::Act);
    for rule in &mut policy.tasks.rules {
        let owner = if rule.class == TaskClass::Service { "web" } else { "tests" };
        rule.owner = Some(owner.to_owned());
    }
    story.fleet.set_policy(Arc::new(policy), story.now());
    story.twist("alibuild01", |report| {
        let agent = report.facts.mesos_agent.as_mut().unwrap();
        agent.tasks = vec![task("spare-1"), task("mesos-jenkins-1"), task("service-1")];
    });
    story.twist("alibuild02", |report| {
        let elsewhere = Task { name: "service-1".into(), ..task("service-2") };
        report.facts.mesos_agent.as_mut().unwrap().tasks = vec![elsewhere];
    });
    story.rounds(20);
    story
}

/// An operation of Ann's that drains, and nothing else.
pub(crate) fn begins(story: &mut Story, action: Action, node: &str) {
    let operation = Operation {
        id: "op-1".into(),
        action,
        nodes: [name(node)].into(),
        requester: "ann".into(),
        progress: Progress::Draining,
        since: at(0),
        cordoned_at: Some(at(10)),
        announced_at: None,
        is_silent_repair: false,
        is_parked: false,
        grants: Vec::new(),
    };
    story.fleet.take_operations(OperationsSaid { operations: vec![operation], ..OperationsSaid::default() });
}
