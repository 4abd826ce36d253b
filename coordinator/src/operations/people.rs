//! What people say to operations and beside them: yes, no, again, done by hand, keep it as it is, stop everything.

use super::{Hold, NotRecorded, Operations, Word, digest};
use crate::fleet::Fleet;
use jiff::Timestamp;
use millwright_decision::{
    Class, Code, Evidence, Source,
    operation::{
        Doer, Event, Executor, Operation, Outcome, Phase, State, Step, Waiting, begin_by_hand, frozen,
        is_rogers, ledger_evidence, remains,
    },
};
use millwright_protocol::NodeName;
use std::sync::{Arc, Mutex};

/// Why a person's word was not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotThat {
    /// There is no such operation, or the journal does not take it.
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
    /// What was approved is not what is planned now.
    #[error(
        "what you looked at ({given}) is not what {id} would do now ({now}); look again with `millwright operations {id}` and approve that"
    )]
    StaleApproval {
        /// Which operation.
        id: String,
        /// The digest that was given.
        given: String,
        /// The digest now.
        now: String,
    },
    /// One's own yes is no second opinion.
    #[error("{0} asked for it, and the approval has to be another person's")]
    OwnApproval(String),
    /// There is no way back any more.
    #[error(
        "{id} is past the point of no return ({step}); it goes on until {node} is back, or a person takes it over as it is with \
         `millwright cancel {id} --abandon`"
    )]
    PastNoReturn {
        /// Which operation.
        id: String,
        /// Which step.
        step: Step,
        /// Which node.
        node: String,
    },
    /// It is over, or not where that would mean something.
    #[error("{0}")]
    Senseless(String),
    /// The step that was to be begun waits.
    #[error("{id} does not go on yet: {}", waiting.sentence)]
    Waits {
        /// Which operation.
        id: String,
        /// For what.
        waiting: Box<Waiting>,
    },
}

/// What a person says about the step that an operation is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// In mode `advise`: go on with it. For a step that the person runs: its permit and its exact command.
    Begin,
    /// The command was only shown: nobody knows whether and when it is run.
    Printed,
    /// The person's command has ended.
    Exit {
        /// Its exit code; `None` for a signal.
        code: Option<i32>,
        /// The end of what it printed.
        said: String,
    },
    /// It is so.
    Done,
    /// It has not happened, and will not.
    NotRun,
}

impl Operations {
    /// A second person agrees to what an operation would do, which the digest names.
    ///
    /// # Errors
    /// See [`NotThat`].
    pub fn approve(
        &mut self,
        id: &str,
        by: &str,
        given: &str,
        reason: &str,
        fleet: &Mutex<Fleet>,
        now: Timestamp,
    ) -> Result<(), NotThat> {
        let operation = self.open_one(id)?;
        if person(&operation.wish.by).eq_ignore_ascii_case(person(by)) {
            return Err(NotThat::OwnApproval(by.to_owned()));
        }
        let current = digest(&operation.wish, super::lock(fleet).policy());
        if current != given {
            return Err(NotThat::StaleApproval {
                id: id.to_owned(),
                given: given.chars().take(64).collect(),
                now: current,
            });
        }
        let event = Event::Granted {
            code: Code::ApprovalMissing,
            task: None,
            by: by.to_owned(),
            reason: reason.to_owned(),
            digest: Some(current),
        };
        Ok(self.write(self.number(id)?, event, super::whole(now))?)
    }

    /// Calls an operation off. Past the point of no return a person can only take it over as it is.
    ///
    /// # Errors
    /// See [`NotThat`].
    pub fn cancel(
        &mut self,
        id: &str,
        by: &str,
        reason: &str,
        abandon: bool,
        now: Timestamp,
    ) -> Result<(), NotThat> {
        let operation = self.open_one(id)?;
        if !abandon && operation.is_past_no_return() {
            let step = operation.plan.steps.iter().zip(&operation.steps);
            let step = step.filter(|(step, _)| step.is_irreversible()).find(|(_, record)| record.attempt > 0);
            return Err(NotThat::PastNoReturn {
                id: id.to_owned(),
                step: step.map_or(Step::Reboot, |(step, _)| *step),
                node: operation.wish.spelled.clone(),
            });
        }
        let event = Event::Cancelled { by: by.to_owned(), reason: reason.to_owned(), abandon };
        self.write(self.number(id)?, event, super::whole(now)).map_err(senseless)
    }

    /// Has an operation that is stuck tried again.
    ///
    /// # Errors
    /// See [`NotThat`].
    pub fn retry(&mut self, id: &str, by: &str, reason: &str, now: Timestamp) -> Result<(), NotThat> {
        self.open_one(id)?;
        let event = Event::Retried { by: by.to_owned(), reason: reason.to_owned() };
        self.write(self.number(id)?, event, super::whole(now)).map_err(senseless)
    }

    /// Takes a person's word about the step that an operation is at; answers the exact command where there is one to run.
    ///
    /// # Errors
    /// See [`NotThat`].
    pub fn confirm(
        &mut self,
        id: &str,
        by: &str,
        said: &Confirmation,
        reason: &str,
        fleet: &Mutex<Fleet>,
        now: Timestamp,
    ) -> Result<Vec<String>, NotThat> {
        let now = super::whole(now);
        let number = self.number(id)?;
        let operation = self.open_one(id)?.clone();
        let Some((step, record)) = operation.current_step().filter(|_| operation.phase == Phase::Forward)
        else {
            return Err(NotThat::Senseless(format!(
                "{id} is {}; no step of it waits for a person",
                operation.phase.word()
            )));
        };
        let place = operation.at;
        let finished = |attempt: u32, outcome: Outcome| Event::Finished {
            step: place,
            attempt,
            outcome,
            by: Some(by.to_owned()),
        };
        let is_by_hand = step.doer() == Doer::Executor
            && operation.wish.executor == Executor::ByHand
            && !is_rogers(step, record, super::lock(fleet).policy());
        let cannot = |what: &str| {
            NotThat::Senseless(format!(
                "{id} is at {step} ({}), where {what} says nothing",
                record.state.as_str()
            ))
        };
        match said {
            Confirmation::Begin | Confirmation::Printed if is_by_hand => {
                let event = self.by_hand(&operation, by, fleet, now)?;
                let Event::Began { command, attempt, .. } = &event else { return Ok(Vec::new()) };
                let (command, attempt) = (command.clone(), *attempt);
                self.write(number, event, now)?;
                if *said == Confirmation::Printed {
                    let question =
                        format!("{by} was shown `{}`; nobody knows whether it was run", command.join(" "));
                    self.write(number, finished(attempt, Outcome::unknown(question)), now)?;
                }
                Ok(command)
            }
            Confirmation::Begin => {
                if !step.is_irreversible() || !matches!(record.state, State::Pending | State::NotDone { .. })
                {
                    return Err(cannot("`begin`"));
                }
                let event = Event::Granted {
                    code: Code::GoAhead,
                    task: None,
                    by: by.to_owned(),
                    reason: reason.to_owned(),
                    digest: None,
                };
                self.write(number, event, now)?;
                Ok(Vec::new())
            }
            Confirmation::Exit { code, said } => {
                if !is_by_hand || !matches!(record.state, State::Begun | State::Unknown { .. }) {
                    return Err(cannot("an exit code"));
                }
                let outcome = super::lock(fleet).policy().executors.outcome(step, *code, said);
                self.write(number, finished(record.attempt, outcome), now)?;
                Ok(Vec::new())
            }
            Confirmation::Done => {
                let is_for_people = step.doer() == Doer::Executor && !step.is_irreversible();
                let may = matches!(record.state, State::Unknown { .. })
                    || (is_by_hand && matches!(record.state, State::Begun))
                    || (is_for_people
                        && matches!(record.state, State::Pending | State::NotDone { .. } | State::Begun));
                if !may {
                    return Err(cannot("`done`"));
                }
                let mut evidence = vec![Evidence::new("said", reason, by)];
                if step == Step::Ledger {
                    evidence.extend(remaining(&operation, by, fleet, now));
                }
                self.write(number, finished(record.attempt, Outcome::done(evidence)), now)?;
                Ok(Vec::new())
            }
            Confirmation::NotRun => {
                let may = matches!(record.state, State::Unknown { .. })
                    || (is_by_hand && matches!(record.state, State::Begun));
                if !may {
                    return Err(cannot("`not_run`"));
                }
                let outcome = Outcome::not_done(format!("{by} says that it was not run: {reason}"));
                self.write(number, finished(record.attempt, outcome), now)?;
                Ok(Vec::new())
            }
            Confirmation::Printed => Err(cannot("`printed`")),
        }
    }

    fn by_hand(
        &self,
        operation: &Operation,
        by: &str,
        fleet: &Mutex<Fleet>,
        now: Timestamp,
    ) -> Result<Event, NotThat> {
        self.tell_fleet(fleet, now);
        let mut fleet = super::lock(fleet);
        let policy = Arc::clone(fleet.policy());
        let machine = fleet.machine(&operation.wish.node);
        let snapshot = fleet.snapshot_at(now);
        let frozen = frozen(snapshot, &policy, now);
        let situation = self.situation(snapshot, &policy, machine.as_ref(), frozen.as_ref(), false, now);
        begin_by_hand(operation, by, &situation)
            .map_err(|waiting| NotThat::Waits { id: operation.id.clone(), waiting: Box::new(waiting) })
    }

    fn open_one(&self, id: &str) -> Result<&Operation, NotThat> {
        let number = self.number(id)?;
        let tracked = self.all.get(&number).ok_or_else(|| NotRecorded::Unknown(id.to_owned()))?;
        if let Some(why) = &tracked.broken {
            return Err(NotThat::Senseless(format!(
                "the record of {id} is damaged, so it stands still: {why}"
            )));
        }
        match &tracked.operation.phase {
            Phase::Ended { ending, sentence, .. } => {
                Err(NotThat::Senseless(format!("{id} is over ({}): {sentence}", ending.as_str())))
            }
            _ => Ok(&tracked.operation),
        }
    }

    /// "Keep this node as it is." Returns the id of the hold.
    ///
    /// # Errors
    /// The journal does not take it.
    pub fn hold(
        &mut self,
        node: NodeName,
        by: &str,
        reason: &str,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<String, NotRecorded> {
        let id = self.words.next_hold();
        let hold = Hold { id: id.clone(), node, by: by.to_owned(), reason: reason.to_owned(), until };
        self.say(&Word::Held { hold }, super::whole(now))?;
        Ok(id)
    }

    /// Lifts a hold: one that was set, or that of a drain that has done its work.
    ///
    /// # Errors
    /// There is none of that id, or the journal does not take it.
    pub fn lift(&mut self, id: &str, by: &str, reason: &str, now: Timestamp) -> Result<(), NotThat> {
        let is_drain = self.get(id).is_some_and(|tracked| self.hold_of(&tracked.operation).is_some());
        if !is_drain && !self.words.held.contains_key(id) {
            return Err(NotThat::Senseless(format!(
                "there is no hold {id}; `millwright hold list` shows those that stand"
            )));
        }
        let word = Word::Lifted { id: id.to_owned(), by: by.to_owned(), reason: reason.to_owned() };
        Ok(self.say(&word, super::whole(now)).map_err(NotRecorded::from)?)
    }

    /// A person vouches for one source about one node, for 15 min.
    ///
    /// # Errors
    /// The Mesos master's view and a quorum cannot be vouched for, or the journal does not take it.
    pub fn attest(
        &mut self,
        node: NodeName,
        source: Source,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), NotThat> {
        if !source.can_be_attested() {
            let why = match source {
                Source::MesosMaster => "the Mesos master's view: it alone knows what it has placed",
                _ => "a quorum: only its members know whether they agree",
            };
            return Err(NotThat::Senseless(format!("nobody can vouch for {why}")));
        }
        let word = Word::Attested { node, source, by: by.to_owned(), reason: reason.to_owned() };
        Ok(self.say(&word, super::whole(now)).map_err(NotRecorded::from)?)
    }

    /// Presses the off switch.
    ///
    /// # Errors
    /// It is pressed, or the journal does not take it.
    pub fn pause(&mut self, by: &str, reason: &str, now: Timestamp) -> Result<(), NotThat> {
        if let Some(pause) = &self.words.pause {
            return Err(NotThat::Senseless(format!(
                "{} has paused Millwright already: {}",
                pause.by, pause.reason
            )));
        }
        let word = Word::Paused { by: by.to_owned(), reason: reason.to_owned() };
        Ok(self.say(&word, super::whole(now)).map_err(NotRecorded::from)?)
    }

    /// Releases it.
    ///
    /// # Errors
    /// It is not pressed, or the journal does not take it.
    pub fn resume(&mut self, by: &str, reason: &str, now: Timestamp) -> Result<(), NotThat> {
        if self.words.pause.is_none() {
            return Err(NotThat::Senseless("Millwright is not paused".into()));
        }
        let word = Word::Resumed { by: by.to_owned(), reason: reason.to_owned() };
        Ok(self.say(&word, super::whole(now)).map_err(NotRecorded::from)?)
    }

    /// Records that the brake of a class was reset.
    ///
    /// # Errors
    /// The journal does not take it.
    pub fn brake_reset(
        &mut self,
        class: Class,
        by: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), NotRecorded> {
        let word = Word::BrakeReset { class, by: by.to_owned(), reason: reason.to_owned() };
        Ok(self.say(&word, super::whole(now))?)
    }
}

/// Which places are proven to have forgotten a node that was deleted; the others are left to whoever says that it is done.
fn remaining(operation: &Operation, by: &str, fleet: &Mutex<Fleet>, now: Timestamp) -> Vec<Evidence> {
    let fleet = super::lock(fleet);
    let node = fleet.snapshot().nodes.get(&operation.wish.node).map(Box::as_ref);
    let since = operation.done_at(Step::DeleteServer).unwrap_or(operation.requested_at);
    ledger_evidence(&remains(node, since, now), by)
}

/// Whoever became root is still the same person.
fn person(by: &str) -> &str {
    by.strip_suffix(" (as root)").unwrap_or(by)
}

/// What cannot follow is not a fault of the store.
fn senseless(error: NotRecorded) -> NotThat {
    match error {
        NotRecorded::Illegal(illegal) => NotThat::Senseless(illegal.to_string()),
        other => NotThat::NotRecorded(other),
    }
}
