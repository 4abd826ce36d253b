//! Verdicts: the answer of [`crate::judge`], and the one object that API, command line, dashboard and executor show.

use crate::{Action, Code, TaskClass};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap};

/// How strongly something objects, and the verdict as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing objects.
    Allowed,
    /// Clears by itself or when something happens.
    Wait,
    /// A person can decide.
    NeedsPeople,
    /// Only a policy change could.
    Refused,
}

impl Severity {
    /// The word in API, log and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Wait => "wait",
            Self::NeedsPeople => "needs_people",
            Self::Refused => "refused",
        }
    }
}

/// One fact a reason rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// What was looked at.
    pub fact: String,
    /// What was seen.
    pub value: String,
    /// Who said so.
    pub source: String,
    /// How old it is.
    #[serde(default)]
    pub age_seconds: u64,
}

impl Evidence {
    /// A fact seen just now.
    pub fn new(fact: impl Into<String>, value: impl ToString, source: impl Into<String>) -> Self {
        Self { fact: fact.into(), value: value.to_string(), source: source.into(), age_seconds: 0 }
    }
}

/// One objection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Which.
    pub code: Code,
    /// The runbook's rule, such as `R9`, where it is one.
    pub rule: Option<&'static str>,
    /// The node it is about, as policy spells it.
    pub node: Option<String>,
    /// How strongly it objects.
    pub severity: Severity,
    /// What objects, for people.
    pub sentence: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// Who or what can clear it.
    pub owner: Cow<'static, str>,
    /// Since when it objects, where known.
    pub since: Option<Timestamp>,
    /// What would clear it.
    pub unblocked_by: Cow<'static, str>,
    /// When that is expected, where known.
    pub expected_at: Option<Timestamp>,
}

impl Reason {
    /// An objection with its sentence and what would clear it; the rest is added by the methods below.
    pub fn new(
        code: Code,
        severity: Severity,
        sentence: String,
        unblocked_by: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            rule: None,
            node: None,
            severity,
            sentence,
            evidence: Vec::new(),
            owner: Cow::Borrowed("millwright"),
            since: None,
            unblocked_by: unblocked_by.into(),
            expected_at: None,
        }
    }

    /// Names the runbook's rule.
    #[must_use]
    pub fn rule(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, fact: &str, value: impl ToString, source: &str, age_seconds: u64) -> Self {
        self.evidence.push(Evidence {
            fact: fact.to_owned(),
            value: value.to_string(),
            source: source.to_owned(),
            age_seconds,
        });
        self
    }

    /// Says who can clear it.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Cow<'static, str>>) -> Self {
        self.owner = owner.into();
        self
    }

    /// Says since when.
    #[must_use]
    pub fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    /// Says until when.
    #[must_use]
    pub fn expected_at(mut self, expected_at: Option<Timestamp>) -> Self {
        self.expected_at = expected_at;
        self
    }

    /// When all of them are expected to be cleared; `None` as soon as nobody knows it of one.
    pub fn all_cleared_at(reasons: &[Self]) -> Option<Timestamp> {
        let moments: Option<Vec<Timestamp>> = reasons.iter().map(|reason| reason.expected_at).collect();
        moments?.into_iter().max()
    }
}

/// Worth knowing, and no objection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// Which.
    pub code: Code,
    /// The node it is about, as policy spells it.
    pub node: Option<String>,
    /// For people.
    pub sentence: String,
}

/// A task that would end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskLost {
    /// Where it runs, as policy spells it.
    pub node: String,
    /// Mesos' id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its framework.
    pub framework: String,
    /// What policy takes it for.
    pub class: TaskClass,
    /// For how long it has run, where known.
    pub runtime_seconds: Option<u64>,
    /// Work that would have to be done again, in seconds, where known.
    pub kill_cost_seconds: Option<u64>,
}

/// What is left of a class while the nodes are away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Capacity {
    /// Nodes listed, without known-dead and quarantined ones.
    pub listed: u32,
    /// Nodes that would still be in service.
    pub in_service: u32,
}

/// What the step would cost now.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Tasks that would end.
    pub tasks_lost: Vec<TaskLost>,
    /// What has to be pulled again after it.
    pub images_to_pull_bytes: u64,
    /// Per class of the nodes asked about.
    pub capacity_left: BTreeMap<String, Capacity>,
}

/// The answer (DESIGN section 6).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// What was asked.
    pub action: Action,
    /// About which nodes, as policy spells them.
    pub nodes: Vec<String>,
    /// The worst severity among the reasons.
    pub verdict: Severity,
    /// The worst severity among the reasons that do not clear on the way.
    pub may_start: Severity,
    /// When, to the second.
    pub asked_at: Timestamp,
    /// The age of the oldest fact it rests on.
    pub oldest_fact_seconds: u64,
    /// Every objection to the irreversible step now, worst first.
    pub reasons: Vec<Reason>,
    /// The codes among them that do not forbid beginning.
    pub waits: Vec<Code>,
    /// Worth knowing.
    pub notes: Vec<Note>,
    /// Sources that policy marks `none`.
    pub not_configured: Vec<&'static str>,
    /// What it would cost.
    pub cost: Cost,
}

impl Verdict {
    /// The worst severity among reasons; none is `Allowed`.
    pub(crate) fn worst<'a>(reasons: impl Iterator<Item = &'a Reason>) -> Severity {
        reasons.map(|reason| reason.severity).max().unwrap_or(Severity::Allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_says_when_a_wait_ends_of_which_one_part_has_no_known_end() {
        let ends = |at: Option<&str>| {
            let reason =
                Reason::new(Code::TaskProtected, Severity::Wait, "a build runs".to_owned(), "its end");
            reason.expected_at(at.map(|at| at.parse().unwrap()))
        };
        let (early, late) = (ends(Some("2026-01-31T14:05:00Z")), ends(Some("2026-01-31T14:20:00Z")));
        assert_eq!(Reason::all_cleared_at(&[early.clone(), late.clone()]), late.expected_at);
        assert_eq!(Reason::all_cleared_at(&[early, ends(None)]), None);
        assert_eq!(Reason::all_cleared_at(&[]), None);
    }
}
