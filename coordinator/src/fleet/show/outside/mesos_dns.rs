//! Mesos-DNS, line by line: whether each server leads to the master that leads.

use crate::{
    fleet::{Fleet, MesosDns},
    view::OutsideView,
};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::Source;
use millwright_protocol::{NodeName, Status};
use std::{collections::BTreeSet, net::IpAddr};

/// It reads the masters' state once a minute, and its answers may be kept for another.
const CATCHES_UP: SignedDuration = SignedDuration::from_secs(150);

/// Every server in a line.
pub(super) fn details(fleet: &Fleet, now: Timestamp) -> Vec<String> {
    let Some((_, seen)) = &fleet.outside.mesos_dns else { return Vec::new() };
    let line = |(node, said)| format!("{}: {}", fleet.policy.spell(node), tell(fleet, seen, said, now).1);
    seen.servers.iter().map(line).collect()
}

/// The line of a node's server.
pub(super) fn of_node(fleet: &Fleet, name: &NodeName, now: Timestamp) -> Option<OutsideView> {
    let (at, seen) = fleet.outside.mesos_dns.as_ref()?;
    let (status, sentence) = tell(fleet, seen, seen.servers.get(name)?, now);
    let state = fleet.snapshot.sources.get(&Source::MesosDns);
    let is_old = state.is_none_or(|state| state.unknown_since.is_some());
    Some(OutsideView {
        source: Source::MesosDns,
        status: if is_old { Status::Unknown } else { status },
        sentence: format!("its server: {sentence}"),
        at: *at,
    })
}

fn tell(
    fleet: &Fleet,
    seen: &MesosDns,
    said: &Result<BTreeSet<IpAddr>, String>,
    now: Timestamp,
) -> (Status, String) {
    let name = &seen.name;
    let given = match said {
        Ok(given) => given,
        Err(why) => return (Status::Warn, why.clone()),
    };
    let Some(leader) = fleet.leading_master() else {
        let story = format!("{name} is {}, and which master leads is not known", place(fleet, seen, given));
        return (Status::Unknown, story);
    };
    let leads = fleet.policy.spell(&leader);
    let Some(known) = seen.addresses.get(&leader).filter(|known| !known.is_empty()) else {
        let story = format!(
            "{name} is {}, and {leads} leads, whose address we cannot look up",
            place(fleet, seen, given)
        );
        return (Status::Unknown, story);
    };
    if !given.is_disjoint(known) {
        return (Status::Ok, format!("{name} is {leads}, which leads"));
    }
    let wrong = format!("{name} is {}, and {leads} leads", place(fleet, seen, given));
    let changed = fleet.snapshot.leader_changed_at.map(|at| now.duration_since(at));
    match changed.filter(|ago| *ago < CATCHES_UP) {
        Some(_) => (Status::Unknown, format!("{wrong} since a moment ago; it catches up within two minutes")),
        None => {
            (Status::Warn, format!("{wrong}; see that it reaches ZooKeeper and the masters, or restart it"))
        }
    }
}

/// Where a server's answer leads.
fn place(fleet: &Fleet, seen: &MesosDns, given: &BTreeSet<IpAddr>) -> String {
    if given.is_empty() {
        return "unknown to it".to_owned();
    }
    match seen.node_of(given) {
        Some(node) => fleet.policy.spell(node).to_owned(),
        None => {
            let some: Vec<String> = given.iter().take(3).map(ToString::to_string).collect();
            format!("{}, which is no master we know", some.join(", "))
        }
    }
}
