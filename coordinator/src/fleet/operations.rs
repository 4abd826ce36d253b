//! What operations and people's words mean for the snapshot, and what operations need to know of a node.

use super::{Fleet, Held};
use jiff::Timestamp;
use millwright_decision::{
    Snapshot,
    fleet::{Attestation, Hold, Operation, Pause, StoreBehind},
    operation::Machine,
};
use millwright_protocol::{Fence, LocalHold, NodeName, Seen};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What operations and people say, as decisions see it.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Open operations.
    pub operations: Vec<Operation>,
    /// Holds of people and of drains that have done their work.
    pub holds: Vec<Hold>,
    /// Attestations, expired ones included.
    pub attestations: Vec<Attestation>,
    /// The off switch, when pressed.
    pub pause: Option<Pause>,
    /// Operations that wait for somebody.
    pub asks: Vec<Ask>,
    /// Nodes whose server waits, stopped, for its deletion.
    pub quarantined: BTreeSet<NodeName>,
    /// As whom the store is written to, and where the journal ends.
    pub store: Option<(Fence, u64)>,
    /// What cannot be read of the journal, where nobody knows which node that is about.
    pub damaged: Option<String>,
    /// When each order of the journal was made.
    pub ordered: Arc<BTreeSet<Timestamp>>,
    /// Nodes whose offers operations have stopped, or are changing.
    pub held: BTreeMap<NodeName, Held>,
    /// Who has seen more than the store holds, as was found before.
    pub behind: Option<(NodeName, String)>,
}

/// An operation that nothing but a person can help on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Which.
    pub operation: String,
    /// On which node.
    pub node: NodeName,
    /// What it waits for.
    pub sentence: String,
    /// What that is about, in words that stay the same while it is the same question.
    pub what: String,
    /// What a person could type, the most helpful first.
    pub helps: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    /// Whether it has given up trying.
    pub is_stuck: bool,
}

impl Fleet {
    /// Puts what operations and people say in the place of what they said before.
    pub fn take_operations(&mut self, said: Said) {
        let mut operations = millwright_decision::PerNode::default();
        operations.extend(said.operations.into_iter().map(|operation| self.as_seen(operation)));
        self.take_held(said.held);
        self.snapshot.operations = operations;
        self.people_holds = said.holds;
        self.attach_holds();
        let mut attestations = millwright_decision::PerNode::default();
        attestations.extend(said.attestations);
        self.snapshot.attestations = attestations;
        self.snapshot.pause = said.pause;
        self.snapshot.journal_damaged = said.damaged;
        self.asks = said.asks;
        for (name, node) in &mut self.snapshot.nodes {
            let quarantined = said.quarantined.contains(name);
            if node.quarantined != quarantined {
                node.quarantined = quarantined;
            }
        }
        self.store = said.store;
        self.was_behind = said.behind;
        self.ordered = said.ordered;
        self.compare_store();
        self.counts_stale = true;
    }

    /// Holds of people, and those that were set on the nodes themselves.
    fn attach_holds(&mut self) {
        let mut holds = millwright_decision::PerNode::default();
        holds.extend(self.people_holds.iter().cloned());
        for (name, record) in &self.records {
            holds.extend(record.local_holds.iter().map(|local| hold_of(name, local)));
        }
        self.snapshot.holds = holds;
    }

    /// What a report says about orders: holds set on the node, and the newest coordinator it has heard of.
    pub(super) fn hear_of_orders(
        &mut self,
        name: &NodeName,
        local_holds: Vec<LocalHold>,
        seen: Option<Seen>,
    ) {
        let Some(record) = self.records.get_mut(name) else { return };
        let changed = record.local_holds != local_holds;
        record.local_holds = local_holds;
        if record.seen != seen {
            record.seen = seen;
            self.compare_store();
        }
        if changed {
            self.attach_holds();
        }
    }

    /// S9: a node that has seen more than this store holds proves that the store was put back.
    fn compare_store(&mut self) {
        let Some((fence, position)) = self.store else { return };
        let ours = Seen { fence, position, ordered_at: None };
        let is_behind = |seen: &Seen| {
            let is_unknown = seen.ordered_at.is_some_and(|at| !self.ordered.contains(&at));
            seen.fence.generation > fence.generation
                || (seen.fence.generation == fence.generation
                    && (seen.fence > fence || seen.position > position || is_unknown))
        };
        let proofs = self.records.iter().filter_map(|(name, record)| Some((name, record.seen?)));
        let now = proofs.filter(|(_, seen)| is_behind(seen)).max_by_key(|(_, seen)| *seen);
        let now = now.map(|(name, seen)| (name.clone(), spell(seen)));
        let found = now.or_else(|| self.was_behind.clone());
        self.snapshot.store_behind = found.map(|(node, seen)| StoreBehind { node, seen, ours: spell(ours) });
    }

    /// Which machine and boot a node's last report told of.
    pub fn machine(&self, name: &NodeName) -> Option<Machine> {
        let said = self.records.get(name)?.said.as_ref()?;
        Some(Machine {
            machine_id: said.machine_id.clone(),
            server_uuid: said.server_uuid.clone(),
            boot_id: said.boot_id.clone(),
        })
    }

    /// The Mesos agent id of a node: its own account first, then the master's.
    pub fn mesos_id(&self, name: &NodeName) -> Option<String> {
        let record = self.records.get(name)?;
        record.listed_mesos_id.as_deref().or(record.own_mesos_id.as_deref()).map(str::to_owned)
    }

    /// An operation has brought a node back.
    pub fn note_returned(&mut self, name: &NodeName, at: Timestamp) {
        if let Some(node) = self.snapshot.nodes.get_mut(name) {
            node.returned_at = Some(at);
            self.counts_stale = true;
        }
    }

    /// What decisions rest on, its counts true for `now`.
    pub fn snapshot_at(&mut self, now: Timestamp) -> &Snapshot {
        self.refresh(now);
        &self.snapshot
    }

    /// Looks at the fleet as if `operation` were open.
    pub fn with_tentative<T>(
        &mut self,
        operation: Operation,
        now: Timestamp,
        look: impl FnOnce(&Snapshot) -> T,
    ) -> T {
        let id = operation.id.clone();
        self.refresh(now);
        self.snapshot.operations.push(operation);
        let seen = look(&self.snapshot);
        self.snapshot.operations.retain(|operation| operation.id != id);
        seen
    }
}

fn hold_of(name: &NodeName, local: &LocalHold) -> Hold {
    Hold {
        id: format!("{name}/{}", local.id),
        node: name.clone(),
        author: local.author.clone(),
        reason: format!("{} (said on the node itself)", local.reason),
        since: local.since,
        expires_at: local.until,
        operation: None,
    }
}

fn spell(seen: Seen) -> String {
    format!("generation {} epoch {} position {}", seen.fence.generation, seen.fence.epoch, seen.position)
}
