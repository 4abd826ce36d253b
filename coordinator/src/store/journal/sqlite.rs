//! The journal in the store's file, through a connection of its own.
//!
//! Whatever decides whether something may be written is compared in the transaction that writes it; the write is on
//! the disk before the call returns.

use super::{
    Draft, Entry, Journal, JournalError, Read,
    chain::{Check, End, Verified, digest},
};
use crate::store::{OpenError, incarnation, schema};
use jiff::Timestamp;
use millwright_protocol::Fence;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The journal of the coordinator that opened it last; every other's appends are fenced off.
pub struct SqliteJournal {
    path: PathBuf,
    fence: Fence,
    state: Mutex<State>,
}

struct State {
    connection: Connection,
    /// A commit failed halfway. What it left in the write-ahead log could come back with the next start, until something
    /// is written in its place; before that, reading proves nothing.
    is_unsettled: bool,
}

impl SqliteJournal {
    /// Opens the journal of a store that [`crate::store::Store::open`] has opened, and takes it over: the epoch is raised
    /// on the disk before this returns.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let unreadable = |source| OpenError::unreadable(path, source);
        let mut connection = schema::open_another(path)?;
        let fence = take_over(&mut connection).map_err(unreadable)?;
        let state = Mutex::new(State { connection, is_unsettled: false });
        Ok(Self { path: path.to_owned(), fence, state })
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, JournalError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_unsettled {
            incarnation::settle(&state.connection).map_err(|source| self.failed(&source))?;
            state.is_unsettled = false;
        }
        Ok(state)
    }

    fn failed(&self, why: &impl ToString) -> JournalError {
        JournalError::Failed { place: self.path.display().to_string(), why: why.to_string() }
    }

    fn write(
        &self,
        transaction: &Transaction<'_>,
        after: u64,
        drafts: &[Draft],
    ) -> Result<u64, JournalError> {
        let failed = |source: rusqlite::Error| self.failed(&source);
        let found = incarnation::fence(transaction).map_err(failed)?;
        if found != self.fence {
            return Err(JournalError::Fenced { ours: self.fence, found });
        }
        let last = last(transaction).map_err(failed)?;
        if last != after {
            return Err(JournalError::Conflict { expected: after, found: last });
        }
        let previous = digest_at(transaction, last).map_err(failed)?;
        let mut previous = previous.ok_or_else(|| {
            self.failed(&format!("position {last} is missing, and what comes after it cannot be written"))
        })?;
        let mut position = last;
        for draft in drafts {
            let next = next_of(transaction, &draft.stream).map_err(failed)?;
            if draft.number != next {
                return Err(JournalError::Gap { stream: draft.stream.clone(), given: draft.number, next });
            }
            position = position.saturating_add(1);
            previous = digest(&previous, position, self.fence, draft);
            insert(transaction, position, self.fence, draft, &previous).map_err(failed)?;
        }
        Ok(position)
    }

    #[cfg(test)]
    pub(super) fn connection<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(&self.state.lock().unwrap().connection)
    }

    /// As after a commit that failed halfway.
    #[cfg(test)]
    pub(super) fn unsettle(&self) {
        self.state.lock().unwrap().is_unsettled = true;
    }
}

impl Journal for SqliteJournal {
    fn fence(&self) -> Fence {
        self.fence
    }

    fn read(&self) -> Result<Read, JournalError> {
        let state = self.state()?;
        check(&state.connection).map(|(read, _)| read).map_err(|source| self.failed(&source))
    }

    fn append(&self, after: u64, drafts: &[Draft]) -> Result<u64, JournalError> {
        let mut state = self.state()?;
        let State { connection, is_unsettled } = &mut *state;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|source| self.failed(&source))?;
        let last = self.write(&transaction, after, drafts)?;
        match transaction.commit() {
            Ok(()) => Ok(last),
            Err(source) if source.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                Err(self.failed(&source))
            }
            Err(source) => {
                *is_unsettled = true;
                let place = self.path.display().to_string();
                Err(JournalError::Unknown { place, why: source.to_string() })
            }
        }
    }
}

/// Reads and checks the journal of a store; an older version's store has none.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<(Read, Verified)> {
    if !connection.table_exists(None, "journal")? {
        return Ok((Read::default(), Verified::default()));
    }
    // Both questions are about one moment.
    let transaction = connection.unchecked_transaction()?;
    let mut check = Check::new(true);
    let mut statement = transaction.prepare("SELECT * FROM journal ORDER BY position")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        check.take(entry(row));
    }
    Ok(check.finish(&ends(&transaction)?))
}

fn take_over(connection: &mut Connection) -> rusqlite::Result<Fence> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let fence = incarnation::take_over(&transaction)?;
    transaction.commit()?;
    Ok(fence)
}

fn insert(
    transaction: &Transaction<'_>,
    position: u64,
    fence: Fence,
    draft: &Draft,
    digest: &str,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO journal (position, generation, epoch, stream, number, at, kind, payload, digest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            stored(position),
            stored(fence.generation),
            stored(fence.epoch),
            draft.stream,
            stored(draft.number),
            draft.at.as_millisecond(),
            draft.kind,
            draft.payload,
            digest
        ])?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO journal_stream (stream, number, position) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![draft.stream, stored(draft.number), stored(position)])
        .map(drop)
}

/// Where the journal ends, also when the last entries are lost.
fn last(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT MAX(COALESCE((SELECT MAX(position) FROM journal), 0),
                        COALESCE((SELECT MAX(position) FROM journal_stream), 0))",
        )?
        .query_row([], |row| row.get(0).map(counted))
}

/// The digest at a position; nothing stands before the first one.
fn digest_at(connection: &Connection, position: u64) -> rusqlite::Result<Option<String>> {
    if position == 0 {
        return Ok(Some(String::new()));
    }
    let mut statement = connection.prepare_cached("SELECT digest FROM journal WHERE position = ?1")?;
    statement.query_row([stored(position)], |row| row.get(0)).optional()
}

fn next_of(connection: &Connection, stream: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT number FROM journal_stream WHERE stream = ?1")?;
    let number = statement.query_row([stream], |row| row.get(0).map(counted)).optional()?;
    Ok(number.unwrap_or_default().saturating_add(1))
}

fn ends(connection: &Connection) -> rusqlite::Result<BTreeMap<String, End>> {
    let mut statement = connection.prepare("SELECT stream, number, position FROM journal_stream")?;
    let rows = statement.query_map([], |row| {
        Ok((text(row, "stream"), End { number: count(row, "number"), position: count(row, "position") }))
    })?;
    rows.collect()
}

/// What cannot be read as what it should be becomes something else, and then does not fit its digest.
fn entry(row: &Row<'_>) -> Entry {
    let at = Timestamp::from_millisecond(row.get("at").unwrap_or_default());
    Entry {
        position: count(row, "position"),
        fence: Fence { generation: count(row, "generation"), epoch: count(row, "epoch") },
        draft: Draft {
            stream: text(row, "stream"),
            number: count(row, "number"),
            at: at.unwrap_or(Timestamp::UNIX_EPOCH),
            kind: text(row, "kind"),
            payload: text(row, "payload"),
        },
        digest: text(row, "digest"),
    }
}

fn count(row: &Row<'_>, column: &str) -> u64 {
    row.get(column).map(counted).unwrap_or_default()
}

/// SQLite's numbers have a sign. Ours count from 1, and none comes near the end.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn counted(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn text(row: &Row<'_>, column: &str) -> String {
    let bytes = row.get_ref(column).ok().and_then(|value| value.as_bytes().ok());
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}
