//! Puppet, run once at a time by `puppet apply`, with all its files in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::machine::needs_program;
use super::process::output_of;
use super::scratch::Scratch;

/// Ruby alone takes seconds to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A Puppet that has never run.
#[derive(Debug)]
pub struct Puppet {
    program: PathBuf,
    scratch: Scratch,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuppetRun {
    /// Everything is as the manifest wants it.
    Clean,
    /// Some resources could not be brought about.
    Failed,
    /// Nothing was tried, because the manifest cannot be understood or the run was stopped before.
    NotCompiled,
}

impl Puppet {
    /// Finds Puppet and makes its folders; nothing runs yet.
    pub fn new() -> Result<Self> {
        let program = needs_program("puppet", "puppet-agent")?;
        let scratch = Scratch::new("puppet")?;
        for folder in ["etc", "var", "var/state", "public", "run", "log"] {
            scratch.make(folder)?;
        }
        Ok(Self { program, scratch })
    }

    /// Puppet's state folder: `last_run_report.yaml`, `agent_disabled.lock` and the lock of a running agent.
    pub fn state_folder(&self) -> PathBuf {
        self.scratch.join("var/state")
    }

    /// `last_run_summary.yaml`. Since version 7 it lies in a folder of its own, before that in the state folder.
    pub fn summary(&self) -> PathBuf {
        self.scratch.join("public/last_run_summary.yaml")
    }

    /// The lock file that says why the agent is disabled.
    pub fn disabled_lock(&self) -> PathBuf {
        self.state_folder().join("agent_disabled.lock")
    }

    /// A run that changes something and succeeds.
    pub fn run_clean(&self) -> Result<PuppetRun> {
        let file = self.scratch.join("wanted");
        self.run(&format!("file {{ '{}': ensure => file, content => 'as wanted' }}", file.display()))
    }

    /// A run in which one resource fails.
    pub fn run_failing(&self) -> Result<PuppetRun> {
        self.run("exec { 'cannot work': command => '/bin/false' }")
    }

    /// A run that never gets as far as a resource.
    pub fn run_not_compiling(&self) -> Result<PuppetRun> {
        self.run("include no_such_class")
    }

    /// A run that its own preparation stops: it failed, and all its counters are zero.
    pub fn run_stopped_early(&self) -> Result<PuppetRun> {
        self.run_with(&["--prerun_command", "/bin/false"], "notify { 'never said': }")
    }

    /// One run of a manifest.
    pub fn run(&self, manifest: &str) -> Result<PuppetRun> {
        self.run_with(&[], manifest)
    }

    fn run_with(&self, flags: &[&str], manifest: &str) -> Result<PuppetRun> {
        let mut command = self.command("apply");
        command.arg("--detailed-exitcodes").args(flags).args(["--execute", manifest]);
        let output = output_of(&mut command, LIMIT)?;
        match output.status.code() {
            // 2 means that something was changed.
            Some(0 | 2) => Ok(PuppetRun::Clean),
            Some(4 | 6) => Ok(PuppetRun::Failed),
            Some(1) => Ok(PuppetRun::NotCompiled),
            _ => bail!("run puppet: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Disables the agent, as `puppet agent --disable REASON` does.
    pub fn disable(&self, reason: &str) -> Result<()> {
        self.switch(&["--disable", reason])
    }

    /// Enables the agent.
    pub fn enable(&self) -> Result<()> {
        self.switch(&["--enable"])
    }

    fn switch(&self, arguments: &[&str]) -> Result<()> {
        let output = output_of(self.command("agent").args(arguments), LIMIT)?;
        if !output.status.success() {
            bail!("switch puppet: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn command(&self, face: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(face);
        let folders = [
            ("--confdir", "etc"),
            ("--vardir", "var"),
            ("--statedir", "var/state"),
            ("--publicdir", "public"),
            ("--rundir", "run"),
            ("--logdir", "log"),
        ];
        for (flag, folder) in folders {
            command.arg(flag).arg(self.scratch.join(folder));
        }
        // A name of its own, or it would look the machine's up in DNS.
        command.args(["--certname", "lab.example.org", "--color=false"]);
        // Without root it makes folders in the home directory, whatever the flags say.
        command.env("HOME", self.scratch.path());
        command
    }

    /// The folder everything is in.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }
}
