//! A machine whose reboot is played: its boot id is a file, and the order to reboot leaves a mark in another. Its agent
//! is real, and so is everything it looks at.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::coordinator::Coordinator;
use super::node::{Agent, Node};
use super::scratch::Scratch;
use super::wait::wait_for;

/// No agent reboots a machine that has only just booted (S18), and the age of the real one counts.
const OLD_ENOUGH_SECONDS: f64 = 660.0;
const LIMIT: Duration = Duration::from_secs(60);

/// What is there to be looked at, added to a node that checks nothing.
type Furnish = Box<dyn Fn(Node) -> Node + Send>;

/// A machine, off or running.
pub struct PlayedMachine {
    name: String,
    furnish: Furnish,
    agent: Option<Agent>,
    boots: usize,
    machines: usize,
    agents_url: String,
    scratch: Scratch,
}

impl fmt::Debug for PlayedMachine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PlayedMachine").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PlayedMachine {
    /// A machine that is off, with nobody logged in, that will report to this coordinator.
    pub fn new(
        name: &str,
        coordinator: &Coordinator,
        furnish: impl Fn(Node) -> Node + Send + 'static,
    ) -> Result<Self> {
        let uptime = fs::read_to_string("/proc/uptime").context("read /proc/uptime")?;
        let uptime = uptime.split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
        if uptime.is_none_or(|seconds| seconds < OLD_ENOUGH_SECONDS) {
            bail!(
                "needs a machine that has been up for {OLD_ENOUGH_SECONDS} s: no agent reboots a younger one"
            );
        }
        let scratch = Scratch::new("played")?;
        let script = format!("#!/bin/sh\necho reboot >> {}\n", scratch.join("reboots").display());
        let command = scratch.write("reboot", &script)?;
        fs::set_permissions(command, fs::Permissions::from_mode(0o755))?;
        scratch.make("root/etc")?;
        let agents_url = coordinator.agents_url().to_owned();
        let machine = Self {
            name: name.to_owned(),
            furnish: Box::new(furnish),
            agent: None,
            boots: 0,
            machines: 1,
            agents_url,
            scratch,
        };
        Ok(machine)
    }

    /// The node as its agent is configured.
    pub fn node(&self) -> Result<Node> {
        let node = Node::named(&self.name)?
            .text("paths.root", self.scratch.join("root").display())
            .text("paths.boot_id", self.scratch.join("boot").display())
            .text("paths.machine_id", self.scratch.join("machine").display())
            .text("paths.state", self.scratch.join("state").display())
            .text("orders.reboot_command", self.scratch.join("reboot").display())
            .text("coordinator.url", &self.agents_url)
            .text("coordinator.report_every", "1s");
        Ok((self.furnish)(node))
    }

    /// It boots, under a boot id of its own.
    pub fn boot(&mut self) -> Result<()> {
        self.boots += 1;
        self.scratch.write("boot", &self.boot_id())?;
        self.scratch.write("machine", &self.machine_id())?;
        self.start_agent()
    }

    /// The id of its present boot.
    pub fn boot_id(&self) -> String {
        format!("{}-boot-{}", self.name, self.boots)
    }

    /// The id that its disk has.
    pub fn machine_id(&self) -> String {
        format!("{}-machine-{}", self.name, self.machines)
    }

    /// How often it has booted.
    pub fn boots(&self) -> usize {
        self.boots
    }

    /// It goes down without a word.
    pub fn go_down(&mut self) -> Result<()> {
        let Some(agent) = self.agent.take() else { return Ok(()) };
        agent.kill()?;
        // The memory is locked until the process is gone.
        let lock =
            File::open(self.scratch.join("state/memory.lock")).context("open the lock of the memory")?;
        wait_for("the agent to be gone", LIMIT, || Ok(lock.try_lock().is_ok().then_some(())))
    }

    /// It goes down and boots again.
    pub fn reboot(&mut self) -> Result<()> {
        self.go_down()?;
        self.boot()
    }

    /// It goes down, and what boots next has its name and an empty disk.
    #[allow(dead_code, reason = "only `make crashes` needs it")]
    pub fn replace(&mut self) -> Result<()> {
        self.go_down()?;
        fs::remove_dir_all(self.scratch.join("state")).context("take away the state of the old machine")?;
        self.machines += 1;
        Ok(())
    }

    fn start_agent(&mut self) -> Result<()> {
        self.agent = Some(self.node()?.start()?);
        Ok(())
    }

    /// How often it was told to reboot.
    pub fn reboots_asked(&self) -> usize {
        fs::read_to_string(self.scratch.join("reboots")).unwrap_or_default().lines().count()
    }

    /// Runs the agent's program on it, as somebody logged in there would, and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.node()?.run(arguments)?;
        if !output.status.success() {
            bail!("run {arguments:?} on {}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A folder of this machine, for the marks of stand-ins.
    pub fn mark(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }
}
