//! Tokens and sessions on the disk: by their digests, never by their secrets.

use super::read::moment;
use crate::people::{Digest, Revoked, Rights, Session, Token, Used};
use rusqlite::{Connection, Row, Transaction, params};

/// Every token; one that this version cannot read is left out and logged, and lets nobody in.
pub(super) fn tokens(connection: &Connection) -> rusqlite::Result<Vec<Token>> {
    let mut statement = connection.prepare(
        "SELECT id, digest, person, label, rights, made_at, made_by, expires_at, revoked_at, revoked_by, used_at, used_from
         FROM token",
    )?;
    let mut rows = statement.query([])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        let words: String = row.get("rights")?;
        match Rights::of_words(words.split_whitespace()) {
            Ok(rights) => tokens.push(token(row, rights)?),
            Err(why) => {
                let id: String = row.get("id")?;
                log::warn!("the token {id} cannot be read ({why}) and lets nobody in");
            }
        }
    }
    Ok(tokens)
}

fn token(row: &Row<'_>, rights: Rights) -> rusqlite::Result<Token> {
    let revoked_by: Option<String> = row.get("revoked_by")?;
    let used_from: Option<String> = row.get("used_from")?;
    Ok(Token {
        id: row.get("id")?,
        digest: Digest(row.get("digest")?),
        person: row.get("person")?,
        label: row.get("label")?,
        rights,
        made_at: moment(row, "made_at")?,
        made_by: row.get("made_by")?,
        expires_at: moment(row, "expires_at")?,
        revoked: match revoked_by {
            Some(by) => Some(Revoked { at: moment(row, "revoked_at")?, by }),
            None => None,
        },
        used: match used_from {
            Some(from) => Some(Used { at: moment(row, "used_at")?, from }),
            None => None,
        },
    })
}

/// Every session.
pub(super) fn sessions(connection: &Connection) -> rusqlite::Result<Vec<Session>> {
    let mut statement = connection.prepare("SELECT digest, token, begun_at, seen_at FROM session")?;
    let rows = statement.query_map([], |row| {
        Ok(Session {
            digest: Digest(row.get("digest")?),
            token: row.get("token")?,
            begun_at: moment(row, "begun_at")?,
            seen_at: moment(row, "seen_at")?,
        })
    })?;
    rows.collect()
}

pub(super) fn write_token(transaction: &Transaction<'_>, token: &Token) -> rusqlite::Result<()> {
    let (revoked, used) = (token.revoked.as_ref(), token.used.as_ref());
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO token (id, digest, person, label, rights, made_at, made_by, expires_at,
             revoked_at, revoked_by, used_at, used_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            token.id,
            token.digest.0,
            token.person,
            token.label,
            token.rights.words().join(" "),
            token.made_at.as_millisecond(),
            token.made_by,
            token.expires_at.as_millisecond(),
            revoked.map(|revoked| revoked.at.as_millisecond()),
            revoked.map(|revoked| revoked.by.as_str()),
            used.map(|used| used.at.as_millisecond()),
            used.map(|used| used.from.as_str()),
        ])
        .map(drop)
}

pub(super) fn write_token_use(transaction: &Transaction<'_>, token: &Token) -> rusqlite::Result<()> {
    let Some(used) = &token.used else { return Ok(()) };
    transaction
        .prepare_cached("UPDATE token SET used_at = ?2, used_from = ?3 WHERE id = ?1")?
        .execute(params![token.id, used.at.as_millisecond(), used.from])
        .map(drop)
}

pub(super) fn write_session_use(transaction: &Transaction<'_>, session: &Session) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE session SET seen_at = ?2 WHERE digest = ?1")?
        .execute(params![session.digest.0, session.seen_at.as_millisecond()])
        .map(drop)
}

pub(super) fn write_session(transaction: &Transaction<'_>, session: &Session) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO session (digest, token, begun_at, seen_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            session.digest.0,
            session.token,
            session.begun_at.as_millisecond(),
            session.seen_at.as_millisecond()
        ])
        .map(drop)
}

pub(super) fn end_session(transaction: &Transaction<'_>, digest: &Digest) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM session WHERE digest = ?1", [digest.0]).map(drop)
}

/// A token that somebody withdrew.
#[derive(Debug)]
pub(super) struct Withdrawn {
    id: String,
    at: i64,
    by: String,
}

/// Every token that somebody withdrew; none in a store from before there were any.
pub(super) fn withdrawn(connection: &Connection) -> rusqlite::Result<Vec<Withdrawn>> {
    if !has_people(connection)? {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare("SELECT id, revoked_at, revoked_by FROM token WHERE revoked_at IS NOT NULL")?;
    let rows = statement.query_map([], |row| {
        Ok(Withdrawn { id: row.get("id")?, at: row.get("revoked_at")?, by: row.get("revoked_by")? })
    })?;
    rows.collect()
}

/// Ends in a copy what had ended since it was made: these tokens, and every session.
pub(super) fn end_again<'a>(
    connection: &Connection,
    withdrawn: impl IntoIterator<Item = &'a Withdrawn>,
) -> rusqlite::Result<()> {
    if !has_people(connection)? {
        return Ok(());
    }
    connection.execute("DELETE FROM session", [])?;
    let mut end = connection
        .prepare("UPDATE token SET revoked_at = ?2, revoked_by = ?3 WHERE id = ?1 AND revoked_at IS NULL")?;
    withdrawn.into_iter().try_for_each(|token| end.execute(params![token.id, token.at, token.by]).map(drop))
}

fn has_people(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT COUNT(*) = 2 FROM sqlite_master WHERE name IN ('token', 'session')",
        [],
        |row| row.get(0),
    )
}

/// Drops tokens that were over before `tokens`, and sessions that began before `sessions`.
pub(super) fn prune(transaction: &Transaction<'_>, tokens: i64, sessions: i64) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM token WHERE MIN(expires_at, COALESCE(revoked_at, expires_at)) < ?1",
        [tokens],
    )?;
    transaction.execute("DELETE FROM session WHERE begun_at < ?1", [sessions]).map(drop)
}
