//! Tasks of Mesos: what to run, and the framework that runs it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::machine::needs_our_program;
use super::process::Daemon;
use super::scratch::Scratch;

/// How long a container may take to start or end on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A task, or several alike, and the framework they belong to.
#[derive(Clone, Debug)]
pub struct TaskSpec {
    /// Name of the framework, as on a dashboard of Mesos.
    pub framework: String,
    /// Name of the task; it need not be unique.
    pub name: String,
    /// Id of the task. With a count above one, `.1`, `.2` and so on are added.
    pub id: String,
    /// Labels of the task, in order; a key may come twice.
    pub labels: Vec<(String, String)>,
    /// How many tasks.
    pub count: usize,
    /// CPUs of each.
    pub cpus: f64,
    /// MiB of each.
    pub mem: u32,
    /// Image of the container.
    pub image: String,
    /// Shell command in the container.
    pub command: String,
    /// The only agent it may run on; the first is 1.
    pub agent: Option<usize>,
    /// Whether the framework keeps its offers and starts nothing.
    pub holds_offers: bool,
}

impl TaskSpec {
    /// One task that sleeps for a day in the test image, on any agent, in a framework named "tests".
    pub fn named(name: &str) -> Self {
        Self {
            framework: "tests".to_owned(),
            name: name.to_owned(),
            id: format!("{name}.0"),
            labels: Vec::new(),
            count: 1,
            cpus: 0.1,
            mem: 32,
            image: super::docker::TEST_IMAGE.to_owned(),
            command: "sleep 86400".to_owned(),
            agent: None,
            holds_offers: false,
        }
    }

    /// In a framework of this name.
    pub fn of(self, framework: &str) -> Self {
        Self { framework: framework.to_owned(), ..self }
    }

    /// Only on this agent; the first is 1.
    pub fn on_agent(self, agent: usize) -> Self {
        Self { agent: Some(agent), ..self }
    }

    /// With a further label.
    pub fn with_label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    fn ids(&self) -> Vec<String> {
        match self.count {
            1 => vec![self.id.clone()],
            count => (1..=count).map(|number| format!("{}.{number}", self.id)).collect(),
        }
    }

    fn arguments(&self, master: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |flag: &str, value: &str| arguments.extend([flag.to_owned(), value.to_owned()]);
        add("--master", master);
        add("--framework", &self.framework);
        add("--name", &self.name);
        add("--id", &self.id);
        add("--count", &self.count.to_string());
        add("--cpus", &self.cpus.to_string());
        add("--mem", &self.mem.to_string());
        add("--image", &self.image);
        add("--command", &self.command);
        for (key, value) in &self.labels {
            add("--label", &format!("{key}={value}"));
        }
        if let Some(agent) = self.agent {
            add("--agent", &agent.to_string());
        }
        arguments.extend(self.holds_offers.then(|| "--hold".to_owned()));
        arguments
    }
}

/// Tasks that were asked for, with their framework. Dropping it kills them and ends the framework.
#[derive(Debug)]
pub struct MesosTask {
    ids: Vec<String>,
    framework: Daemon,
    log: PathBuf,
}

impl MesosTask {
    pub(super) fn start(master: &str, scratch: &Scratch, task: TaskSpec) -> Result<Self> {
        let program = needs_our_program("mesos-framework")?;
        // Ids may hold anything, so the log is named after a port that nobody else is given.
        let log = scratch.join(&format!("framework-{}.log", super::ports::free_port()?));
        // No leash: it takes the end of its standard input as its own.
        let mut command = Command::new(program);
        command.args(task.arguments(master));
        let name = format!("framework {}", task.framework);
        Ok(Self { ids: task.ids(), framework: Daemon::start(&name, &mut command, &log)?, log })
    }

    /// The ids of the tasks.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Waits until all of them run.
    pub fn wait_running(&mut self) -> Result<()> {
        self.wait_state("TASK_RUNNING")
    }

    /// Waits until the last word about each of them is `state`. Ends early when one comes to another end.
    pub fn wait_state(&mut self, state: &str) -> Result<()> {
        let (log, ids) = (self.log.clone(), self.ids.clone());
        let reached = self.framework.wait_for(&format!("{state} of {ids:?}"), LIMIT, || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            let states: Vec<_> = ids.iter().map(|id| last_state(&log, id)).collect();
            if states.iter().all(|found| *found == Some(state)) {
                return Some(Ok(()));
            }
            let other_end = states.iter().flatten().find(|found| **found != state && is_end(found));
            other_end.map(|end| Err((*end).to_owned()))
        })?;
        match reached {
            Ok(()) => Ok(()),
            Err(end) => bail!("waited for {state}, came to {end}: {}", self.framework.log_tail()),
        }
    }

    /// Waits until its framework is known to the master.
    pub fn wait_subscribed(&mut self) -> Result<()> {
        let log = self.log.clone();
        self.framework.wait_for("the subscription", LIMIT, || {
            fs::read_to_string(&log).unwrap_or_default().contains("subscribed ").then_some(())
        })
    }

    /// The numbers of the agents that were offered to the framework so far.
    pub fn offered_agents(&self) -> Vec<usize> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let number = |line: &str| line.strip_prefix("offer /slave(")?.strip_suffix(')')?.parse().ok();
        log.lines().filter_map(number).collect()
    }

    /// Waits until this agent has been offered.
    pub fn wait_offered(&mut self, agent: usize) -> Result<()> {
        let log = self.log.clone();
        self.framework.wait_for(&format!("an offer of agent {agent}"), LIMIT, || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            log.lines().any(|line| line == format!("offer /slave({agent})")).then_some(())
        })
    }

    /// Asks Mesos to kill them and waits until they are.
    pub fn kill(&mut self) -> Result<()> {
        self.framework.tell("kill").context("tell the framework")?;
        self.wait_state("TASK_KILLED")
    }
}

impl Drop for MesosTask {
    fn drop(&mut self) {
        self.framework.finish();
    }
}

/// The framework writes a line `update ID STATE …` for each change.
fn last_state<'log>(log: &'log str, id: &str) -> Option<&'log str> {
    log.lines()
        .rev()
        .find_map(|line| line.strip_prefix("update ")?.strip_prefix(id)?.strip_prefix(' ')?.split(' ').next())
}

fn is_end(state: &str) -> bool {
    !matches!(state, "TASK_STAGING" | "TASK_STARTING" | "TASK_RUNNING" | "TASK_KILLING")
}
