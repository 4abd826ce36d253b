//! The fleet in memory: takes what agents, Mesos and people say, and keeps the snapshot that decisions rest on.
//!
//! Plain and synchronous: no I/O, no clock; time is an argument, so the simulator runs the same code. Whoever
//! owns a `Fleet` puts it behind one lock, never holds that across an await, and hands the [`Transition`]s that
//! come out to store, event stream and notices.

mod master;

pub use master::{MasterAgent, MasterAnswer};

use crate::view::{Acknowledgement, FleetView, NodeDetail, OwnTrouble, Transition};
use jiff::Timestamp;
use millwright_decision::{Policy, Request, Snapshot, Verdict};
use millwright_protocol::{NodeName, Report};
use std::sync::Arc;

/// Everything known about the fleet.
pub struct Fleet {
    policy: Arc<Policy>,
    snapshot: Snapshot,
}

/// What became of a report.
#[derive(Debug, Default)]
pub struct Taken {
    /// Whether the node stands in the policy.
    pub listed: bool,
    /// Whether the report was older than one already taken, or the same, and left aside.
    pub late: bool,
    /// Whether its living tasks are not those of the report before.
    pub tasks_changed: bool,
    /// What changed.
    pub transitions: Vec<Transition>,
}

/// A request that names a node nobody has heard of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is neither in the policy nor has it ever been heard of; `millwright nodes` lists every node")]
pub struct UnknownNode(pub String);

/// Why a person's word was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// No such node.
    #[error(transparent)]
    UnknownNode(#[from] UnknownNode),
    /// No such finding.
    #[error("{0} is no finding of any node; a finding id reads node/check or node/check/item")]
    UnknownFinding(String),
    /// There is nothing to take it for.
    #[error("{0}")]
    Nothing(String),
}

impl Fleet {
    /// A fleet of which nothing is known but who is listed.
    pub fn new(policy: Arc<Policy>, started_at: Timestamp) -> Self {
        Self { policy, snapshot: Snapshot::new(started_at) }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Puts another policy in force: tasks are told apart anew, nodes listed anew.
    pub fn set_policy(&mut self, policy: Arc<Policy>, _now: Timestamp) -> Vec<Transition> {
        self.policy = policy;
        Vec::new()
    }

    /// Takes in what a node's agent says. `name` is whom the transport proved the agent to be.
    pub fn take_report(&mut self, name: &NodeName, _report: Report, _now: Timestamp) -> Taken {
        Taken { listed: self.policy.nodes.contains_key(name), ..Taken::default() }
    }

    /// Takes in the leading Mesos master's answer, or why there is none.
    pub fn take_master_state(
        &mut self,
        _answer: Result<&MasterAnswer, &str>,
        _now: Timestamp,
    ) -> Vec<Transition> {
        Vec::new()
    }

    /// Takes in whether TCP 22 of a silent node answered.
    pub fn take_ssh(&mut self, _name: &NodeName, _answered: bool, _now: Timestamp) {}

    /// Lets time pass: called every second. Everything that changes by age alone changes here.
    pub fn tick(&mut self, _now: Timestamp) -> Vec<Transition> {
        Vec::new()
    }

    /// Whether the request may be carried out now, and every reason why not.
    ///
    /// # Errors
    /// The request names a node that is neither listed nor heard of.
    pub fn judge(&mut self, request: &Request, now: Timestamp) -> Result<Verdict, UnknownNode> {
        for name in &request.nodes {
            if !self.policy.nodes.contains_key(name) && !self.snapshot.nodes.contains_key(name) {
                return Err(UnknownNode(name.as_str().to_owned()));
            }
        }
        Ok(millwright_decision::judge(request, &self.snapshot, &self.policy, now))
    }

    /// The whole fleet for people. `own_troubles` come from the rest of the coordinator.
    pub fn fleet_view(&mut self, now: Timestamp, own_troubles: Vec<OwnTrouble>) -> FleetView {
        FleetView {
            cluster: self.policy.cluster.clone(),
            asked_at: now,
            started_at: self.snapshot.started_at,
            warming_up: None,
            paused: None,
            brakes: Vec::new(),
            sources: Vec::new(),
            policy: crate::view::PolicyView {
                version: self.policy.version.clone(),
                unreadable: self.policy.unreadable.clone(),
                listed: u32::try_from(self.policy.nodes.len()).unwrap_or(u32::MAX),
            },
            not_configured: Vec::new(),
            outside_blamed: Vec::new(),
            leader_changed_at: None,
            own_troubles,
            attention: Vec::new(),
            classes: Vec::new(),
            unlisted: Vec::new(),
        }
    }

    /// Everything about one node; `None` when it is neither listed nor heard of.
    pub fn node_detail(&mut self, _name: &NodeName, _now: Timestamp) -> Option<NodeDetail> {
        None
    }

    /// A person accepts a changed identity, or during warm-up that this node is missing.
    ///
    /// # Errors
    /// Unknown node, or there is nothing to accept.
    pub fn accept(
        &mut self,
        name: &NodeName,
        _reason: &str,
        _by: &str,
        _now: Timestamp,
    ) -> Result<Vec<Transition>, NotTaken> {
        Err(UnknownNode(name.as_str().to_owned()).into())
    }

    /// A person says that the node is gone for good: what was known about it goes too. A listed node then counts as
    /// never heard of, and one that reports again is new.
    ///
    /// # Errors
    /// Unknown node.
    pub fn forget(
        &mut self,
        name: &NodeName,
        _reason: &str,
        _by: &str,
        _now: Timestamp,
    ) -> Result<Vec<Transition>, NotTaken> {
        Err(UnknownNode(name.as_str().to_owned()).into())
    }

    /// A person says that the node is dead: it leaves every count. Its next report undoes that by itself never;
    /// `accept` does.
    ///
    /// # Errors
    /// Unknown node.
    pub fn dead(
        &mut self,
        name: &NodeName,
        _reason: &str,
        _by: &str,
        _now: Timestamp,
    ) -> Result<Vec<Transition>, NotTaken> {
        Err(UnknownNode(name.as_str().to_owned()).into())
    }

    /// A person has seen a finding; never changes a gate.
    ///
    /// # Errors
    /// Unknown node or finding, or `until` has passed.
    pub fn acknowledge(
        &mut self,
        finding: &str,
        _until: Timestamp,
        _by: &str,
        _now: Timestamp,
    ) -> Result<Acknowledgement, NotTaken> {
        Err(NotTaken::UnknownFinding(finding.to_owned()))
    }

    /// Acknowledgements that have not run out.
    pub fn acknowledgements(&self, _now: Timestamp) -> Vec<Acknowledgement> {
        Vec::new()
    }

    /// Listed nodes whose last report is older than 90 s; those are asked on TCP 22.
    pub fn silent_nodes(&self, _now: Timestamp) -> Vec<NodeName> {
        Vec::new()
    }

    /// What decisions rest on; its counts are those of the last `tick` or `judge`.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}
