//! Orders against the machine: each check alone, their order, and what survives a loss of power.

mod checks;
mod crashes;
mod life;

use super::*;
use crate::{identity::Identity, memory::SimDisk, orders::local::Known};
use millwright_protocol::{LocalHold, Target};
use serde_json::json;

const NONCE: &str = "0123456789abcdef";
const HOUR: u64 = 3600;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The coordinator's clock, so many seconds after the node's boot; the node's own clock is three days behind.
fn coordinator(uptime: u64) -> Timestamp {
    "2026-01-31T10:00:00Z".parse::<Timestamp>().unwrap() + seconds(uptime)
}

fn now(uptime: u64) -> Moment {
    Moment { wall: coordinator(uptime) - seconds(3 * 24 * HOUR), uptime: seconds(uptime) }
}

/// A node that idles: nobody objects, nothing runs, everything is known.
fn idle() -> LocalFacts {
    let (tasks, containers) = (Vec::new(), Vec::new());
    LocalFacts {
        tasks: Known::Seen { age_seconds: 2, value: tasks },
        containers: Known::Seen { age_seconds: 2, value: containers },
        zookeeper: Known::NotHere,
        ..LocalFacts::default()
    }
}

fn rules(boot: &str) -> Rules {
    Rules {
        identity: Identity {
            name: "alibuild10.cern.ch".into(),
            name_source: "node.name",
            boot_id: boot.into(),
            machine_id: "m1".into(),
            server_uuid: Some("s1".into()),
        },
        enabled: true,
        confirm_reboot: false,
        images: vec!["a/b:latest".into()],
        puppet: true,
        whitelist: true,
        cleanup: true,
    }
}

/// A node, its machine and its disk.
struct Node {
    disk: SimDisk,
    machine: Machine<SimDisk>,
    facts: LocalFacts,
    boot: String,
}

impl Node {
    /// Booted long ago, its memory as old, and the coordinator just heard.
    fn new() -> Self {
        let mut node = Self::of(SimDisk::default(), "b1", 0);
        node.hear(10 * HOUR);
        node
    }

    fn of(disk: SimDisk, boot: &str, uptime: u64) -> Self {
        let machine = Machine::open(disk.clone(), rules(boot), now(uptime));
        Self { disk, machine, facts: idle(), boot: boot.into() }
    }

    /// The coordinator's clock is heard at this time.
    fn hear(&mut self, uptime: u64) {
        self.machine.hear_clock(coordinator(uptime), seconds(uptime), seconds(uptime));
    }

    /// The agent ends and starts again, in the same boot or another one.
    fn restart(self, boot: &str, uptime: u64) -> Self {
        let mut node = Self::of(self.disk, boot, uptime);
        node.hear(uptime);
        node
    }

    fn order(&mut self, order: &Value, uptime: u64) -> Option<Order> {
        let facts = self.facts.clone();
        self.machine.order(order, &facts, NONCE, now(uptime))
    }

    /// Orders what must be begun.
    fn begins(&mut self, order: &Value, uptime: u64) -> Order {
        let begun = self.order(order, uptime);
        begun.unwrap_or_else(|| panic!("{:?}", self.machine.untold()))
    }

    /// Orders what must be refused, and says why it was.
    fn refuses(&mut self, order: &Value, uptime: u64) -> (RefusalCode, String) {
        assert_eq!(self.order(order, uptime), None);
        match self.told(order["id"].as_str().unwrap()) {
            OrderState::Refused { code, sentence } => (code, sentence),
            other => panic!("{other:?}"),
        }
    }

    /// What is told about an order.
    fn told(&self, id: &str) -> OrderState {
        let events = &self.machine.outbox;
        let event = events.iter().find(|(untold, _)| untold == id);
        event.map(|(_, event)| event.state.clone()).unwrap_or_else(|| panic!("nothing is told about {id}"))
    }
}

/// An order made at this time, in words of the wire.
fn order(id: &str, made: u64, verb: Value) -> Value {
    let mut order = json!({
        "id": id, "operation": "op-1", "generation": 1, "epoch": 3, "position": 7,
        "target": Target {
            node: "ALIBUILD10".into(),
            machine_id: "m1".into(),
            server_uuid: Some("s1".into()),
            boot_id: "b1".into(),
        },
        "issued_at": coordinator(made), "ttl_seconds": 300, "reason": "kernel update, Ann",
    });
    order.as_object_mut().unwrap().extend(verb.as_object().unwrap().clone());
    order
}

fn fact(id: &str, made: u64) -> Value {
    order(id, made, json!({"verb": "set_fact", "name": "millwright_start", "value": "yes"}))
}

fn reboot(id: &str, made: u64) -> Value {
    order(id, made, json!({"verb": "reboot"}))
}

fn commit(id: &str, made: u64) -> Value {
    order(id, made, json!({"verb": "reboot", "commit": NONCE}))
}

/// The order with another value at a path.
fn with(mut order: Value, path: &str, value: Value) -> Value {
    let (parent, key) = path.rsplit_once('/').unwrap();
    order.pointer_mut(parent).unwrap()[key] = value;
    order
}

fn done() -> OrderState {
    OrderState::Done { evidence: Vec::new() }
}
