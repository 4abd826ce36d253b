//! A person puts a copy in the place of the store: the only way in which one from elsewhere comes into force, and always
//! under a generation that nobody had before.

use super::{
    AuditEntry, Incarnation, Moved, OpenError,
    backup::{self, BackupError, give_to_owner_of_folder, keep_names, remove, with_suffix},
    incarnation, migrate,
    moving::{all_or_nothing, is_named, said},
    people::{self, Withdrawn},
    schema, write,
};
use jiff::{SignedDuration, Timestamp};
use millwright_protocol::NodeName;
use rusqlite::Connection;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Why a copy was not put in force.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is nothing to put back.
    #[error("there is no store at {}; name a copy, such as the newest file in the backup folder", .0.display())]
    Nothing(PathBuf),
    /// The copy is for another host.
    #[error(
        "{} was made to move the coordinator to {}, and this host is {host}: put it in force there. If the coordinator has \
         never started on {}, `millwright-coordinator move --undo` on the host it was moved from takes it back",
        path.display(), moved.to, moved.to
    )]
    ForAnotherHost {
        /// The copy.
        path: PathBuf,
        /// Where it should go.
        moved: Moved,
        /// Where this is.
        host: NodeName,
    },
    /// The coordinator is elsewhere by now.
    #[error(
        "the coordinator was moved to {} on {}, and a copy that is put in force here would make a second one: restore it on \
         {}. If the coordinator has never started there, take it back first with `millwright-coordinator move --undo`",
        .0.to, .0.at, .0.to
    )]
    Elsewhere(Moved),
    /// The copy cannot be used.
    #[error(transparent)]
    Unusable(#[from] OpenError),
    /// There is no room, or no right to write.
    #[error(transparent)]
    Unwritable(#[from] BackupError),
}

/// What came into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Which store it is now.
    pub incarnation: Incarnation,
    /// Where the store of before is, if there was one.
    pub kept: Option<PathBuf>,
}

/// Where and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    /// The store of this host.
    pub store: &'a Path,
    /// The folder with its backups: no generation known there is given again.
    pub backups: &'a Path,
    /// This host.
    pub host: &'a NodeName,
    /// Who restores.
    pub by: &'a str,
}

/// Puts a copy in the place of the store of a coordinator that does not run. The store of before is kept beside it.
///
/// # Errors
/// The copy is not there, not whole, not ours, of a newer version, or for another host; the store has gone to another
/// host; or the folder cannot be written. Then nothing has changed.
pub fn restore(from: &Path, desk: Desk<'_>, now: Timestamp) -> Result<Restored, RestoreError> {
    if !fs::metadata(from).is_ok_and(|file| file.len() > 0) {
        return Err(RestoreError::Nothing(from.to_owned()));
    }
    schema::check(from, false)?;
    let before = Found::at(desk.store);
    let copy = Found::in_copy(from)?;
    may_replace(from, &copy, &before, desk.host)?;
    let draft = with_suffix(desk.store, ".restoring");
    let made = prepare(from, &draft, desk, (&copy, &before), now);
    let incarnation = match made {
        Ok(incarnation) => incarnation,
        Err(error) => {
            let _ = remove(&draft);
            return Err(error);
        }
    };
    let kept = set_aside(desk.store, now)?;
    fs::rename(&draft, desk.store)
        .and_then(|()| keep_names(desk.store))
        .map_err(|error| unwritable(desk.store, &error))?;
    Ok(Restored { incarnation, kept })
}

/// What a file says of itself.
#[derive(Debug, Default)]
pub(super) struct Found {
    identity: Option<Incarnation>,
    moved: Option<Moved>,
    /// Tokens that a copy from before must not bring back.
    withdrawn: Vec<Withdrawn>,
}

impl Found {
    /// As far as it can be read: what is replaced may well be broken, that is why it is replaced.
    fn at(path: &Path) -> Self {
        match schema::open_for_a_look(path, false) {
            Ok(Some(connection)) => Self {
                identity: incarnation::read(&connection).unwrap_or_default(),
                moved: incarnation::moved(&connection).unwrap_or_default(),
                withdrawn: people::withdrawn(&connection).unwrap_or_default(),
            },
            _ => Self::default(),
        }
    }

    pub(super) fn in_copy(path: &Path) -> Result<Self, OpenError> {
        let unreadable = |source| OpenError::unreadable(path, source);
        let Some(connection) = schema::open_for_a_look(path, false)? else { return Ok(Self::default()) };
        let identity = incarnation::read(&connection).map_err(unreadable)?;
        let moved = incarnation::moved(&connection).map_err(unreadable)?;
        Ok(Self { identity, moved, withdrawn: Vec::new() })
    }

    fn generation(&self) -> u64 {
        self.identity.map_or(0, |identity| identity.generation)
    }
}

/// Whether no other host may be using what would come into force here.
fn may_replace(from: &Path, copy: &Found, before: &Found, host: &NodeName) -> Result<(), RestoreError> {
    let is_for_here = copy.moved.as_ref().is_some_and(|moved| is_named(moved, host));
    if let Some(moved) = copy.moved.clone().filter(|_| !is_for_here) {
        return Err(RestoreError::ForAnotherHost { path: from.to_owned(), moved, host: host.clone() });
    }
    // What went away may come back from there, and is newer then.
    let comes_back = is_for_here && copy.generation() > before.generation();
    match &before.moved {
        Some(moved) if !is_named(moved, host) && !comes_back => Err(RestoreError::Elsewhere(moved.clone())),
        _ => Ok(()),
    }
}

/// Makes what will be the store, complete, beside it.
fn prepare(
    from: &Path,
    draft: &Path,
    desk: Desk<'_>,
    (copy, before): (&Found, &Found),
    now: Timestamp,
) -> Result<Incarnation, RestoreError> {
    remove(draft).map_err(|error| unwritable(draft, &error))?;
    let source = schema::open_for_a_look(from, false)?;
    let source = source.ok_or_else(|| RestoreError::Nothing(from.to_owned()))?;
    backup::copy_whole(&source, draft)?;
    let unreadable = |source| OpenError::unreadable(draft, source);
    let mut connection = Connection::open(draft).map_err(unreadable)?;
    // Nothing may stand beside a file that is renamed.
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(unreadable)?;
    migrate::migrate_to(&mut connection, incarnation::SINCE_VERSION).map_err(unreadable)?;
    let entry = said(desk.by, "restore", &from.display().to_string(), "", now);
    let identity = put_in_force(&connection, desk, (copy, before), &entry).map_err(unreadable)?;
    connection.close().map_err(|(_, source)| unreadable(source))?;
    give_to_owner_of_folder(draft)
        .and_then(|()| fs::File::open(draft)?.sync_all())
        .map_err(|error| unwritable(draft, &error))?;
    Ok(identity)
}

/// Makes a file that one can write to the store from now on: it gets a generation that nobody had, and what has ended since it
/// was copied ends in it as well. All of it, or nothing.
pub(super) fn put_in_force(
    connection: &Connection,
    desk: Desk<'_>,
    (copy, before): (&Found, &Found),
    entry: &AuditEntry,
) -> rusqlite::Result<Incarnation> {
    let copies = backup::files_in(desk.backups);
    // Also those that an earlier restore has set aside: a token that was withdrawn once stays withdrawn.
    let known: Vec<Found> =
        copies.iter().chain(&set_aside_before(desk.store)).map(|file| Found::at(file)).collect();
    let generations = known.iter().chain([copy, before]).map(Found::generation);
    let highest = generations.max().unwrap_or_default();
    let withdrawn = known.iter().chain([before]).flat_map(|found| &found.withdrawn);
    let first = incarnation::of(connection)?;
    let identity = copy.identity.or(before.identity).unwrap_or(first);
    let identity = Incarnation { generation: highest.saturating_add(1), ..identity };
    all_or_nothing(connection, |connection| {
        incarnation::rename_to(connection, identity)?;
        incarnation::unmark(connection)?;
        people::end_again(connection, withdrawn)?;
        write::write_audit(connection, entry)
    })?;
    Ok(identity)
}

/// Stores of before that are kept beside this one.
fn set_aside_before(store: &Path) -> Vec<PathBuf> {
    let begins = format!("{}.before-", store.file_name().unwrap_or_default().display());
    let folder = store.parent().and_then(|folder| fs::read_dir(folder).ok());
    let paths = folder.into_iter().flatten().flatten().map(|entry| entry.path());
    paths
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().display().to_string();
            name.starts_with(&begins) && name.ends_with('Z')
        })
        .collect()
}

/// Renames the store of before; returns where it is.
fn set_aside(store: &Path, now: Timestamp) -> Result<Option<PathBuf>, RestoreError> {
    let named = |at: Timestamp| with_suffix(store, &at.strftime(".before-%Y%m%dT%H%M%SZ").to_string());
    // One of this very second is not overwritten.
    let seconds = (0..60).map(|second| named(now + SignedDuration::from_secs(second)));
    let aside = seconds.into_iter().find(|path| !path.exists()).unwrap_or_else(|| named(now));
    let mut kept = None;
    // The log belongs to the database that it stands beside; next to another one it would be played into that.
    for suffix in ["-wal", "-shm", ""] {
        let (old, new) = (with_suffix(store, suffix), with_suffix(&aside, suffix));
        match fs::rename(&old, &new) {
            Ok(()) => kept = Some(aside.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unwritable(&new, &error)),
        }
    }
    Ok(kept)
}

fn unwritable(path: &Path, error: &io::Error) -> RestoreError {
    BackupError::Unwritable { path: path.to_owned(), why: error.to_string() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::{Digest, Revoked, Rights, Role, Session, Token};
    use crate::store::{Store, backup::copy, testing::Place};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn restored(place: &Place, from: &str, hour: i64) -> Result<Restored, RestoreError> {
        let now = at("2026-01-31T11:00:00Z") + SignedDuration::from_hours(hour);
        restore(&place.path(from), place.desk(), now)
    }

    async fn say(store: &Store, what: &str) {
        let entry = AuditEntry {
            at: at("2026-01-31T10:00:00Z"),
            by: "root".to_owned(),
            what: what.to_owned(),
            about: "n01".to_owned(),
            reason: String::new(),
        };
        store.keep_audit(entry).await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_made_while_the_store_is_in_use_holds_everything_up_to_then_and_can_be_put_back() {
        let place = Place::on("mw");
        let store = place.open();
        say(&store, "accept").await;
        copy(store.path(), &place.path("copy")).unwrap();
        say(&store, "forget").await;
        store.close();
        drop(store);
        assert_eq!(place.said(), ["forget", "accept"]);

        let kept = restored(&place, "copy", 0).unwrap().kept;
        assert_eq!(place.said(), ["restore", "accept"]);
        assert_eq!(kept, Some(place.path("store.before-20260131T110000Z")), "what was there is kept");
        restored(&place, "store.before-20260131T110000Z", 1).unwrap();
        assert_eq!(place.said(), ["restore", "forget", "accept"]);
    }

    #[tokio::test]
    async fn what_a_power_cut_left_in_the_log_beside_a_store_is_put_back_with_it() {
        let place = Place::on("mw");
        let store = place.open();
        say(&store, "accept").await;
        for suffix in ["", "-wal", "-shm"] {
            fs::copy(place.path(&format!("store{suffix}")), place.path(&format!("cut{suffix}"))).unwrap();
        }
        drop(store);
        fs::remove_file(place.path("store")).unwrap();
        restored(&place, "cut", 0).unwrap();
        assert_eq!(place.said(), ["restore", "accept"]);
    }

    #[test]
    fn a_copy_is_of_the_same_cluster_and_a_new_store_of_another() {
        let place = Place::on("mw");
        let first = place.open().incarnation();
        assert_eq!(first.generation, 1);
        assert_eq!(place.open().incarnation(), first, "opened again");
        copy(&place.path("store"), &place.path("copy")).unwrap();
        fs::remove_file(place.path("store")).unwrap();
        assert_ne!(place.open().incarnation().cluster, first.cluster);
        restored(&place, "copy", 0).unwrap();
        assert_eq!(place.open().incarnation().cluster, first.cluster);
    }

    #[tokio::test]
    async fn a_copy_brings_back_no_token_that_was_withdrawn_since_and_no_session() {
        let place = Place::on("mw");
        let store = place.open();
        let token = |id: &str, secret: &str| Token {
            id: id.to_owned(),
            digest: Digest::of(secret),
            person: "jane".to_owned(),
            label: String::new(),
            rights: Rights::everywhere(Role::Operate),
            made_at: at("2026-01-31T09:00:00Z"),
            made_by: "root".to_owned(),
            expires_at: at("2026-03-31T09:00:00Z"),
            revoked: None,
            used: None,
        };
        let (kept, lost, now) = (token("kept", "a"), token("lost", "b"), at("2026-01-31T10:00:00Z"));
        copy(store.path(), &place.path("first")).unwrap();
        store.keep_session(Session {
            digest: Digest::of("c"),
            token: "kept".to_owned(),
            begun_at: now,
            seen_at: now,
        });
        store.keep_token(kept.clone()).await.unwrap();
        store.keep_token(lost.clone()).await.unwrap();
        copy(store.path(), &place.path("copy")).unwrap();
        let revoked = Some(Revoked { at: now, by: "root".to_owned() });
        let lost = Token { revoked, ..lost };
        store.keep_token(lost.clone()).await.unwrap();
        drop(store);
        for (copy, hour) in [("first", 0), ("copy", 1)] {
            restored(&place, copy, hour).unwrap();
        }
        assert_eq!(place.open().people().unwrap(), (vec![kept, lost], Vec::new()), "over two restores");
    }

    #[test]
    fn each_restore_gives_a_generation_that_nobody_had() {
        let place = Place::on("mw");
        copy(place.open().path(), &place.path("copy")).unwrap();
        for (hour, generation) in [(0, 2), (1, 3), (2, 4)] {
            let done = restored(&place, "copy", hour).unwrap();
            assert_eq!(done.incarnation.generation, generation);
            assert_eq!(place.open().incarnation(), done.incarnation);
        }
        // The store is lost and its copies know how far it was.
        let backup =
            backup::copy_into(&place.path("backups"), &place.path("store"), at("2026-01-31T20:00:00Z"));
        fs::write(place.path("store"), "broken").unwrap();
        assert_eq!(restored(&place, "copy", 3).unwrap().incarnation.generation, 5);
        assert!(backup.unwrap().exists());
    }

    #[test]
    fn two_restores_within_a_second_keep_both_stores_of_before() {
        let place = Place::on("mw");
        copy(place.open().path(), &place.path("copy")).unwrap();
        let (first, second) = (restored(&place, "copy", 0).unwrap(), restored(&place, "copy", 0).unwrap());
        assert_ne!(first.kept, second.kept);
        assert!(first.kept.unwrap().exists() && second.kept.unwrap().exists());
    }

    #[test]
    fn what_root_puts_back_belongs_to_whom_the_folder_belongs() {
        use std::os::unix::fs::MetadataExt;
        if !nix::unistd::geteuid().is_root() {
            // Nobody else can make a folder somebody else's.
            return;
        }
        let place = Place::on("mw");
        copy(place.open().path(), &place.path("copy")).unwrap();
        fs::create_dir(place.path("state")).unwrap();
        std::os::unix::fs::chown(place.path("state"), Some(12_345), Some(23_456)).unwrap();
        let store = place.path("state/store");
        restore(&place.path("copy"), Desk { store: &store, ..place.desk() }, at("2026-01-31T11:00:00Z"))
            .unwrap();
        let owner = fs::metadata(&store).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (12_345, 23_456));
    }

    #[tokio::test]
    async fn what_is_no_whole_copy_is_not_put_back_and_changes_nothing() {
        let place = Place::on("mw");
        let store = place.open();
        say(&store, "accept").await;
        copy(store.path(), &place.path("copy")).unwrap();
        drop(store);
        let whole = fs::read(place.path("copy")).unwrap();
        fs::write(place.path("cut"), &whole[..whole.len() / 2]).unwrap();
        fs::write(place.path("empty"), "").unwrap();
        fs::write(place.path("foreign"), "a text").unwrap();
        for name in ["cut", "empty", "foreign", "none"] {
            assert!(restored(&place, name, 0).is_err(), "{name}");
            assert_eq!(place.said(), ["accept"]);
            assert_eq!(place.open().incarnation().generation, 1);
        }
    }
}
