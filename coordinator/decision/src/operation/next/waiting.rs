//! What an operation waits for, in words: for objections, for people, for time.

use crate::{
    Reason, Severity,
    operation::{Cancelled, Operation, Step, StepRecord},
};
use jiff::Timestamp;

/// What an operation waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// For people.
    pub sentence: String,
    /// Who or what ends the wait.
    pub owner: String,
    /// Since when.
    pub since: Timestamp,
    /// When it is expected to end, where known.
    pub expected_at: Option<Timestamp>,
    /// Whether nothing but a person can end it.
    pub needs_people: bool,
    /// What objects, where it is an objection.
    pub reasons: Vec<Reason>,
}

pub(super) fn objected(
    operation: &Operation,
    record: &StepRecord,
    step: Step,
    reasons: Vec<Reason>,
) -> Waiting {
    let worst = reasons.first();
    let more = reasons.len().saturating_sub(1);
    let sentence = match worst {
        Some(reason) if more > 0 => format!("{} (and {more} more)", reason.sentence),
        Some(reason) => reason.sentence.clone(),
        None => step.doing().to_owned(),
    };
    Waiting {
        owner: worst.map_or_else(|| "millwright".to_owned(), |reason| reason.owner.to_string()),
        since: record.due_at.unwrap_or(operation.changed_at),
        expected_at: Reason::all_cleared_at(&reasons),
        needs_people: reasons.iter().any(|reason| reason.severity >= Severity::NeedsPeople),
        sentence,
        reasons,
    }
}

pub(super) fn wait(
    operation: &Operation,
    record: &StepRecord,
    sentence: String,
    owner: impl Into<String>,
) -> Waiting {
    Waiting {
        sentence,
        owner: owner.into(),
        since: record.changed_at.or(record.due_at).unwrap_or(operation.changed_at),
        expected_at: None,
        needs_people: false,
        reasons: Vec::new(),
    }
}

impl Waiting {
    pub(super) fn about(operation: &Operation, sentence: String) -> Self {
        let since = operation.changed_at;
        Self {
            sentence,
            owner: "operators".into(),
            since,
            expected_at: None,
            needs_people: true,
            reasons: Vec::new(),
        }
    }
}

pub(super) fn parked(operation: &Operation, since: Timestamp) -> Waiting {
    let name = &operation.wish.spelled;
    let (owner, sentence) = match &operation.cancelled {
        Some(Cancelled { by, reason, .. }) => (by, format!("{by} has taken {name} over as it is: {reason}")),
        None => {
            let (by, reason) = (&operation.wish.by, &operation.wish.reason);
            (by, format!("{name} is empty and stays so for {by}: {reason}"))
        }
    };
    let sentence = format!("{sentence}; `millwright return {name}` brings it back");
    Waiting { since, owner: owner.clone(), needs_people: false, ..Waiting::about(operation, sentence) }
}

pub(super) fn stuck(operation: &Operation, why: &str, since: Timestamp) -> Waiting {
    let abandon = if operation.is_past_no_return() { " --abandon" } else { "" };
    let sentence = format!(
        "{why}; mend it and say `millwright retry {id}`, or `millwright cancel {id}{abandon}`",
        id = operation.id
    );
    Waiting { since, ..Waiting::about(operation, sentence) }
}
