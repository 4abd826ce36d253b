//! One question with everything a rule may look at.

use crate::{
    action::{Action, Request},
    fleet::{DEAD, Listing, Node, Operation, PATIENCE, Snapshot},
    policy::{Class, ClassPolicy, NodePolicy, Policy, Source},
    verdict::Severity,
};
use jiff::{SignedDuration, Timestamp};
use millwright_protocol::NodeName;

/// What is asked, of whom, when.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub request: &'a Request,
    pub snapshot: &'a Snapshot,
    pub policy: &'a Policy,
    pub now: Timestamp,
    /// The operation that asks, when one does.
    pub operation: Option<&'a Operation>,
}

impl<'a> Case<'a> {
    pub fn new(request: &'a Request, snapshot: &'a Snapshot, policy: &'a Policy, now: Timestamp) -> Self {
        let operation = request
            .operation
            .as_ref()
            .and_then(|id| snapshot.operations.iter().find(|operation| operation.id == *id));
        Self { request, snapshot, policy, now, operation }
    }

    pub fn action(&self) -> Action {
        self.request.action
    }

    /// Whether `operation` is the one that asks.
    pub fn is_own(&self, operation: &Operation) -> bool {
        self.operation.is_some_and(|own| own.id == operation.id)
    }

    /// `Wait` for the first ten minutes of not knowing, then a person (DESIGN 3.2).
    pub fn patience(&self, unknown_since: Timestamp) -> Severity {
        if self.now.duration_since(unknown_since) < PATIENCE { Severity::Wait } else { Severity::NeedsPeople }
    }

    /// Whole seconds from `then` until now, never below zero.
    pub fn age(&self, then: Timestamp) -> u64 {
        seconds(self.now.duration_since(then))
    }
}

/// Whole seconds, never below zero.
pub(crate) fn seconds(duration: SignedDuration) -> u64 {
    u64::try_from(duration.as_secs()).unwrap_or(0)
}

/// "45 s", "12 min", "3 h": how long, for sentences.
pub(crate) fn spell(duration: SignedDuration) -> String {
    match seconds(duration) {
        short @ 0..=119 => format!("{short} s"),
        minutes @ 120..=7199 => format!("{} min", minutes / 60),
        hours => format!("{} h", hours / 3600),
    }
}

/// One node of the question.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub name: &'a NodeName,
    pub listed: &'a NodePolicy,
    pub class: &'a ClassPolicy,
    pub node: Option<&'a Node>,
    /// Whether this is the reboot of a node that is silent for good (DESIGN section 7).
    pub is_silent: bool,
    /// Whether the node is known to be out already, so that taking it costs nothing more.
    pub is_known_out: bool,
}

impl<'a> Subject<'a> {
    pub fn new(case: &Case<'a>, name: &'a NodeName, listed: &'a NodePolicy, class: &'a ClassPolicy) -> Self {
        let node = case.snapshot.nodes.get(name).map(Box::as_ref);
        let is_silent = case.action() == Action::Reboot
            && listed.class != Class::Master
            && node.is_some_and(|node| is_silent(case, class, node));
        let is_known_out = case.snapshot.is_taken(name) || node.is_some_and(|node| is_known_bad(case, node));
        Self { name, listed, class, node, is_silent, is_known_out }
    }

    pub fn is_master(&self) -> bool {
        self.listed.class == Class::Master
    }

    /// How people spell it.
    pub fn display(&self) -> &'a str {
        &self.listed.display
    }

    pub fn requires(&self, source: Source) -> bool {
        self.class.required.contains(&source)
    }
}

/// A silent node is tried every 30 s; a try that is older says nothing about now.
const PROBE_LASTS: SignedDuration = SignedDuration::from_mins(2);

/// No report for 5 min, TCP 22 dead, and Mesos does not count on it. A Mesos that cannot be asked proves nothing.
fn is_silent(case: &Case<'_>, class: &ClassPolicy, node: &Node) -> bool {
    // What was heard just before a restart may not have been kept: silence counts from the start.
    let listened = case.now.duration_since(case.snapshot.started_at);
    let quiet = listened >= DEAD && node.report_age(case.now).is_some_and(|age| age >= DEAD);
    let unreachable = node.ssh.as_ref().is_some_and(|probe| {
        probe.answered == Some(false) && case.now.duration_since(probe.at) <= PROBE_LASTS
    });
    let mesos_agrees = !class.required.contains(&Source::MesosMaster)
        || (node.master.as_ref().is_none_or(|view| view.listing != Listing::Active)
            && case
                .snapshot
                .sources
                .get(&Source::MesosMaster)
                .is_some_and(|state| state.unknown_since.is_none()));
    quiet && unreachable && mesos_agrees
}

/// Known to be bad, as opposed to not known: a fresh report with a `crit`. A node whose facts are incomplete or old
/// counts as out, and still costs its slot: otherwise forgetting a fact could allow what knowing it forbids.
fn is_known_bad(case: &Case<'_>, node: &Node) -> bool {
    let has_crit =
        node.agent.as_ref().is_some_and(|agent| agent.gating.iter().any(|finding| finding.is_crit));
    node.is_fresh(case.now) && has_crit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_spelled_for_people() {
        for (given, spelled) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h")]
        {
            assert_eq!(spell(SignedDuration::from_secs(given)), spelled);
        }
        assert_eq!(spell(SignedDuration::from_secs(-5)), "0 s");
    }
}
