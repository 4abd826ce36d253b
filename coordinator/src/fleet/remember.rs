//! What outlives the process: each node's last state, so that a restart shows it, as stale.

use super::{
    Fleet,
    packed::Packed,
    record::{Identity, Record, Said, worst_disk},
    report::{add, agent_view, ago, count, fingerprint},
    tasks,
};
use crate::view::{Acknowledgement, NodeState};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Class, Node,
    fleet::{Brake, STALE},
};
use millwright_protocol::{Facts, Finding, NodeName, PROTOCOL_VERSION, Report};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A quiet node is stored again after so long.
const SAVED_FOR: SignedDuration = SignedDuration::from_mins(5);

/// One node as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its canonical name.
    pub node: NodeName,
    /// When its last report arrived; absent when there was none.
    pub reported_at: Option<Timestamp>,
    /// See [`crate::view::BootView`].
    pub boot_first_heard_at: Option<Timestamp>,
    /// See [`crate::view::BootView`].
    pub verified_at: Option<Timestamp>,
    /// Who it is.
    pub identity: Option<Identity>,
    /// Since when it is not, and what changed.
    pub identity_changed: Option<(Timestamp, String)>,
    /// A person said that it is dead: why.
    pub known_dead: Option<String>,
    /// The word for it, and since when.
    pub state: Option<(NodeState, Timestamp)>,
    /// The head of its last report.
    pub said: Option<Said>,
    /// Its last findings, without the evidence of those that were `ok`.
    pub findings: Vec<Finding>,
    /// Its last facts.
    pub facts: Facts,
}

/// Everything that was known before a start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Remembered {
    /// Nodes.
    pub nodes: Vec<NodeRecord>,
    /// Acknowledgements.
    pub acknowledgements: Vec<Acknowledgement>,
    /// Brakes that were on: a restart does not release them.
    pub brakes: BTreeMap<Class, Brake>,
}

impl Fleet {
    /// Up to `most` nodes whose stored state is missing or old, those with news first. They count as stored afterwards.
    pub fn unsaved(&mut self, most: usize, now: Timestamp) -> Vec<NodeRecord> {
        let is_due = |record: &Record| record.saved_at.is_none_or(|at| now.duration_since(at) >= SAVED_FOR);
        let mut due: Vec<(Option<Timestamp>, NodeName)> = self
            .records
            .iter()
            .filter(|(_, record)| is_due(record))
            .map(|(name, record)| (record.saved_at, name.clone()))
            .collect();
        due.sort();
        due.truncate(most);
        let records = due.iter().filter_map(|(_, name)| self.record_of(name)).collect();
        for (_, name) in due {
            if let Some(record) = self.records.get_mut(&name) {
                record.saved_at = Some(now);
            }
        }
        records
    }

    /// Nodes that were handed out and could not be stored after all.
    pub fn not_saved(&mut self, names: &[NodeName]) {
        for name in names {
            if let Some(record) = self.records.get_mut(name) {
                record.saved_at = None;
            }
        }
    }

    fn record_of(&self, name: &NodeName) -> Option<NodeRecord> {
        let record = self.records.get(name)?;
        let node = self.snapshot.nodes.get(name)?;
        let (findings, mut facts) = record.packed.open(&self.words);
        // A claim that was not believed is not believed after a restart either.
        if let Some(mesos) = &mut facts.mesos_agent {
            mesos.agent_id = record.own_mesos_id.as_deref().map(str::to_owned);
        }
        let agent = node.agent.as_ref();
        Some(NodeRecord {
            node: name.clone(),
            reported_at: agent.map(|agent| agent.at),
            boot_first_heard_at: agent.map(|agent| agent.boot_first_heard_at),
            verified_at: agent.and_then(|agent| agent.verified_at),
            identity: record.identity.clone(),
            identity_changed: node.identity_changed.clone(),
            known_dead: node.known_dead.clone(),
            state: record.state,
            said: record.said.clone(),
            findings,
            facts,
        })
    }

    /// Takes in what was known before a start, before anything else is taken in. All of it is stale, however short
    /// the restart was: nothing may rest on facts from before it (S6).
    pub fn restore(&mut self, remembered: Remembered, now: Timestamp) {
        for record in remembered.nodes {
            self.restore_node(record, now);
        }
        self.acknowledgements
            .extend(remembered.acknowledgements.into_iter().map(|given| (given.finding.clone(), given)));
        self.snapshot.brakes.extend(remembered.brakes);
        self.unlisted =
            self.snapshot.nodes.keys().filter(|name| !self.policy.nodes.contains_key(*name)).count();
        self.counts_stale = true;
        self.next_boundary = Some(now);
        self.warm_up(now);
    }

    fn restore_node(&mut self, stored: NodeRecord, now: Timestamp) {
        let listed = self.policy.nodes.get_key_value(&stored.node);
        // One text for every place that names the node.
        let name = listed.map_or(&stored.node, |(name, _)| name).clone();
        let class = listed.map(|(_, listed)| listed.class);
        let mut node = Node {
            identity_changed: stored.identity_changed,
            known_dead: stored.known_dead,
            ..Node::default()
        };
        let own_mesos_id = stored.facts.mesos_agent.as_ref().and_then(|agent| agent.agent_id.clone());
        let mut record = Record {
            fingerprint: fingerprint(&stored.findings),
            counts: count(&stored.findings),
            disk: worst_disk(&stored.facts.volumes),
            packed: Packed::new(&stored.findings, &stored.facts, &mut self.words, &mut self.scratch),
            identity: stored.identity,
            state: stored.state,
            was_healthy: matches!(stored.state, Some((NodeState::Healthy | NodeState::Draining, _))),
            own_mesos_id: own_mesos_id.as_deref().map(Into::into),
            saved_at: Some(now),
            ..Record::default()
        };
        if let (Some(reported_at), Some(said)) = (stored.reported_at, &stored.said) {
            let report = Report {
                protocol: PROTOCOL_VERSION,
                node: name.as_str().to_owned(),
                agent_version: said.agent_version.to_string(),
                boot_id: said.boot_id.clone(),
                machine_id: said.machine_id.clone(),
                server_uuid: said.server_uuid.clone(),
                sequence: said.sequence,
                sent_at: said.sent_at,
                uptime_seconds: said.uptime_seconds,
                findings: stored.findings,
                facts: stored.facts,
                seen: None,
                local_holds: Vec::new(),
                whitelist: None,
            };
            let stale = ago(now, STALE.as_secs().unsigned_abs() + 1);
            let at = reported_at.min(stale);
            let tasks = tasks::own_tasks(&self.policy, class, &report.facts, &[]);
            let mut agent = agent_view(&report, tasks, at);
            agent.boot_first_heard_at = stored.boot_first_heard_at.unwrap_or(at);
            agent.verified_at = stored.verified_at;
            node.agent = Some(agent);
        }
        record.said = stored.said;
        if let Some(id) = own_mesos_id {
            self.mesos.owners.insert(id.into(), name.clone());
        }
        self.snapshot.nodes.insert(name.clone(), Box::new(node));
        self.records.insert(name, Box::new(record));
        self.next_boundary = Some(self.next_boundary.map_or(now, |at| at.min(add(now, STALE))));
    }
}
