//! What others did to the offers of nodes: kept for people, and never undone.

use super::{super::Fleet, Held, Holding, SeenAgent};
use crate::view::Transition;
use jiff::Timestamp;
use millwright_protocol::NodeName;
use std::collections::BTreeMap;

/// Something that no operation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignNote {
    /// To which node.
    pub node: NodeName,
    /// What, as a word.
    pub what: String,
    /// For people: what was seen, and whom to ask.
    pub sentence: String,
    /// When it was first seen.
    pub since: Timestamp,
}

impl Fleet {
    /// Takes which nodes operations hold.
    pub fn take_held(&mut self, held: BTreeMap<NodeName, Held>) {
        self.mesos.held = held;
    }

    /// What operations think of a node's offers, as far as the last answer of the master can be compared with that: what
    /// was asked for before an act still shows the state before it.
    pub fn held(&self, name: &NodeName) -> Option<Held> {
        let held = self.mesos.held.get(name)?;
        let is_seen = self.mesos.answered_at.1.is_some_and(|before| before > held.since);
        let what = if is_seen { held.what } else { Holding::Changing };
        Some(Held { what, ..held.clone() })
    }

    /// The Mesos agents of every node of whose offers it is known whether they are stopped.
    pub fn decided_agents(&self) -> impl Iterator<Item = (&NodeName, &[SeenAgent])> {
        self.all_mesos_agents().filter(|(name, _)| {
            let view = self.snapshot.nodes.get(*name).and_then(|node| node.master.as_ref());
            view.is_some_and(|view| !view.undecided)
        })
    }

    /// Puts what others did in the place of what they did before; tells what is new.
    pub fn note_foreign(&mut self, notes: Vec<ForeignNote>, now: Timestamp) -> Vec<Transition> {
        let is_new = |note: &&ForeignNote| {
            !self.mesos.foreign.iter().any(|known| known.node == note.node && known.what == note.what)
        };
        let told = notes.iter().filter(is_new).map(|note| Transition {
            at: now,
            node: self.policy.spell(&note.node).to_owned(),
            key: note.node.as_str().to_owned(),
            what: "offers".to_owned(),
            from: None,
            to: note.what.clone(),
            gating: false,
            sentence: note.sentence.clone(),
        });
        let told = told.collect();
        self.mesos.foreign = notes;
        told
    }

    /// What others did and nobody has put right.
    pub fn foreign(&self) -> &[ForeignNote] {
        &self.mesos.foreign
    }
}
