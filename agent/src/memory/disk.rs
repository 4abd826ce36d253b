//! Where the memory lies: a file, or for tests and simulations a few bytes that lose power.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A memory is never longer; it is written anew long before.
const LONGEST: u64 = 16 << 20;

/// What the memory needs of a disk.
pub trait Disk: fmt::Debug {
    /// Everything that is there; `None` where there is nothing yet.
    ///
    /// # Errors
    /// It is there and cannot be read.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>>;

    /// Adds to the end, and returns once that survives a loss of power.
    ///
    /// # Errors
    /// It is not certain that it does; a part of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Puts this in the place of everything, so that a loss of power leaves the old or the new, whole.
    ///
    /// # Errors
    /// It is not certain that the new survives.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Where it is, for people.
    fn place(&self) -> String;
}

/// A file of the node.
#[derive(Debug)]
pub struct FileDisk {
    path: PathBuf,
    /// Open for adding, once something was added.
    open: Option<File>,
    /// Keeps another agent away for as long as this one lives.
    lock: Option<File>,
}

impl FileDisk {
    /// The file at `path`, which need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), open: None, lock: None }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Two agents with one memory would each carry out what the other does not know of.
    fn take(&mut self) -> io::Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        fs::create_dir_all(self.folder())?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.with_extension("lock"))?;
        lock.try_lock().map_err(|_| io::Error::other("another agent uses it; stop one of the two"))?;
        self.lock = Some(lock);
        Ok(())
    }
}

/// Makes the folder's own list of files survive a loss of power.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Disk for FileDisk {
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.take()?;
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Err(io::Error::other("it is longer than any memory of ours"));
        }
        Ok(Some(bytes))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = match self.open.take() {
            Some(file) => file,
            None => OpenOptions::new().append(true).open(&self.path)?,
        };
        file.write_all(bytes)?;
        file.sync_data()?;
        self.open = Some(file);
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.open = None;
        fs::create_dir_all(self.folder())?;
        let draft = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        sync_folder(self.folder())
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// Bytes that behave as a disk: clones are the same disk, seen by who comes after a crash.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<Sim>>);

#[derive(Debug, Default)]
struct Sim {
    bytes: Option<Vec<u8>>,
    writes: u64,
    fault: Option<Fault>,
}

/// What goes wrong with a [`SimDisk`], from one write on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The power goes during write number `write`, from 0: of what it adds, `kept` bytes are there afterwards; of what it
    /// replaces, the new is there if `kept` is not 0. Everything fails until [`SimDisk::repair`].
    PowerLoss {
        /// Counted from 0, over appends and replacements.
        write: u64,
        /// Bytes of it that are kept.
        kept: usize,
    },
    /// There is no room from that write on.
    Full {
        /// Counted from 0.
        write: u64,
    },
}

impl SimDisk {
    /// A disk with these bytes on it.
    pub fn of(bytes: &[u8]) -> Self {
        let disk = Self::default();
        disk.lock().bytes = Some(bytes.to_vec());
        disk
    }

    /// What is there.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone().unwrap_or_default()
    }

    /// How many appends and replacements were asked for so far.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Lets something go wrong.
    pub fn break_at(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    /// The power is back, or there is room again.
    pub fn repair(&self) {
        self.lock().fault = None;
    }

    fn lock(&self) -> MutexGuard<'_, Sim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sim {
    /// How much of the coming write is kept; `None` for all.
    fn kept(&mut self) -> Option<usize> {
        let number = self.writes;
        self.writes += 1;
        match self.fault? {
            Fault::PowerLoss { write, kept } if number == write => Some(kept),
            Fault::PowerLoss { write, .. } | Fault::Full { write } if number >= write => Some(0),
            Fault::PowerLoss { .. } | Fault::Full { .. } => None,
        }
    }
}

impl Disk for SimDisk {
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.lock().bytes.clone())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sim = self.lock();
        let kept = sim.kept();
        let there = bytes.get(..kept.unwrap_or(bytes.len())).unwrap_or(bytes);
        sim.bytes.get_or_insert_default().extend_from_slice(there);
        kept.map_or(Ok(()), |_| Err(io::Error::other("the disk is gone")))
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sim = self.lock();
        let kept = sim.kept();
        if kept != Some(0) {
            sim.bytes = Some(bytes.to_vec());
        }
        kept.map_or(Ok(()), |_| Err(io::Error::other("the disk is gone")))
    }

    fn place(&self) -> String {
        "a simulated disk".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_added_to_and_only_root_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/memory");
        let mut disk = FileDisk::new(&path);
        assert_eq!(disk.read().unwrap(), None);
        assert!(disk.append(b"x").is_err(), "nothing is added to what was never begun");
        disk.replace(b"one ").unwrap();
        disk.append(b"two ").unwrap();
        disk.append(b"three").unwrap();
        assert!(FileDisk::new(&path).read().unwrap_err().to_string().contains("another agent"));
        assert_eq!(disk.read().unwrap().unwrap(), b"one two three");
        disk.replace(b"four").unwrap();
        disk.append(b"!").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"four!");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
