//! What people have been told and must still be told, as rows: what they mean is the business of the outbox.

use rusqlite::{Connection, Transaction, params};

/// One row, as it is or as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRow {
    /// Which kind of thing.
    pub kind: String,
    /// Names it among its kind.
    pub key: String,
    /// JSON; `None` for a row that goes.
    pub value: Option<String>,
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<NoticeRow>> {
    let mut statement = connection.prepare("SELECT kind, key, value FROM notice ORDER BY kind, key")?;
    let rows = statement.query_map([], |row| {
        Ok(NoticeRow { kind: row.get("kind")?, key: row.get("key")?, value: row.get("value")? })
    })?;
    rows.collect()
}

pub(super) fn write(transaction: &Transaction<'_>, rows: &[NoticeRow]) -> rusqlite::Result<()> {
    rows.iter().try_for_each(|row| match &row.value {
        Some(value) => transaction
            .prepare_cached("INSERT OR REPLACE INTO notice (kind, key, value) VALUES (?1, ?2, ?3)")?
            .execute(params![row.kind, row.key, value])
            .map(drop),
        None => transaction
            .prepare_cached("DELETE FROM notice WHERE kind = ?1 AND key = ?2")?
            .execute(params![row.kind, row.key])
            .map(drop),
    })
}
