//! What outlives the process, in one SQLite file: changes, last known states, acknowledgements, audit, refusals,
//! notices, and the journal of operations, which has a connection of its own.
//!
//! One thread writes, fed by a bounded queue; readers have a connection of their own and never wait for it. The fleet
//! view does not depend on the disk: while it is full, what can be made again is dropped, the writer tries again, and
//! [`Store::trouble`] says so. What a person said is confirmed only once it is on the disk.

pub mod backup;
mod incarnation;
pub mod journal;
mod migrate;
pub mod moving;
mod notices;
mod people;
pub mod raise;
mod read;
pub mod restore;
mod schema;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod write;

pub use incarnation::{Incarnation, Moved};
pub use notices::NoticeRow;
pub use schema::OpenError;
pub use write::StoreError;

use crate::{
    fleet::{NodeRecord, Remembered},
    people::{Digest, Session, Token},
    view::{Acknowledgement, OwnTrouble, Transition, VerdictChange},
};
use jiff::{SignedDuration, Timestamp};
use journal::SqliteJournal;
use millwright_protocol::NodeName;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use write::{Word, Write, Writer};

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Changes of findings and states, and the history of verdicts.
    pub changes: SignedDuration,
    /// What people did.
    pub audit: SignedDuration,
    /// Sessions of browsers, which end by themselves before.
    pub sessions: SignedDuration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        Self { changes: days(90), audit: days(730), sessions: days(7) }
    }
}

/// What a person did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What, as a word: `accept`, `forget`, `dead`, `acknowledge`, `reset_brake`, …
    pub what: String,
    /// About what: a node, a finding, a class.
    pub about: String,
    /// Why.
    pub reason: String,
}

/// The open store.
pub struct Store {
    path: PathBuf,
    incarnation: Incarnation,
    // Closed before the writer, which as the last one tidies up the write-ahead log.
    reader: Mutex<Connection>,
    writer: Writer,
}

impl Store {
    /// Opens the file, makes it when there is none, and reads what was known before.
    ///
    /// # Errors
    /// The file is damaged, is not ours, was written by a newer version, has gone to another host, or cannot be opened. Then nothing in it has
    /// been changed, and the error says what to do.
    pub fn open(path: &Path, retention: Retention) -> Result<(Self, Remembered), OpenError> {
        moving::refuse_if_moved(path, false)?;
        let connection = schema::open(path)?;
        let incarnation =
            incarnation::of(&connection).map_err(|source| OpenError::unreadable(path, source))?;
        let reader = schema::open_reader(path)?;
        let remembered = read::remembered(&reader).map_err(|source| OpenError::unreadable(path, source))?;
        let writer = Writer::start(connection, path, retention)?;
        let reader = Mutex::new(reader);
        Ok((Self { path: path.to_owned(), incarnation, writer, reader }, remembered))
    }

    /// Whether [`Store::open`] would refuse the file; nothing is changed. `is_in_use` when a coordinator has it open.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn check(path: &Path, is_in_use: bool) -> Result<(), OpenError> {
        moving::refuse_if_moved(path, is_in_use)?;
        schema::check(path, is_in_use)
    }

    /// Opens the journal in it, as a coordinator that takes over: whoever wrote to it before is fenced off from now on.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn journal(&self) -> Result<SqliteJournal, OpenError> {
        SqliteJournal::open(&self.path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which one it is.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Keeps changes. Never waits: when the queue is full they are dropped and counted.
    pub fn keep_changes(&self, changes: Vec<Transition>) {
        if !changes.is_empty() {
            self.writer.offer(Write::Changes(changes));
        }
    }

    /// Keeps last known states. Never waits; tells whether they were taken, so that they can be offered again.
    pub fn keep_nodes(&self, nodes: Vec<NodeRecord>) -> bool {
        nodes.is_empty() || self.writer.offer(Write::Nodes(nodes))
    }

    /// Keeps verdicts that are not what they were. Never waits.
    pub fn keep_verdicts(&self, verdicts: Vec<VerdictChange>) {
        if !verdicts.is_empty() {
            self.writer.offer(Write::Verdicts(verdicts));
        }
    }

    /// Keeps the brakes that are on. Never waits.
    pub fn keep_brakes(&self, brakes: Vec<crate::view::BrakeView>) {
        self.writer.offer(Write::Brakes(brakes));
    }

    /// Keeps what a person did, and returns once it is on the disk.
    ///
    /// # Errors
    /// It is not: the disk is full, broken, or too slow.
    pub async fn keep_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.writer.confirm(Word::Audit(entry)).await
    }

    /// Keeps what nobody waits for, such as that somebody signed in. Never waits.
    pub fn keep_audit_later(&self, entry: AuditEntry) {
        self.writer.offer(Write::Word(Box::new(Word::Audit(entry)), None));
    }

    /// Keeps an acknowledgement, and returns once it is on the disk.
    ///
    /// # Errors
    /// As [`Store::keep_audit`].
    pub async fn keep_acknowledgement(&self, given: Acknowledgement) -> Result<(), StoreError> {
        self.writer.confirm(Word::Acknowledgement(given)).await
    }

    /// Drops a node's last known state, and returns once it is gone. Its history stays.
    ///
    /// # Errors
    /// As [`Store::keep_audit`].
    pub async fn forget_node(&self, name: NodeName) -> Result<(), StoreError> {
        self.writer.confirm(Word::Forget(name)).await
    }

    /// Keeps a token, new or changed, and returns once it is on the disk.
    ///
    /// # Errors
    /// As [`Store::keep_audit`].
    pub async fn keep_token(&self, token: Token) -> Result<(), StoreError> {
        self.writer.confirm(Word::Token(token)).await
    }

    /// The same for one whose first try failed. Never waits.
    pub fn keep_token_later(&self, token: Token) {
        self.writer.offer(Write::Word(Box::new(Word::Token(token)), None));
    }

    /// Keeps when a token was used last, and nothing else of it: it may have been withdrawn meanwhile. Never waits.
    pub fn keep_token_use(&self, token: Token) {
        self.writer.offer(Write::Word(Box::new(Word::TokenUse(token)), None));
    }

    /// Keeps a new session. Never waits: one that is lost has somebody sign in again.
    pub fn keep_session(&self, session: Session) {
        self.writer.offer(Write::Word(Box::new(Word::Session(session)), None));
    }

    /// Keeps when a session was used last; one that has ended meanwhile stays so. Never waits.
    pub fn keep_session_use(&self, session: Session) {
        self.writer.offer(Write::Word(Box::new(Word::SessionUse(session)), None));
    }

    /// Drops sessions that are over. Never waits.
    pub fn end_sessions_later(&self, digests: Vec<Digest>) {
        for digest in digests {
            self.writer.offer(Write::Word(Box::new(Word::EndSession(digest)), None));
        }
    }

    /// Drops a session, and returns once it is gone.
    ///
    /// # Errors
    /// As [`Store::keep_audit`].
    pub async fn end_session(&self, digest: Digest) -> Result<(), StoreError> {
        self.writer.confirm(Word::EndSession(digest)).await
    }

    /// Keeps what people were told and must still be told, all of it or nothing, and returns once it is on the disk.
    ///
    /// # Errors
    /// As [`Store::keep_audit`].
    pub async fn keep_notices(&self, rows: Vec<NoticeRow>) -> Result<(), StoreError> {
        self.writer.confirm(Word::Notices(rows)).await
    }

    /// What people were told and must still be told.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn notices(&self) -> Result<Vec<NoticeRow>, StoreError> {
        self.read(notices::all)
    }

    /// Every token and every session.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn people(&self) -> Result<(Vec<Token>, Vec<Session>), StoreError> {
        self.read(|reader| Ok((people::tokens(reader)?, people::sessions(reader)?)))
    }

    /// Drops what is older than the retention. Never waits.
    pub fn prune(&self, now: Timestamp) {
        self.writer.offer(Write::Prune(now));
    }

    /// What is wrong with the disk, as long as it is.
    pub fn trouble(&self) -> Option<OwnTrouble> {
        self.writer.trouble()
    }

    /// Writes what is queued and stops the writer; returns after three seconds in any case.
    pub fn close(&self) {
        self.writer.close();
    }

    /// Changes of one node (canonical name; `None` for all), newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn history(&self, node: Option<&NodeName>, most: usize) -> Result<Vec<Transition>, StoreError> {
        self.read(|reader| read::history(reader, node, most))
    }

    /// What people did, newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn audit(&self, most: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|reader| read::audit(reader, most))
    }

    /// How verdicts about one node changed, newest first, so many of each action.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn verdicts(&self, node: &NodeName, most_each: usize) -> Result<Vec<VerdictChange>, StoreError> {
        self.read(|reader| read::verdicts(reader, node, most_each))
    }

    /// The latest verdict of each node and action, whenever that was.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last_verdicts(&self) -> Result<Vec<VerdictChange>, StoreError> {
        self.read(read::last_verdicts)
    }

    fn read<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        look(&reader).map_err(|source| StoreError::new(&self.path, &source))
    }
}
