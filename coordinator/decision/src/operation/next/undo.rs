//! What comes next for an operation that was called off: its alarms are put back and its cordon is lifted, or the node is left
//! to whoever called it off.

use super::{
    MOST_TRIES, or_ask, pause_after,
    waiting::{objected, wait},
};
use crate::{
    Action,
    operation::{
        Cancelled, Effect, Ending, Event, Next, Operation, Outcome, Situation, Step, StepRecord, alarms,
        steps::{self, Gate},
    },
};

pub(super) fn undo(operation: &Operation, situation: &Situation<'_>) -> Next {
    let Some(Cancelled { by, reason, abandon }) = &operation.cancelled else { return Next::Over };
    let place = operation.to_undo();
    let undone = place.and_then(|place| operation.steps.get(place)).cloned().unwrap_or_default();
    // Whoever takes the node over has no use for alarms that nobody hears; those that cannot be put back are told.
    let before = alarms::before(&undone);
    if *abandon && (before.is_none() || is_given_up(&undone)) {
        return left(place, &undone, before.is_some());
    }
    let record = operation.steps.get(operation.at).cloned().unwrap_or_default();
    if situation.is_in_flight {
        return Next::Wait(wait(
            operation,
            &record,
            "called off; waiting for what is under way".into(),
            "millwright",
        ));
    }
    // A node that came back so far that nothing else holds it, and gets no offers yet, is left to whoever called it off.
    let is_between = operation.wish.action == Action::Return
        && operation.done_at(Step::LiftHold).is_some()
        && operation.done_at(Step::Uncordon).is_none()
        && steps::uncordoned(operation, situation, None).is_none();
    if is_between {
        return Next::Write(Event::Parked);
    }
    let Some(place) = place else {
        let sentence = format!("called off by {by}: {reason}");
        return Next::Write(Event::Ended { ending: Ending::Cancelled, sentence });
    };
    if let Some(before) = before {
        let effect = Effect::RestoreAlarms { before };
        return match situation.frozen {
            Some(frozen) => {
                let waiting = objected(operation, &undone, Step::MaskAlarms, vec![frozen.clone()]);
                or_ask(operation, Step::MaskAlarms, &record, situation, waiting)
            }
            None => take_back(operation, place, &undone, effect, "the alarms were not put back", situation),
        };
    }
    let gate = match situation.frozen {
        Some(reason) => Gate::Closed(vec![reason.clone()]),
        None => steps::gate(operation, Step::Uncordon, situation),
    };
    // What was read before it was called off may have changed since: the node was held until then, under new ids as well.
    let seen = steps::uncordoned(operation, situation, Some(operation.changed_at));
    if let Some(evidence) = seen {
        let outcome = Outcome::done(evidence);
        return Next::Write(Event::UndoFinished { step: place, attempt: undone.undo_attempt, outcome });
    }
    match gate {
        Gate::Open => {
            take_back(operation, place, &undone, Effect::Uncordon, "the cordon was not lifted", situation)
        }
        Gate::Closed(reasons) => {
            let mut waiting = objected(operation, &undone, Step::Uncordon, reasons);
            waiting.sentence = format!("called off, and still cordoned: {}", waiting.sentence);
            or_ask(operation, Step::Uncordon, &record, situation, waiting)
        }
        Gate::Wait { sentence, owner } => Next::Wait(wait(operation, &undone, sentence, owner)),
        Gate::Stuck(why) => Next::Write(Event::Stuck { why }),
    }
}

fn is_given_up(undone: &StepRecord) -> bool {
    undone.undo_attempt >= MOST_TRIES
}

/// Tries to take a step back, with pauses, so often and no more.
fn take_back(
    operation: &Operation,
    place: usize,
    undone: &StepRecord,
    effect: Effect,
    failed: &str,
    situation: &Situation<'_>,
) -> Next {
    if is_given_up(undone) {
        return Next::Write(Event::Stuck { why: format!("{failed} in {MOST_TRIES} tries") });
    }
    let again = undone.changed_at.and_then(|at| at.checked_add(pause_after(undone.undo_attempt)).ok());
    if undone.undo_attempt > 0 && again.is_some_and(|again| situation.now < again) {
        let step = operation.plan.steps.get(place).map_or("it", |step| step.as_str());
        let sentence = format!("taking {step} back is tried again");
        return Next::Wait(wait(operation, undone, sentence, "millwright"));
    }
    Next::Do(Event::UndoBegan { step: place, attempt: undone.undo_attempt + 1 }, effect)
}

/// The node stays as it is for whoever took it over; what could not be put back is told once.
fn left(place: Option<usize>, undone: &StepRecord, has_masked: bool) -> Next {
    const TOLD: &str =
        "its alarms were not put back in Roger; the command of its step mask_alarms says what they were";
    match place.filter(|_| has_masked && undone.asked.as_deref() != Some(TOLD)) {
        Some(step) => Next::Write(Event::Asked { step, sentence: TOLD.to_owned() }),
        None => Next::Write(Event::Parked),
    }
}
