//! The journal: the append-only record of what operations and people did. The state of an operation is its replay.
//!
//! Entries are numbered densely over the whole journal (`position`) and within their stream (`number`), chained by
//! digests, and on the disk before [`Journal::append`] returns. Every append says which coordinator writes ([`Fence`])
//! and after which position, so that of two coordinators that both believe to be the one only one can write.

mod chain;
mod memory;
mod sqlite;
#[cfg(test)]
mod tests;
mod verify;

pub use chain::{Damage, Place, Verified};
pub use memory::{Failure, MemoryJournal};
pub use sqlite::SqliteJournal;
pub use verify::verify;

use jiff::Timestamp;
use millwright_protocol::Fence;

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whose story: an operation's id, or `fleet` for what is about no operation.
    pub stream: String,
    /// Counts within the stream, from 1.
    pub number: u64,
    /// When, by the coordinator's clock; kept in whole milliseconds.
    pub at: Timestamp,
    /// The word of what happened, for people who read the file.
    pub kind: String,
    /// What happened, as JSON.
    pub payload: String,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counts over the whole journal, from 1.
    pub position: u64,
    /// Who wrote it.
    pub fence: Fence,
    /// What was given.
    pub draft: Draft,
    /// SHA-256, in hex, over the entry before this one's digest and everything above.
    pub digest: String,
}

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// Whole entries in the order of their positions; none of a stream after a gap or a damaged entry of it.
    pub entries: Vec<Entry>,
    /// Streams that cannot be gone on with, and why: one sentence each. The others can.
    pub broken: Vec<(String, String)>,
    /// The position of the last entry, 0 where there is none.
    pub last: u64,
}

/// Why nothing was written, or could not be read. An append is whole or has no effect, but for [`JournalError::Unknown`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another coordinator writes to this store now.
    #[error(
        "write to the journal as generation {} epoch {}: another coordinator has taken over with generation {} epoch {}; \
         this one must stop", ours.generation, ours.epoch, found.generation, found.epoch
    )]
    Fenced {
        /// As whom it was tried.
        ours: Fence,
        /// Who writes.
        found: Fence,
    },
    /// Something was written in between.
    #[error("write to the journal after position {expected}: it ends at {found}")]
    Conflict {
        /// Where it was thought to end.
        expected: u64,
        /// Where it ends.
        found: u64,
    },
    /// A number of a stream is not the next one.
    #[error("write number {given} of {stream} to the journal: the next is {next}")]
    Gap {
        /// Which stream.
        stream: String,
        /// What was given.
        given: u64,
        /// What comes next.
        next: u64,
    },
    /// The disk refused; nothing was written.
    #[error("use the journal {place}: {why}; see that its disk has room and is healthy")]
    Failed {
        /// The file.
        place: String,
        /// What was found.
        why: String,
    },
    /// The disk did not say whether it was written. Only reading again can tell.
    #[error(
        "write to the journal {place}: {why}; whether it was written is not known until it is read again"
    )]
    Unknown {
        /// The file.
        place: String,
        /// What was found.
        why: String,
    },
}

/// Where operations are recorded. Calls wait for the disk.
pub trait Journal: Send + Sync {
    /// As whom this journal was opened.
    fn fence(&self) -> Fence;

    /// Everything, checked.
    ///
    /// # Errors
    /// The file cannot be read at all; what is damaged within is told in [`Read::broken`].
    fn read(&self) -> Result<Read, JournalError>;

    /// Writes all of `drafts` after `after`, or none, and returns the new last position once they are on the disk.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn append(&self, after: u64, drafts: &[Draft]) -> Result<u64, JournalError>;
}
