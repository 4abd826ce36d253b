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

mod alarms;
mod effect;
mod event;
mod executor;
mod ledger;
mod moves;
mod next;
mod plan;
mod state;
mod steps;
mod table;
#[cfg(test)]
mod tests;

pub use alarms::{is_rogers, mark};
pub use effect::Effect;
pub use event::{Ending, Event, Executor, Machine, Outcome, Permit, Wish};
pub use executor::{Executors, NAMES, NoCommand, names_in};
pub use ledger::{Remain, evidence as ledger_evidence, remains};
pub use next::{Next, Situation, Waiting, begin_by_hand, next};
pub use plan::{Doer, PLAN_VERSION, Plan, Step};
pub use state::{Phase, State, StepRecord};

use crate::{
    Code, Policy, Reason, Snapshot,
    fleet::{self, Grant, Progress},
};
use jiff::{SignedDuration, Timestamp};

/// What keeps every operation from doing anything, whatever its step; `None` while nothing does.
pub fn frozen(snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Option<Reason> {
    crate::rules::start::frozen(snapshot, policy, now)
}

/// Approvals hold until so long after the node was proven empty (DESIGN section 4).
const APPROVALS_LAST: SignedDuration = SignedDuration::from_hours(24);

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
            let codes = [
                Code::TaskProtected,
                Code::TaskChecker,
                Code::TaskService,
                Code::TaskPinned,
                Code::OwnerObjects,
            ];
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
                && (**step == Step::Cordon || alarms::before(record).is_some())
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
