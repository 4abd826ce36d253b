//! A temporary folder that takes everything mounted below it along when it goes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, umount2};
use tempfile::TempDir;

/// A temporary folder with a short path: Unix sockets live in it, and their names end at 107 bytes.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// `name` shows up in the path, for whoever looks at a running test.
    pub fn new(name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("mw-{name}-"))
            .tempdir()
            .with_context(|| format!("make a temporary folder for {name}"))?;
        Ok(Self { folder })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path below the folder; nothing is made.
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder below the folder.
    pub fn make(&self, name: &str) -> Result<PathBuf> {
        let path = self.join(name);
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(path)
    }

    /// A file below the folder.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.join(name);
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
        // Later mounts may sit on earlier ones.
        for point in
            points.filter(|point| point.starts_with(self.path())).collect::<Vec<_>>().into_iter().rev()
        {
            // Detached, so that a process still looking inside cannot keep the folder.
            let _ = umount2(point, MntFlags::MNT_DETACH);
        }
    }
}
