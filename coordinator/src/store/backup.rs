//! Copies of the store: made while it is in use, checked before they count.

use super::{OpenError, schema};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use rusqlite::Connection;
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

/// Why there is no copy.
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
}

/// Copies the store of a running coordinator to `to`: all of one moment, checked, and in its place in one step.
///
/// # Errors
/// The store cannot be read, or `to` cannot be written. What was at `to` before is still there.
pub fn copy(store: &Path, to: &Path) -> Result<(), BackupError> {
    let draft = with_suffix(to, ".new");
    let unwritable = |why: String| BackupError::Unwritable { path: draft.clone(), why };
    remove(&draft).map_err(|error| unwritable(error.to_string()))?;
    let copied = schema::open_reader(store).map_err(BackupError::from);
    let copied = copied.and_then(|store| copy_whole(&store, &draft)).and_then(|()| {
        fs::rename(&draft, to).and_then(|()| keep_names(to)).map_err(|error| unwritable(error.to_string()))
    });
    if copied.is_err() {
        // Half a copy takes room that is short; that it cannot be removed is the smaller trouble.
        let _ = remove(&draft);
    }
    copied
}

/// Copies to a file that is not there yet, and returns once all of it is on the disk and has been read again.
pub(super) fn copy_whole(store: &Connection, to: &Path) -> Result<(), BackupError> {
    let unwritable = |why: String| BackupError::Unwritable { path: to.to_owned(), why };
    store.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(|error| unwritable(error.to_string()))?;
    schema::check(to, false)?;
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| unwritable(error.to_string()))
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

/// The copies in a folder; none where it cannot be read.
pub(super) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let copies = copies_in(folder).unwrap_or_default();
    copies.into_iter().map(|made| folder.join(made.strftime(NAMED).to_string())).collect()
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

/// Returns once a power cut does not undo a rename.
pub(super) fn keep_names(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// What root makes for the service, which is somebody else, must be the service's.
pub(crate) fn give_to_owner_of_folder(file: &Path) -> io::Result<()> {
    let Some(folder) = file.parent().filter(|_| nix::unistd::geteuid().is_root()) else { return Ok(()) };
    let folder = fs::metadata(folder)?;
    std::os::unix::fs::chown(file, Some(folder.uid()), Some(folder.gid()))
}

/// The path with something behind its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes a file where there is one.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Retention, Store};

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
