//! Systems that know nodes as hosts, line by line: what is worth a look of the whole site, and everything of one node.

use crate::{
    fleet::{
        Fleet,
        outside::{HostAlarms, HostFacts, Known},
    },
    view::OutsideView,
    words,
};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::Source;
use millwright_protocol::{NodeName, Status};

/// Puppet runs each half hour; a host of which nothing was heard for so long is stale.
const STALE_REPORT: SignedDuration = SignedDuration::from_hours(2);

/// The hosts that are not as they should be.
pub(super) fn details(fleet: &Fleet, source: Source, now: Timestamp) -> Vec<String> {
    let names = fleet.policy.nodes.keys();
    let seen = names.filter_map(|name| Some((name, one(fleet, source, name, now)?)));
    let worth = seen.filter(|(_, (status, _))| *status != Status::Ok);
    worth.map(|(name, (_, sentence))| format!("{}: {sentence}", fleet.policy.spell(name))).collect()
}

/// What each of them says of a node.
pub(super) fn of_node(fleet: &Fleet, name: &NodeName, now: Timestamp) -> Vec<OutsideView> {
    let sources = [Source::Foreman, Source::PuppetDb, Source::Roger];
    sources.into_iter().filter_map(|source| of(fleet, source, name, now)).collect()
}

/// What one of them says of a node; nothing where it is not asked.
pub(in crate::fleet) fn of(
    fleet: &Fleet,
    source: Source,
    name: &NodeName,
    now: Timestamp,
) -> Option<OutsideView> {
    let at = match source {
        Source::Roger => fleet.outside.roger.as_ref()?.0,
        source => fleet.outside.places.get(&source)?.0,
    };
    let (status, sentence) = one(fleet, source, name, now)?;
    let state = fleet.snapshot.sources.get(&source);
    let is_old = state.is_none_or(|state| state.unknown_since.is_some());
    Some(OutsideView { source, status: if is_old { Status::Unknown } else { status }, sentence, at })
}

fn one(fleet: &Fleet, source: Source, name: &NodeName, now: Timestamp) -> Option<(Status, String)> {
    // Nobody expects a node that no policy lists to be a host.
    fleet.policy.nodes.get(name)?;
    if source == Source::Roger {
        let (_, hosts) = fleet.outside.roger.as_ref()?;
        return Some(hosts.get(name).map_or_else(unsaid, alarms));
    }
    let (_, seen) = fleet.outside.places.get(&source)?;
    let Some(host) = seen.hosts.get(name) else { return Some(unsaid()) };
    Some(match &host.known {
        Known::No => (Status::Warn, format!("there is no {}", host.host)),
        Known::Retired(story) => (Status::Warn, format!("{} is {story}", host.host)),
        Known::Yes(facts) => puppet(facts, now),
    })
}

fn unsaid() -> (Status, String) {
    (Status::Unknown, "nothing was said of this host at the last look".to_owned())
}

fn puppet(facts: &HostFacts, now: Timestamp) -> (Status, String) {
    let age = facts.last_report.map(|at| now.duration_since(at));
    let is_stale = age.is_some_and(|age| age > STALE_REPORT);
    let report = match age {
        Some(age) if is_stale => format!("stale: its last report is {} old", words::length(age)),
        Some(age) => format!("last report {} ago", words::length(age.max(SignedDuration::ZERO))),
        None => "it has never reported".to_owned(),
    };
    let status = if is_stale { facts.status.max(Status::Warn) } else { facts.status };
    let parts = [facts.state.clone(), report].into_iter().chain(facts.more.iter().cloned());
    (status, parts.collect::<Vec<_>>().join(", "))
}

fn alarms(seen: &HostAlarms) -> (Status, String) {
    let Some(set) = &seen.set else { return (Status::Warn, format!("there is no {}", seen.host)) };
    if set.off.is_empty() {
        return (Status::Ok, set.set.story());
    }
    let by = set.by.as_ref().map_or_else(String::new, |by| format!(", by {by}"));
    (Status::Warn, format!("{}; off: {}{by}", set.set.story(), set.off.join(", ")))
}
