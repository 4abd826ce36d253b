//! A look at something that may hang in the kernel, taken by a child that can be left behind.
//!
//! The child is a fork of this process; it says one line of JSON. One that misses its deadline is killed; one
//! stuck in the kernel cannot be, and keeps its [`ProbeSlot`] until it is gone, so that at most one child ever
//! waits for the same thing.

mod child;

use child::Child;
use nix::sys::statvfs::{FsFlags, statvfs};
use serde::{Deserialize, Serialize};
use std::{fs, io, os::unix::fs::MetadataExt, path::Path, rc::Rc, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

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

/// What a child does: looks at a path and says what it saw. [`answer`], but for tests.
pub type Eye = Rc<dyn Fn(&Path) -> String>;

/// How children look.
#[derive(Clone)]
pub struct Probe {
    eye: Eye,
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
    /// Children that look with `eye` and have `deadline` to answer.
    pub fn of(eye: Eye, deadline: Duration) -> Self {
        Self { eye, deadline }
    }

    /// Looks at `path`. Waits while an earlier child for the same slot is still out, so a look that asks
    /// while the last one hangs misses its own deadline.
    ///
    /// # Errors
    /// What the kernel said, or why no child could be used.
    pub async fn see(&self, slot: &ProbeSlot, path: &Path) -> Result<Sight, ProbeError> {
        let permit =
            slot.0.clone().acquire_owned().await.map_err(|error| ProbeError::Broken(error.to_string()))?;
        let child = Child::start(|| (self.eye)(path))
            .map_err(|error| ProbeError::Broken(format!("start a child: {error}")))?;
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
    let answer = tokio::select! {
        said = timeout(deadline, child.answer()) => said.ok(),
        () = tell.closed() => None,
    };
    match answer {
        // Whoever asked may be gone; then nobody wants to know.
        Some(said) => drop(tell.send(understood(&said))),
        None => drop(tell),
    }
    child.kill();
    if timeout(Duration::from_secs(2), child.gone()).await.is_err() {
        let pid = child.pid();
        log::warn!(pid = pid; "probe {pid} is stuck in the kernel and cannot be killed; no other is started in its place");
        child.gone().await;
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
    use nix::unistd::pause;
    use tokio::task::LocalSet;

    const LONG: Duration = Duration::from_secs(60);

    /// Children that all say the same.
    pub(crate) fn saying(text: &str) -> Eye {
        let text = text.to_owned();
        Rc::new(move |_| text.clone())
    }

    /// Children that never answer.
    pub(crate) fn hanging() -> Eye {
        Rc::new(|_| {
            loop {
                pause();
            }
        })
    }

    async fn see(eye: &Eye, deadline: Duration, slot: &ProbeSlot) -> Result<Sight, ProbeError> {
        Probe::of(eye.clone(), deadline).see(slot, Path::new("/build")).await
    }

    #[tokio::test]
    async fn a_child_sees_a_folder_and_says_why_it_sees_none() {
        let folder = tempfile::tempdir().unwrap();
        let (probe, slot) = (Probe::of(Rc::new(answer), LONG), ProbeSlot::default());
        LocalSet::new()
            .run_until(async {
                let sight = probe.see(&slot, folder.path()).await.unwrap();
                assert!(
                    sight.size_bytes >= sight.free_bytes && sight.size_bytes > 0 && !sight.read_only,
                    "{sight:?}"
                );
                let refusal = probe.see(&slot, &folder.path().join("none")).await.unwrap_err();
                assert!(refusal.to_string().contains("No such file"), "{refusal}");
            })
            .await;
    }

    #[tokio::test]
    async fn a_child_that_says_nonsense_or_nothing_is_an_error() {
        for text in ["nonsense", "", "{\"seen\":{}}{\"seen\":{}}"] {
            let slot = ProbeSlot::default();
            let seen = LocalSet::new().run_until(see(&saying(text), LONG, &slot)).await;
            assert!(matches!(seen, Err(ProbeError::Broken(_))), "{text}: {seen:?}");
        }
    }

    #[tokio::test]
    async fn a_late_child_is_killed_and_its_slot_comes_back() {
        let slot = ProbeSlot::default();
        LocalSet::new()
            .run_until(async {
                let eye = hanging();
                let look = see(&eye, Duration::from_millis(10), &slot);
                let look = timeout(Duration::from_millis(50), look).await;
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
        let leaves_a_mark: Eye = {
            let started = started.clone();
            Rc::new(move |_| fs::write(&started, "").map(|()| String::new()).unwrap_or_default())
        };
        let slot = ProbeSlot::default();
        LocalSet::new()
            .run_until(async {
                let held = slot.0.clone().acquire_owned().await.unwrap();
                for _ in 0..3 {
                    let look = timeout(Duration::from_millis(5), see(&leaves_a_mark, LONG, &slot)).await;
                    assert!(look.is_err());
                }
                drop(held);
            })
            .await;
        assert!(!started.exists());
    }
}
