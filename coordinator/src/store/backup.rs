//! Copies of the store: made while it is in use, checked before they count, put back by a person.

use super::{OpenError, schema};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// So long every copy is kept; of older ones the first of each day.
const ALL: SignedDuration = SignedDuration::from_hours(24);
/// So long one copy a day is kept.
const DAILY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// When a copy was made, in its name, in UTC.
const NAMED: &str = "coordinator-%Y%m%dT%H%M%SZ.sqlite";

/// Why there is no copy, or why one was not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or folder cannot be written.
    #[error("write {}: {why}; see that the folder belongs to the service and has room", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The copy is no whole store.
    #[error(transparent)]
    Unusable(#[from] OpenError),
    /// There is nothing to put back.
    #[error("there is no store at {}; name a copy, such as the newest file in the backup folder", .0.display())]
    Nothing(PathBuf),
}

/// Copies the store of a running coordinator to `to`: all of one moment, checked, and in its place in one step.
///
/// # Errors
/// The store cannot be read, or `to` cannot be written. What was at `to` before is still there.
pub fn copy(store: &Path, to: &Path) -> Result<(), BackupError> {
    let draft = with_suffix(to, ".new");
    let unwritable = |why: String| BackupError::Unwritable { path: draft.clone(), why };
    remove(&draft).map_err(|error| unwritable(error.to_string()))?;
    let reader = schema::open_reader(store)?;
    reader
        .execute("VACUUM INTO ?1", [draft.to_string_lossy()])
        .map_err(|error| unwritable(error.to_string()))?;
    schema::check(&draft, false)?;
    File::open(&draft)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&draft, to))
        .map_err(|error| unwritable(error.to_string()))
}

/// Copies the store into `folder` under the name of the moment, and clears away copies that are old enough.
///
/// # Errors
/// As [`copy`].
pub fn copy_into(folder: &Path, store: &Path, now: Timestamp) -> Result<PathBuf, BackupError> {
    let unwritable =
        |error: io::Error| BackupError::Unwritable { path: folder.to_owned(), why: error.to_string() };
    fs::create_dir_all(folder).map_err(unwritable)?;
    let to = folder.join(now.strftime(NAMED).to_string());
    copy(store, &to)?;
    let copies = copies_in(folder).map_err(unwritable)?;
    for made in superfluous(&copies, now) {
        remove(&folder.join(made.strftime(NAMED).to_string())).map_err(unwritable)?;
    }
    Ok(to)
}

/// Puts a copy in the place of the store of a coordinator that does not run. The store of before is kept beside it;
/// returns where, if there was one.
///
/// # Errors
/// The copy is not there, not whole, not ours, or of a newer version; or the folder cannot be written. Then nothing has
/// changed.
pub fn restore(from: &Path, store: &Path, now: Timestamp) -> Result<Option<PathBuf>, BackupError> {
    if !fs::metadata(from).is_ok_and(|file| file.len() > 0) {
        return Err(BackupError::Nothing(from.to_owned()));
    }
    schema::check(from, false)?;
    let draft = with_suffix(store, ".restoring");
    let unwritable = |path: &Path, error: io::Error| BackupError::Unwritable {
        path: path.to_owned(),
        why: error.to_string(),
    };
    fs::copy(from, &draft)
        .and_then(|_| give_to_owner_of_folder(&draft))
        .map_err(|error| unwritable(&draft, error))?;
    File::open(&draft).and_then(|file| file.sync_all()).map_err(|error| unwritable(&draft, error))?;
    let aside = with_suffix(store, &now.strftime(".before-%Y%m%dT%H%M%SZ").to_string());
    let mut kept = None;
    // The log belongs to the database that it stands beside; next to another one it would be played into that.
    for suffix in ["-wal", "-shm", ""] {
        let (old, new) = (with_suffix(store, suffix), with_suffix(&aside, suffix));
        match fs::rename(&old, &new) {
            Ok(()) => kept = Some(aside.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unwritable(&new, error)),
        }
    }
    fs::rename(&draft, store).map_err(|error| unwritable(store, error))?;
    Ok(kept)
}

/// When the copies in a folder were made, oldest first; other files are passed over.
fn copies_in(folder: &Path) -> io::Result<BTreeSet<Timestamp>> {
    let entries = fs::read_dir(folder)?;
    Ok(entries.flatten().filter_map(|entry| made_at(entry.file_name().to_str()?)).collect())
}

fn made_at(name: &str) -> Option<Timestamp> {
    DateTime::strptime(NAMED, name).ok()?.to_zoned(TimeZone::UTC).ok().map(|made| made.timestamp())
}

/// Those that need not be kept any longer. One from the future, by a clock that jumped, stays.
fn superfluous(copies: &BTreeSet<Timestamp>, now: Timestamp) -> Vec<Timestamp> {
    let day = |made: Timestamp| made.to_zoned(TimeZone::UTC).date();
    let mut days = BTreeSet::new();
    let mut superfluous = Vec::new();
    for made in copies {
        let is_first = days.insert(day(*made));
        let age = now.duration_since(*made);
        if age > DAILY || (age > ALL && !is_first) {
            superfluous.push(*made);
        }
    }
    superfluous
}

/// Root puts a copy back, and the service, which is somebody else, must be able to write it.
fn give_to_owner_of_folder(file: &Path) -> io::Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    let folder = fs::metadata(folder)?;
    std::os::unix::fs::chown(file, Some(folder.uid()), Some(folder.gid()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AuditEntry, Retention, Store};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    struct Desk(tempfile::TempDir);

    impl Desk {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn open(&self) -> Store {
            Store::open(&self.path("store"), Retention::default()).unwrap().0
        }

        /// What people did according to the store, newest first.
        fn said(&self) -> Vec<String> {
            self.open().audit(10).unwrap().into_iter().map(|entry| entry.what).collect()
        }
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
        let desk = Desk::new();
        let store = desk.open();
        say(&store, "accept").await;
        copy(store.path(), &desk.path("copy")).unwrap();
        say(&store, "forget").await;
        store.close();
        drop(store);
        assert_eq!(desk.said(), ["forget", "accept"]);

        let kept = restore(&desk.path("copy"), &desk.path("store"), at("2026-01-31T11:00:00Z")).unwrap();
        assert_eq!(desk.said(), ["accept"]);
        assert_eq!(kept, Some(desk.path("store.before-20260131T110000Z")), "what was there is kept");
        restore(&kept.unwrap(), &desk.path("store"), at("2026-01-31T12:00:00Z")).unwrap();
        assert_eq!(desk.said(), ["forget", "accept"]);
    }

    #[test]
    fn a_copy_is_of_the_same_cluster_and_a_new_store_of_another() {
        let desk = Desk::new();
        let first = desk.open().incarnation();
        assert_eq!(first.generation, 1);
        assert_eq!(desk.open().incarnation(), first, "opened again");
        copy(&desk.path("store"), &desk.path("copy")).unwrap();
        fs::remove_file(desk.path("store")).unwrap();
        assert_ne!(desk.open().incarnation().cluster, first.cluster);
        restore(&desk.path("copy"), &desk.path("store"), at("2026-01-31T11:00:00Z")).unwrap();
        assert_eq!(desk.open().incarnation().cluster, first.cluster);
    }

    #[test]
    fn what_root_puts_back_belongs_to_whom_the_folder_belongs() {
        if !nix::unistd::geteuid().is_root() {
            // Nobody else can make a folder somebody else's.
            return;
        }
        let desk = Desk::new();
        copy(desk.open().path(), &desk.path("copy")).unwrap();
        fs::create_dir(desk.path("state")).unwrap();
        std::os::unix::fs::chown(desk.path("state"), Some(12_345), Some(23_456)).unwrap();
        let store = desk.path("state/store");
        restore(&desk.path("copy"), &store, at("2026-01-31T11:00:00Z")).unwrap();
        let owner = fs::metadata(&store).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (12_345, 23_456));
    }

    #[tokio::test]
    async fn what_is_no_whole_copy_is_not_put_back_and_changes_nothing() {
        let desk = Desk::new();
        let store = desk.open();
        say(&store, "accept").await;
        copy(store.path(), &desk.path("copy")).unwrap();
        drop(store);
        let whole = fs::read(desk.path("copy")).unwrap();
        fs::write(desk.path("cut"), &whole[..whole.len() / 2]).unwrap();
        fs::write(desk.path("empty"), "").unwrap();
        fs::write(desk.path("foreign"), "a text").unwrap();
        for name in ["cut", "empty", "foreign", "none"] {
            assert!(
                restore(&desk.path(name), &desk.path("store"), at("2026-01-31T11:00:00Z")).is_err(),
                "{name}"
            );
            assert_eq!(desk.said(), ["accept"]);
        }
    }

    #[test]
    fn a_copy_that_cannot_be_written_leaves_the_one_before() {
        let desk = Desk::new();
        let store = desk.open();
        fs::create_dir(desk.path("copy.new")).unwrap();
        fs::write(desk.path("copy"), "before").unwrap();
        let error = copy(store.path(), &desk.path("copy")).unwrap_err();
        assert!(error.to_string().contains("copy.new"), "{error}");
        assert_eq!(fs::read_to_string(desk.path("copy")).unwrap(), "before");
    }

    #[test]
    fn copies_of_a_day_are_all_kept_then_one_a_day_then_none() {
        let desk = Desk::new();
        let store = desk.open();
        let start = at("2026-01-01T00:00:00Z");
        let hours = |hours: i64| start + SignedDuration::from_hours(hours);
        let folder = desk.path("copies");
        for hour in (0..24 * 40).step_by(6) {
            copy_into(&folder, store.path(), hours(hour)).unwrap();
        }
        fs::write(folder.join("notes.txt"), "").unwrap();
        let last = hours(24 * 40 - 6);
        let copies = copies_in(&folder).unwrap();
        let young = copies.iter().filter(|made| last.duration_since(**made) <= ALL).count();
        assert_eq!(young, 5, "every six hours of a day and its beginning");
        assert!(copies.iter().all(|made| last.duration_since(*made) <= DAILY));
        assert!((28..=30).contains(&(copies.len() - young)), "{}", copies.len());
        assert!(folder.join("notes.txt").exists());
    }
}
