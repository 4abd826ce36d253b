//! A node is emptied and brought back by the whitelist of a real Mesos 1.4.3, which knows no other way: by a coordinator that
//! may act, the agent of the master's machine that writes the list, and the agent of the node.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::coordinator::reporting;
use super::harness::{Coordinator, DockerDaemon, Mesos, MesosTask, Node, Setup, TaskSpec, ready, wait_for};

/// An emptiness proof and two clean reports take a minute each, and a start warms up.
const LIMIT: Duration = Duration::from_secs(300);
const NODE: &str = "alibuild10";

fn policy() -> String {
    let class = |name: &str, mesos: &str| {
        format!(
            "[classes.{name}]\nmode = \"act\"\nsettle = \"10s\"\n[classes.{name}.sources]\nagent = \"required\"\n\
             mesos_master = \"{mesos}\"\n"
        )
    };
    let node = |class: &str, name: &str| format!("[[nodes]]\nclass = \"{class}\"\nnames = [\"{name}\"]\n");
    let head =
        "protections = \"none\"\n[cluster]\nname = \"lab\"\ncoordinator = \"lab\"\nproject = \"lab\"\n";
    let (agent, master) = (class("agent", "required"), class("master", "none"));
    format!("{head}{agent}{master}{}{}", node("agent", NODE), node("master", "alimesos01"))
}

/// The agent beside the master: it keeps the file that the master reads.
fn keeper(coordinator: &Coordinator, mesos: &Mesos) -> Node {
    reporting(Node::named("alimesos01").unwrap(), coordinator)
        .with("system")
        .text("node.class", "master")
        .text("mesos_master.whitelist", mesos.whitelist().display())
}

fn node(coordinator: &Coordinator, docker: &DockerDaemon, mesos: &Mesos) -> Node {
    reporting(Node::named(NODE).unwrap(), coordinator)
        .with_docker(docker)
        .with("mesos_agent")
        .text("checks.mesos_agent.url", mesos.agent_url(1))
}

/// A task that ends by itself once it is let, and not before.
fn build(mesos: &Mesos) -> MesosTask {
    let command = "until [ -e /finished ]; do sleep 0.2; done".to_owned();
    let mut task = mesos.run_task(TaskSpec { command, ..TaskSpec::named("build") }).unwrap();
    task.wait_running().unwrap();
    task
}

/// Asks until it is accepted: after a start nothing is for a while.
fn begin(coordinator: &Coordinator, action: &str) -> String {
    let body = json!({ "action": action, "nodes": [NODE], "reason": "a story", "by": "jane" });
    let mut last = Value::Null;
    let begun = wait_for(&format!("{action} to be accepted"), LIMIT, || {
        last = coordinator.post("operations", &body)?.1;
        Ok(last["id"].as_str().map(str::to_owned))
    });
    begun.unwrap_or_else(|error| panic!("{error:#}; it was told last: {last:#}"))
}

fn wait_operation(coordinator: &Coordinator, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) {
    let mut last = Value::Null;
    let found = wait_for(what, LIMIT, || {
        last = coordinator.ask(&format!("operations/{id}"))?;
        Ok(is_so(&last).then_some(()))
    });
    if let Err(error) = found {
        panic!("{error:#}: {last:#}\n{}", coordinator.log());
    }
}

fn is_step(operation: &Value, step: &str, state: &str) -> bool {
    let steps = operation["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    steps.iter().any(|one| one["step"] == step && one["state"] == state)
}

fn lines(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

fn attention(coordinator: &Coordinator) -> String {
    coordinator.ask("nodes").unwrap()["attention"].to_string()
}

#[test]
fn a_node_of_a_mesos_of_the_past_is_emptied_and_brought_back_while_its_task_goes_on() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mut mesos) = ready(Mesos::start_old(&docker, 1, "localhost\nother\n")) else { return };
    let whitelist = mesos.whitelist();
    let setup = Setup::new(&policy()).unwrap().with_mesos(&mesos.master_url());
    let Some(coordinator) = ready(setup.start()) else { return };
    let Some(_keeper) = ready(keeper(&coordinator, &mesos).start()) else { return };
    let Some(_agent) = ready(node(&coordinator, &docker, &mesos).start()) else { return };
    let mut task = build(&mesos);

    let drain = begin(&coordinator, "drain");
    wait_operation(&coordinator, &drain, "the cordon", |drain| is_step(drain, "cordon", "done"));
    assert_eq!(lines(&whitelist), "other\n");
    let mut next = mesos.run_task(TaskSpec::named("next")).unwrap();
    next.wait_subscribed().unwrap();
    mesos.wait_allocations().unwrap();
    assert!(next.offered_agents().is_empty(), "nothing is offered");
    task.wait_running().unwrap();
    let listing = coordinator.wait_for("offers stopped", &format!("nodes/{NODE}"), |detail| {
        (detail["mesos_listing"]["deactivated"] == true).then(|| detail["mesos_listing"].clone())
    });
    assert_eq!(listing.unwrap()["listing"], "active", "its agent is registered all the same");

    // It ends by itself, and the node stays empty for whoever asked.
    let container = docker.cli(&["ps", "-q"]).unwrap();
    docker.cli(&["exec", container.trim(), "touch", "/finished"]).unwrap();
    task.wait_state("TASK_FINISHED").unwrap();
    wait_operation(&coordinator, &drain, "the drain's end", |drain| drain["state"] == "parked");
    assert!(next.offered_agents().is_empty(), "nothing is offered");
    assert!(!attention(&coordinator).contains("somebody"), "it was us: {}", attention(&coordinator));

    let back = begin(&coordinator, "return");
    wait_operation(&coordinator, &back, "the return's end", |back| back["state"] == "succeeded");
    assert_eq!(lines(&whitelist), "localhost\nother\n");
    next.wait_running().unwrap();

    // Whoever writes the list by hand is noticed and left alone.
    mesos.replace_whitelist("other\n").unwrap();
    let told = wait_for("what others did to be told", LIMIT, || {
        Ok(attention(&coordinator).contains("somebody has stopped the offers of alibuild10").then_some(()))
    });
    told.unwrap();
    assert_eq!(lines(&whitelist), "other\n");
}
