//! The two programs, started beside this one and stopped with it.

use super::setting::Setting;
use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Deserialize;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

/// How long a program may take to start, or to end after it was told to.
const START: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(5);
/// Lines of a log that are shown when its program has ended.
const TAIL: usize = 15;

/// Where the programs are.
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// The folder this program is in.
    pub fn beside_this_one() -> Result<Self> {
        let own = std::env::current_exe().context("find out where this program is")?;
        let folder = own.parent().context("find the folder of this program")?.to_owned();
        for name in ["millwright-coordinator", "millwright-agent"] {
            if !folder.join(name).exists() {
                bail!("{name} is not in {}; `make try` builds all three programs", folder.display());
            }
        }
        Ok(Self { folder })
    }
}

/// What the coordinator says once it answers.
#[derive(Debug, Deserialize)]
pub struct Addresses {
    pub operators: String,
    pub agents: String,
}

/// A running program.
pub struct Child {
    name: &'static str,
    log: PathBuf,
    process: tokio::process::Child,
}

impl Child {
    /// Starts the coordinator and waits for its addresses.
    pub async fn coordinator(programs: &Programs, setting: &Setting) -> Result<(Self, Addresses)> {
        let arguments =
            ["--config", &path(&setting.coordinator_toml()), "run", "--announce"].map(str::to_owned);
        let mut child = Self::start(programs, setting, "millwright-coordinator", &arguments, Stdio::piped())?;
        let stdout = child.process.stdout.take().context("read what the coordinator announces")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(START, lines.next_line()).await;
        let Ok(Ok(Some(line))) = line else {
            let ended = child.still_runs().err().map_or_else(|| child.tail(), |error| error.to_string());
            child.stop().await;
            bail!("start the coordinator: it did not say where it listens\n{ended}");
        };
        let addresses =
            serde_json::from_str(&line).with_context(|| format!("understand {line:?} of the coordinator"))?;
        Ok((child, addresses))
    }

    /// Starts the agent.
    pub fn agent(programs: &Programs, setting: &Setting) -> Result<Self> {
        let arguments = ["--config", &path(&setting.agent_toml()), "run"].map(str::to_owned);
        Self::start(programs, setting, "millwright-agent", &arguments, Stdio::null())
    }

    fn start(
        programs: &Programs,
        setting: &Setting,
        name: &'static str,
        arguments: &[String],
        stdout: Stdio,
    ) -> Result<Self> {
        let log = setting.folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let process = Command::new(programs.folder.join(name))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { name, log, process })
    }

    /// An error with the end of its log when it does not run any more.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.process.try_wait().with_context(|| format!("look after {}", self.name))? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status})\n{}", self.name, self.tail()),
        }
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(TAIL);
        format!("the end of {}:\n{}", self.log.display(), lines.get(from..).unwrap_or_default().join("\n"))
    }

    /// Asks it to end, and makes it.
    pub async fn stop(&mut self) {
        if let Some(id) = self.process.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        if timeout(END, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
