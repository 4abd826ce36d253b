//! Apache Mesos, the real one, 1.11.0 or 1.4.3: a master and its agents in one process, tasks in containers of our
//! Docker.
//!
//! All agents share host name and address, so a node's agent is known by its URL, `…/slave(1)` and so on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
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

/// Mesos 1.4 tells a task of its own from a foreign executor by the path of this program, which it does not start for
/// tasks in containers. Where it is missing the answer is whatever the memory held.
const PLAIN_EXECUTOR: &str = "mesos-executor";

/// A running cluster of one master and some agents.
#[derive(Debug)]
pub struct Mesos {
    port: u16,
    agents: usize,
    daemon: Daemon,
    start: Start,
    scratch: Scratch,
}

/// What it takes to start it again.
#[derive(Debug)]
struct Start {
    release: &'static str,
    docker_socket: PathBuf,
    settings: Vec<(String, String)>,
}

impl Mesos {
    /// Starts a master and `agents` agents, each with 4 CPUs and 4 GiB to offer whatever the machine has.
    pub fn start(docker: &DockerDaemon, agents: usize) -> Result<Self> {
        Self::start_with(docker, agents, &[])
    }

    /// The same with further settings, as `MESOS_…` variables: `("MESOS_ATTRIBUTES", "zone:a;os:slc7")`.
    pub fn start_with(docker: &DockerDaemon, agents: usize, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(Scratch::new("mesos")?, "1.11.0", docker, agents, settings)
    }

    /// Mesos 1.4.3 with a whitelist of these lines. All agents are `localhost` there.
    pub fn start_old(docker: &DockerDaemon, agents: usize, whitelist: &str) -> Result<Self> {
        let scratch = Scratch::new("mesos")?;
        let file = scratch.write("whitelist", whitelist)?;
        let file = file.to_str().context("name the whitelist")?.to_owned();
        Self::start_in(scratch, "1.4.3", docker, agents, &[("MESOS_WHITELIST", &file)])
    }

    fn start_in(
        scratch: Scratch,
        release: &'static str,
        docker: &DockerDaemon,
        agents: usize,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        needs_root("run tasks of Mesos in containers")?;
        let executor = needs_our_program(EXECUTOR)?;
        let launcher = scratch.make("launcher")?;
        for name in [EXECUTOR, PLAIN_EXECUTOR] {
            symlink(&executor, launcher.join(name)).context("link the executor")?;
        }
        scratch.make("work")?;
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let start = Start { release, docker_socket: docker.socket(), settings: settings.collect() };
        let port = free_port()?;
        let daemon = launch(&start, &scratch, port, agents)?;
        let mut mesos = Self { port, agents, daemon, start, scratch };
        mesos.wait_ready()?;
        Ok(mesos)
    }

    /// Ends it and starts it again with its registry and without what its agents knew: each comes back under a new id,
    /// as a node does that was rebuilt.
    pub fn start_again_with_new_ids(&mut self) -> Result<()> {
        self.daemon.stop();
        fs::remove_dir_all(self.scratch.join("work/agents")).context("forget the agents' ids")?;
        self.start_again_with(self.agents)
    }

    /// Ends it and starts it again with so many of its agents, which keep their ids: the others are gone until later.
    pub fn start_again_with(&mut self, agents: usize) -> Result<()> {
        self.daemon.stop();
        self.daemon = launch(&self.start, &self.scratch, self.port, agents)?;
        self.agents = agents;
        self.wait_ready()
    }

    /// Stops it in its tracks: connections stay open, and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.daemon.pause()
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.daemon.signal(Signal::SIGCONT)
    }

    /// Replaces the whitelist and waits until the master has read it.
    pub fn replace_whitelist(&mut self, lines: &str) -> Result<()> {
        let log = self.scratch.join("mesos.log");
        let read = move || -> usize {
            let log = fs::read_to_string(&log).unwrap_or_default();
            log.lines().filter(|line| line.contains("Updated agent whitelist")).count()
        };
        let before = read();
        let written = self.scratch.write("whitelist.new", lines)?;
        fs::rename(written, self.scratch.join("whitelist")).context("replace the whitelist")?;
        self.daemon
            .wait_for("the whitelist to be read", Duration::from_secs(60), || (read() > before).then_some(()))
    }

    /// Waits until the master has made up its mind about offers several times more.
    pub fn wait_allocations(&mut self) -> Result<()> {
        let metrics = format!("{}/metrics/snapshot", self.master_url());
        let runs = move || get_json(&metrics).ok()?.get("allocator/mesos/allocation_runs")?.as_f64();
        let before = runs().context("find allocator/mesos/allocation_runs in the master's metrics")?;
        self.daemon.wait_for("further allocations", Duration::from_secs(60), || {
            (runs()? >= before + 5.0).then_some(())
        })
    }

    /// The file that a master of the past reads.
    pub fn whitelist(&self) -> PathBuf {
        self.scratch.join("whitelist")
    }

    /// The port of everything.
    pub fn port(&self) -> u16 {
        self.port
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

fn launch(start: &Start, scratch: &Scratch, port: u16, agents: usize) -> Result<Daemon> {
    let host = needs_built(&format!("mesos-{}/mesos-host", start.release))?;
    let library = needs_built(&format!("mesos-{}/_scheduler.so", start.release))?;
    let mut command = Daemon::leashed(&host);
    command.arg(library).arg(scratch.join("work")).arg(agents.to_string());
    configure(&mut command, start, scratch, port);
    Daemon::start(&format!("Mesos {}", start.release), &mut command, &scratch.join("mesos.log"))
}

fn configure(command: &mut Command, start: &Start, scratch: &Scratch, port: u16) {
    let folder = |name: &str| scratch.join(name).into_os_string();
    command
        .env("LIBPROCESS_IP", "127.0.0.1")
        .env("LIBPROCESS_PORT", port.to_string())
        // One thread per core and at least eight otherwise.
        .env("LIBPROCESS_NUM_WORKER_THREADS", "4")
        .env("MESOS_HOSTNAME", "localhost")
        .env("MESOS_CONTAINERIZERS", "docker")
        .env("MESOS_DOCKER_SOCKET", &start.docker_socket)
        // A second cluster on the same engine would find the first one's containers and end them.
        .env("MESOS_DOCKER_KILL_ORPHANS", "false")
        .env("MESOS_LAUNCHER", "posix")
        .env("MESOS_LAUNCHER_DIR", folder("launcher"))
        .env("MESOS_SYSTEMD_ENABLE_SUPPORT", "false")
        .env("MESOS_RUNTIME_DIR", folder("run"))
        .env("MESOS_FETCHER_CACHE_DIR", folder("fetch"))
        .env("MESOS_RESOURCES", "cpus:4;mem:4096;disk:10000;ports:[31000-32000]")
        // Offers every second are a long wait for a test.
        .env("MESOS_ALLOCATION_INTERVAL", "100ms")
        .envs(start.settings.iter().map(|(key, value)| (key, value)));
}
