//! What changes by time alone, and the one word for each node.

use super::{Fleet, record::Record, report::add};
use crate::{
    view::{NodeState, Transition},
    words,
};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Class, Node, Policy, Snapshot, Source,
    fleet::{DEAD, Progress, SILENT, STALE},
};
use millwright_protocol::NodeName;

impl Fleet {
    /// Looks at every node: called when one of them crosses an age that matters.
    pub(super) fn let_age(&mut self, now: Timestamp) {
        let mut transitions = std::mem::take(&mut self.pending);
        self.age_master(now, &mut transitions);
        self.age_outside(now, &mut transitions);
        let names: Vec<NodeName> = self.records.keys().cloned().collect();
        for name in &names {
            self.settle_state(name, now, &mut transitions);
        }
        self.pending = transitions;
        self.counts_stale = true;
        let ages = self.snapshot.nodes.values().filter_map(|node| node.agent.as_ref()).filter_map(|agent| {
            [STALE, SILENT, DEAD].into_iter().map(|age| past(agent.at, age)).find(|at| *at > now)
        });
        let master = self.snapshot.sources.get(&Source::MesosMaster).and_then(|state| state.last_answer);
        let master = master.map(|at| add(at, super::master::MASTER_STALE)).filter(|at| *at > now);
        self.next_boundary = ages.chain(master).chain(self.outside_boundary(now)).min();
    }

    /// Notes the word for a node, and tells when it is another one.
    pub(super) fn settle_state(
        &mut self,
        name: &NodeName,
        now: Timestamp,
        transitions: &mut Vec<Transition>,
    ) {
        let is_warming_up = self.snapshot.warm_up.is_some();
        let Some(node) = self.snapshot.nodes.get(name) else { return };
        let state = state_of(&self.policy, &self.snapshot, name, Some(node), now);
        let since = since_of(state, node, now);
        let Some(record) = self.records.get_mut(name) else { return };
        // What was known before the start is stale, and no news; whether a node is still there shows soon.
        if is_warming_up && record.heard == 0 {
            return;
        }
        let before = record.state.map(|(state, _)| state);
        if before == Some(state) {
            return;
        }
        record.state = Some((state, since));
        record.saved_at = None;
        note_health(record, before, state, now);
        let why = why(node, state, now);
        let sentence = format!("{} is {}{why}", self.policy.spell(name), state.label());
        transitions.push(self.transition(
            name,
            now,
            "state",
            before.map(NodeState::as_str),
            state.as_str(),
            sentence,
        ));
    }
}

/// Leaving health is what the brake counts.
fn note_health(record: &mut Record, before: Option<NodeState>, state: NodeState, now: Timestamp) {
    match (before, state) {
        (_, NodeState::Healthy | NodeState::Draining | NodeState::Out) => record.left_health_at = None,
        (Some(NodeState::Healthy | NodeState::Draining), _) => record.left_health_at = Some(now),
        _ => {}
    }
}

/// A node in one word.
pub(super) fn state_of(
    policy: &Policy,
    snapshot: &Snapshot,
    name: &NodeName,
    node: Option<&Node>,
    now: Timestamp,
) -> NodeState {
    let Some(listed) = policy.nodes.get(name) else { return NodeState::Unlisted };
    if listed.class == Class::Physical {
        return NodeState::Physical;
    }
    let Some(node) = node else { return NodeState::NeverHeard };
    if node.known_dead.is_some() {
        return NodeState::KnownDead;
    }
    if node.quarantined {
        return NodeState::Quarantined;
    }
    let progress = snapshot.operation_on(name).map(|operation| operation.progress);
    if progress.is_some_and(|progress| progress >= Progress::Out) {
        return NodeState::Out;
    }
    let Some(agent) = &node.agent else { return NodeState::NeverHeard };
    let age = now.duration_since(agent.at);
    if age > SILENT {
        return NodeState::Silent;
    }
    if age > STALE {
        return NodeState::Stale;
    }
    if agent.gating.iter().any(|finding| finding.is_crit) {
        return NodeState::Sick;
    }
    if !agent.gating.is_empty() {
        return NodeState::Unknown;
    }
    if agent.verified_at.is_none() {
        return NodeState::Verifying;
    }
    if progress == Some(Progress::Draining) { NodeState::Draining } else { NodeState::Healthy }
}

/// Since when a state holds that begins now: age and bad findings have their own beginnings.
pub(super) fn since_of(state: NodeState, node: &Node, now: Timestamp) -> Timestamp {
    let Some(agent) = &node.agent else { return now };
    match state {
        NodeState::Silent => past(agent.at, SILENT),
        NodeState::Stale => past(agent.at, STALE),
        NodeState::Sick | NodeState::Unknown => {
            agent.gating.iter().map(|finding| finding.since).min().unwrap_or(now)
        }
        _ => now,
    }
}

fn why(node: &Node, state: NodeState, now: Timestamp) -> String {
    let agent = node.agent.as_ref();
    match state {
        NodeState::Silent | NodeState::Stale => agent.map_or_else(String::new, |agent| {
            format!(": its last report came {} ago", words::length(now.duration_since(agent.at)))
        }),
        NodeState::Sick | NodeState::Unknown => agent
            .and_then(|agent| agent.gating.iter().max_by_key(|finding| finding.is_crit))
            .map_or_else(String::new, |finding| format!(": {}", finding.sentence)),
        _ => String::new(),
    }
}

/// The first moment at which something seen at `at` is older than `age`. Ages are compared with "older than", so the
/// bound itself still counts as young.
fn past(at: Timestamp, age: SignedDuration) -> Timestamp {
    add(add(at, age), SignedDuration::from_millis(1))
}
