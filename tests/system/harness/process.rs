//! Processes: daemons that end with the test, and commands that end within a limit.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::machine::lab_script;
use super::wait::wait_for;

/// What a daemon gets to end by itself after being asked to.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// What its threads get to stand still.
const STOPS_WITHIN: Duration = Duration::from_secs(15);

/// A process that ends when this value is dropped, and also when the whole test process is killed.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// A command on the leash of `tests/lab/leash.sh`. Add arguments and environment, then `start` it.
    pub fn leashed(program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg(lab_script("leash.sh")).arg(program);
        command
    }

    /// Starts `command` with its output appended to `log`. It has a pipe as standard input.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log).context("open the log")?;
        let child = command
            // Ctrl-C in a terminal is ours to hear; we end what we started, in the right order.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().context("share the log")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process id, as `i32` because that is what signals want.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Sends a signal to this process only.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid()), signal).with_context(|| format!("send {signal} to {}", self.name))
    }

    /// Stops it in its tracks, and returns once it has: on a busy machine its threads run on until each has had its turn.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        wait_for(&format!("every thread of {} to stop", self.name), STOPS_WITHIN, || {
            Ok(self.has_stopped()?.then_some(()))
        })
    }

    fn has_stopped(&self) -> Result<bool> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            // One that ends meanwhile does nothing any more either.
            let stat = fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            if state.is_some_and(|state| state != 'T') {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a line to its standard input.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let Some(input) = self.child.stdin.as_mut() else { bail!("{} has ended", self.name) };
        writeln!(input, "{line}").with_context(|| format!("write to {}", self.name))
    }

    /// Waits for its condition; an end of the process before that is an error. Both errors show the log.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let (name, child) = (&self.name, &mut self.child);
        let found = wait_for(what, limit, || match child.try_wait()? {
            Some(status) => bail!("{name} ended with {status} before {what}"),
            None => Ok(look()),
        });
        found.with_context(|| self.log_tail())
    }

    /// The end of what it wrote, for error messages.
    pub fn log_tail(&self) -> String {
        let log = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n  ");
        format!("{} said at the end:\n  {tail}\n", self.name)
    }

    /// Closes its standard input, which our own programs take as "finish", and waits for its end.
    pub fn finish(&mut self) {
        drop(self.child.stdin.take());
        self.wait_or_kill();
    }

    /// Asks it to end, and after 15 s makes it.
    pub fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.signal(Signal::SIGTERM);
            // A stopped process would never hear of it.
            let _ = self.signal(Signal::SIGCONT);
            self.wait_or_kill();
        }
        drop(self.child.stdin.take());
    }

    fn wait_or_kill(&mut self) {
        let ended = wait_for("its end", STOP_LIMIT, || Ok(self.child.try_wait()?));
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a command to its end and returns everything about it. One that takes longer than `limit` is killed.
pub fn output_of(command: &mut Command, limit: Duration) -> Result<Output> {
    output_with(command.stdin(Stdio::null()), limit)
}

/// The same with this text on its standard input.
pub fn output_fed(command: &mut Command, input: &str, limit: Duration) -> Result<Output> {
    let mut file = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    output_with(command.stdin(file), limit)
}

fn output_with(command: &mut Command, limit: Duration) -> Result<Output> {
    let name = format!("{command:?}");
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {name}"))?;
    let pid = Pid::from_raw(child.id().cast_signed());
    // Both pipes must be read while it runs, which `wait_with_output` does, and only a thread can do beside us.
    let reader = thread::spawn(move || child.wait_with_output());
    if wait_for("its end", limit, || Ok(reader.is_finished().then_some(()))).is_err() {
        let _ = kill(pid, Signal::SIGKILL);
        bail!("run {name}: still running after {limit:?}");
    }
    match reader.join() {
        Ok(output) => output.with_context(|| format!("run {name}")),
        Err(_) => bail!("run {name}: its reader ended early"),
    }
}

/// Runs a command that must succeed and returns its standard output, without the last line end.
pub fn run(command: &mut Command, limit: Duration) -> Result<String> {
    let output = output_of(command, limit)?;
    if !output.status.success() {
        bail!("run {command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
