//! From the end of a node's last task to the first look that finds it empty from both sides: its agent, told by Docker, and
//! the Mesos master, told by its events. Docker, Mesos 1.11.0, the task, agent and coordinator are real.

use crate::{
    lab::harness::{DockerDaemon, Mesos, Node, Setup, TaskSpec, acting_policy, wait_for},
    line::{GOAL, Line, median, say},
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    thread,
    time::{Duration, Instant},
};

const NODE: &str = "alibuild10";
const ROUNDS: usize = 7;
/// What the design wants where there is an event stream, in milliseconds.
const REACH: f64 = 1_000.0;
const LIMIT: Duration = Duration::from_secs(60);

/// Measures and prints the line.
pub fn run() -> Result<()> {
    let docker = DockerDaemon::start()?;
    let mesos = Mesos::start(&docker, 1)?;
    let masters = format!("[mesos]\nmasters = [{:?}]", mesos.master_url());
    let coordinator = Setup::new(&acting_policy("required", &[NODE]))?.with(&masters).start()?;
    let _agent = Node::named(NODE)?
        .with("docker")
        .with("containers")
        .with("mesos_agent")
        .text("checks.docker.socket", docker.socket().display())
        .text("checks.mesos_agent.url", mesos.agent_url(1))
        .text("coordinator.url", coordinator.agents_url())
        .start()?;
    let seen = || -> Result<bool> {
        let detail = coordinator.ask(&format!("nodes/{NODE}"))?;
        let is_empty = |side: &str| detail.get(side).is_some_and(Value::is_string);
        Ok(is_empty("agent_empty_since") && is_empty("master_empty_since"))
    };
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let command = "until [ -e /finished ]; do sleep 0.01; done".to_owned();
        let mut task = mesos.run_task(TaskSpec { command, ..TaskSpec::named(&format!("build{round}")) })?;
        task.wait_running()?;
        wait_for("the task to be seen", LIMIT, || Ok((!seen()?).then_some(())))?;
        let containers = docker.cli(&["ps", "-q"])?;
        let container = containers.lines().next().context("find the task's container")?;
        docker.cli(&["exec", container, "touch", "/finished"])?;
        let ended = Instant::now();
        while !seen()? && ended.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(5));
        }
        took.push(ended.elapsed().as_secs_f64() * 1e3);
    }
    say(format_args!(
        "from the end of the last task to the first look that finds the node empty: {took:.0?} ms"
    ));
    Line { name: "last_task_to_first_proof", ours: median(&mut took), unit: "ms" }.against(GOAL, REACH);
    Ok(())
}
