//! Which store this is: the cluster's, for ever, and how often a person has put a copy in its place.

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

/// Which store this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incarnation {
    /// Made with the first store of a cluster and in every copy of it. Agents may pin it.
    pub cluster: Uuid,
    /// 1 for the first; raised only by a person. Orders of another generation are not accepted.
    pub generation: u64,
}

const CLUSTER: &str = "cluster";
const GENERATION: &str = "generation";

/// Gives a store that has none its identity, and reads it.
pub(super) fn of(connection: &Connection) -> rusqlite::Result<Incarnation> {
    keep(connection, CLUSTER, &Uuid::new_v4().to_string())?;
    keep(connection, GENERATION, "1")?;
    Ok(Incarnation { cluster: value(connection, CLUSTER)?, generation: value(connection, GENERATION)? })
}

/// Keeps a value where there is none yet.
fn keep(connection: &Connection, key: &str, first: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)", [key, first]).map(drop)
}

fn value<T>(connection: &Connection, key: &str) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: Option<String> =
        connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    text.unwrap_or_default().parse().map_err(|why: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, why.into())
    })
}
