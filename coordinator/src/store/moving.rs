//! The store goes to another host: marked here first, then copied, so that whatever is interrupted, at most one host may
//! use it. The mark is in the copy as well: it is put in force there by `restore`, which raises the generation.

use super::{
    AuditEntry, Incarnation, Moved, OpenError,
    backup::{self, BackupError},
    incarnation, schema, write,
};
use jiff::Timestamp;
use millwright_protocol::NodeName;
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Why a store does not go, or does not come back.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// There is nothing to move.
    #[error("there is no store at {}; see `state_dir` of coordinator.toml", .0.display())]
    Nothing(PathBuf),
    /// It has gone elsewhere already.
    #[error(
        "{} was moved to {} on {}; move it on from there, or, if the coordinator has never started there, take it back \
         with `millwright-coordinator move --undo` first", path.display(), moved.to, moved.at
    )]
    Gone {
        /// The store.
        path: PathBuf,
        /// Where to.
        moved: Moved,
    },
    /// It has not gone anywhere.
    #[error("{} has not been moved; there is nothing to undo", .0.display())]
    NotGone(PathBuf),
    /// It cannot be opened or written.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is no copy to take along.
    #[error("{0}; nothing has been moved, and the coordinator may be started here again")]
    NotCopied(BackupError),
}

/// Refuses a store that has gone to another host; nothing is changed.
pub(super) fn refuse_if_moved(path: &Path, is_in_use: bool) -> Result<(), OpenError> {
    let Some(connection) = schema::open_for_a_look(path, is_in_use)? else { return Ok(()) };
    match incarnation::moved(&connection).map_err(|source| OpenError::unreadable(path, source))? {
        Some(Moved { to, at }) => Err(OpenError::Moved { path: path.to_owned(), to, at }),
        None => Ok(()),
    }
}

/// Closes the store of a coordinator that does not run, for good, and makes the copy that goes to `to`; returns where it
/// is. The same once more makes the copy again.
///
/// # Errors
/// There is no store, it cannot be written, it has gone to another host, or there is no room for the copy. Then it is as
/// it was.
pub fn send(store: &Path, to: &str, name: &NodeName, by: &str, now: Timestamp) -> Result<PathBuf, MoveError> {
    let connection = open(store)?;
    let wrong = |source| OpenError::unreadable(store, source);
    let is_first = match incarnation::moved(&connection).map_err(wrong)? {
        Some(moved) if !is_named(&moved, name) => {
            return Err(MoveError::Gone { path: store.to_owned(), moved });
        }
        Some(_) => false,
        None => true,
    };
    let copy = copy_for(store, name);
    if is_first {
        all_or_nothing(&connection, |connection| {
            incarnation::mark(connection, &Moved { to: to.to_owned(), at: now })?;
            write::write_audit(connection, &said(by, "move", to, "the store goes to another host", now))
        })
        .map_err(wrong)?;
    }
    let copied = backup::copy(store, &copy).and_then(|()| {
        backup::give_to_owner_of_folder(&copy)
            .map_err(|error| BackupError::Unwritable { path: copy.clone(), why: error.to_string() })
    });
    match copied {
        Ok(()) => Ok(copy),
        Err(why) => {
            if is_first {
                incarnation::unmark(&connection).map_err(wrong)?;
            }
            Err(MoveError::NotCopied(why))
        }
    }
}

/// Takes a store back that has gone and was never put in force elsewhere. Its generation is raised over the one that the
/// other host would have taken, and the copy that lies here is removed.
///
/// # Errors
/// There is no store, it cannot be written, or it has not gone anywhere. Then it is as it was.
pub fn undo(store: &Path, by: &str, now: Timestamp) -> Result<(Moved, Incarnation), MoveError> {
    let connection = open(store)?;
    let wrong = |source| OpenError::unreadable(store, source);
    let moved = incarnation::moved(&connection).map_err(wrong)?;
    let moved = moved.ok_or_else(|| MoveError::NotGone(store.to_owned()))?;
    let before = incarnation::of(&connection).map_err(wrong)?;
    let after = Incarnation { generation: before.generation.saturating_add(2), ..before };
    all_or_nothing(&connection, |connection| {
        incarnation::rename_to(connection, after)?;
        incarnation::unmark(connection)?;
        write::write_audit(connection, &said(by, "move_undo", &moved.to, "the store stays here", now))
    })
    .map_err(wrong)?;
    if let Ok(name) = moved.to.parse() {
        let copy = copy_for(store, &name);
        backup::remove(&copy).map_err(|error| OpenError::unreachable(&copy, error))?;
    }
    Ok((moved, after))
}

/// Whether a store has gone to this host.
pub(super) fn is_named(moved: &Moved, host: &NodeName) -> bool {
    moved.to.parse::<NodeName>().is_ok_and(|to| to == *host)
}

/// An entry of the audit.
pub(super) fn said(by: &str, what: &str, about: &str, reason: &str, at: Timestamp) -> AuditEntry {
    let [by, what, about, reason] = [by, what, about, reason].map(str::to_owned);
    AuditEntry { at, by, what, about, reason }
}

/// Everything or nothing.
pub(super) fn all_or_nothing(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    change(&transaction)?;
    transaction.commit()
}

fn open(store: &Path) -> Result<Connection, MoveError> {
    if !fs::metadata(store).is_ok_and(|file| file.len() > 0) {
        return Err(MoveError::Nothing(store.to_owned()));
    }
    Ok(schema::open(store)?)
}

fn copy_for(store: &Path, host: &NodeName) -> PathBuf {
    backup::with_suffix(store, &format!(".moved-to-{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Retention, Store,
        restore::{RestoreError, restore},
        testing::Place,
    };

    fn now() -> Timestamp {
        "2026-01-31T10:00:00Z".parse().unwrap()
    }

    fn sent(place: &Place, to: &str) -> Result<PathBuf, MoveError> {
        send(&place.path("store"), to, &to.parse().unwrap(), "root", now())
    }

    /// Takes a copy along and puts it in force there.
    fn arrived(copy: &Path, there: &Place) -> Result<u64, RestoreError> {
        fs::copy(copy, there.path("came")).unwrap();
        restore(&there.path("came"), there.desk(), now()).map(|restored| restored.incarnation.generation)
    }

    fn refusal(place: &Place) -> String {
        Store::open(&place.path("store"), Retention::default()).err().unwrap().to_string()
    }

    #[test]
    fn a_store_that_was_sent_is_refused_here_and_so_is_its_copy_until_it_is_put_in_force_there() {
        let (here, there) = (Place::on("old"), Place::on("new"));
        let first = here.open().incarnation();
        let copy = sent(&here, "NEW.cern.ch").unwrap();
        assert_eq!(copy, here.path("store.moved-to-new"));
        for part in ["was moved to NEW.cern.ch on 2026-01-31T10:00:00Z", "move --undo"] {
            assert!(refusal(&here).contains(part), "{part}: {}", refusal(&here));
        }
        assert!(Store::check(&here.path("store"), false).is_err());
        // Whoever copies the file into its place and starts is told, too.
        fs::copy(&copy, there.path("store")).unwrap();
        assert!(refusal(&there).contains("restore"), "{}", refusal(&there));
        assert_eq!(restore(&there.path("store"), there.desk(), now()).unwrap().incarnation.generation, 2);
        assert_eq!(there.open().incarnation(), Incarnation { generation: 2, ..first });
        assert_eq!(there.said(), ["restore", "move"]);
        assert!(refusal(&here).contains("was moved"));
    }

    #[test]
    fn a_copy_for_one_host_is_put_in_force_on_no_other() {
        let (here, third) = (Place::on("old"), Place::on("third"));
        drop(here.open());
        let copy = sent(&here, "new").unwrap();
        for place in [&here, &third] {
            let error = arrived(&copy, place).unwrap_err();
            assert!(error.to_string().contains("to move the coordinator to new"), "{error}");
        }
        assert!(!third.path("store").exists());
    }

    #[test]
    fn while_the_coordinator_is_elsewhere_no_older_copy_comes_into_force_here() {
        let here = Place::on("old");
        backup::copy(here.open().path(), &here.path("older")).unwrap();
        sent(&here, "new").unwrap();
        let error = restore(&here.path("older"), here.desk(), now()).unwrap_err();
        assert!(matches!(error, RestoreError::Elsewhere(_)), "{error}");
        undo(&here.path("store"), "root", now()).unwrap();
        assert_eq!(restore(&here.path("older"), here.desk(), now()).unwrap().incarnation.generation, 4);
    }

    #[test]
    fn a_move_that_is_undone_takes_a_generation_that_the_other_host_would_not_have_had() {
        let (here, there) = (Place::on("old"), Place::on("new"));
        drop(here.open());
        let copy = sent(&here, "new").unwrap();
        let there_it_had = arrived(&copy, &there).unwrap();
        let (moved, incarnation) = undo(&here.path("store"), "root", now()).unwrap();
        assert_eq!(moved.to, "new");
        assert_eq!((there_it_had, incarnation.generation), (2, 3));
        assert_eq!(here.open().incarnation(), incarnation);
        assert!(!copy.exists(), "nobody shall take it along later");
        assert_eq!(here.said(), ["move_undo", "move"]);
        assert!(matches!(undo(&here.path("store"), "root", now()), Err(MoveError::NotGone(_))));
    }

    #[test]
    fn the_same_move_once_more_makes_the_copy_again_and_another_one_is_refused() {
        let (here, there) = (Place::on("old"), Place::on("new"));
        drop(here.open());
        let copy = sent(&here, "new").unwrap();
        fs::remove_file(&copy).unwrap();
        assert_eq!(sent(&here, "new").unwrap(), copy);
        let error = sent(&here, "third").unwrap_err().to_string();
        assert!(error.contains("was moved to new"), "{error}");
        assert_eq!(arrived(&copy, &there).unwrap(), 2);
    }

    #[test]
    fn what_went_away_comes_back_from_there_and_not_from_an_old_copy() {
        let (here, there) = (Place::on("old"), Place::on("new"));
        drop(here.open());
        arrived(&sent(&here, "new").unwrap(), &there).unwrap();
        let back = sent(&there, "old").unwrap();
        assert_eq!(arrived(&back, &here).unwrap(), 3);
        arrived(&sent(&here, "new").unwrap(), &there).unwrap();
        let error = arrived(&back, &here).unwrap_err();
        assert!(matches!(error, RestoreError::Elsewhere(_)), "{error}");
    }

    #[test]
    fn without_room_for_the_copy_nothing_has_been_moved() {
        let here = Place::on("old");
        let first = here.open().incarnation();
        fs::create_dir(here.path("store.moved-to-new.new")).unwrap();
        let error = sent(&here, "new").unwrap_err().to_string();
        assert!(error.contains("nothing has been moved"), "{error}");
        assert_eq!(here.open().incarnation(), first);
    }

    #[test]
    fn without_a_store_there_is_nothing_to_move() {
        let here = Place::on("old");
        assert!(matches!(sent(&here, "new"), Err(MoveError::Nothing(_))));
        assert!(matches!(undo(&here.path("store"), "root", now()), Err(MoveError::Nothing(_))));
        assert!(!here.path("store").exists());
    }
}
