//! The one thread that writes.
//!
//! It takes whatever has queued up into one transaction. When that fails it keeps what it has, tells whoever waits for
//! a confirmation, and tries again each second; meanwhile the queue fills and what is offered on top is dropped.

use super::{
    AuditEntry, OpenError, Retention,
    notices::{self, NoticeRow},
    people,
};
use crate::{
    fleet::NodeRecord,
    people::{Digest, Session, Token},
    view::{Acknowledgement, BrakeView, OwnTrouble, Transition, VerdictChange},
};
use jiff::Timestamp;
use millwright_protocol::NodeName;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// So many writes may wait, each of up to a few hundred rows.
const QUEUE: usize = 1_024;
/// So many writes go into one transaction.
const BATCH: usize = 256;
/// How long a failed transaction waits before it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long somebody waits for a confirmation, and the end of the process for the queue.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why something is not on the disk, or could not be read from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use the store {path}: {why}; see that its disk has room and is healthy")]
pub struct StoreError {
    path: PathBuf,
    why: String,
}

impl StoreError {
    pub(super) fn new(path: &Path, why: &impl ToString) -> Self {
        Self { path: path.to_owned(), why: why.to_string() }
    }
}

type Reply = oneshot::Sender<Result<(), StoreError>>;

/// One thing to write.
pub(super) enum Write {
    Changes(Vec<Transition>),
    Nodes(Vec<NodeRecord>),
    Verdicts(Vec<VerdictChange>),
    Brakes(Vec<BrakeView>),
    /// With somebody who waits until it is on the disk, or with nobody.
    Word(Box<Word>, Option<Reply>),
    Prune(Timestamp),
}

/// What people said, and who they are.
pub(super) enum Word {
    Audit(AuditEntry),
    Acknowledgement(Acknowledgement),
    Forget(NodeName),
    Token(Token),
    TokenUse(Token),
    Session(Session),
    SessionUse(Session),
    EndSession(Digest),
    Notices(Vec<NoticeRow>),
}

/// The handle of the thread.
pub(super) struct Writer {
    queue: Mutex<Option<SyncSender<Write>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    health: Arc<Health>,
    path: PathBuf,
}

/// How the writing goes.
#[derive(Default)]
struct Health {
    trouble: Mutex<Option<(Timestamp, String)>>,
    dropped: AtomicU64,
    #[cfg(test)]
    most_pages: std::sync::atomic::AtomicU32,
}

impl Writer {
    pub fn start(connection: Connection, path: &Path, retention: Retention) -> Result<Self, OpenError> {
        let (queue, waiting) = sync_channel(QUEUE);
        let health = Arc::new(Health::default());
        let thread_health = health.clone();
        let thread_path = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || run(connection, &thread_path, retention, &waiting, &thread_health))
            .map_err(|source| OpenError::Unreachable { path: path.to_owned(), why: source.into() })?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
            health,
            path: path.to_owned(),
        })
    }

    /// Queues without waiting; tells whether there was room.
    pub fn offer(&self, write: Write) -> bool {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let taken = queue.is_some_and(|queue| queue.try_send(write).is_ok());
        if !taken {
            self.health.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Queues and waits until it is on the disk.
    pub async fn confirm(&self, word: Word) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        if !self.offer(Write::Word(Box::new(word), Some(reply))) {
            return Err(StoreError::new(&self.path, &"too much is waiting to be written"));
        }
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::new(&self.path, &"it has been closed")),
            Err(_) => Err(StoreError::new(&self.path, &"no confirmation within 3 s")),
        }
    }

    pub fn trouble(&self) -> Option<OwnTrouble> {
        let trouble = self.health.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, why) = trouble.as_ref()?;
        let dropped = self.health.dropped.load(Ordering::Relaxed);
        Some(OwnTrouble {
            what: "store".into(),
            sentence: format!(
                "the store {} cannot be written to: {why}; {dropped} writes have been dropped",
                self.path.display()
            ),
            since: *since,
        })
    }

    /// So large may the file grow; zero changes nothing.
    #[cfg(test)]
    pub fn limit(&self, pages: u32) {
        self.health.most_pages.store(pages, Ordering::Relaxed);
    }

    pub fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        if thread.is_finished() && thread.join().is_err() {
            log::error!("the store's writer died; what was queued is lost");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(
    mut connection: Connection,
    path: &Path,
    retention: Retention,
    waiting: &Receiver<Write>,
    health: &Health,
) {
    let mut batch: Vec<Write> = Vec::new();
    let mut is_open = true;
    while is_open || !batch.is_empty() {
        is_open = fill(&mut batch, waiting) && is_open;
        batch.retain(|write| !write.is_given_up());
        #[cfg(test)]
        limit(&connection, health);
        if batch.is_empty() {
            continue;
        }
        match write_all(&mut connection, &batch, retention) {
            Ok(()) => {
                answer(&mut batch, &Ok(()));
                batch.clear();
                note_health(health, path, None);
            }
            Err(source) => {
                let error = StoreError::new(path, &source);
                // Whoever waits is told now, and then it must not be written later.
                answer(&mut batch, &Err(error.clone()));
                batch.retain(|write| !write.is_confirmed());
                note_health(health, path, Some(error.why));
                if !is_open {
                    return;
                }
                std::thread::sleep(AGAIN);
            }
        }
    }
    // So that a copy of the one file is a whole copy.
    if let Err(why) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        log::debug!("the store's write-ahead log stays: {why}");
    }
}

/// How large the file may grow, in pages: lets a test make the disk full.
#[cfg(test)]
fn limit(connection: &Connection, health: &Health) {
    let pages = health.most_pages.load(Ordering::Relaxed);
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
}

/// Takes what waits, waiting itself only while it has nothing; `false` when nothing more can come.
fn fill(batch: &mut Vec<Write>, waiting: &Receiver<Write>) -> bool {
    if batch.is_empty() {
        match waiting.recv_timeout(Duration::from_secs(60)) {
            Ok(write) => batch.push(write),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    while batch.len() < BATCH {
        match waiting.try_recv() {
            Ok(write) => batch.push(write),
            Err(std::sync::mpsc::TryRecvError::Empty) => return true,
            Err(std::sync::mpsc::TryRecvError::Disconnected) => return false,
        }
    }
    true
}

impl Write {
    /// Whether somebody waited for it and has been told that it failed.
    fn is_given_up(&self) -> bool {
        matches!(self, Self::Word(_, Some(reply)) if reply.is_closed())
    }

    fn is_confirmed(&self) -> bool {
        matches!(self, Self::Word(_, Some(_)))
    }
}

fn answer(batch: &mut Vec<Write>, result: &Result<(), StoreError>) {
    let mut rest = Vec::with_capacity(batch.len());
    for write in batch.drain(..) {
        match write {
            // A caller that no longer waits has its answer: none.
            Write::Word(_, Some(reply)) => drop(reply.send(result.clone())),
            other => rest.push(other),
        }
    }
    *batch = rest;
}

fn note_health(health: &Health, path: &Path, trouble: Option<String>) {
    let mut known = health.trouble.lock().unwrap_or_else(PoisonError::into_inner);
    match (&*known, trouble) {
        (None, Some(why)) => {
            log::error!(
                "the store {} cannot be written to: {why}; it is tried again each second",
                path.display()
            );
            *known = Some((Timestamp::now(), why));
        }
        (Some((since, _)), Some(why)) => *known = Some((*since, why)),
        (Some(_), None) => {
            log::info!("the store {} can be written to again", path.display());
            *known = None;
            health.dropped.store(0, Ordering::Relaxed);
        }
        (None, None) => {}
    }
}

fn write_all(connection: &mut Connection, batch: &[Write], retention: Retention) -> rusqlite::Result<()> {
    // At once, since the journal is written by another connection: who finds out halfway is refused instead of waiting.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for write in batch {
        write_one(&transaction, write, retention)?;
    }
    transaction.commit()
}

fn write_one(transaction: &Transaction<'_>, write: &Write, retention: Retention) -> rusqlite::Result<()> {
    match write {
        Write::Changes(changes) => changes.iter().try_for_each(|change| write_change(transaction, change)),
        Write::Nodes(nodes) => nodes.iter().try_for_each(|node| write_node(transaction, node)),
        Write::Verdicts(verdicts) => {
            verdicts.iter().try_for_each(|verdict| write_verdict(transaction, verdict))
        }
        Write::Brakes(brakes) => {
            transaction.execute("DELETE FROM brake", [])?;
            let mut insert =
                transaction.prepare_cached("INSERT INTO brake (class, since, why) VALUES (?1, ?2, ?3)")?;
            brakes.iter().try_for_each(|brake| {
                insert
                    .execute(params![brake.class.as_str(), brake.since.as_millisecond(), brake.why])
                    .map(drop)
            })
        }
        Write::Word(word, _) => write_word(transaction, word),
        Write::Prune(now) => prune(transaction, *now, retention),
    }
}

fn write_word(transaction: &Transaction<'_>, word: &Word) -> rusqlite::Result<()> {
    match word {
        Word::Audit(entry) => write_audit(transaction, entry),
        Word::Acknowledgement(given) => transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO acknowledgement (finding, by_whom, at, until) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                given.finding,
                given.by,
                given.at.as_millisecond(),
                given.until.as_millisecond()
            ])
            .map(drop),
        Word::Forget(name) => {
            transaction.execute("DELETE FROM node WHERE name = ?1", [name.as_str()]).map(drop)
        }
        Word::Token(token) => people::write_token(transaction, token),
        Word::TokenUse(token) => people::write_token_use(transaction, token),
        Word::Session(session) => people::write_session(transaction, session),
        Word::SessionUse(session) => people::write_session_use(transaction, session),
        Word::EndSession(digest) => people::end_session(transaction, digest),
        Word::Notices(rows) => notices::write(transaction, rows),
    }
}

fn write_change(transaction: &Transaction<'_>, change: &Transition) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO change (at, node, spelled, what, from_word, to_word, gating, sentence)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            change.at.as_millisecond(),
            change.key,
            change.node,
            change.what,
            change.from,
            change.to,
            change.gating,
            change.sentence
        ])
        .map(drop)
}

pub(super) fn write_audit(connection: &Connection, entry: &AuditEntry) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO audit (at, by_whom, what, about, reason) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![entry.at.as_millisecond(), entry.by, entry.what, entry.about, entry.reason])
        .map(drop)
}

fn write_node(transaction: &Transaction<'_>, node: &NodeRecord) -> rusqlite::Result<()> {
    let record = serde_json::to_string(node)
        .map_err(|source| rusqlite::Error::ToSqlConversionFailure(source.into()))?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO node (name, record) VALUES (?1, ?2)")?
        .execute(params![node.node.as_str(), record])
        .map(drop)
}

fn write_verdict(transaction: &Transaction<'_>, change: &VerdictChange) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO verdict (at, node, spelled, action, verdict, may_start, codes, sentence)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            change.at.as_millisecond(),
            change.key,
            change.node,
            change.action,
            change.verdict,
            change.may_start,
            change.codes.join(" "),
            change.sentence
        ])
        .map(drop)
}

fn prune(transaction: &Transaction<'_>, now: Timestamp, retention: Retention) -> rusqlite::Result<()> {
    let before =
        |kept: jiff::SignedDuration| now.checked_sub(kept).unwrap_or(Timestamp::UNIX_EPOCH).as_millisecond();
    transaction.execute("DELETE FROM change WHERE at < ?1", [before(retention.changes)])?;
    // The last answer stays: it is still the answer, and since when.
    transaction.execute(
        "DELETE FROM verdict WHERE at < ?1 AND id NOT IN (SELECT MAX(id) FROM verdict GROUP BY node, action)",
        [before(retention.changes)],
    )?;
    transaction.execute("DELETE FROM audit WHERE at < ?1", [before(retention.audit)])?;
    people::prune(transaction, before(retention.audit), before(retention.sessions))?;
    transaction.execute("DELETE FROM acknowledgement WHERE until < ?1", [now.as_millisecond()]).map(drop)
}
