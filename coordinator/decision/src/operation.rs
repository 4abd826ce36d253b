//! Operations as event-sourced state machines: [`Operation::apply`] is the one table of moves, [`next`] says what comes next.
//!
//! ```text
//!   events ──apply──▶ Operation ──next(situation)──▶ Next: write events, do an effect, or wait and say for what
//!      ▲                                               │
//!      └───────────── the engine writes, does ◀────────┘
//! ```
//!
//! Nothing here acts or reads a clock. A step's intent is written before its effect, its outcome after; what an event means
//! never depends on anything but the events before it, so a replay after a crash is the same operation.

mod event;
mod executor;
mod next;
mod plan;
mod steps;
#[cfg(test)]
mod tests;

pub use event::{Ending, Event, Executor, Machine, Outcome, Permit, Wish};
pub use executor::{Executors, NoCommand};
pub use next::{Effect, Next, Situation, Waiting, begin_by_hand, next};
pub use plan::{Doer, PLAN_VERSION, Plan, Step};

use crate::{
    Code, Evidence, Policy, Reason, Snapshot,
    fleet::{self, Grant, Progress},
};
use jiff::{SignedDuration, Timestamp};

/// What keeps every operation from doing anything, whatever its step; `None` while nothing does.
pub fn frozen(snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Option<Reason> {
    crate::rules::start::frozen(snapshot, policy, now)
}

/// Approvals hold until so long after the node was proven empty (DESIGN section 4).
const APPROVALS_LAST: SignedDuration = SignedDuration::from_hours(24);

/// Where an operation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Going through its steps.
    Forward,
    /// Called off: taking back what can be taken back.
    Undoing,
    /// It cannot go on without a person.
    Stuck {
        /// Why.
        why: String,
        /// Since when.
        since: Timestamp,
        /// Whether it was taking things back.
        undoing: bool,
    },
    /// A drain that has done its work: the node stays empty for whoever asked.
    Parked {
        /// Since when.
        since: Timestamp,
    },
    /// It is over.
    Ended {
        /// How.
        ending: Ending,
        /// When.
        at: Timestamp,
        /// For people.
        sentence: String,
    },
}

/// Where one step stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// Not begun.
    #[default]
    Pending,
    /// The intent is recorded, the outcome not.
    Begun,
    /// The agent has bound itself to a nonce.
    Prepared {
        /// Which.
        nonce: String,
    },
    /// The nonce has been sent back.
    Committed {
        /// Which.
        nonce: String,
    },
    /// It is so.
    Done {
        /// It was so before anything was done.
        was_so: bool,
    },
    /// It was tried without effect, and may be tried again.
    NotDone {
        /// Why.
        why: String,
        /// The word of the agent's refusal, where it was one.
        refusal: Option<String>,
    },
    /// Nobody knows.
    Unknown {
        /// What would settle it.
        question: String,
    },
    /// It is being taken back.
    Undoing,
    /// It was taken back.
    Undone,
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepRecord {
    /// Where it stands.
    pub state: State,
    /// How often it was begun.
    pub attempt: u32,
    /// How often since a person last had it tried again.
    pub tries: u32,
    /// How often taking it back was begun.
    pub undo_attempt: u32,
    /// When it became the next one to take.
    pub due_at: Option<Timestamp>,
    /// When it last began.
    pub began_at: Option<Timestamp>,
    /// When its state last changed.
    pub changed_at: Option<Timestamp>,
    /// What its outcome rests on.
    pub evidence: Vec<Evidence>,
    /// The machine and boot in which it last began.
    pub machine: Option<Machine>,
    /// The exact command, where one was run.
    pub command: Vec<String>,
    /// Who ran it, or said how it ended.
    pub by: Option<String>,
    /// When people were told that it takes too long or needs them.
    pub asked_at: Option<Timestamp>,
    /// What they were told.
    pub asked: Option<String>,
}

/// One operation: the replay of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Names it for ever.
    pub id: String,
    /// What is wanted.
    pub wish: Wish,
    /// How.
    pub plan: Plan,
    /// What approvals bind.
    pub digest: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Where it stands.
    pub phase: Phase,
    /// The place of the step it is at.
    pub at: usize,
    /// What became of each step.
    pub steps: Vec<StepRecord>,
    /// What people said yes to.
    pub grants: Vec<Grant>,
    /// The licence it holds.
    pub permit: Option<Permit>,
    /// Who called it off, and why.
    pub cancelled: Option<Cancelled>,
    /// When its last event was written.
    pub changed_at: Timestamp,
    /// How many events it rests on.
    pub events: u64,
}

/// That an operation was called off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Nothing is taken back: a person goes on from where it is.
    pub abandon: bool,
}

/// An event that cannot follow those before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} cannot take the event {event}: {why}")]
pub struct IllegalEvent {
    operation: String,
    event: &'static str,
    why: String,
}

impl Operation {
    /// The operation that its first event makes.
    ///
    /// # Errors
    /// The event is not a request, or its plan has no steps.
    pub fn begin(id: &str, event: &Event, at: Timestamp) -> Result<Self, IllegalEvent> {
        let illegal =
            |why: &str| IllegalEvent { operation: id.to_owned(), event: event.word(), why: why.into() };
        let Event::Requested { wish, plan, digest } = event else {
            return Err(illegal("an operation begins with a request"));
        };
        if plan.steps.is_empty() {
            return Err(illegal("its plan has no steps"));
        }
        let mut steps = vec![StepRecord::default(); plan.steps.len()];
        if let Some(first) = steps.first_mut() {
            first.due_at = Some(at);
        }
        let let_go = wish.let_go.iter().flat_map(|task| {
            let codes = [Code::TaskProtected, Code::TaskChecker, Code::TaskService, Code::TaskPinned];
            codes.map(|code| Grant { code, task: Some(task.clone()), by: wish.by.clone(), at, digest: None })
        });
        Ok(Self {
            id: id.to_owned(),
            grants: let_go.collect(),
            wish: wish.clone(),
            plan: plan.clone(),
            digest: digest.clone(),
            requested_at: at,
            phase: Phase::Forward,
            at: 0,
            steps,
            permit: None,
            cancelled: None,
            changed_at: at,
            events: 1,
        })
    }

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
            Event::Began { step, attempt, machine, permit, command, by } => {
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
                if !self.cancelled.as_ref().is_some_and(|cancelled| cancelled.abandon) {
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

    /// The step it is at, with what became of it so far; `None` once all are done.
    pub fn current_step(&self) -> Option<(Step, &StepRecord)> {
        Some((*self.plan.steps.get(self.at)?, self.steps.get(self.at)?))
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// Whether something irreversible has happened or may have.
    pub fn is_past_no_return(&self) -> bool {
        self.plan.steps.iter().zip(&self.steps).any(|(step, record)| {
            step.is_irreversible()
                && match &record.state {
                    State::Committed { .. } | State::Done { .. } | State::Unknown { .. } => true,
                    // An agent's order is harmless until its nonce is sent back; a command may have run at once.
                    State::Begun => step.doer() != Doer::Agent,
                    _ => false,
                }
        })
    }

    /// Whether a step stands that a cancelled operation takes back.
    pub fn has_something_to_undo(&self) -> bool {
        self.to_undo().is_some()
    }

    /// The last step that stands and can be taken back. What was so before is left as it was.
    pub(crate) fn to_undo(&self) -> Option<usize> {
        let stands = |(step, record): &(&Step, &StepRecord)| {
            step.has_undo()
                && matches!(
                    record.state,
                    State::Done { was_so: false } | State::Begun | State::Unknown { .. } | State::Undoing
                )
        };
        self.plan.steps.iter().zip(&self.steps).collect::<Vec<_>>().iter().rposition(stands)
    }

    /// When the step last became done.
    pub fn done_at(&self, wanted: Step) -> Option<Timestamp> {
        let done = |(_, record): &(&Step, &StepRecord)| matches!(record.state, State::Done { .. });
        let steps = self.plan.steps.iter().zip(&self.steps);
        steps.filter(|(step, _)| **step == wanted).rfind(done).and_then(|(_, record)| record.changed_at)
    }

    /// How far it is, as far as other decisions are concerned (DESIGN section 1: out, draining).
    pub fn progress(&self) -> Progress {
        let lifted = self.done_at(Step::Uncordon).is_some();
        match &self.phase {
            Phase::Parked { .. } => Progress::Out,
            _ if lifted => Progress::Requested,
            _ if self.is_past_no_return() || self.permit.is_some() => match self.current_step() {
                Some((Step::Verify | Step::Puppet | Step::LiftHold | Step::Uncordon, _)) => {
                    Progress::Returning
                }
                _ => Progress::Out,
            },
            // Until then the drain that it ends still counts the node.
            _ if self.wish.action == crate::Action::Return && self.done_at(Step::LiftHold).is_some() => {
                Progress::Returning
            }
            _ if self.wish.action == crate::Action::Return => Progress::Requested,
            _ if self.to_undo().is_some() || self.done_at(Step::Cordon).is_some() => Progress::Draining,
            _ => Progress::Requested,
        }
    }

    /// What other decisions need to know of it; `None` once it is over.
    pub fn summary(&self, now: Timestamp) -> Option<fleet::Operation> {
        if self.is_over() {
            return None;
        }
        let emptied = self.done_at(Step::ProveEmpty);
        let is_late = emptied.is_some_and(|at| now.duration_since(at) > APPROVALS_LAST);
        let grants = self.grants.iter().filter(|grant| !(is_late && grant.code == Code::ApprovalMissing));
        Some(fleet::Operation {
            id: self.id.clone(),
            action: self.wish.action,
            nodes: [self.wish.node.clone()].into(),
            requester: self.wish.by.clone(),
            progress: self.progress(),
            since: self.since(),
            cordoned_at: self.done_at(Step::Cordon),
            announced_at: self.done_at(Step::Announce),
            is_silent_repair: self.wish.is_silent,
            is_parked: matches!(self.phase, Phase::Parked { .. }),
            grants: grants.cloned().collect(),
        })
    }

    /// Since when it is as far as it is: the irreversible step for one that is out, the request otherwise.
    fn since(&self) -> Timestamp {
        let out = self.plan.steps.iter().zip(&self.steps).filter(|(step, _)| step.is_irreversible());
        out.filter_map(|(_, record)| record.began_at).max().unwrap_or(self.requested_at)
    }
}

impl StepRecord {
    fn attempted(&mut self, attempt: u32) -> Result<(), String> {
        if attempt != self.attempt + 1 {
            return Err(format!("the next attempt is {}, not {attempt}", self.attempt + 1));
        }
        self.attempt = attempt;
        self.tries += 1;
        Ok(())
    }

    fn is_attempt(&self, attempt: u32) -> Result<(), String> {
        if attempt == self.attempt {
            Ok(())
        } else {
            Err(format!("the attempt is {}, not {attempt}", self.attempt))
        }
    }

    fn become_(&mut self, state: State, at: Timestamp) -> Result<(), String> {
        self.state = state;
        self.changed_at = Some(at);
        Ok(())
    }
}

impl State {
    /// The word in API and pages.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Begun => "begun",
            Self::Prepared { .. } => "prepared",
            Self::Committed { .. } => "committed",
            Self::Done { .. } => "done",
            Self::NotDone { .. } => "not_done",
            Self::Unknown { .. } => "unknown",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
        }
    }
}

impl Phase {
    /// The word in API and pages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Forward => "running",
            Self::Undoing => "undoing",
            Self::Stuck { .. } => "stuck",
            Self::Parked { .. } => "parked",
            Self::Ended { ending, .. } => ending.as_str(),
        }
    }
}
