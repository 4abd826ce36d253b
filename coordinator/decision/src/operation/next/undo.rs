//! What comes next for an operation that was called off: its cordon is lifted, or the node is left to whoever called it off.

use super::{MOST_TRIES, objected, or_ask, pause_after, wait};
use crate::{
    Action,
    operation::{
        Cancelled, Effect, Ending, Event, Next, Operation, Outcome, Situation, Step,
        steps::{self, Gate},
    },
};

pub(super) fn undo(operation: &Operation, situation: &Situation<'_>) -> Next {
    let Some(Cancelled { by, reason, abandon }) = &operation.cancelled else { return Next::Over };
    if *abandon {
        return Next::Write(Event::Parked);
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
    let Some(place) = operation.to_undo() else {
        let sentence = format!("called off by {by}: {reason}");
        return Next::Write(Event::Ended { ending: Ending::Cancelled, sentence });
    };
    let undone = operation.steps.get(place).cloned().unwrap_or_default();
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
        Gate::Open if undone.undo_attempt >= MOST_TRIES => {
            Next::Write(Event::Stuck { why: format!("the cordon was not lifted in {MOST_TRIES} tries") })
        }
        Gate::Open => {
            let again =
                undone.changed_at.and_then(|at| at.checked_add(pause_after(undone.undo_attempt)).ok());
            if undone.undo_attempt > 0 && again.is_some_and(|again| situation.now < again) {
                return Next::Wait(wait(
                    operation,
                    &undone,
                    "lifting its cordon is tried again".into(),
                    "millwright",
                ));
            }
            let event = Event::UndoBegan { step: place, attempt: undone.undo_attempt + 1 };
            Next::Do(event, Effect::Uncordon)
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
