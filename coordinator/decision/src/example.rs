//! Plausible fleets for tests: everything healthy, empty and proven, until a story says otherwise.

use crate::{
    ClassPolicy, Consent, Mode, NodePolicy, Policy, Share, Snapshot, Source,
    counts::FleetCounts,
    fleet::{
        AgentView, AttachedVolume, Build, Containers, EmptySpan, Ensemble, GatingFinding, Image, JenkinsView,
        Listing, MasterView, Member, Node, NodeTask, SourceState, View,
    },
    policy::{Class, TaskMatch},
};
use jiff::{SignedDuration, Timestamp, ToSpan};
use millwright_protocol::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// A listed node without a zone, a project, a protection or anything else of its own.
pub fn listed(display: &str, class: Class) -> NodePolicy {
    NodePolicy {
        display: display.to_owned(),
        class,
        zone: None,
        labels: BTreeSet::new(),
        protections: BTreeSet::new(),
        project: None,
        attributes: BTreeMap::new(),
    }
}

/// A class that looks on, whose nodes' agents and Mesos masters have to be heard, and for which nobody has to agree.
pub fn class() -> ClassPolicy {
    ClassPolicy {
        mode: Mode::Observe,
        required: BTreeSet::from([Source::Agent, Source::MesosMaster]),
        out: Share { at_least: 1, percent: 10 },
        draining: Share { at_least: 2, percent: 10 },
        settle: SignedDuration::from_mins(5),
        quarantine: SignedDuration::from_hours(7 * 24),
        windows: Vec::new(),
        quiet_hours: Vec::new(),
        freezes: Vec::new(),
        reboot_consent: Consent::None,
        rebuild_consent: Consent::None,
        delete_consent: Consent::None,
        volume_bytes: None,
        words: BTreeMap::new(),
        images: Vec::new(),
    }
}

/// A snapshot under construction.
#[derive(Debug, Clone)]
pub struct ExampleFleet {
    /// The policy it stands under.
    pub policy: Policy,
    /// The moment it is looked at.
    pub now: Timestamp,
    /// What is known; counts are made by [`ExampleFleet::snapshot`].
    pub snapshot: Snapshot,
}

impl ExampleFleet {
    /// Every listed node healthy, fresh, empty and proven so; every required source answering; long started.
    pub fn new(policy: Policy, now: Timestamp) -> Self {
        let mut snapshot = Snapshot::new(now - 30.hours());
        for (name, listed) in &policy.nodes {
            let required = policy.class_of(listed).map(|class| &class.required);
            let has_mesos = required.is_some_and(|required| required.contains(&Source::MesosMaster));
            let images = policy.class_of(listed).map(|class| class.images.clone()).unwrap_or_default();
            let mut node = healthy_node(listed.class, has_mesos, images, &listed.attributes, now);
            if required.is_some_and(|required| required.contains(&Source::Jenkins)) {
                let empty = Some(EmptySpan { first: now - 2.hours(), last: now });
                node.jenkins = Some(Box::new(JenkinsView { at: now, builds: Vec::new(), empty }));
            }
            snapshot.nodes.insert(name.clone(), Box::new(node));
        }
        let is_asked = |listed: &NodePolicy| {
            policy.class_of(listed).is_some_and(|class| class.required.contains(&Source::ZooKeeper))
        };
        let members = policy.nodes.iter().filter(|(_, listed)| is_asked(listed)).map(|(name, _)| Member {
            node: name.clone(),
            in_quorum_since: Some(now - 20.hours()),
            leads: false,
            story: "it follows".to_owned(),
        });
        let members: Vec<Member> = members.collect();
        if !members.is_empty() {
            snapshot.ensembles.push(Ensemble { name: "mesos".to_owned(), at: now, members });
        }
        let required = policy.classes.values().flat_map(|class| class.required.iter().copied());
        for source in required.filter(|source| *source != Source::Agent) {
            snapshot.sources.insert(source, SourceState { last_answer: Some(now), unknown_since: None });
        }
        Self { policy, now, snapshot }
    }

    /// The snapshot with its counts.
    pub fn snapshot(mut self) -> (Snapshot, Policy, Timestamp) {
        self.snapshot.counts = FleetCounts::recount(&self.snapshot, &self.policy, self.now);
        (self.snapshot, self.policy, self.now)
    }

    /// A node, made when it is not there.
    pub fn node(&mut self, name: &NodeName) -> &mut Node {
        self.snapshot.nodes.entry(name.clone()).or_default()
    }

    /// The account of a node's agent, made when there is none.
    pub fn agent(&mut self, name: &NodeName) -> &mut AgentView {
        let now = self.now;
        self.node(name).agent.get_or_insert_with(|| healthy_agent(Class::Agent, true, Vec::new(), now))
    }

    /// The moment that was so long ago.
    pub fn ago(&self, age: SignedDuration) -> Timestamp {
        self.now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The last report of a node is so old.
    pub fn report_age(&mut self, name: &NodeName, age: SignedDuration) {
        let at = self.ago(age);
        self.agent(name).at = at;
        if let Some(span) = &mut self.node(name).agent_empty {
            span.last = at;
            span.first = span.first.min(at);
        }
    }

    /// A gating finding has been bad for so long.
    pub fn gating(&mut self, name: &NodeName, key: &str, is_crit: bool, age: SignedDuration) {
        let since = self.ago(age);
        let agent = self.agent(name);
        agent.healthy_since = None;
        agent.gating.push(GatingFinding {
            key: key.to_owned(),
            is_crit,
            sentence: format!("{key} is bad"),
            since,
        });
    }

    /// Both views have a task.
    pub fn runs(&mut self, name: &NodeName, task: TaskMatch<'_>) {
        let task = self.task(task);
        self.agent_runs(name, task.clone());
        self.master_lists(name, task);
    }

    /// The node's own Mesos agent has a task, in a container.
    pub fn agent_runs(&mut self, name: &NodeName, task: NodeTask) {
        let node = self.node(name);
        if task.class != crate::TaskClass::Disposable {
            node.agent_empty = None;
        }
        let agent = self.agent(name);
        if let View::Known(tasks) = &mut agent.tasks {
            tasks.push(task);
        }
        if let View::Known(containers) = &mut agent.containers {
            containers.of_tasks += 1;
        }
    }

    /// The Mesos master has a task on the node.
    pub fn master_lists(&mut self, name: &NodeName, task: NodeTask) {
        let node = self.node(name);
        if task.class != crate::TaskClass::Disposable {
            node.master_empty = None;
        }
        if let Some(view) = &mut node.master {
            view.tasks.push(task);
        }
    }

    /// Jenkins runs a build on a node, to be done in half an hour.
    pub fn builds(&mut self, name: &NodeName, build: &str, computer: &str) {
        let (at, since, end) = (self.now, self.now - 1.hour(), self.now + 30.minutes());
        let node = self.node(name);
        let view =
            node.jenkins.get_or_insert_with(|| Box::new(JenkinsView { at, builds: Vec::new(), empty: None }));
        view.empty = None;
        view.builds.push(Build {
            name: build.to_owned(),
            computer: computer.to_owned(),
            since: Some(since),
            expected_end: Some(end),
        });
    }

    /// A task as the policy tells it apart, running for an hour.
    pub fn task(&self, task: TaskMatch<'_>) -> NodeTask {
        let (class, rule) = self.policy.tasks.classify(task);
        NodeTask {
            id: task.id.to_owned(),
            name: task.name.to_owned(),
            framework: task.framework.to_owned(),
            class,
            rule: rule.map(|rule| rule.name.clone()),
            started_at: Some(self.now - 1.hour()),
            warm_up_seconds: rule.map_or(0, |rule| rule.warm_up_seconds),
            owner: rule.and_then(|rule| rule.owner.clone()),
        }
    }
}

fn healthy_node(
    class: Class,
    has_mesos: bool,
    images: Vec<String>,
    attributes: &BTreeMap<String, String>,
    now: Timestamp,
) -> Node {
    if class == Class::Physical {
        return Node::default();
    }
    let empty = Some(EmptySpan { first: now - 2.hours(), last: now });
    let takes_tasks = has_mesos && class != Class::Master;
    Node {
        agent: Some(healthy_agent(class, takes_tasks, images, now)),
        master: takes_tasks.then(|| MasterView {
            at: now,
            listing: Listing::Active,
            deactivated: false,
            undecided: false,
            tasks: Vec::new(),
            attributes: attributes.clone(),
        }),
        agent_empty: empty,
        master_empty: empty.filter(|_| takes_tasks),
        ..Node::default()
    }
}

fn healthy_agent(class: Class, takes_tasks: bool, images: Vec<String>, now: Timestamp) -> AgentView {
    let has_volume = matches!(class, Class::Master | Class::Agent);
    let volume = AttachedVolume {
        mount: if class == Class::Master { "/data" } else { "/build" }.to_owned(),
        mounted: true,
        uuid: Some("11111111-2222-3333-4444-555555555555".to_owned()),
        serial: None,
        size_bytes: 500_000_000_000,
    };
    AgentView {
        at: now,
        boot_first_heard_at: now - 20.hours(),
        verified_at: Some(now - 19.hours()),
        healthy_since: Some(now - 20.hours()),
        gating: Vec::new(),
        failing_checks: Vec::new(),
        tasks: if takes_tasks { View::Known(Vec::new()) } else { View::NotConfigured },
        containers: View::Known(Containers::default()),
        volumes: has_volume.then_some(volume).into_iter().collect(),
        images: images
            .into_iter()
            .map(|name| Image { name, present: true, size_bytes: 4_000_000_000 })
            .collect(),
        puppet: None,
        leads_mesos: false,
    }
}
