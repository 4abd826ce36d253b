//! The alarms of a node, masked by asking Roger and put back as they were.
//!
//! What was set before stands in the intent, so on the disk before anything is changed: whatever crashes afterwards, what is
//! to be put back is known. Commands and people mask as they always did; nobody puts back after them.

use super::{Effect, Operation, Situation, Step, StepRecord, steps::Gate};
use crate::{
    Evidence, Policy,
    fleet::{Alarms, AlarmsView},
};
use jiff::SignedDuration;

/// The first word of an intent of ours. A command of the site's begins with a program.
pub(super) const BY: &str = "Roger";
/// Words before those that say what was set.
const HEAD: usize = 3;
/// What was read longer ago may have changed.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// Whether the coordinator takes this step by asking Roger.
pub(super) fn by_roger(step: Step, situation: &Situation<'_>) -> bool {
    step == Step::MaskAlarms && situation.policy.executors.roger_masks
}

/// What was set before this intent; `None` where it is no intent of ours.
pub(super) fn before(record: &StepRecord) -> Option<Alarms> {
    record.command.first().filter(|word| *word == BY)?;
    Alarms::read(record.command.get(HEAD..)?)
}

/// Whether the coordinator asks Roger for this step, or has asked, so that it is no step for a person to run.
pub fn is_rogers(step: Step, record: &StepRecord, policy: &Policy) -> bool {
    step == Step::MaskAlarms && (policy.executors.roger_masks || before(record).is_some())
}

/// What a message of ours begins with.
pub fn mark(operation: &str) -> String {
    format!("Millwright {operation}:")
}

/// Roger's account, if it was read since the operation was asked for and not long ago.
fn seen<'a>(operation: &Operation, situation: &Situation<'a>) -> Option<&'a AlarmsView> {
    let node = situation.snapshot.nodes.get(&operation.wish.node)?;
    let view = node.alarms.as_deref()?;
    let is_fresh = situation.now.duration_since(view.at) <= FRESH && view.at > operation.requested_at;
    is_fresh.then_some(view)
}

/// Whether nobody is woken any more, as Roger says.
pub(super) fn masked(operation: &Operation, situation: &Situation<'_>) -> Option<Vec<Evidence>> {
    let view = seen(operation, situation).filter(|_| by_roger(Step::MaskAlarms, situation))?;
    match &view.set {
        None => Some(vec![Evidence::new("alarms", format!("Roger does not know {}", view.host), "roger")]),
        Some(set) => set.on.is_empty().then(|| vec![set.evidence("alarms")]),
    }
}

/// Nothing is masked before it is known what to put back.
pub(super) fn gate(operation: &Operation, situation: &Situation<'_>) -> Gate {
    if seen(operation, situation).is_some() {
        return Gate::Open;
    }
    Gate::Wait { sentence: "asking Roger which of its alarms are on".into(), owner: "roger".into() }
}

/// The words of the intent and what to do, once it is known what is set.
pub(super) fn begin(
    operation: &Operation,
    record: &StepRecord,
    situation: &Situation<'_>,
    head: Vec<String>,
) -> Option<(Vec<String>, Effect)> {
    let set = seen(operation, situation)?.set.clone()?;
    // An earlier attempt may have come half-way: what it left is not what was there before.
    let is_ours = set.message.starts_with(&mark(&operation.id));
    let before = before(record).filter(|_| is_ours).unwrap_or(set);
    let words = head.into_iter().chain(before.words()).collect();
    Some((words, Effect::MaskAlarms { before }))
}
