//! A fork of this process that looks once, says what it saw, and ends. The only file that forks.
//!
//! Starting a program instead was measured at a megabyte and a millisecond for each look: the dynamic linker
//! relocates a copy of everything the agent is made of. A fork shares it.

use nix::{
    errno::Errno,
    libc,
    sys::{
        resource::{Resource, getrlimit},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, close, fork, pipe2, write},
};
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver, time::sleep};

/// No answer of ours is longer, and a pipe holds as much without anybody reading.
const LONGEST_ANSWER: u64 = 4096;
/// File descriptors beyond are not ours: the agent has a few dozen.
const MOST_FILES: libc::rlim_t = 1024;

/// A child that is still there, or not yet known to be gone.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    answer: Receiver,
    is_gone: bool,
}

impl Child {
    /// Starts a child that says what `look` returns.
    ///
    /// # Errors
    /// The kernel has no more processes or files to give.
    #[expect(unsafe_code, reason = "fork has no safe form; the argument stands below")]
    pub(super) fn start(look: impl FnOnce() -> String) -> io::Result<Self> {
        let (answer, tell) = pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)?;
        // SAFETY: the child runs `say`, which never returns into this stack. The agent has one thread, but for
        // the name look-ups of its HTTP client; should one of those hold a lock just now, it is none that the
        // child takes: glibc leaves its allocator usable in a fork, and the child writes no log.
        match unsafe { fork() }? {
            ForkResult::Child => say(&tell, look),
            ForkResult::Parent { child } => {
                Ok(Self { pid: child, answer: Receiver::from_owned_fd(answer)?, is_gone: false })
            }
        }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Everything it says until it ends.
    pub(super) async fn answer(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        // What came before an error is judged by whoever reads it.
        let _ = (&mut self.answer).take(LONGEST_ANSWER).read_to_end(&mut said).await;
        said
    }

    /// Ends it, unless the kernel holds it.
    pub(super) fn kill(&self) {
        if !self.is_gone {
            // An error means that it has ended by itself.
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }

    /// Waits until it is really gone.
    pub(super) async fn gone(&mut self) {
        let mut pause = Duration::from_millis(1);
        while !self.is_reaped() {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    fn is_reaped(&mut self) -> bool {
        let waited = waitpid(self.pid, Some(WaitPidFlag::WNOHANG));
        self.is_gone |= !matches!(waited, Ok(WaitStatus::StillAlive) | Err(Errno::EINTR));
        self.is_gone
    }
}

impl Drop for Child {
    /// For a keeper that is dropped when the agent ends; init takes what is left.
    fn drop(&mut self) {
        self.kill();
    }
}

/// The child's whole life.
#[expect(unsafe_code, reason = "_exit has no safe form")]
fn say(tell: &OwnedFd, look: impl FnOnce() -> String) -> ! {
    close_all_but(tell.as_raw_fd());
    let answer = catch_unwind(AssertUnwindSafe(look)).unwrap_or_default();
    // Nobody to tell when the agent is gone.
    let _ = write(tell, answer.as_bytes());
    // SAFETY: ends the process at once, without the agent's destructors and exit handlers.
    unsafe { libc::_exit(0) }
}

/// A child that hangs for days must not keep the status port or connections of an agent that has ended.
fn close_all_but(kept: i32) {
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(MOST_FILES, |(soft, _)| soft.min(MOST_FILES));
    for file in (0..i32::try_from(most).unwrap_or(i32::MAX)).filter(|file| *file != kept) {
        // Most were never open.
        let _ = close(file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn a_child_holds_none_of_the_agents_files() {
        let folder = tempfile::tempdir().unwrap();
        let _listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count().to_string();
        let mut child = Child::start(open).unwrap();
        // The pipe and the folder that is being read.
        assert_eq!(child.answer().await, b"2");
        child.gone().await;
        assert!(child.is_reaped());
    }

    #[tokio::test]
    async fn a_child_that_breaks_says_nothing() {
        let mut child = Child::start(|| panic!("a defect")).unwrap();
        assert_eq!(child.answer().await, b"");
        child.gone().await;
    }
}
