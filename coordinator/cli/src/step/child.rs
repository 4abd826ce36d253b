//! The command itself: started word by word and without a shell, its output passed on, the end of it kept.

use anyhow::{Context, Result};
use std::{
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
};

/// So much of what it printed is recorded, in bytes: the end, where programs say what went wrong.
const KEPT: usize = 4000;
/// What it left running may hold its output open; nobody waits longer than this for that.
const LINGER: Duration = Duration::from_secs(2);

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` for a signal.
    pub code: Option<i32>,
    /// The end of what it printed.
    pub said: String,
}

/// While it lives, signals from the terminal do not end this program.
pub struct Spared {
    _signals: Vec<Signal>,
}

impl Spared {
    /// From now on.
    ///
    /// # Errors
    /// The signals cannot be taken.
    pub fn new() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::quit(), SignalKind::hangup()];
        Ok(Self { _signals: kinds.into_iter().map(signal).collect::<io::Result<_>>()? })
    }
}

/// Where its output goes while it runs.
pub type Sink = Box<dyn Write + Send>;

/// Runs it to its end; what it prints goes on to `out` and `err` at once.
///
/// # Errors
/// It could not be started: then nothing was run.
pub async fn run(command: &[String], out: Sink, err: Sink) -> Result<Ended> {
    let (program, arguments) = command.split_first().context("find a program in an empty command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let tail = Arc::new(Mutex::new(Vec::new()));
    let stdout = child.stdout.take().map(|from| tokio::spawn(pass_on(from, out, Arc::clone(&tail))));
    let stderr = child.stderr.take().map(|from| tokio::spawn(pass_on(from, err, Arc::clone(&tail))));
    let status = child.wait().await;
    for reader in [stdout, stderr].into_iter().flatten() {
        let _ = tokio::time::timeout(LINGER, reader).await;
    }
    let said = String::from_utf8_lossy(&tail.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    Ok(match status {
        Ok(status) => {
            let said = match status.signal() {
                Some(signal) => format!("{said}\n(ended by signal {signal})"),
                None => said,
            };
            Ended { code: status.code(), said }
        }
        // It was started and nobody knows how it ended, which is what no exit code means.
        Err(error) => Ended { code: None, said: format!("{said}\n(wait for it: {error})") },
    })
}

async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: Sink, tail: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let part = buffer.get(..count).unwrap_or_default();
        // Whether anybody still reads along does not matter to the command.
        let _ = to.write_all(part).and_then(|()| to.flush());
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(part);
        let over = tail.len().saturating_sub(KEPT);
        tail.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn unheard(command: &[String]) -> Result<Ended> {
        run(command, Box::new(io::sink()), Box::new(io::sink())).await
    }

    async fn sh(script: &str) -> Ended {
        unheard(&["sh", "-c", script].map(str::to_owned)).await.unwrap()
    }

    #[tokio::test]
    async fn the_exit_code_and_the_end_of_what_was_printed_are_kept() {
        let ended = sh("echo begins; echo 'Nova says no' >&2; exit 30").await;
        assert_eq!(ended.code, Some(30));
        assert!(ended.said.contains("begins\n") && ended.said.contains("Nova says no\n"), "{}", ended.said);
        let long = sh("head -c 9000 /dev/zero | tr '\\0' x; echo; echo the end").await;
        assert!(long.said.ends_with("the end\n") && long.said.len() == KEPT, "{}", long.said.len());
    }

    #[tokio::test]
    async fn a_command_that_is_ended_by_a_signal_has_no_exit_code() {
        let ended = sh("kill -9 $$").await;
        assert!(ended.code.is_none() && ended.said.contains("signal 9"), "{ended:?}");
    }

    #[tokio::test]
    async fn words_reach_the_program_as_they_are_and_a_program_that_is_not_there_was_not_run() {
        let words = ["echo", "$(reboot)", "a  b", "; true"].map(str::to_owned);
        assert_eq!(unheard(&words).await.unwrap().said, "$(reboot) a  b ; true\n");
        let missing = unheard(&["/no/such/ai-rebuild".to_owned()]).await.unwrap_err();
        assert!(missing.to_string().contains("start /no/such/ai-rebuild"), "{missing}");
        assert!(unheard(&[]).await.is_err());
    }

    #[tokio::test]
    async fn what_it_leaves_running_keeps_nobody_waiting() {
        let ended = sh("sleep 600 & echo $!").await;
        let pid: i32 = ended.said.trim().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        assert_eq!(ended.code, Some(0));
    }
}
