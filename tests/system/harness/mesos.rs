//! Apache Mesos 1.11.0, the real one: a master and its agents in one process, tasks in containers of our Docker.
//!
//! All agents share host name and address, so a node's agent is known by its URL, `…/slave(1)` and so on.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::docker::DockerDaemon;
use super::http::get_json;
use super::machine::{needs_built, needs_our_program, needs_root};
use super::mesos_task::{MesosTask, TaskSpec};
use super::ports::free_port;
use super::process::Daemon;
use super::scratch::Scratch;

/// The Mesos agent asks its launcher folder for a program of this name to run a task in a container.
const EXECUTOR: &str = "mesos-docker-executor";

/// A running cluster of one master and some agents.
#[derive(Debug)]
pub struct Mesos {
    port: u16,
    agents: usize,
    daemon: Daemon,
    scratch: Scratch,
}

impl Mesos {
    /// Starts a master and `agents` agents, each with 4 CPUs and 4 GiB to offer whatever the machine has.
    pub fn start(docker: &DockerDaemon, agents: usize) -> Result<Self> {
        Self::start_with(docker, agents, &[])
    }

    /// The same with further settings, as `MESOS_…` variables: `("MESOS_ATTRIBUTES", "zone:a;os:slc7")`.
    pub fn start_with(docker: &DockerDaemon, agents: usize, settings: &[(&str, &str)]) -> Result<Self> {
        needs_root("run tasks of Mesos in containers")?;
        let host = needs_built("mesos-1.11.0/mesos-host")?;
        let library = needs_built("mesos-1.11.0/_scheduler.so")?;
        let executor = needs_our_program(EXECUTOR)?;
        let scratch = Scratch::new("mesos")?;
        let port = free_port()?;
        symlink(executor, scratch.make("launcher")?.join(EXECUTOR)).context("link the executor")?;

        let mut command = Daemon::leashed(&host);
        command.arg(library).arg(scratch.make("work")?).arg(agents.to_string());
        configure(&mut command, docker, &scratch, port);
        command.envs(settings.iter().copied());
        let daemon = Daemon::start("Mesos", &mut command, &scratch.join("mesos.log"))?;
        let mut mesos = Self { port, agents, daemon, scratch };
        mesos.wait_ready()?;
        Ok(mesos)
    }

    /// The master's address, without a path.
    pub fn master_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of one agent; the first is 1, as in Mesos.
    pub fn agent_url(&self, agent: usize) -> String {
        format!("{}/slave({agent})", self.master_url())
    }

    /// The id the master gave to an agent.
    pub fn agent_id(&self, agent: usize) -> Result<String> {
        let state = get_json(&format!("{}/state", self.agent_url(agent)))?;
        let id = state.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        Ok(id.with_context(|| format!("agent {agent} has no id yet"))?.to_owned())
    }

    /// What the master says about everything.
    pub fn state(&self) -> Result<Value> {
        get_json(&format!("{}/state", self.master_url()))
    }

    /// Starts a framework of its own that launches these tasks and looks after them until dropped.
    pub fn run_task(&self, task: TaskSpec) -> Result<MesosTask> {
        if task.agent.is_some_and(|agent| agent == 0 || agent > self.agents) {
            bail!("start {task:?}: the agents are 1 to {}", self.agents);
        }
        MesosTask::start(&self.master_url(), &self.scratch, task)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let (state, agents) = (format!("{}/state", self.master_url()), self.agents);
        self.daemon.wait_for("all agents of Mesos", Duration::from_secs(60), || {
            let active = get_json(&state).ok()?.get("activated_slaves")?.as_f64()?;
            // A small whole number: exact.
            (active == agents as f64).then_some(())
        })
    }
}

fn configure(command: &mut Command, docker: &DockerDaemon, scratch: &Scratch, port: u16) {
    let folder = |name: &str| scratch.join(name).into_os_string();
    command
        .env("LIBPROCESS_IP", "127.0.0.1")
        .env("LIBPROCESS_PORT", port.to_string())
        // One thread per core and at least eight otherwise.
        .env("LIBPROCESS_NUM_WORKER_THREADS", "4")
        .env("MESOS_HOSTNAME", "localhost")
        .env("MESOS_CONTAINERIZERS", "docker")
        .env("MESOS_DOCKER_SOCKET", docker.socket())
        // A second cluster on the same engine would find the first one's containers and end them.
        .env("MESOS_DOCKER_KILL_ORPHANS", "false")
        .env("MESOS_LAUNCHER", "posix")
        .env("MESOS_LAUNCHER_DIR", folder("launcher"))
        .env("MESOS_SYSTEMD_ENABLE_SUPPORT", "false")
        .env("MESOS_RUNTIME_DIR", folder("run"))
        .env("MESOS_FETCHER_CACHE_DIR", folder("fetch"))
        .env("MESOS_RESOURCES", "cpus:4;mem:4096;disk:10000;ports:[31000-32000]")
        // Offers every second are a long wait for a test.
        .env("MESOS_ALLOCATION_INTERVAL", "100ms");
}
