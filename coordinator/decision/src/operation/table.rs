//! The one table of moves: which event may follow which, and what it makes of the operation.

use super::{Cancelled, Ending, Event, IllegalEvent, Operation, Outcome, Phase, State, Step, StepRecord};
use crate::fleet::Grant;
use jiff::Timestamp;

impl Operation {
    /// Takes an event in, if it may follow: the one table of moves.
    ///
    /// # Errors
    /// It may not; nothing has changed.
    pub fn apply(&mut self, event: &Event, at: Timestamp) -> Result<(), IllegalEvent> {
        let mut after = self.clone();
        after.take(event, at).map_err(|why| IllegalEvent {
            operation: self.id.clone(),
            event: event.word(),
            why,
        })?;
        after.changed_at = at;
        after.events += 1;
        *self = after;
        Ok(())
    }

    fn take(&mut self, event: &Event, at: Timestamp) -> Result<(), String> {
        if let Phase::Ended { ending, .. } = &self.phase {
            return Err(format!("it is over: {}", ending.as_str()));
        }
        match event {
            Event::Requested { .. } => Err("it has been requested already".into()),
            Event::Granted { code, task, by, digest, .. } => {
                self.grants.push(Grant {
                    code: *code,
                    task: task.clone(),
                    by: by.clone(),
                    at,
                    digest: digest.clone(),
                });
                Ok(())
            }
            Event::Began { step, attempt, machine, permit, command, by, moves } => {
                self.current(*step, &Phase::Forward)?;
                let kind = self.kind(*step)?;
                if kind.is_irreversible() && permit.is_none() {
                    return Err(format!("{kind} takes a permit"));
                }
                let record = self.record(*step)?;
                if !matches!(record.state, State::Pending | State::NotDone { .. }) {
                    return Err(format!("{kind} has begun already"));
                }
                record.attempted(*attempt)?;
                record.state = State::Begun;
                record.began_at = Some(at);
                record.machine.clone_from(machine);
                record.command.clone_from(command);
                record.by.clone_from(by);
                record.moves.clone_from(moves);
                record.changed_at = Some(at);
                if permit.is_some() {
                    self.permit.clone_from(permit);
                }
                Ok(())
            }
            Event::Prepared { step, attempt, nonce } => {
                self.current(*step, &Phase::Forward)?;
                let record = self.record(*step)?;
                record.is_attempt(*attempt)?;
                match record.state {
                    State::Begun | State::Prepared { .. } => {
                        record.become_(State::Prepared { nonce: nonce.clone() }, at)
                    }
                    _ => Err("it is not waiting for the agent's nonce".into()),
                }
            }
            Event::Committed { step, attempt } => {
                self.current(*step, &Phase::Forward)?;
                let record = self.record(*step)?;
                record.is_attempt(*attempt)?;
                match record.state.clone() {
                    State::Prepared { nonce } => record.become_(State::Committed { nonce }, at),
                    _ => Err("the agent has not bound itself to a nonce".into()),
                }
            }
            Event::Finished { step, attempt, outcome, by } => {
                self.finish(*step, *attempt, outcome, by.as_ref(), at)
            }
            Event::Asked { step, sentence } => {
                let record = self.record(*step)?;
                record.asked_at = Some(at);
                record.asked = Some(sentence.clone());
                Ok(())
            }
            Event::Cancelled { by, reason, abandon } => self.cancel(by, reason, *abandon),
            Event::UndoBegan { step, attempt } => {
                self.is_undoing()?;
                let record = self.record(*step)?;
                if !matches!(
                    record.state,
                    State::Done { .. } | State::Begun | State::Unknown { .. } | State::Undoing
                ) {
                    return Err("there is nothing to take back".into());
                }
                if *attempt != record.undo_attempt + 1 {
                    return Err(format!("the next attempt is {}, not {attempt}", record.undo_attempt + 1));
                }
                record.undo_attempt = *attempt;
                record.become_(State::Undoing, at)
            }
            Event::UndoFinished { step, outcome, .. } => {
                self.is_undoing()?;
                let record = self.record(*step)?;
                if matches!(record.state, State::Undone) {
                    return Err("it has been taken back already".into());
                }
                match outcome {
                    Outcome::Done { evidence, .. } => {
                        record.evidence.clone_from(evidence);
                        record.become_(State::Undone, at)
                    }
                    // Trying to take it back once more is always possible; the engine bounds how often.
                    Outcome::NotDone { .. } | Outcome::Unknown { .. } => record.become_(State::Undoing, at),
                }
            }
            Event::Stuck { why } => {
                let undoing = matches!(self.phase, Phase::Undoing);
                self.phase = Phase::Stuck { why: why.clone(), since: at, undoing };
                Ok(())
            }
            Event::Retried { .. } => self.retry(at),
            Event::Parked => {
                if self.cancelled.is_none() {
                    self.current(self.plan.steps.len(), &Phase::Forward)?;
                }
                self.phase = Phase::Parked { since: at };
                Ok(())
            }
            Event::Ended { ending, sentence } => self.end(*ending, sentence, at),
        }
    }

    fn finish(
        &mut self,
        step: usize,
        attempt: u32,
        outcome: &Outcome,
        by: Option<&String>,
        at: Timestamp,
    ) -> Result<(), String> {
        if !matches!(self.phase, Phase::Forward | Phase::Undoing) || step != self.at {
            return Err(format!("its step is {}, and it is {}", self.at, self.phase.word()));
        }
        let kind = self.kind(step)?;
        let record = self.record(step)?;
        record.is_attempt(attempt)?;
        let has_begun = !matches!(record.state, State::Pending | State::NotDone { .. });
        if matches!(record.state, State::Done { .. } | State::Undone) {
            return Err(format!("{kind} is over already"));
        }
        if let Some(by) = by {
            record.by = Some(by.clone());
        }
        match outcome {
            Outcome::Done { evidence, was_so } => {
                record.evidence.clone_from(evidence);
                record.become_(State::Done { was_so: *was_so && !has_begun }, at)?;
                if matches!(self.phase, Phase::Forward) {
                    self.at += 1;
                    if let Some(following) = self.steps.get_mut(self.at) {
                        following.due_at = Some(at);
                    }
                }
                if kind == Step::Uncordon {
                    self.permit = None;
                }
                Ok(())
            }
            Outcome::NotDone { .. } | Outcome::Unknown { .. } if !has_begun => {
                Err(format!("{kind} has not begun"))
            }
            Outcome::NotDone { why, refusal } => {
                record.become_(State::NotDone { why: why.clone(), refusal: refusal.clone() }, at)?;
                if kind.is_irreversible() {
                    self.permit = None;
                }
                Ok(())
            }
            Outcome::Unknown { question } => {
                record.become_(State::Unknown { question: question.clone() }, at)
            }
        }
    }

    fn cancel(&mut self, by: &str, reason: &str, abandon: bool) -> Result<(), String> {
        if matches!(self.phase, Phase::Undoing | Phase::Parked { .. }) {
            return Err(format!("it is {}", self.phase.word()));
        }
        let cannot_undo = matches!(self.phase, Phase::Stuck { undoing: true, .. });
        if abandon && !self.is_past_no_return() && !cannot_undo {
            return Err("it is not past the point of no return: it can be called off as a whole".into());
        }
        if !abandon && self.is_past_no_return() {
            return Err("it is past the point of no return".into());
        }
        self.cancelled = Some(Cancelled { by: by.to_owned(), reason: reason.to_owned(), abandon });
        self.phase = Phase::Undoing;
        Ok(())
    }

    fn retry(&mut self, at: Timestamp) -> Result<(), String> {
        let Phase::Stuck { undoing, .. } = self.phase else {
            return Err(format!("it is {}, not stuck", self.phase.word()));
        };
        self.phase = if undoing { Phase::Undoing } else { Phase::Forward };
        for record in &mut self.steps {
            record.tries = 0;
            record.undo_attempt = 0;
        }
        if let Some(record) = self.steps.get_mut(self.at) {
            record.due_at = Some(at);
            record.asked_at = None;
            record.asked = None;
        }
        Ok(())
    }

    fn end(&mut self, ending: Ending, sentence: &str, at: Timestamp) -> Result<(), String> {
        let may = match (&self.phase, ending) {
            (Phase::Forward, Ending::Succeeded) => self.at == self.plan.steps.len(),
            (Phase::Parked { .. }, _) => true,
            (Phase::Undoing, Ending::Cancelled) => !self.has_something_to_undo() && !self.is_past_no_return(),
            _ => false,
        };
        if !may {
            return Err(format!("it is {} and not finished", self.phase.word()));
        }
        self.permit = None;
        self.phase = Phase::Ended { ending, at, sentence: sentence.to_owned() };
        Ok(())
    }

    fn current(&self, step: usize, phase: &Phase) -> Result<(), String> {
        if self.phase != *phase {
            return Err(format!("it is {}", self.phase.word()));
        }
        if step != self.at {
            return Err(format!("its step is {}, not {step}", self.at));
        }
        Ok(())
    }

    fn is_undoing(&self) -> Result<(), String> {
        if matches!(self.phase, Phase::Undoing) {
            Ok(())
        } else {
            Err(format!("it is {}", self.phase.word()))
        }
    }

    fn kind(&self, step: usize) -> Result<Step, String> {
        self.plan.steps.get(step).copied().ok_or_else(|| format!("its plan has no step {step}"))
    }

    fn record(&mut self, step: usize) -> Result<&mut StepRecord, String> {
        self.steps.get_mut(step).ok_or_else(|| format!("its plan has no step {step}"))
    }
}
