//! A journal that counts what is written to it and has the coordinator die at a chosen write: before it, or right after.

use millwright_coordinator::store::journal::{Draft, Journal, JournalError, MemoryJournal, Read};
use millwright_decision::operation::Outcome;
use millwright_protocol::Fence;
use std::sync::{Arc, Mutex};

/// Where the coordinator dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Nothing is written any more.
    Before,
    /// It is written, and nothing comes of it.
    After,
}

/// What the world and the journal tell each other.
#[derive(Debug, Default)]
pub struct Writes {
    /// What each write was, as `stream-kind/event[/step]`.
    pub names: Vec<String>,
    /// The write at which to die.
    pub die_at: Option<(usize, Side)>,
    /// It is time.
    pub is_dead: bool,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct CountingJournal {
    pub inner: MemoryJournal,
    pub writes: Arc<Mutex<Writes>>,
}

impl Journal for CountingJournal {
    fn fence(&self) -> Fence {
        self.inner.fence()
    }

    fn read(&self) -> Result<Read, JournalError> {
        self.inner.read()
    }

    fn append(&self, after: u64, drafts: &[Draft]) -> Result<u64, JournalError> {
        let mut writes = self.writes.lock().unwrap();
        let number = writes.names.len();
        let dead =
            || JournalError::Failed { place: "in memory".to_owned(), why: "the process died".to_owned() };
        if writes.is_dead {
            return Err(dead());
        }
        let words: Vec<&str> = drafts.iter().map(|draft| draft.kind.as_str()).collect();
        writes.names.push(words.join("+"));
        if writes.die_at == Some((number, Side::Before)) {
            writes.is_dead = true;
            return Err(dead());
        }
        let written = self.inner.append(after, drafts);
        if writes.die_at == Some((number, Side::After)) {
            writes.is_dead = true;
        }
        written
    }
}

/// What goes wrong with an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// It says no.
    Refused,
    /// It says nothing, and nothing happened.
    Unanswered,
    /// It says nothing, and it happened.
    UnansweredButDone,
    /// It happens, and then once more.
    Twice,
}

impl Trick {
    /// What the coordinator hears instead of `outcome`.
    pub fn heard(self, outcome: Outcome) -> Outcome {
        match self {
            Self::Refused => Outcome::not_done("not now"),
            Self::Unanswered | Self::UnansweredButDone => Outcome::unknown("did it happen?"),
            Self::Twice => outcome,
        }
    }
}
