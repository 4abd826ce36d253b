//! Runs one program, of which everything is bounded: time, output, environment.

use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, pipe2},
};
use std::{
    collections::VecDeque,
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::Receiver,
    time::{sleep, timeout},
};

/// So much of what it says is kept, from the end.
const KEPT_OUTPUT: usize = 8 << 10;
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it, which `output` then says.
    pub code: Option<i32>,
    /// The end of what it said.
    pub output: String,
}

/// Why there is no end to tell of.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It was not started.
    #[error("start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long and was killed with all it had started.
    #[error("{program} took longer than {}, and was killed", crate::config::units::spoken(*.deadline))]
    Late {
        /// The program.
        program: String,
        /// What it had.
        deadline: Duration,
    },
}

/// Runs the program with its arguments to its end.
///
/// # Errors
/// It could not be started, or was late.
pub async fn run(command: &[String], deadline: Duration) -> Result<Ended, ChildError> {
    let (program, arguments) = command.split_first().ok_or_else(|| ChildError::Start {
        program: "nothing".to_owned(),
        source: io::Error::other("no program is configured"),
    })?;
    let (mut child, mut says) =
        start(program, arguments).map_err(|source| ChildError::Start { program: program.clone(), source })?;
    let mut kept = VecDeque::new();
    let to_its_end = async {
        let status = child.wait(&mut says, &mut kept).await;
        // A grandchild may hold the pipe open; what is in it by now is enough.
        let _ = timeout(LOOK, read(&mut says, &mut kept)).await;
        status
    };
    match timeout(deadline, to_its_end).await {
        Ok(status) => {
            let mut output = String::from_utf8_lossy(kept.make_contiguous()).into_owned();
            if let Some(signal) = status.signal() {
                output.push_str(&format!("\n(ended by signal {signal})"));
            }
            Ok(Ended { code: status.code(), output })
        }
        Err(_) => Err(ChildError::Late { program: program.clone(), deadline }),
    }
}

fn start(program: &str, arguments: &[String]) -> io::Result<(Group, Receiver)> {
    let (says, said) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/opt/puppetlabs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .process_group(0)
        .spawn()?;
    // From here on dropping the child ends it.
    let child = Group(child);
    Ok((child, Receiver::from_owned_fd(says)?))
}

/// A child and whatever it starts; it ends with us.
struct Group(Child);

impl Group {
    async fn wait(&mut self, says: &mut Receiver, kept: &mut VecDeque<u8>) -> std::process::ExitStatus {
        loop {
            // A child that is nobody's any more has ended as badly as can be told.
            match self.0.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) => {}
                Err(_) => return std::process::ExitStatus::from_raw(1 << 8),
            }
            if timeout(LOOK, read(says, kept)).await.is_ok() {
                sleep(LOOK).await;
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            if let Ok(pid) = i32::try_from(self.0.id()) {
                // An error means that it has ended meanwhile.
                let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
            }
            // After SIGKILL this takes no time, unless the kernel holds it; then init reaps it one day.
            let _ = self.0.try_wait();
        }
    }
}

/// Reads until the other end is closed.
async fn read(says: &mut Receiver, kept: &mut VecDeque<u8>) {
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = says.read(&mut piece).await {
        kept.extend(piece.get(..length).unwrap_or_default());
        let surplus = kept.len().saturating_sub(KEPT_OUTPUT);
        kept.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_program_is_run_to_its_end_and_the_end_of_what_it_says_is_kept() {
        let ended = run(&shell("echo one; echo two >&2; exit 4"), LONG).await.unwrap();
        assert_eq!(ended, Ended { code: Some(4), output: "one\ntwo\n".to_owned() });
        let ended = run(&shell("yes | head -c 100000; echo end"), LONG).await.unwrap();
        assert!(
            ended.output.len() == KEPT_OUTPUT && ended.output.ends_with("end\n"),
            "{}",
            ended.output.len()
        );
    }

    #[tokio::test]
    async fn a_program_that_is_killed_or_not_there_is_told_apart() {
        let ended = run(&shell("kill -9 $$"), LONG).await.unwrap();
        assert!(ended.code.is_none() && ended.output.contains("signal 9"), "{ended:?}");
        let error = run(&["/none/such".to_owned()], LONG).await.unwrap_err().to_string();
        assert!(error.contains("start /none/such: No such file"), "{error}");
        assert!(matches!(run(&[], LONG).await, Err(ChildError::Start { .. })));
    }

    #[tokio::test]
    async fn a_late_program_is_killed_with_all_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        // The grandchild outlives its parent's death, unless the whole group is killed.
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", pid.display());
        let command = shell(&script);
        let started = async {
            while !pid.exists() {
                sleep(LOOK).await;
            }
        };
        tokio::select! {
            ended = run(&command, LONG) => panic!("{ended:?}"),
            () = started => {}
        }
        // Dropped as a deadline drops it.
        let grandchild = std::fs::read_to_string(&pid).unwrap();
        let stat = format!("/proc/{}/stat", grandchild.trim());
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        timeout(LONG, async {
            while lives() {
                sleep(LOOK).await;
            }
        })
        .await
        .unwrap();
        let late = run(&shell("sleep 600"), Duration::from_millis(100)).await.unwrap_err();
        assert!(matches!(late, ChildError::Late { .. }), "{late}");
    }
}
