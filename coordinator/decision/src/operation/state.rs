//! Where an operation and each of its steps stand.

use super::{Ending, Machine};
use crate::{Evidence, fleet::Move};
use jiff::Timestamp;

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
    /// What schedulers were last to take away, where they were.
    pub moves: Vec<Move>,
    /// Who ran it, or said how it ended.
    pub by: Option<String>,
    /// When people were told that it takes too long or needs them.
    pub asked_at: Option<Timestamp>,
    /// What they were told.
    pub asked: Option<String>,
}

impl StepRecord {
    pub(super) fn attempted(&mut self, attempt: u32) -> Result<(), String> {
        if attempt != self.attempt + 1 {
            return Err(format!("the next attempt is {}, not {attempt}", self.attempt + 1));
        }
        self.attempt = attempt;
        self.tries += 1;
        Ok(())
    }

    pub(super) fn is_attempt(&self, attempt: u32) -> Result<(), String> {
        if attempt == self.attempt {
            Ok(())
        } else {
            Err(format!("the attempt is {}, not {attempt}", self.attempt))
        }
    }

    pub(super) fn become_(&mut self, state: State, at: Timestamp) -> Result<(), String> {
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
