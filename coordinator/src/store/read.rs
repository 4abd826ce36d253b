//! What is read back. A row that this version cannot read is left out and logged, never guessed at.

use super::AuditEntry;
use crate::{
    fleet::{NodeRecord, Remembered},
    view::{Acknowledgement, Transition, VerdictChange},
};
use jiff::Timestamp;
use millwright_decision::{Action, Class, fleet::Brake};
use millwright_protocol::NodeName;
use rusqlite::{Connection, Row, params};

pub(super) fn moment(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    let milliseconds: i64 = row.get(column)?;
    Ok(Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// Everything a start needs.
pub(super) fn remembered(connection: &Connection) -> rusqlite::Result<Remembered> {
    Ok(Remembered {
        nodes: nodes(connection)?,
        acknowledgements: acknowledgements(connection)?,
        brakes: brakes(connection)?.into_iter().collect(),
    })
}

fn nodes(connection: &Connection) -> rusqlite::Result<Vec<NodeRecord>> {
    let mut statement = connection.prepare("SELECT name, record FROM node")?;
    let mut rows = statement.query([])?;
    let mut nodes = Vec::new();
    while let Some(row) = rows.next()? {
        match serde_json::from_str(row.get_ref("record")?.as_str()?) {
            Ok(node) => nodes.push(node),
            Err(why) => {
                let name: String = row.get("name")?;
                log::warn!(
                    "the last known state of {name} cannot be read ({why}); it is unknown until it reports"
                );
            }
        }
    }
    Ok(nodes)
}

fn acknowledgements(connection: &Connection) -> rusqlite::Result<Vec<Acknowledgement>> {
    let mut statement = connection.prepare("SELECT finding, by_whom, at, until FROM acknowledgement")?;
    let rows = statement.query_map([], |row| {
        Ok(Acknowledgement {
            finding: row.get("finding")?,
            by: row.get("by_whom")?,
            at: moment(row, "at")?,
            until: moment(row, "until")?,
        })
    })?;
    rows.collect()
}

fn brakes(connection: &Connection) -> rusqlite::Result<Vec<(Class, Brake)>> {
    let mut statement = connection.prepare("SELECT class, since, why FROM brake")?;
    let mut rows = statement.query([])?;
    let mut brakes = Vec::new();
    while let Some(row) = rows.next()? {
        let word: String = row.get("class")?;
        if let Some(class) = Class::ALL.iter().find(|class| class.as_str() == word) {
            brakes.push((*class, Brake { since: moment(row, "since")?, why: row.get("why")? }));
        }
    }
    Ok(brakes)
}

/// See [`super::Store::history`].
pub(super) fn history(
    connection: &Connection,
    node: Option<&NodeName>,
    most: usize,
) -> rusqlite::Result<Vec<Transition>> {
    let mut statement = connection.prepare_cached(
        "SELECT at, node, spelled, what, from_word, to_word, gating, sentence FROM change
         WHERE ?1 IS NULL OR node = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![node.map(NodeName::as_str), limit(most)], |row| {
        Ok(Transition {
            at: moment(row, "at")?,
            node: row.get("spelled")?,
            key: row.get("node")?,
            what: row.get("what")?,
            from: row.get("from_word")?,
            to: row.get("to_word")?,
            gating: row.get("gating")?,
            sentence: row.get("sentence")?,
        })
    })?;
    rows.collect()
}

/// See [`super::Store::audit`].
pub(super) fn audit(connection: &Connection, most: usize) -> rusqlite::Result<Vec<AuditEntry>> {
    let mut statement = connection
        .prepare_cached("SELECT at, by_whom, what, about, reason FROM audit ORDER BY id DESC LIMIT ?1")?;
    let rows = statement.query_map([limit(most)], |row| {
        Ok(AuditEntry {
            at: moment(row, "at")?,
            by: row.get("by_whom")?,
            what: row.get("what")?,
            about: row.get("about")?,
            reason: row.get("reason")?,
        })
    })?;
    rows.collect()
}

/// See [`super::Store::verdicts`]. One look for each action: none may crowd out another.
pub(super) fn verdicts(
    connection: &Connection,
    node: &NodeName,
    most_each: usize,
) -> rusqlite::Result<Vec<VerdictChange>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at, node, spelled, action, verdict, may_start, codes, sentence FROM verdict
         WHERE node = ?1 AND action = ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    let mut changes = Vec::new();
    for action in Action::DISRUPTIVE {
        let of_action = params![node.as_str(), action.as_str(), limit(most_each)];
        let mut rows = statement.query(of_action)?;
        while let Some(row) = rows.next()? {
            changes.push((row.get::<_, i64>("id")?, verdict(row)?));
        }
    }
    changes.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    Ok(changes.into_iter().map(|(_, change)| change).collect())
}

/// See [`super::Store::last_verdicts`].
pub(super) fn last_verdicts(connection: &Connection) -> rusqlite::Result<Vec<VerdictChange>> {
    let mut statement = connection.prepare(
        "SELECT at, node, spelled, action, verdict, may_start, codes, sentence FROM verdict
         WHERE id IN (SELECT MAX(id) FROM verdict GROUP BY node, action)",
    )?;
    let rows = statement.query_map([], verdict)?;
    rows.collect()
}

fn verdict(row: &Row<'_>) -> rusqlite::Result<VerdictChange> {
    let codes: String = row.get("codes")?;
    Ok(VerdictChange {
        at: moment(row, "at")?,
        node: row.get("spelled")?,
        key: row.get("node")?,
        action: row.get("action")?,
        verdict: row.get("verdict")?,
        may_start: row.get("may_start")?,
        codes: codes.split_whitespace().map(str::to_owned).collect(),
        sentence: row.get("sentence")?,
    })
}
