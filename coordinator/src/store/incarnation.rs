//! Which store this is: the cluster's, for ever; how often a person has put a copy in its place; and whether it has gone
//! to another host.
//!
//! Two coordinators must never have the same generation. So a store that goes elsewhere is marked before it is copied:
//! neither it nor any copy of it is used until a person puts one in force, and that raises the generation.

use jiff::Timestamp;
use millwright_protocol::Fence;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// Which store this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incarnation {
    /// Made with the first store of a cluster and in every copy of it. Agents may pin it.
    pub cluster: Uuid,
    /// 1 for the first; raised only by a person. Orders of another generation are not accepted.
    pub generation: u64,
}

/// Where a store has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// To which host, as the person spelled it.
    pub to: String,
    /// When.
    pub at: Timestamp,
}

const CLUSTER: &str = "cluster";
const GENERATION: &str = "generation";
const EPOCH: &str = "epoch";
const SETTLED: &str = "settled";
const MOVED_TO: &str = "moved_to";
const MOVED_AT: &str = "moved_at";
/// The version of the tables that has them; older ones know none of this.
pub(super) const SINCE_VERSION: usize = 2;

/// Gives a store that has none its identity, and reads it.
pub(super) fn of(connection: &Connection) -> rusqlite::Result<Incarnation> {
    keep(connection, CLUSTER, &Uuid::new_v4().to_string())?;
    keep(connection, GENERATION, "1")?;
    let absent = rusqlite::Error::QueryReturnedNoRows;
    read(connection)?.ok_or(absent)
}

/// Reads it; `None` where there is none, as in a store of the first version.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Incarnation>> {
    let (cluster, generation) = (value(connection, CLUSTER)?, value(connection, GENERATION)?);
    Ok(cluster.zip(generation).map(|(cluster, generation)| Incarnation { cluster, generation }))
}

/// Who may write to the journal, as the store knows it; epoch 0 where nobody has begun.
pub(super) fn fence(connection: &Connection) -> rusqlite::Result<Fence> {
    let absent = rusqlite::Error::QueryReturnedNoRows;
    let generation = read(connection)?.ok_or(absent)?.generation;
    Ok(Fence { generation, epoch: value(connection, EPOCH)?.unwrap_or_default() })
}

/// A coordinator begins to write: whoever did before may not any longer.
pub(super) fn take_over(connection: &Connection) -> rusqlite::Result<Fence> {
    let before = fence(connection)?;
    let ours = Fence { epoch: before.epoch.saturating_add(1), ..before };
    set(connection, EPOCH, &ours.epoch.to_string())?;
    Ok(ours)
}

/// Writes what differs from what is there, and nothing else.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<()> {
    let before: Option<u64> = value(connection, SETTLED)?;
    set(connection, SETTLED, &before.unwrap_or_default().saturating_add(1).to_string())
}

/// Where the store has gone, if it has.
pub(super) fn moved(connection: &Connection) -> rusqlite::Result<Option<Moved>> {
    let (to, at) = (value(connection, MOVED_TO)?, value(connection, MOVED_AT)?);
    Ok(to.map(|to| Moved { to, at: at.unwrap_or(Timestamp::UNIX_EPOCH) }))
}

/// Marks a store as gone.
pub(super) fn mark(connection: &Connection, moved: &Moved) -> rusqlite::Result<()> {
    set(connection, MOVED_AT, &moved.at.to_string())?;
    set(connection, MOVED_TO, &moved.to)
}

/// It is here after all.
pub(super) fn unmark(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM meta WHERE key IN (?1, ?2)", [MOVED_TO, MOVED_AT]).map(drop)
}

/// Gives a store this identity.
pub(super) fn rename_to(connection: &Connection, identity: Incarnation) -> rusqlite::Result<()> {
    set(connection, CLUSTER, &identity.cluster.to_string())?;
    set(connection, GENERATION, &identity.generation.to_string())
}

/// Keeps a value where there is none yet.
fn keep(connection: &Connection, key: &str, first: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)", [key, first]).map(drop)
}

fn set(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])
        .map(drop)
}

fn value<T>(connection: &Connection, key: &str) -> rusqlite::Result<Option<T>>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    if !connection.table_exists(None, "meta")? {
        return Ok(None);
    }
    let text: Option<String> =
        connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    text.map(|text| text.parse()).transpose().map_err(|why: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, why.into())
    })
}
