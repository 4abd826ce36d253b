//! A look at something that may hang in the kernel, taken by a child that can be left behind.
//!
//! The child is this program again (`millwright-agent probe PATH`); it prints one line of JSON. One that
//! misses its deadline is killed; one stuck in the kernel cannot be, and keeps its [`ProbeSlot`] until it is
//! gone, so that at most one child ever waits for the same thing.

use nix::sys::statvfs::{FsFlags, statvfs};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// This very program, even if its file was replaced meanwhile.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// No answer of ours is longer.
const LONGEST_ANSWER: u64 = 4096;

/// What a child saw at a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The device the path is on.
    pub device: u64,
    /// Size of the file system, in bytes.
    pub size_bytes: u64,
    /// Free, in bytes, the part reserved for root included.
    pub free_bytes: u64,
    /// Free for everybody else, in bytes.
    pub available_bytes: u64,
    /// Inodes; zero where there is no fixed number.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
    /// Whether the file system refuses to be written to.
    pub read_only: bool,
}

/// What a child says: a sight, or why there is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Seen(Sight),
    Refused(String),
}

/// Why there is no sight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The kernel said no: "No such file or directory", "Transport endpoint is not connected".
    #[error("{0}")]
    Refused(String),
    /// The child could not be started or said something else than an answer.
    #[error("the probe could not be used: {0}")]
    Broken(String),
}

/// The child's part: looks at `path` and says what it saw, as JSON.
pub fn answer(path: &Path) -> String {
    let answer = match see(path) {
        Ok(sight) => Answer::Seen(sight),
        Err(error) => Answer::Refused(error.to_string()),
    };
    serde_json::to_string(&answer).unwrap_or_default()
}

fn see(path: &Path) -> io::Result<Sight> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        // A dead automount or NFS server answers statvfs from memory; the first entry has to be fetched.
        if let Some(entry) = fs::read_dir(path)?.next() {
            entry?;
        }
    }
    let figures = statvfs(path)?;
    let block = figures.fragment_size();
    Ok(Sight {
        device: metadata.dev(),
        size_bytes: figures.blocks().saturating_mul(block),
        free_bytes: figures.blocks_free().saturating_mul(block),
        available_bytes: figures.blocks_available().saturating_mul(block),
        inodes: figures.files(),
        inodes_free: figures.files_free(),
        read_only: figures.flags().contains(FsFlags::ST_RDONLY),
    })
}

/// How children are started.
#[derive(Debug, Clone)]
pub struct Probe {
    program: PathBuf,
    deadline: Duration,
}

/// The right to have one child out for one thing.
#[derive(Debug, Clone)]
pub struct ProbeSlot(Arc<Semaphore>);

impl Default for ProbeSlot {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Probe {
    /// Children of `program`: [`THIS_PROGRAM`], or one that speaks the same way.
    pub fn of(program: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self { program: program.into(), deadline }
    }

    /// Looks at `path`. Waits while an earlier child for the same slot is still out, so a look that asks
    /// while the last one hangs misses its own deadline.
    ///
    /// # Errors
    /// What the kernel said, or why no child could be used.
    pub async fn see(&self, slot: &ProbeSlot, path: &Path) -> Result<Sight, ProbeError> {
        let permit =
            slot.0.clone().acquire_owned().await.map_err(|error| ProbeError::Broken(error.to_string()))?;
        let child = Command::new(&self.program)
            .arg0("millwright-agent")
            .arg("probe")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| ProbeError::Broken(format!("start {}: {error}", self.program.display())))?;
        let (tell, told) = oneshot::channel();
        tokio::task::spawn_local(keep(child, permit, self.deadline, tell));
        match told.await {
            Ok(answer) => answer,
            // The keeper gave up at its deadline; so does the look, at its own.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Waits for the child, kills it when it is late or nobody listens any more, and gives its slot back only
/// when it is really gone.
async fn keep(
    mut child: Child,
    permit: OwnedSemaphorePermit,
    deadline: Duration,
    mut tell: oneshot::Sender<Result<Sight, ProbeError>>,
) {
    let mut said = Vec::new();
    let answered = match child.stdout.take() {
        None => true,
        Some(stdout) => {
            let mut stdout = stdout.take(LONGEST_ANSWER);
            tokio::select! {
                read = timeout(deadline, stdout.read_to_end(&mut said)) => read.is_ok(),
                () = tell.closed() => false,
            }
        }
    };
    if answered {
        // Whoever asked may be gone; then nobody wants to know.
        let _ = tell.send(understood(&said));
    } else {
        drop(tell);
    }
    let pid = child.id().unwrap_or_default();
    // An error means that it is gone already.
    let _ = child.start_kill();
    if timeout(Duration::from_secs(2), child.wait()).await.is_err() {
        log::warn!(pid = pid; "probe {pid} is stuck in the kernel and cannot be killed; no other is started in its place");
        let _ = child.wait().await;
    }
    drop(permit);
}

fn understood(said: &[u8]) -> Result<Sight, ProbeError> {
    match serde_json::from_slice(said) {
        Ok(Answer::Seen(sight)) => Ok(sight),
        Ok(Answer::Refused(why)) => Err(ProbeError::Refused(why)),
        Err(error) => Err(ProbeError::Broken(format!("{:?}: {error}", String::from_utf8_lossy(said)))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tokio::task::LocalSet;

    const LONG: Duration = Duration::from_secs(60);

    /// A program that speaks like a probe, as a shell script.
    pub(crate) fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("probe.sh");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn see(program: &Path, deadline: Duration, slot: &ProbeSlot) -> Result<Sight, ProbeError> {
        Probe::of(program, deadline).see(slot, Path::new("/build")).await
    }

    #[test]
    fn the_childs_answer_is_understood() {
        let folder = tempfile::tempdir().unwrap();
        let sight = understood(answer(folder.path()).as_bytes()).unwrap();
        assert!(
            sight.size_bytes >= sight.free_bytes && sight.size_bytes > 0 && !sight.read_only,
            "{sight:?}"
        );
        let refusal = understood(answer(&folder.path().join("none")).as_bytes()).unwrap_err();
        assert!(refusal.to_string().contains("No such file"), "{refusal}");
    }

    #[tokio::test]
    async fn a_child_that_says_nonsense_or_nothing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["echo nonsense", "exit 1", "yes"] {
            let program = script(folder.path(), text);
            let slot = ProbeSlot::default();
            let seen = LocalSet::new().run_until(see(&program, LONG, &slot)).await;
            assert!(matches!(seen, Err(ProbeError::Broken(_))), "{text}: {seen:?}");
        }
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_an_error() {
        let slot = ProbeSlot::default();
        let seen = LocalSet::new().run_until(see(Path::new("/nowhere/probe"), LONG, &slot)).await;
        assert!(matches!(seen, Err(ProbeError::Broken(_))), "{seen:?}");
    }

    #[tokio::test]
    async fn a_late_child_is_killed_and_its_slot_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (late, slot) = (script(folder.path(), "exec sleep 1000"), ProbeSlot::default());
        LocalSet::new()
            .run_until(async {
                let look =
                    timeout(Duration::from_millis(50), see(&late, Duration::from_millis(10), &slot)).await;
                assert!(look.is_err(), "the look misses its deadline");
                // Waits for the slot, which only comes back when the child is gone.
                let permit = slot.0.clone().acquire_owned().await.unwrap();
                drop(permit);
            })
            .await;
    }

    #[tokio::test]
    async fn while_a_child_is_out_no_other_is_started_for_its_slot() {
        let folder = tempfile::tempdir().unwrap();
        let started = folder.path().join("started");
        let program = script(folder.path(), &format!("echo x >> {}; exec sleep 1000", started.display()));
        let slot = ProbeSlot::default();
        LocalSet::new()
            .run_until(async {
                let held = slot.0.clone().acquire_owned().await.unwrap();
                for _ in 0..3 {
                    let look = timeout(Duration::from_millis(5), see(&program, LONG, &slot)).await;
                    assert!(look.is_err());
                }
                drop(held);
            })
            .await;
        assert!(!started.exists());
    }
}
