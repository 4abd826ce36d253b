//! A journal that counts what is written to it and has the coordinator die at a chosen write: before it, or right after.

use jiff::Timestamp;
use millwright_coordinator::store::journal::{Draft, Journal, JournalError, MemoryJournal, Read};
use millwright_decision::operation::{Event, Outcome, PLAN_VERSION};
use millwright_protocol::Fence;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

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
    /// There is no room on the disk.
    pub is_full: bool,
    /// As whom the newest coordinator writes.
    pub newest: Fence,
    /// An older one has written all the same.
    pub written_by_old: Option<String>,
    /// What operations were said to have begun, by operation: position, time and event.
    pub record: BTreeMap<String, Vec<(u64, Timestamp, Event)>>,
    /// All entries up to this one are in `record`.
    noted: u64,
    /// What was planned so far comes from the version before this one.
    pub is_upgraded: bool,
    planned_before: u64,
    /// Entries that the disk has changed, and whose they are.
    damaged: BTreeSet<u64>,
    pub damaged_streams: BTreeSet<String>,
}

impl Writes {
    /// The disk changes an entry.
    pub fn damage(&mut self, stream: String, position: u64) {
        self.damaged.insert(position);
        self.damaged_streams.insert(stream);
    }

    /// An older copy is in the place of the store.
    pub fn put_back(&mut self, last: u64) {
        self.damaged.retain(|position| *position <= last);
        for story in self.record.values_mut() {
            story.retain(|(position, ..)| *position <= last);
        }
        self.noted = self.noted.min(last);
        self.planned_before = self.planned_before.min(last);
    }

    fn note(&mut self, position: u64, draft: &Draft) {
        if matches!(
            draft.kind.as_str(),
            "requested" | "began" | "committed" | "undo_began" | "granted" | "cancelled"
        ) && let Ok(event) = serde_json::from_str(&draft.payload)
        {
            self.record.entry(draft.stream.clone()).or_default().push((position, draft.at, event));
        }
    }
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
        let mut read = self.inner.read()?;
        let mut writes = self.writes.lock().unwrap();
        if std::mem::take(&mut writes.is_upgraded) {
            writes.planned_before = read.last;
        }
        for entry in &mut read.entries {
            // What a write left unknown is known now.
            if entry.position > writes.noted {
                writes.note(entry.position, &entry.draft);
            }
            if writes.damaged.contains(&entry.position) {
                entry.draft.payload = "{\"event\":\"?\"}".to_owned();
            } else if entry.position <= writes.planned_before && entry.draft.kind == "requested" {
                let (ours, before) = (format!("\"version\":{PLAN_VERSION}"), "\"version\":0");
                entry.draft.payload = entry.draft.payload.replace(&ours, before);
            }
        }
        writes.noted = read.last;
        Ok(read)
    }

    fn append(&self, after: u64, drafts: &[Draft]) -> Result<u64, JournalError> {
        let mut writes = self.writes.lock().unwrap();
        let number = writes.names.len();
        let dead =
            || JournalError::Failed { place: "in memory".to_owned(), why: "the process died".to_owned() };
        if writes.is_dead {
            return Err(dead());
        }
        if writes.is_full {
            let why = "No space left on device".to_owned();
            return Err(JournalError::Failed { place: "in memory".to_owned(), why });
        }
        let words: Vec<&str> = drafts.iter().map(|draft| draft.kind.as_str()).collect();
        writes.names.push(words.join("+"));
        if writes.die_at == Some((number, Side::Before)) {
            writes.is_dead = true;
            return Err(dead());
        }
        let written = self.inner.append(after, drafts);
        if let Ok(last) = &written {
            let first = last + 1 - drafts.len() as u64;
            // Whoever finds a gap reads before it goes on.
            if first == writes.noted + 1 {
                drafts.iter().zip(first..).for_each(|(draft, position)| writes.note(position, draft));
                writes.noted = *last;
            }
            if self.inner.fence() < writes.newest {
                let (ours, newest) = (self.inner.fence(), writes.newest);
                writes.written_by_old = Some(format!("{ours:?} wrote after {newest:?} had taken over"));
            }
        }
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
