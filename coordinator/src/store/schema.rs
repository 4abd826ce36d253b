//! The file: whether it is ours, whether it is whole, and its tables.
//!
//! Nothing is written before every check has passed: who it belongs to is read from the file's own header, since even
//! opening a database can change it.

use super::migrate::{self, known_version, version_of};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

/// Marks the file as ours: "MWCO".
const APPLICATION_ID: u32 = 0x4D57_434F;

/// How long to wait for another connection of ours.
const BUSY: Duration = Duration::from_secs(5);

/// Why the store did not open; nothing in the file has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not one of our files.
    #[error(
        "{path} is not a Millwright store ({found}); point `state_dir` at another folder, or move that file away"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// Written by a newer version.
    #[error(
        "{path} was written by a newer version (store version {found}, this one knows up to {known}); install that version again, or restore a backup from before"
    )]
    FromTheFuture {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Damaged.
    #[error(
        "{path} is damaged ({found}); nothing has been changed: move it away together with {path}-wal and {path}-shm where they are, keep them, then restore a backup, or start without one and lose history, acknowledgements and recorded identities"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// It is not here any longer.
    #[error(
        "{path} was moved to {to} on {at} and is not used here any longer. If this host is {to}, put it in force with \
         `millwright-coordinator restore {path}`. If the coordinator has never started on {to}, take it back with \
         `millwright-coordinator move --undo`; if it has, move it back from there"
    )]
    Moved {
        /// The file.
        path: PathBuf,
        /// The host that has it now.
        to: String,
        /// Since when.
        at: jiff::Timestamp,
    },
    /// There is no copy of what a conversion would change.
    #[error(
        "{path} is of store version {version} and this program needs a newer one; before it is converted a copy is kept as \
         {path}.version-{version}, and that failed ({why}); nothing has been changed: make room in that folder, or move away \
         what is in the way, and start again"
    )]
    NotCopied {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// Why there is no copy.
        why: String,
    },
    /// Cannot be opened or written to.
    #[error("open the store {path}: {why}; see that the folder exists, belongs to the service and has room")]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// Why. Not called `source`: the message has it already.
        why: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    pub(super) fn unreadable(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match source.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => {
                Self::Damaged { path: path.to_owned(), found: source.to_string() }
            }
            _ => Self::Unreachable { path: path.to_owned(), why: source.into() },
        }
    }

    pub(super) fn unreachable(path: &Path, source: io::Error) -> Self {
        Self::Unreachable { path: path.to_owned(), why: source.into() }
    }
}

/// Opens the file for writing, making or updating its tables.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let is_new = !look_at_header(path)?;
    let unreadable = |source| OpenError::unreadable(path, source);
    let mut connection = Connection::open(path).map_err(unreadable)?;
    connection.busy_timeout(BUSY).map_err(unreadable)?;
    if !is_new {
        check_whole(&connection, path)?;
    }
    let version = version_of(&connection).map_err(unreadable)?;
    if version > known_version() {
        return Err(from_the_future(path, version));
    }
    migrate::keep_copy(&connection, path)?;
    prepare(&connection).map_err(unreadable)?;
    migrate::migrate(&mut connection).map_err(unreadable)?;
    Ok(connection)
}

/// Whether [`open`] would find anything wrong, without writing a byte.
pub(super) fn check(path: &Path, is_in_use: bool) -> Result<(), OpenError> {
    match open_for_a_look(path, is_in_use)? {
        Some(connection) => check_whole(&connection, path),
        None => Ok(()),
    }
}

/// Opens a store for reading and changes nothing; `None` when there is none yet. Foreign files are refused.
pub(super) fn open_for_a_look(path: &Path, is_in_use: bool) -> Result<Option<Connection>, OpenError> {
    if !look_at_header(path)? {
        return Ok(None);
    }
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let has_wal = std::fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0);
    // Reading makes files beside the database unless it is known that nobody writes.
    if is_in_use || has_wal { open_reader(path) } else { open_unchanging(path) }.map(Some)
}

fn open_unchanging(path: &Path) -> Result<Connection, OpenError> {
    let escaped = path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
        .map_err(|source| OpenError::unreadable(path, source))
}

/// A second connection, for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let unreadable = |source| OpenError::unreadable(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unreadable)?;
    connection.busy_timeout(BUSY).map_err(unreadable)?;
    Ok(connection)
}

/// One more connection that writes, to a store that [`open`] has found good.
pub(super) fn open_another(path: &Path) -> Result<Connection, OpenError> {
    let unreadable = |source| OpenError::unreadable(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unreadable)?;
    connection.busy_timeout(BUSY).map_err(unreadable)?;
    lose_nothing(&connection).map_err(unreadable)?;
    Ok(connection)
}

fn from_the_future(path: &Path, found: u32) -> OpenError {
    OpenError::FromTheFuture { path: path.to_owned(), found, known: known_version() }
}

/// Reads who the file belongs to without opening it as a database (SQLite's file format, section 1.3); `false` when
/// there is no file yet, or an empty one.
fn look_at_header(path: &Path) -> Result<bool, OpenError> {
    let mut header = Vec::with_capacity(100);
    match File::open(path) {
        Ok(file) => {
            file.take(100).read_to_end(&mut header).map_err(|source| OpenError::unreachable(path, source))?;
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(OpenError::unreachable(path, source)),
    }
    if header.is_empty() {
        return Ok(false);
    }
    let foreign = |found: &str| OpenError::Foreign { path: path.to_owned(), found: found.to_owned() };
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(foreign("it is no SQLite database"));
    }
    let number = |from: usize| {
        let bytes = header.get(from..from + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_be_bytes)
    };
    let (Some(version), Some(application)) = (number(60), number(68)) else {
        return Err(OpenError::Damaged { path: path.to_owned(), found: "it is cut short".into() });
    };
    if application != APPLICATION_ID {
        return Err(foreign("a database of another program"));
    }
    if version > known_version() {
        return Err(from_the_future(path, version));
    }
    Ok(true)
}

fn check_whole(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| OpenError::unreadable(path, source))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged { path: path.to_owned(), found: verdict })
}

/// Marks the file as ours, and sets how it is written.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    // Readers go on while the writer writes.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    lose_nothing(connection)
}

/// A power cut loses nothing that was confirmed. Each connection says so for itself.
fn lose_nothing(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")
}
