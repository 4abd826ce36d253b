//! A temporary folder that takes everything mounted below it along when it goes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, umount2};
use tempfile::TempDir;

use super::machine::lab_script;

/// What `tests/lab/broom.sh` reads: it sweeps up when this process is interrupted or killed and no `drop` runs.
static BROOM: Mutex<Option<Child>> = Mutex::new(None);

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
        tell_the_broom(folder.path()).context("tell tests/lab/broom.sh of a temporary folder")?;
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
        // Whatever the umask: configuration that a group could change is not read.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
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

fn tell_the_broom(folder: &Path) -> Result<()> {
    let Ok(mut broom) = BROOM.lock() else { bail!("find it: it was left in disorder") };
    let broom = match broom.as_mut() {
        Some(broom) => broom,
        None => broom.insert(start_broom()?),
    };
    let names = broom.stdin.as_mut().context("find its standard input")?;
    Ok(writeln!(names, "{}", folder.display())?)
}

fn start_broom() -> Result<Child> {
    let broom = Command::new("/bin/sh")
        .arg(lab_script("broom.sh"))
        // Ctrl-C is not for it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    broom.context("start it")
}
