//! Fleets of any size to measure on: the shipped policy, its nodes repeated until there are enough of them, and a
//! working day's mixture of builds, trouble and operations.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Action, Class, NodePolicy, Policy, TaskMatch,
    example::ExampleFleet,
    fleet::{Hold, Operation, Progress},
};
use millwright_protocol::NodeName;
use std::{collections::BTreeSet, path::Path};

const SHIPPED: &str = include_str!("../../packaging/coordinator/etc/millwright/policy.alice.toml");

/// A Saturday morning: no quiet hours, no freeze.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_769_853_600).unwrap_or_default()
}

/// The shipped policy with its three masters and so many nodes in all, named `bench00004` and on.
pub fn policy(nodes: u32) -> Result<Policy> {
    let mut policy = millwright_coordinator::policy::parse(SHIPPED, Path::new("policy.alice.toml"))?;
    let template = policy
        .nodes_of(Class::Agent)
        .map(|(_, node)| node.clone())
        .find(|node| node.protections.is_empty())
        .context("the shipped policy lists no agent that nothing protects")?;
    let zones: Vec<String> = policy.zones.iter().cloned().collect();
    policy.nodes.retain(|_, node| node.class == Class::Master);
    for number in 4..=nodes {
        let display = node_name(number);
        let zone = zones.get(number as usize % zones.len().max(1)).cloned();
        policy.nodes.insert(display.parse()?, NodePolicy { display, zone, ..template.clone() });
    }
    Ok(policy)
}

/// The name of the node with this number, counted from 1; the first three are masters.
pub fn node_name(number: u32) -> String {
    if number <= 3 { format!("alimesos{number:02}") } else { format!("bench{number:05}") }
}

/// Of a hundred agents: sixty build (two tasks each), three miss their volume, one is stale, four drain, two are
/// out, one is held by a colleague. The shares stay the same at every size, so that growth shows.
pub fn working_day(nodes: u32) -> Result<ExampleFleet> {
    let now = now();
    let mut fleet = ExampleFleet::new(policy(nodes)?, now);
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
        grants: Vec::new(),
    });
}
