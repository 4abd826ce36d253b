//! What outside systems say, line by line: of the whole site, and of one node.

use crate::{
    fleet::{Fleet, outside::MemberSaid},
    view::OutsideView,
    words,
};
use jiff::Timestamp;
use millwright_decision::{
    Source,
    fleet::{Ensemble, Member},
};
use millwright_protocol::{NodeName, Status};

/// What a source says beyond its one sentence.
pub(super) fn details(fleet: &Fleet, source: Source, now: Timestamp) -> Vec<String> {
    match source {
        Source::ZooKeeper => {
            fleet.snapshot.ensembles.iter().flat_map(|ensemble| members(fleet, ensemble, now)).collect()
        }
        _ => Vec::new(),
    }
}

/// What outside systems say about one node.
pub(super) fn of_node(fleet: &Fleet, name: &NodeName, now: Timestamp) -> Vec<OutsideView> {
    let ensembles = fleet.snapshot.ensembles.iter();
    let members = ensembles.filter_map(|ensemble| Some((ensemble, ensemble.member_on(name)?)));
    members
        .map(|(ensemble, member)| OutsideView {
            source: Source::ZooKeeper,
            status: if member.in_quorum_since.is_some() { Status::Ok } else { Status::Crit },
            sentence: format!("its member of {}: {}", ensemble.name, tell(fleet, ensemble, member, now)),
            at: ensemble.at,
        })
        .collect()
}

fn members(fleet: &Fleet, ensemble: &Ensemble, now: Timestamp) -> Vec<String> {
    let line = |member: &Member| {
        let name = fleet.policy.spell(&member.node);
        format!("{}, {name}: {}", ensemble.name, tell(fleet, ensemble, member, now))
    };
    ensemble.members.iter().map(line).chain(growth(fleet, ensemble, now)).collect()
}

fn tell(fleet: &Fleet, ensemble: &Ensemble, member: &Member, now: Timestamp) -> String {
    let since =
        member.in_quorum_since.map(|since| format!("for {}", words::length(now.duration_since(since))));
    let said = fleet.outside.ensembles.get(&ensemble.name).and_then(|kept| kept.said.get(&member.node));
    let parts = said.map(numbers).unwrap_or_default();
    [Some(member.story.clone()), since].into_iter().flatten().chain(parts).collect::<Vec<_>>().join(", ")
}

fn numbers(said: &MemberSaid) -> Vec<String> {
    [
        Some(format!("version {}", said.version)).filter(|_| !said.version.is_empty()),
        said.latency_ms.map(|latency| format!("{latency} ms a request")),
        said.outstanding.filter(|waiting| *waiting > 0).map(|waiting| format!("{waiting} requests wait")),
        said.synced_followers.map(|synced| format!("{synced} followers in sync")),
        said.data_bytes.map(words::size),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How its data has grown since we first saw it; nothing within the first hour.
fn growth(fleet: &Fleet, ensemble: &Ensemble, now: Timestamp) -> Option<String> {
    let kept = fleet.outside.ensembles.get(&ensemble.name)?;
    let (since, first) = kept.first_bytes?;
    let bytes = kept.said.values().filter_map(|said| said.data_bytes).max()?;
    let hours = u64::try_from(now.duration_since(since).as_hours()).ok().filter(|hours| *hours > 0)?;
    let daily = bytes.saturating_sub(first) * 24 / hours;
    Some(format!("{}: its data grows by {} a day", ensemble.name, words::size(daily)))
}
