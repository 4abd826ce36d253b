//! A coordinator that may act, and one node it acts on: operations asked for, followed, and outlived.
#![allow(clippy::indexing_slicing, reason = "a member that an answer in JSON lacks is null")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::coordinator::{Coordinator, Setup};
use super::machine::needs_binary;
use super::node::Node;
use super::played::PlayedMachine;
use super::ports::free_port;
use super::process::output_of;
use super::wait::wait_for;

/// An emptiness proof and two clean reports take a minute each, and a start warms up.
const LIMIT: Duration = Duration::from_secs(240);
/// A policy in which agents of these names may be acted on.
pub fn acting_policy(mesos_master: &str, names: &[&str]) -> String {
    format!(
        "protections = \"none\"\n[cluster]\nname = \"lab\"\ncoordinator = \"lab\"\nproject = \"lab\"\n\
         [classes.agent]\nmode = \"act\"\nsettle = \"10s\"\n[classes.agent.consent]\n\
         reboot = {{ kind = \"none\" }}\n[classes.agent.sources]\nagent = \"required\"\n\
         mesos_master = {mesos_master:?}\n[[nodes]]\nclass = \"agent\"\nnames = {names:?}\n"
    )
}

/// Both, running.
#[derive(Debug)]
pub struct Site {
    coordinator: Option<Coordinator>,
    node: String,
    /// The node's machine.
    pub machine: PlayedMachine,
}

impl Site {
    /// Starts both and waits for the node's first report; the coordinator keeps its addresses when it starts again.
    pub fn start(setup: Setup, node: &str, furnish: impl Fn(Node) -> Node + Send + 'static) -> Result<Self> {
        let mut site = Self::without_machine(setup, node, furnish)?;
        site.machine.boot()?;
        let path = format!("nodes/{node}");
        let has_reported = |detail: &Value| detail["reported_at"].as_str().map(drop);
        site.coordinator()?.wait_for("its first report", &path, has_reported)?;
        Ok(site)
    }

    /// Starts the coordinator; the machine is still to be made, or off.
    pub fn without_machine(
        setup: Setup,
        node: &str,
        furnish: impl Fn(Node) -> Node + Send + 'static,
    ) -> Result<Self> {
        let address = |port: u16| format!("127.0.0.1:{port}");
        let setup = setup.with_operators(&address(free_port()?)).with_agents(&address(free_port()?));
        let coordinator = setup.start()?;
        let machine = PlayedMachine::new(node, &coordinator, furnish)?;
        Ok(Self { coordinator: Some(coordinator), node: node.to_owned(), machine })
    }

    /// The coordinator.
    ///
    /// # Errors
    /// It was killed and did not start again.
    pub fn coordinator(&self) -> Result<&Coordinator> {
        self.coordinator.as_ref().context("find the coordinator: it did not start again")
    }

    /// Kills the coordinator without a word and starts it again.
    pub fn crash(&mut self) -> Result<()> {
        self.crash_while(|| Ok(()))
    }

    /// The same, and something happens while it is away.
    pub fn crash_while(&mut self, happening: impl FnOnce() -> Result<()>) -> Result<()> {
        self.crash_into(|setup| happening().map(|()| setup))
    }

    /// The same, and it starts again with another setup.
    pub fn crash_into(&mut self, change: impl FnOnce(Setup) -> Result<Setup>) -> Result<()> {
        let coordinator = self.coordinator.take().context("find the coordinator")?;
        let setup = change(coordinator.kill()?)?;
        self.coordinator = Some(setup.start()?);
        Ok(())
    }

    /// Asks as root for an operation on the node.
    pub fn ask(&self, action: &str, more: &Value) -> Result<(u16, Value)> {
        let mut body = json!({ "action": action, "nodes": [self.node], "reason": "a story", "by": "jane" });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        self.coordinator()?.post("operations", &body)
    }

    /// Asks until it is accepted: after a start nothing is for a while. Returns its id.
    pub fn begin(&self, action: &str, more: &Value) -> Result<String> {
        let mut last = Value::Null;
        let begun = wait_for(&format!("{action} to be accepted"), LIMIT, || {
            let (status, answer) = self.ask(action, more)?;
            let id = answer["id"].as_str().map(str::to_owned);
            last = answer;
            Ok(id.filter(|_| status == 200))
        });
        begun.with_context(|| format!("it was told last: {last:#}"))
    }

    /// An operation, with everything about it.
    pub fn operation(&self, id: &str) -> Result<Value> {
        self.coordinator()?.ask(&format!("operations/{id}"))
    }

    /// Waits until the operation is as wanted. A start in between is waited for as well.
    pub fn wait_operation<T>(&self, id: &str, what: &str, look: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let mut last = Value::Null;
        let found = wait_for(what, LIMIT, || {
            last = self.operation(id)?;
            Ok(look(&last))
        });
        found.with_context(|| {
            let summary = ["state", "step", "waiting", "ended", "story"].map(|key| last[key].clone());
            format!("{id} was last: {summary:#?}")
        })
    }

    /// Waits until a step is in one of these states.
    pub fn wait_step(&self, id: &str, step: &str, states: &[&str]) -> Result<Value> {
        self.wait_operation(id, &format!("{step} to be {states:?}"), |operation| {
            let found = step_of(operation, step)?;
            states.iter().any(|state| found["state"] == *state).then(|| found.clone())
        })
    }

    /// Waits until the machine has been told to reboot for the first time.
    pub fn wait_reboot(&self, id: &str) -> Result<()> {
        self.wait_operation(id, &format!("{id} to reboot {}", self.node), |_| {
            (self.machine.reboots_asked() > 0).then_some(())
        })
    }

    /// Waits for its end, and returns everything about it. An end of another kind is an error.
    pub fn wait_end(&self, id: &str, state: &str) -> Result<Value> {
        let ended = self.wait_operation(id, &format!("{id} to be {state}"), |operation| {
            (!operation["ended"].is_null() || operation["state"] == state).then(|| operation.clone())
        })?;
        if ended["state"] != state {
            bail!("{id} came to another end: {}: {ended:#}", ended["state"]);
        }
        Ok(ended)
    }

    /// Whether the journal is whole, as the program for it says of a copy.
    pub fn verify_journal(&self) -> Result<()> {
        let copy = self.copy_of_store()?;
        let mut command = Command::new(needs_binary("millwright")?);
        let output = output_of(command.args(["audit", "verify"]).arg(copy).arg("--json"), LIMIT)?;
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if !output.status.success() || told["good"] != true {
            bail!("verify the journal: {told:#}\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// A copy of the store, as a backup makes it.
    pub fn copy_of_store(&self) -> Result<PathBuf> {
        let file = self.machine.mark("copy.sqlite");
        let path = file.display().to_string();
        let output = self.coordinator()?.setup().run(&["backup", &path])?;
        if !output.status.success() || fs::metadata(&file).is_err() {
            bail!("copy the store: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(file)
    }
}

/// The step of an operation with this word; where it comes twice, the last one that has begun.
pub fn step_of<'operation>(operation: &'operation Value, step: &str) -> Option<&'operation Value> {
    let mut found = operation["steps"].as_array()?.iter().filter(|one| one["step"] == step);
    let first = found.next()?;
    Some(found.rfind(|one| one["state"] != "pending").unwrap_or(first))
}

/// The words of what happened, in their order.
pub fn story_of(operation: &Value) -> Vec<String> {
    let lines = operation["story"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.iter().filter_map(|line| Some(line["what"].as_str()?.to_owned())).collect()
}
