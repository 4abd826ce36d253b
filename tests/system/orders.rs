//! Orders as a real agent carries them out: once, whatever kills it, and never against somebody on the node.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use millwright_agent::status::view::StatusView;
use millwright_protocol::Status;
use serde_json::{Value, json};

use super::harness::{Agent, Node, Receiver, Scratch, wait_for};

const LIMIT: Duration = Duration::from_secs(90);
/// No agent reboots a machine that has only just booted, not even one that only pretends to.
const OLD_ENOUGH: f64 = 660.0;

/// A node on a machine without anybody logged in, whose reboot is a mark in a file.
struct Lab {
    coordinator: Receiver,
    scratch: Scratch,
}

impl Lab {
    fn new() -> Self {
        let scratch = Scratch::new("orders").unwrap();
        let script = format!("#!/bin/sh\necho reboot >> {}\n", scratch.join("reboots").display());
        let command = scratch.write("reboot", &script).unwrap();
        fs::set_permissions(command, fs::Permissions::from_mode(0o755)).unwrap();
        scratch.make("root/etc/puppetlabs").unwrap();
        let lab = Self { coordinator: Receiver::start().unwrap(), scratch };
        lab.boots("first-boot");
        lab
    }

    /// The machine has booted.
    fn boots(&self, id: &str) {
        self.scratch.write("boot", id).unwrap();
    }

    fn node(&self) -> Node {
        Node::named("alibuild10")
            .unwrap()
            .text("paths.root", self.scratch.join("root").display())
            .text("paths.boot_id", self.scratch.join("boot").display())
            .text("paths.state", self.scratch.join("state").display())
            .text("orders.reboot_command", self.scratch.join("reboot").display())
            .text("coordinator.url", self.coordinator.url())
            .text("coordinator.report_every", "1s")
    }

    fn reboots(&self) -> usize {
        fs::read_to_string(self.scratch.join("reboots")).unwrap_or_default().lines().count()
    }

    /// What was said about an order, such as `prepared`.
    fn told(&self, id: &str, state: &str) -> Value {
        let path = format!("/v1/agents/alibuild10/orders/{id}/events");
        self.coordinator
            .wait_for(&format!("{id} to be {state}"), |received| {
                (received.path == path && received.body["state"] == state).then(|| received.body.clone())
            })
            .unwrap()
    }

    /// An order that is made now.
    fn order(&self, id: &str, verb: &Value) -> Value {
        let mut order = json!({
            "id": id, "operation": "op-1", "generation": 1, "epoch": 1, "position": 1,
            "target": { "node": "alibuild10", "machine_id": "alibuild10-machine", "boot_id": "first-boot" },
            "issued_at": Timestamp::now(), "ttl_seconds": 600, "reason": "a story",
        });
        order.as_object_mut().unwrap().extend(verb.as_object().unwrap().clone());
        order
    }

    fn set_fact(&self, id: &str) -> Value {
        self.order(id, &json!({ "verb": "set_fact", "name": "millwright_start", "value": id }))
    }
}

/// A memory that has only just begun knows nothing of what was made in the seconds before it.
fn memory_has_begun() {
    let seconds = || Timestamp::now().as_second();
    let begun = seconds();
    wait_for("a moment", LIMIT, || Ok((seconds() > begun + 2).then_some(()))).unwrap();
}

/// Kills the agent and starts it again on the same node.
fn killed(agent: Agent, lab: &Lab) -> Agent {
    agent.kill().unwrap();
    // The memory is locked until the process is gone.
    let lock = fs::File::open(lab.scratch.join("state/memory.lock")).unwrap();
    wait_for("the agent to be gone", LIMIT, || Ok(lock.try_lock().is_ok().then_some(()))).unwrap();
    drop(lock);
    lab.node().start().unwrap()
}

#[test]
fn a_reboot_is_asked_for_once_however_often_the_agent_is_killed_and_the_next_boot_is_its_end() {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).unwrap();
    if uptime < OLD_ENOUGH {
        return;
    }
    let lab = Lab::new();
    let mut agent = lab.node().start().unwrap();
    agent.wait_for("the first report", |view| view.coordinator.accepted_at).unwrap();
    memory_has_begun();

    let reboot = lab.order("op-1.2.1", &json!({ "verb": "reboot" }));
    lab.coordinator.order(std::slice::from_ref(&reboot));
    let nonce = lab.told("op-1.2.1", "prepared")["nonce"].clone();
    assert_eq!(lab.reboots(), 0, "prepared is not done");
    let mut commit = reboot;
    commit["commit"] = nonce;
    lab.coordinator.order(std::slice::from_ref(&commit));
    wait_for("the reboot", LIMIT, || Ok((lab.reboots() > 0).then_some(()))).unwrap();

    lab.coordinator.order(&[commit.clone(), lab.set_fact("later")]);
    assert_eq!(lab.told("later", "refused")["code"], "busy", "the node goes down");

    for _ in 0..2 {
        agent = killed(agent, &lab);
        // It neither reports nor asks for orders any more: it only remembers.
        let states = |view: &StatusView| {
            let order = view.orders.as_ref()?.last.iter().find(|order| order.id == "op-1.2.1")?;
            Some(order.state.clone())
        };
        assert_eq!(agent.wait_for("the remembered order", states).unwrap(), "starting");
    }
    assert_eq!(lab.reboots(), 1);

    agent.kill().unwrap();
    lab.boots("second-boot");
    lab.coordinator.order(&[commit]);
    let _agent = lab.node().start().unwrap();
    let done = lab.told("op-1.2.1", "done");
    assert_eq!(done["boot_id"], "second-boot", "{done:#}");
    assert_eq!(lab.reboots(), 1);
}

#[test]
fn a_hold_set_on_the_node_stops_orders_at_once_and_shows_everywhere() {
    let lab = Lab::new();
    let agent = lab.node().start().unwrap();
    agent.wait_for("the first report", |view| view.coordinator.accepted_at).unwrap();
    memory_has_begun();
    let hold = |arguments: &[&str]| {
        let output = lab.node().run(&[&["hold"], arguments].concat()).unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    hold(&["add", "the disk is looked at", "--for", "2h"]);
    let held: Value = serde_json::from_str(&hold(&["list", "--json"])).unwrap();
    let id = held[0]["id"].as_str().unwrap();

    lab.coordinator.order(&[lab.set_fact("held")]);
    let refused = lab.told("held", "refused");
    assert_eq!(refused["code"], "veto", "{refused:#}");
    assert!(refused["sentence"].as_str().unwrap().contains("the disk is looked at"), "{refused:#}");
    let reported =
        |received: &super::harness::Received| (received.body["local_holds"][0]["id"] == id).then_some(());
    lab.coordinator.wait_for("a report with the hold", reported).unwrap();
    assert!(agent.page().unwrap().contains("the disk is looked at"));

    hold(&["lift", id]);
    lab.coordinator.order(&[lab.set_fact("free")]);
    lab.told("free", "done");
    let fact = lab.scratch.join("root/etc/puppetlabs/facter/facts.d/millwright_start.txt");
    assert_eq!(fs::read_to_string(&fact).context("read the fact").unwrap(), "millwright_start=free\n");
}

#[test]
fn a_damaged_memory_lets_no_order_pass_and_tells_a_person() {
    let lab = Lab::new();
    let agent = lab.node().start().unwrap();
    agent.wait_for("the first report", |view| view.coordinator.accepted_at).unwrap();
    memory_has_begun();
    lab.coordinator.order(&[lab.set_fact("before")]);
    lab.told("before", "done");
    agent.kill().unwrap();
    let memory = lab.scratch.join("state/memory");
    let sound = fs::read(&memory).unwrap();
    let mut damaged = sound.clone();
    damaged[sound.len() / 2] ^= 1;
    fs::write(&memory, &damaged).unwrap();

    let agent = lab.node().start().unwrap();
    let finding = agent.wait_finding("memory", Status::Crit).unwrap();
    assert!(finding.next.is_some_and(|next| next.contains("mv ")), "a person is told what to do");
    // What was done is not done again, and nobody claims that it never was.
    lab.told("before", "unknown");
    memory_has_begun();
    lab.coordinator.order(&[lab.set_fact("after")]);
    lab.told("after", "refused");
    assert_eq!(fs::read(&memory).unwrap(), damaged, "it is left for a person to look at");
}
