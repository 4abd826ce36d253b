//! One of our programs, started beside this one, watched, and stopped by its own process id.

use anyhow::{Context, anyhow};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// After this a program that was asked to stop is made to.
const PATIENCE: Duration = Duration::from_secs(15);
/// Lines of a log that are shown when its program has died.
const TAIL: usize = 15;

/// A running program.
pub struct Child {
    name: &'static str,
    process: tokio::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts the program of that name that lies beside this one.
    ///
    /// # Errors
    /// When there is none, or it cannot be started.
    pub fn start(name: &'static str, arguments: &[&str], log: PathBuf) -> anyhow::Result<Self> {
        let program = beside_this(name)?;
        let words = File::create(&log).with_context(|| format!("write {}", log.display()))?;
        let process = Command::new(&program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words)
            // A Ctrl-C at the terminal is for us; we stop our children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { name, process, log })
    }

    /// The first line it writes; `None` when it ends without one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn first_line(&mut self) -> anyhow::Result<Option<String>> {
        let out = self
            .process
            .stdout
            .take()
            .ok_or_else(|| anyhow!("the output of {} is read already", self.name))?;
        let line = BufReader::new(out).lines().next_line().await;
        line.with_context(|| format!("read what {} announces", self.name))
    }

    /// Waits for it to end, which it should not, and says how it did.
    pub async fn death(&mut self) -> anyhow::Error {
        let how = match self.process.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        anyhow!("{} has ended ({how}); the end of its log:\n{}", self.name, tail(&self.log))
    }

    /// Asks it to stop, waits, and makes it in the end.
    pub async fn stop(mut self) {
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid
            && kill(Pid::from_raw(pid), Signal::SIGTERM).is_ok()
            && tokio::time::timeout(PATIENCE, self.process.wait()).await.is_ok()
        {
            return;
        }
        // It has ended already, or it does not want to.
        let _ = self.process.kill().await;
    }
}

fn beside_this(name: &str) -> anyhow::Result<PathBuf> {
    let this = env::current_exe().context("find out where this program lies")?;
    let program = this.parent().unwrap_or(Path::new("/")).join(name);
    if program.exists() {
        return Ok(program);
    }
    Err(anyhow!(
        "{} is not there; it has to lie beside {}: install it, or build all programs with `cargo build --workspace --bins`",
        program.display(),
        this.display()
    ))
}

fn tail(log: &Path) -> String {
    let text = match std::fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return format!("  ({}: {error})", log.display()),
    };
    let lines: Vec<&str> = text.lines().rev().take(TAIL).collect();
    if lines.is_empty() {
        return "  (empty)".to_owned();
    }
    lines.into_iter().rev().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.log");
        std::fs::write(&log, (0..100).map(|number| format!("line {number}\n")).collect::<String>()).unwrap();
        let end = tail(&log);
        assert!(end.starts_with("  line 85\n") && end.ends_with("  line 99"), "{end}");
        assert!(tail(&folder.path().join("none")).contains("none"));
    }

    #[test]
    fn a_program_that_is_not_there_is_said_to_be_with_what_to_do() {
        let error = beside_this("millwright-nonesuch").unwrap_err().to_string();
        assert!(error.contains("millwright-nonesuch") && error.contains("cargo build"), "{error}");
    }
}
