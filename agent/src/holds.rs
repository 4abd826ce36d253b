//! Holds set on the node itself: "leave this node as it is", without a network and without the running agent (S17).
//!
//! Each is a small file that only root can write; the agent reads them all whenever it needs them, so a hold counts from
//! the moment its file is there. A file that cannot be understood is a hold too.

use crate::state_file;
use jiff::Timestamp;
use millwright_protocol::LocalHold;
use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longer reasons are cut.
const LONGEST_REASON: usize = 300;
/// More are not read: the first objects as well as the last.
const MOST: usize = 100;

/// Why a hold could not be set, seen or lifted.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The folder or file refuses.
    #[error("{what} {path}: {source}{}", hint(source))]
    File {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// No hold has this id.
    #[error("lift the hold {0:?}: there is none of that id; `millwright-agent hold list` shows all")]
    Unknown(String),
    /// A hold needs a reason.
    #[error("set a hold: the reason is empty; say why, for whoever finds it")]
    NoReason,
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied { "; run it as root" } else { "" }
}

fn folder(state: &Path) -> PathBuf {
    state.join("holds")
}

/// Sets a hold.
///
/// # Errors
/// There is no reason, or it cannot be written down.
pub fn add(
    state: &Path,
    author: &str,
    reason: &str,
    lasts: Option<Duration>,
    now: Timestamp,
) -> Result<LocalHold, HoldError> {
    let reason: String =
        reason.trim().chars().filter(|letter| !letter.is_control()).take(LONGEST_REASON).collect();
    if reason.is_empty() {
        return Err(HoldError::NoReason);
    }
    let id = format!("{:08x}", RandomState::new().hash_one(now.as_nanosecond()) >> 32);
    let until = lasts.and_then(|lasts| now.checked_add(lasts).ok());
    let hold = LocalHold { id, author: author.to_owned(), reason, since: now, until };
    let path = folder(state).join(format!("{}.json", hold.id));
    let text = serde_json::to_string(&hold).unwrap_or_default();
    state_file::replace(&path, &text).map_err(|source| HoldError::File {
        what: "write the hold",
        path: path.display().to_string(),
        source,
    })?;
    // What is over is nobody's any more.
    for over in read(state)?.iter().filter(|hold| !is_in_force(hold, now)) {
        let _ = fs::remove_file(folder(state).join(format!("{}.json", over.id)));
    }
    Ok(hold)
}

/// Lifts a hold.
///
/// # Errors
/// There is none of that id, or it cannot be removed.
pub fn lift(state: &Path, id: &str) -> Result<LocalHold, HoldError> {
    let hold = read(state)?.into_iter().find(|hold| hold.id == id);
    let hold = hold.ok_or_else(|| HoldError::Unknown(id.to_owned()))?;
    let path = folder(state).join(format!("{id}.json"));
    fs::remove_file(&path).map_err(|source| HoldError::File {
        what: "remove the hold",
        path: path.display().to_string(),
        source,
    })?;
    Ok(hold)
}

/// The holds in force, the oldest first.
///
/// # Errors
/// They cannot be read; somebody may hold the node.
pub fn in_force(state: &Path, now: Timestamp) -> Result<Vec<LocalHold>, HoldError> {
    Ok(read(state)?.into_iter().filter(|hold| is_in_force(hold, now)).collect())
}

fn is_in_force(hold: &LocalHold, now: Timestamp) -> bool {
    hold.until.is_none_or(|until| until > now)
}

fn read(state: &Path) -> Result<Vec<LocalHold>, HoldError> {
    let folder = folder(state);
    let refused =
        |source| HoldError::File { what: "read the holds in", path: folder.display().to_string(), source };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(error)),
    };
    let mut holds = Vec::new();
    for entry in entries.take(MOST) {
        let path = entry.map_err(refused)?.path();
        if path.extension().is_some_and(|extension| extension == "json")
            && let Some(hold) = one(&path)
        {
            holds.push(hold);
        }
    }
    holds.sort_by(|one, other| (one.since, &one.id).cmp(&(other.since, &other.id)));
    Ok(holds)
}

/// The hold of one file; none where it has just been lifted.
fn one(path: &Path) -> Option<LocalHold> {
    let id = path.file_stem()?.to_string_lossy().into_owned();
    let unreadable = |why: String| LocalHold {
        id: id.clone(),
        author: "somebody".to_owned(),
        reason: format!("{} cannot be read: {why}", path.display()),
        since: Timestamp::UNIX_EPOCH,
        until: None,
    };
    match fs::read(path) {
        Ok(bytes) => {
            let read = serde_json::from_slice::<LocalHold>(&bytes);
            Some(read.map_or_else(
                |error| unreadable(error.to_string()),
                |hold| LocalHold { id: id.clone(), ..hold },
            ))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(unreadable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_769_850_000 + second).unwrap()
    }

    #[test]
    fn a_hold_lasts_until_it_is_lifted_or_over() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(in_force(state.path(), at(0)).unwrap(), []);
        let long = add(state.path(), "ann", "a disk is looked at", None, at(0)).unwrap();
        let short = add(state.path(), "bob", "lunch", Some(Duration::from_secs(60)), at(1)).unwrap();
        assert_eq!(in_force(state.path(), at(60)).unwrap(), [long.clone(), short]);
        assert_eq!(in_force(state.path(), at(61)).unwrap(), std::slice::from_ref(&long));
        assert_eq!(lift(state.path(), &long.id).unwrap(), long);
        assert_eq!(in_force(state.path(), at(61)).unwrap(), []);
    }

    #[test]
    fn a_file_that_cannot_be_understood_holds_the_node_and_can_be_lifted() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir(state.path().join("holds")).unwrap();
        for (name, text) in [("empty", ""), ("torn", "{\"id\":\"x\""), ("other", "[1]")] {
            fs::write(state.path().join(format!("holds/{name}.json")), text).unwrap();
        }
        let held = in_force(state.path(), at(0)).unwrap();
        assert_eq!(held.len(), 3);
        assert!(held[0].reason.contains("cannot be read"), "{}", held[0].reason);
        for hold in held {
            lift(state.path(), &hold.id).unwrap();
        }
        assert_eq!(in_force(state.path(), at(0)).unwrap(), []);
    }

    #[test]
    fn a_hold_needs_a_reason_and_lifting_needs_a_hold() {
        let state = tempfile::tempdir().unwrap();
        assert!(matches!(add(state.path(), "ann", " \n", None, at(0)), Err(HoldError::NoReason)));
        for id in ["nothing", "../memory", ""] {
            assert!(matches!(lift(state.path(), id), Err(HoldError::Unknown(_))), "{id}");
        }
    }

    #[test]
    fn holds_that_are_over_are_cleared_away_by_the_next() {
        let state = tempfile::tempdir().unwrap();
        add(state.path(), "ann", "short", Some(Duration::from_secs(1)), at(0)).unwrap();
        add(state.path(), "ann", "long", None, at(10)).unwrap();
        assert_eq!(fs::read_dir(state.path().join("holds")).unwrap().count(), 1);
    }
}
