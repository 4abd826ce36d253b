//! The journal in memory, with every check of the one on a disk, and with the disk's faults as data: for tests and for
//! simulations.

use super::{
    Draft, Entry, Journal, JournalError, Read,
    chain::{Check, End, digest, whole_milliseconds},
};
use millwright_protocol::Fence;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

const PLACE: &str = "in memory";

/// How an append fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Before anything is written, and it is told so.
    NotWritten,
    /// It is written, and nobody is told.
    UnknownWritten,
    /// It is not written, and nobody is told.
    UnknownNotWritten,
}

impl Failure {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::NotWritten, Self::UnknownWritten, Self::UnknownNotWritten];
}

/// One coordinator's hold on a journal. A clone is the same coordinator.
#[derive(Debug, Clone)]
pub struct MemoryJournal {
    fence: Fence,
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug)]
struct Disk {
    fence: Fence,
    entries: Vec<Entry>,
    ends: BTreeMap<String, End>,
    /// So many entries outlive a crash.
    synced: usize,
    /// What becomes of the next appends.
    failures: VecDeque<Failure>,
    with_digests: bool,
    loses_syncs: bool,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new(true)
    }
}

impl MemoryJournal {
    /// An empty journal, opened by the first coordinator. `with_digests` off is for speed: then digests are empty and not
    /// checked.
    pub fn new(with_digests: bool) -> Self {
        let fence = Fence { generation: 1, epoch: 1 };
        let disk = Disk {
            fence,
            entries: Vec::new(),
            ends: BTreeMap::new(),
            synced: 0,
            failures: VecDeque::new(),
            with_digests,
            loses_syncs: false,
        };
        Self { fence, disk: Arc::new(Mutex::new(disk)) }
    }

    /// As a new coordinator on the same disk: the epoch is raised, and this handle is fenced off from now on.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let mut disk = self.disk();
        disk.fence.epoch += 1;
        Self { fence: disk.fence, disk: Arc::clone(&self.disk) }
    }

    /// The next append that is not refused fails so; called more than once, one append after the other.
    pub fn fail_next(&self, failure: Failure) {
        self.disk().failures.push_back(failure);
    }

    /// Whether appends are acknowledged that a crash loses: a disk that lies, or a sync that was left out.
    pub fn lose_syncs(&self, loses_syncs: bool) {
        self.disk().loses_syncs = loses_syncs;
    }

    /// The power goes: what is not on the disk is lost, and so are failures that were to come.
    pub fn crash(&self) {
        let mut disk = self.disk();
        let synced = disk.synced;
        disk.truncate(synced);
        disk.failures.clear();
    }

    /// Puts the copy of an earlier moment in its place, which ended at `last` and knows no later epoch; for a coordinator
    /// that opens it then. Its generation is raised only if a person does so.
    pub fn put_back(&self, last: u64, raise_generation: bool) {
        let mut disk = self.disk();
        let highest = disk.fence.generation;
        disk.truncate(usize::try_from(last).unwrap_or(usize::MAX));
        let epoch_before = Fence { generation: 1, epoch: 0 };
        disk.fence = disk.entries.last().map_or(epoch_before, |entry| entry.fence);
        if raise_generation {
            disk.fence.generation = highest + 1;
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn fence(&self) -> Fence {
        self.fence
    }

    fn read(&self) -> Result<Read, JournalError> {
        let disk = self.disk();
        let mut check = Check::new(disk.with_digests);
        for entry in &disk.entries {
            check.take(entry.clone());
        }
        Ok(check.finish(&disk.ends).0)
    }

    fn append(&self, after: u64, drafts: &[Draft]) -> Result<u64, JournalError> {
        let mut disk = self.disk();
        disk.may_write(self.fence, after, drafts)?;
        let failure = disk.failures.pop_front();
        if matches!(failure, None | Some(Failure::UnknownWritten)) {
            drafts.iter().for_each(|draft| disk.write(draft));
        }
        if !disk.loses_syncs {
            disk.synced = disk.entries.len();
        }
        let (place, why) = (PLACE.to_owned(), "a fault that was asked for".to_owned());
        match failure {
            None => Ok(disk.last()),
            Some(Failure::NotWritten) => Err(JournalError::Failed { place, why }),
            Some(_) => Err(JournalError::Unknown { place, why }),
        }
    }
}

impl Disk {
    fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    fn may_write(&self, ours: Fence, after: u64, drafts: &[Draft]) -> Result<(), JournalError> {
        if self.fence != ours {
            return Err(JournalError::Fenced { ours, found: self.fence });
        }
        if self.last() != after {
            return Err(JournalError::Conflict { expected: after, found: self.last() });
        }
        let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
        for draft in drafts {
            let end = || self.ends.get(&draft.stream).map_or(0, |end| end.number);
            let number = numbers.entry(&draft.stream).or_insert_with(end);
            *number += 1;
            if draft.number != *number {
                let (stream, given) = (draft.stream.clone(), draft.number);
                return Err(JournalError::Gap { stream, given, next: *number });
            }
        }
        Ok(())
    }

    fn write(&mut self, draft: &Draft) {
        let (position, fence) = (self.last() + 1, self.fence);
        let draft = Draft { at: whole_milliseconds(draft.at), ..draft.clone() };
        let previous = self.entries.last().map_or("", |entry| &entry.digest);
        let digest =
            if self.with_digests { digest(previous, position, fence, &draft) } else { String::new() };
        self.ends.insert(draft.stream.clone(), End { number: draft.number, position });
        self.entries.push(Entry { position, fence, draft, digest });
    }

    fn truncate(&mut self, length: usize) {
        self.entries.truncate(length);
        self.synced = self.synced.min(self.entries.len());
        let ends = self.entries.iter().map(|entry| {
            (entry.draft.stream.clone(), End { number: entry.draft.number, position: entry.position })
        });
        self.ends = ends.collect();
    }
}
