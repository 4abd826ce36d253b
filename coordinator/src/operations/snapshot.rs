//! What open operations and people's words mean for the fleet's snapshot.

use super::{Operations, digest, lock};
use crate::fleet::{Fleet, OperationsSaid};
use jiff::Timestamp;
use millwright_decision::{
    Code, Policy,
    fleet::{self, Operation as Summary},
    operation::{Operation, Phase, Step},
};
use millwright_protocol::NodeName;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

impl Operations {
    /// Puts what is open into the fleet's snapshot.
    pub fn tell_fleet(&self, fleet: &Mutex<Fleet>, now: Timestamp) {
        let mut fleet = lock(fleet);
        let policy = Arc::clone(fleet.policy());
        for tracked in self.all.values() {
            if let Some(at) = tracked.operation.done_at(Step::Uncordon) {
                fleet.note_returned(&tracked.operation.wish.node, at);
            }
        }
        let said = self.said(&policy, now);
        fleet.take_operations(said);
    }

    /// Records that cannot be understood and of which not even the node is known.
    fn damaged(&self) -> Option<String> {
        let unknown = self.broken.iter().find(|(stream, _)| self.get(stream).is_none());
        unknown.map(|(stream, why)| format!("{stream}: {why}"))
    }

    fn said(&self, policy: &Policy, now: Timestamp) -> OperationsSaid {
        let open = || self.all.values().filter(|tracked| !tracked.operation.is_over());
        let mut holds = self.words.holds();
        holds.extend(open().filter_map(|tracked| self.hold_of(&tracked.operation)));
        let quarantined: BTreeSet<NodeName> = open()
            .filter(|tracked| tracked.operation.done_at(Step::Quarantine).is_some())
            .map(|tracked| tracked.operation.wish.node.clone())
            .collect();
        OperationsSaid {
            operations: open().filter_map(|tracked| summary(&tracked.operation, policy, now)).collect(),
            holds,
            attestations: self.words.attestations(now),
            pause: self.words.pause.clone(),
            asks: self.asks(policy),
            quarantined,
            store: Some((self.journal.fence(), self.last)),
            damaged: self.damaged(),
            ordered: Arc::clone(&self.ordered),
            held: self.held(now),
            behind: self.words.is_behind(self.journal.fence()),
        }
    }

    /// A drain that has done its work is a hold of whoever asked, until that is lifted.
    pub(super) fn hold_of(&self, operation: &Operation) -> Option<fleet::Hold> {
        let Phase::Parked { since } = operation.phase else { return None };
        let (author, reason) = match &operation.cancelled {
            Some(cancelled) => (&cancelled.by, &cancelled.reason),
            None => (&operation.wish.by, &operation.wish.reason),
        };
        (!self.words.lifted.contains(&operation.id)).then(|| fleet::Hold {
            id: operation.id.clone(),
            node: operation.wish.node.clone(),
            author: author.clone(),
            reason: reason.clone(),
            since,
            expires_at: None,
            operation: Some(operation.id.clone()),
        })
    }
}

/// What other decisions see of an operation. A yes that was given to something else than what is planned now is none (S14).
pub fn summary(operation: &Operation, policy: &Policy, now: Timestamp) -> Option<Summary> {
    let mut summary = operation.summary(now)?;
    // Few have been approved, and everybody asks for summaries all the time.
    if summary.grants.iter().any(|grant| grant.code == Code::ApprovalMissing) {
        let current = digest(&operation.wish, policy);
        summary.grants.retain(|grant| {
            grant.code != Code::ApprovalMissing || grant.digest.as_deref() == Some(current.as_str())
        });
    }
    Some(summary)
}
