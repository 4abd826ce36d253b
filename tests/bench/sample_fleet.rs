//! Fleets of any size to measure on: the shipped policy, its nodes repeated until there are enough of them, and a
//! working day's mixture of builds, trouble and operations.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Action, Policy, TaskMatch,
    example::ExampleFleet,
    fleet::{Hold, Operation, Progress},
};
use millwright_protocol::NodeName;
use std::{collections::BTreeSet, path::Path};
use toml::{Table, Value};

const SHIPPED: &str = include_str!("../../packaging/coordinator/etc/millwright/policy.alice.toml");

/// A Saturday morning: no quiet hours, no freeze.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_769_853_600).unwrap_or_default()
}

/// The shipped policy as a file, with its three masters and so many nodes in all, named `bench00004` and on. Without
/// Mesos, the masters' view is marked as not there.
pub fn policy_text(nodes: u32, with_mesos: bool) -> Result<String> {
    let mut file: Table = SHIPPED.parse().context("read the shipped policy")?;
    if let Some(cluster) = file.get_mut("cluster").and_then(Value::as_table_mut) {
        cluster.insert("coordinator".to_owned(), "bench-coordinator".into());
    }
    // Both name nodes that are not listed here.
    file.remove("volumes");
    file.insert(
        "protections".to_owned(),
        toml::toml! { bench00004 = ["never_rebuild", "never_delete"] }.into(),
    );
    let zones = ["cern-geneva-a", "cern-geneva-b", "cern-geneva-c"];
    let listed = |class: &str, zone: &str, names: Vec<String>| {
        Value::Table(Table::from_iter([
            ("class".to_owned(), class.into()),
            ("zone".to_owned(), zone.into()),
            ("names".to_owned(), names.into()),
        ]))
    };
    let masters = (1..).zip(zones).map(|(number, zone)| listed("master", zone, vec![node_name(number)]));
    let agents = (0..).zip(zones).map(|(third, zone)| {
        listed("agent", zone, (4..=nodes).filter(|number| number % 3 == third).map(node_name).collect())
    });
    file.insert("nodes".to_owned(), masters.chain(agents).collect::<Vec<_>>().into());
    let mut text = toml::to_string(&file)?;
    if !with_mesos {
        text = text.replace("mesos_master = \"required\"", "mesos_master = \"none\"");
    }
    Ok(text)
}

/// The same, read.
pub fn policy(nodes: u32, with_mesos: bool) -> Result<Policy> {
    Ok(millwright_coordinator::policy::parse(&policy_text(nodes, with_mesos)?, Path::new("policy.toml"))?)
}

/// The name of the node with this number, counted from 1; the first three are masters.
pub fn node_name(number: u32) -> String {
    if number <= 3 { format!("alimesos{number:02}") } else { format!("bench{number:05}") }
}

/// Of a hundred agents: sixty build (two tasks each), three miss their volume, one is stale, four drain, two are
/// out, one is held by a colleague. The shares stay the same at every size, so that growth shows.
pub fn working_day(nodes: u32) -> Result<ExampleFleet> {
    let now = now();
    let mut fleet = ExampleFleet::new(policy(nodes, true)?, now);
    for number in 4..=nodes {
        let name: NodeName = node_name(number).parse()?;
        match number % 100 {
            10..70 => builds(&mut fleet, &name),
            70..73 => fleet.gating(&name, "volume/build", true, SignedDuration::from_hours(3)),
            73 => fleet.report_age(&name, SignedDuration::from_secs(75)),
            80..84 => operate(&mut fleet, name, Progress::Draining),
            84..86 => operate(&mut fleet, name, Progress::Out),
            90 => fleet.snapshot.holds.push(Hold {
                id: format!("hold-{number}"),
                node: name,
                author: "a colleague".to_owned(),
                reason: "looking at a build that fails only here".to_owned(),
                since: now,
                expires_at: None,
                operation: None,
            }),
            _ => {}
        }
    }
    Ok(fleet)
}

fn builds(fleet: &mut ExampleFleet, name: &NodeName) {
    for label in ["slc7_x86-64-larg", "slc7_x86-64-ligh"] {
        let id = format!("mesos-jenkins-0123456789abcdef0123456789abcdef-{label}");
        fleet.runs(
            name,
            TaskMatch {
                id: &id,
                name: &format!("task {id}"),
                framework: "Jenkins Scheduler",
                role: "*",
                cpus: 4.0,
            },
        );
    }
}

fn operate(fleet: &mut ExampleFleet, name: NodeName, progress: Progress) {
    fleet.snapshot.operations.push(Operation {
        id: format!("op-{name}"),
        action: Action::Reboot,
        nodes: BTreeSet::from([name]),
        requester: "an operator".to_owned(),
        progress,
        since: fleet.now,
        cordoned_at: Some(fleet.now),
        announced_at: None,
        is_silent_repair: false,
        is_parked: false,
        grants: Vec::new(),
    });
}
