//! Marathon and Aurora: which server leads, and what each service has where, so that nobody stops the last instance of one
//! without knowing.

use crate::fleet::Fleet;
use jiff::Timestamp;
use millwright_decision::{Source, fleet::Move};
use millwright_protocol::NodeName;
use std::collections::BTreeMap;

/// What a scheduler says: what its servers do, and what it keeps running.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scheduler {
    /// Its version; empty where it does not say.
    pub version: String,
    /// What each server does, by its node, or why it does not say.
    pub servers: BTreeMap<NodeName, Result<Part, String>>,
    /// What it keeps running.
    pub services: Vec<Service>,
    /// What it is changing just now, a line each.
    pub changes: Vec<String>,
    /// Host names that it has in maintenance, and how far that is. Of a host that is not here nothing is known: it may be
    /// in service, and it may be one that the scheduler has never heard of.
    pub maintenance: BTreeMap<String, String>,
}

/// What a server does for the whole of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// It leads.
    Leads,
    /// It waits to lead, and knows who does where a name is given.
    StandsBy(Option<String>),
    /// It answers as if it led, and names another one, as a standby does in versions that do not say so.
    Unclear(String),
}

/// Something that is kept running: an app of Marathon, a job of Aurora.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Such as `/kibana` or `root/prod/ci`.
    pub name: String,
    /// How many instances there should be.
    pub wanted: usize,
    /// Those there are, waiting ones aside.
    pub instances: Vec<Instance>,
    /// The one place it may run at, in words, where it may run nowhere else.
    pub pinned_to: Option<String>,
    /// Whether its scheduler is changing it just now.
    pub is_changing: bool,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instance {
    /// The host name of the Mesos agent it runs on.
    pub host: String,
    /// Mesos' id of that agent; empty where it is not said.
    pub agent_id: String,
    /// Whether it runs and no health check says otherwise.
    pub is_well: bool,
    /// Which node that is. The fleet finds out; whoever asks leaves it empty.
    pub node: Option<NodeName>,
    /// Mesos' id of its task; empty where it is not said.
    pub task: String,
    /// Which of the instances it is, where its scheduler numbers them.
    pub number: Option<u32>,
}

impl Service {
    /// Instances that are well.
    pub fn well(&self) -> usize {
        self.instances.iter().filter(|instance| instance.is_well).count()
    }

    /// Whether everything runs that should.
    pub fn is_whole(&self) -> bool {
        self.well() >= self.wanted
    }
}

impl Scheduler {
    /// The node whose server leads.
    pub fn leader(&self) -> Option<&NodeName> {
        self.servers.iter().find(|(_, part)| matches!(part, Ok(Part::Leads))).map(|(node, _)| node)
    }

    /// The same where it is beyond doubt: nobody else says so.
    pub fn only_leader(&self) -> Option<&NodeName> {
        let count = self.servers.values().filter(|part| matches!(part, Ok(Part::Leads))).count();
        self.leader().filter(|_| count == 1)
    }

    /// Whether another server than that of the node could take the lead.
    pub fn has_another_than(&self, node: &NodeName) -> bool {
        self.servers.iter().any(|(other, part)| other != node && matches!(part, Ok(Part::StandsBy(_))))
    }

    /// What it would take away from which node, if it may be asked for these.
    pub(super) fn moves(&self, by: Source, tasks: bool, lead: bool) -> BTreeMap<NodeName, Vec<Move>> {
        let mut on: BTreeMap<NodeName, Vec<Move>> = BTreeMap::new();
        for service in self.services.iter().filter(|_| tasks) {
            for instance in service.instances.iter().filter(|instance| !instance.task.is_empty()) {
                let (service, task) = (service.name.clone(), instance.task.clone());
                if let Some(node) = &instance.node {
                    on.entry(node.clone()).or_default().push(Move::Task { by, service, task });
                }
            }
        }
        if let Some(leader) = self.only_leader().filter(|leader| lead && self.has_another_than(leader)) {
            on.entry(leader.clone()).or_default().push(Move::Lead { by });
        }
        on
    }
}

impl Fleet {
    /// Takes in an answer; the sentence that tells of it. `things` is what its services are called.
    pub(super) fn take_scheduler(
        &mut self,
        source: Source,
        mut seen: Scheduler,
        things: &str,
        at: Timestamp,
    ) -> String {
        self.place(&mut seen);
        if let Some(movable) = self.snapshot.movable.get_mut(&source) {
            movable.at = Some(at);
            movable.on = seen.moves(source, movable.moves_tasks, movable.gives_lead);
        }
        let led = seen.leader().map_or_else(
            || "no server says that it leads".to_owned(),
            |node| format!("{} leads", self.policy.spell(node)),
        );
        let version = if seen.version.is_empty() { String::new() } else { format!(" {}", seen.version) };
        let short = seen.services.iter().filter(|service| !service.is_whole()).count();
        let short = if short > 0 { format!(", {short} of them not in full") } else { String::new() };
        let changes = match seen.changes.len() {
            0 => String::new(),
            1 => "; 1 deployment runs".to_owned(),
            count => format!("; {count} deployments run"),
        };
        let count = crate::words::count(seen.services.len(), things);
        self.outside.schedulers.insert(source, (at, seen));
        format!("{}{version} answers, {led}; it keeps {count} running{short}{changes}", source.title())
    }

    /// Says which node every instance is on: by Mesos' id of its agent, by the name under which that is registered, and
    /// at last by the node's own name.
    fn place(&self, seen: &mut Scheduler) {
        let agents =
            || self.mesos.seen.iter().flat_map(|(node, agents)| agents.iter().map(move |a| (node, a)));
        let by_id: BTreeMap<&str, &NodeName> = agents().map(|(node, agent)| (&*agent.id, node)).collect();
        let by_host: BTreeMap<&str, &NodeName> =
            agents().map(|(node, agent)| (&*agent.hostname, node)).collect();
        for instance in seen.services.iter_mut().flat_map(|service| &mut service.instances) {
            let known = by_id.get(instance.agent_id.as_str()).or_else(|| by_host.get(instance.host.as_str()));
            instance.node = known.map(|node| (*node).clone()).or_else(|| self.listed(&instance.host));
        }
    }

    /// The listed node of a host name. An address names no node.
    pub(in crate::fleet) fn listed(&self, host: &str) -> Option<NodeName> {
        host.parse().ok().filter(|name| self.policy.nodes.contains_key(name))
    }
}
