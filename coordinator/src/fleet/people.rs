//! What people say about nodes: accepted, forgotten, dead, seen.

use super::{Fleet, UnknownNode, record::Identity};
use crate::view::{Acknowledgement, Transition};
use jiff::Timestamp;
use millwright_decision::fleet::{Pause, SILENT};
use millwright_protocol::{NodeName, finding_id};

/// Why a person's word was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// No such node.
    #[error(transparent)]
    UnknownNode(#[from] UnknownNode),
    /// No such finding.
    #[error("{0:?} is no finding of any node; the id of a finding reads node/check or node/check/item")]
    UnknownFinding(String),
    /// It would change nothing.
    #[error("{0}")]
    Nothing(String),
    /// The node is there.
    #[error(
        "{node} reports: its last report came {age_seconds} s ago; stop its agent and say this again once it has been \
         silent for {} s, or say `millwright node dead {node} --reason …` if it should only leave every count",
        SILENT.as_secs()
    )]
    StillReports {
        /// As policy spells it.
        node: String,
        /// How old its last report is.
        age_seconds: i64,
    },
}

impl Fleet {
    /// A person accepts a node as it is: its changed identity, that it is not dead after all, or, during the warm-up,
    /// that it is missing.
    ///
    /// # Errors
    /// Unknown node, or there is nothing to accept.
    pub fn accept(
        &mut self,
        name: &NodeName,
        reason: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Vec<Transition>, NotTaken> {
        self.known(name)?;
        let mut accepted = Vec::new();
        if self.accept_missing(name) {
            accepted.push("that it is missing after the start");
        }
        if let Some(node) = self.snapshot.nodes.get_mut(name) {
            if node.identity_changed.take().is_some() {
                accepted.push("who it is now");
                if let Some(record) = self.records.get_mut(name) {
                    record.identity = record.said.as_ref().map(|said| Identity::of(said, now));
                }
            }
            if node.known_dead.take().is_some() {
                accepted.push("that it is alive");
            }
        }
        if accepted.is_empty() {
            let spelled = self.policy.spell(name);
            return Err(NotTaken::Nothing(format!(
                "there is nothing to accept about {spelled}: its identity is the recorded one, and nobody said it is dead"
            )));
        }
        let sentence = format!(
            "{by} accepts of {}: {}{}",
            self.policy.spell(name),
            accepted.join(", "),
            because(reason)
        );
        Ok(self.said(name, "identity", "accepted", sentence, now))
    }

    /// A person says that what is known about a node is void: a listed one counts as never heard of afterwards, one
    /// that is not listed is gone, and its next report is that of a new machine.
    ///
    /// # Errors
    /// Unknown node, or one that reports: its next report would bring it back, as another one.
    pub fn forget(
        &mut self,
        name: &NodeName,
        reason: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Vec<Transition>, NotTaken> {
        self.known(name)?;
        self.is_gone(name, now)?;
        if self.snapshot.nodes.remove(name).is_some() && !self.policy.nodes.contains_key(name) {
            self.unlisted = self.unlisted.saturating_sub(1);
        }
        if let Some(record) = self.records.remove(name)
            && let Some(id) = record.own_mesos_id
        {
            self.mesos.owners.remove(&id);
        }
        let prefix = format!("{}/", name.as_str());
        self.acknowledgements.retain(|id, _| !id.starts_with(&prefix));
        let sentence = format!("{by} wants {} forgotten{}", self.policy.spell(name), because(reason));
        Ok(self.said(name, "state", "forgotten", sentence, now))
    }

    /// A person says that a node is dead: it leaves every count until somebody accepts it again.
    ///
    /// # Errors
    /// Unknown node.
    pub fn dead(
        &mut self,
        name: &NodeName,
        reason: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Vec<Transition>, NotTaken> {
        self.known(name)?;
        self.snapshot.nodes.entry(name.clone()).or_default().known_dead = Some(reason.to_owned());
        self.records.entry(name.clone()).or_default();
        let sentence = format!("{by} says that {} is dead: {reason}", self.policy.spell(name));
        Ok(self.said(name, "known_dead", "said", sentence, now))
    }

    /// A person has seen a finding; this never changes a gate. `finding` may spell the node in any way.
    ///
    /// # Errors
    /// Unknown node or finding, a finding that is `ok`, or an end that has passed.
    pub fn acknowledge(
        &mut self,
        finding: &str,
        until: Timestamp,
        by: &str,
        now: Timestamp,
    ) -> Result<Acknowledgement, NotTaken> {
        let unknown = || NotTaken::UnknownFinding(finding.chars().take(200).collect());
        let (node, key) = finding.split_once('/').ok_or_else(unknown)?;
        let name: NodeName = node.parse().map_err(|_| unknown())?;
        self.known(&name).map_err(|unknown| unknown.as_asked([node]))?;
        let record = self.records.get(&name).ok_or_else(unknown)?;
        let found = record.packed.findings(&self.words).into_iter().find(|finding| finding.key() == key);
        let found = found.ok_or_else(unknown)?;
        if found.status == millwright_protocol::Status::Ok {
            return Err(NotTaken::Nothing(format!("{finding} is ok, so there is nothing to acknowledge")));
        }
        if until <= now {
            return Err(NotTaken::Nothing(format!("{until} has passed; name a moment in the future")));
        }
        let id = finding_id(name.as_str(), &found.check, found.item.as_deref());
        let given = Acknowledgement { finding: id.clone(), by: by.to_owned(), at: now, until };
        self.acknowledgements.insert(id, given.clone());
        Ok(given)
    }

    /// Acknowledgements that have not run out.
    pub fn acknowledgements(&self, now: Timestamp) -> Vec<Acknowledgement> {
        self.acknowledgements.values().filter(|given| now < given.until).cloned().collect()
    }

    /// Presses or lifts the off switch.
    pub fn set_pause(&mut self, pause: Option<Pause>) {
        self.snapshot.pause = pause;
    }

    fn known(&self, name: &NodeName) -> Result<(), UnknownNode> {
        if self.knows(name) { Ok(()) } else { Err(self.unknown(name)) }
    }

    /// Whether nothing has come from a node for long; what it said before a start is no sign of life.
    fn is_gone(&self, name: &NodeName, now: Timestamp) -> Result<(), NotTaken> {
        let is_heard = self.records.get(name).is_some_and(|record| record.heard > 0);
        match self.snapshot.nodes.get(name).and_then(|node| node.report_age(now)) {
            Some(age) if is_heard && age <= SILENT => Err(NotTaken::StillReports {
                node: self.policy.spell(name).to_owned(),
                age_seconds: age.as_secs(),
            }),
            _ => Ok(()),
        }
    }

    /// What a person said, and what it changes.
    fn said(
        &mut self,
        name: &NodeName,
        what: &str,
        to: &str,
        sentence: String,
        now: Timestamp,
    ) -> Vec<Transition> {
        self.counts_stale = true;
        let mut transitions = vec![self.transition(name, now, what, None, to, sentence)];
        self.settle_state(name, now, &mut transitions);
        if let Some(record) = self.records.get_mut(name) {
            record.saved_at = None;
        }
        transitions
    }
}

/// A reason behind a sentence, where one was given.
fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}
