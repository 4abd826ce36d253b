//! From an older version of the tables to ours, one step after another, and never without a copy of what was there: the
//! program that could read the older version may be needed again tomorrow.

use super::{OpenError, backup};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// One step a version; a step is never changed once released, only added to.
const STEPS: [&str; 5] = [
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_meta.sql"),
    include_str!("migrations/0003_people.sql"),
    include_str!("migrations/0004_journal.sql"),
    include_str!("migrations/0005_notices.sql"),
];

/// The version that this program writes.
pub(super) fn known_version() -> u32 {
    version_after(STEPS.len())
}

/// The version of the tables; 0 for a file without any.
pub(super) fn version_of(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Where the copy of a store stands that was of this version before it was converted.
pub(super) fn copy_of(store: &Path, version: u32) -> PathBuf {
    backup::with_suffix(store, &format!(".version-{version}"))
}

/// Keeps a whole, checked copy beside a store that a conversion is about to change. A copy of an earlier attempt, or of an
/// earlier upgrade that was rolled back, is replaced once the new one is whole.
///
/// # Errors
/// There is no copy; then nothing may be converted.
pub(super) fn keep_copy(connection: &Connection, store: &Path) -> Result<(), OpenError> {
    let version = version_of(connection).map_err(|source| OpenError::unreadable(store, source))?;
    if version == 0 || version >= known_version() {
        return Ok(());
    }
    let (copy, known) = (copy_of(store, version), known_version());
    backup::copy(store, &copy).map_err(|why| OpenError::NotCopied {
        path: store.to_owned(),
        version,
        why: why.to_string(),
    })?;
    log::info!(
        "{} is of version {version} and is converted to version {known}; as it was it is kept in {}",
        store.display(),
        copy.display()
    );
    Ok(())
}

/// Takes every step that has not been taken; each is taken as a whole or not at all.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate_to(connection, STEPS.len())
}

/// As [`migrate`], but only as far as this many steps.
pub(super) fn migrate_to(connection: &mut Connection, most: usize) -> rusqlite::Result<()> {
    let done = usize::try_from(version_of(connection)?).unwrap_or(usize::MAX);
    for (place, step) in STEPS.iter().enumerate().take(most).skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version_after(place + 1))?;
        transaction.commit()?;
    }
    Ok(())
}

fn version_after(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Retention, Store,
        restore::{self, Desk},
        schema,
    };
    use std::fs;

    /// A store as the first version left it, with one word of a person in it.
    fn of_version_1(path: &Path) {
        let mut old = Connection::open(path).unwrap();
        schema::prepare(&old).unwrap();
        migrate_to(&mut old, 1).unwrap();
        old.execute("INSERT INTO audit VALUES (1, 0, 'ann', 'dead', 'n01', 'burnt')", []).unwrap();
    }

    fn version(path: &Path) -> u32 {
        version_of(&schema::open_reader(path).unwrap()).unwrap()
    }

    fn said(path: &Path) -> Vec<String> {
        let (store, _) = Store::open(path, Retention::default()).unwrap();
        store.audit(10).unwrap().into_iter().map(|entry| entry.reason).collect()
    }

    #[test]
    fn an_older_store_is_copied_whole_before_it_is_converted_and_the_copy_can_be_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("store"), folder.path().join("store.version-1"));
        of_version_1(&path);
        assert_eq!(said(&path), ["burnt"]);
        assert_eq!((version(&path), version(&copy)), (known_version(), 1));
        schema::check(&copy, false).unwrap();

        let host = "mw".parse().unwrap();
        let desk = Desk { store: &path, backups: folder.path(), host: &host, by: "root" };
        let cluster = Store::open(&path, Retention::default()).unwrap().0.incarnation().cluster;
        let restored = restore::restore(&copy, desk, jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(said(&path), ["", "burnt"]);
        assert_eq!(
            restored.incarnation.cluster, cluster,
            "the first version knows none; it is the one it was"
        );
    }

    #[test]
    fn a_store_that_is_new_or_of_this_version_is_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            drop(Store::open(&folder.path().join("store"), Retention::default()).unwrap());
        }
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["store"]);
    }

    #[test]
    fn a_copy_of_an_attempt_that_was_cut_off_is_replaced_by_a_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("store"), folder.path().join("store.version-1"));
        of_version_1(&path);
        fs::write(&copy, "from an earlier attempt").unwrap();
        fs::write(folder.path().join("store.version-1.new"), "half a copy").unwrap();
        assert_eq!(said(&path), ["burnt"]);
        assert_eq!(version(&copy), 1);
        assert!(!folder.path().join("store.version-1.new").exists());
    }

    #[test]
    fn without_a_copy_nothing_is_converted_and_the_refusal_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        of_version_1(&path);
        let before = fs::read(&path).unwrap();
        fs::create_dir(folder.path().join("store.version-1.new")).unwrap();
        let refusal = Store::open(&path, Retention::default()).err().unwrap().to_string();
        for part in ["store.version-1", "nothing has been changed", "make room"] {
            assert!(refusal.contains(part), "{part}: {refusal}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(version(&path), 1);
    }
}
