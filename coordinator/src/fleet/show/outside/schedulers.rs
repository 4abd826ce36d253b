//! Marathon and Aurora, line by line: what they keep running on a node, and whether anything would be left of it elsewhere.

use crate::{
    fleet::{Fleet, Part, Scheduler, Service},
    view::OutsideView,
};
use jiff::Timestamp;
use millwright_decision::Source;
use millwright_protocol::{NodeName, Status};

/// So many services of one scheduler are told one by one.
const MOST: usize = 20;

/// Servers, changes and services, what is not in full first.
pub(super) fn details(fleet: &Fleet, source: Source) -> Vec<String> {
    let Some((_, seen)) = fleet.outside.schedulers.get(&source) else { return Vec::new() };
    let servers = seen
        .servers
        .iter()
        .map(|(node, part)| format!("{}: {}", fleet.policy.spell(node), server(fleet, seen, part).1));
    let kept = seen.maintenance.iter().map(|(host, mode)| format!("it has {host} in maintenance: {mode}"));
    let mut services: Vec<&Service> = seen.services.iter().collect();
    services.sort_by_key(|service| (service.is_whole(), service.name.as_str()));
    let more = services.len().saturating_sub(MOST);
    let more = (more > 0).then(|| format!("and {more} more"));
    let shown = services.iter().take(MOST).map(|service| whole(fleet, service));
    servers.chain(seen.changes.iter().cloned()).chain(kept).chain(shown).chain(more).collect()
}

/// What the schedulers say about one node; what would be missed most comes first.
pub(super) fn of_node(fleet: &Fleet, name: &NodeName) -> Vec<OutsideView> {
    let all = fleet.outside.schedulers.iter();
    all.flat_map(|(source, (at, seen))| on_node(fleet, name, *source, *at, seen)).collect()
}

fn on_node(
    fleet: &Fleet,
    name: &NodeName,
    source: Source,
    at: Timestamp,
    seen: &Scheduler,
) -> Vec<OutsideView> {
    // What an old answer said need not be so any more.
    let is_old = fleet.snapshot.sources.get(&source).is_none_or(|state| state.unknown_since.is_some());
    let line = |(status, sentence): (Status, String)| OutsideView {
        source,
        status: if is_old { Status::Unknown } else { status },
        sentence,
        at,
    };
    let own = seen.servers.get(name).map(|part| {
        let (status, sentence) = server(fleet, seen, part);
        (status, format!("its server: {sentence}"))
    });
    let kept = seen.maintenance.iter().filter(|(host, _)| is_host_of(fleet, name, host));
    let kept = kept.map(|(_, mode)| {
        (Status::Warn, format!("it is in maintenance there ({mode}): nothing new is started on it"))
    });
    let mut services: Vec<(Status, String)> =
        seen.services.iter().filter_map(|service| here(name, service)).collect();
    services.sort_by_key(|(status, _)| std::cmp::Reverse(*status));
    let more = services.len().saturating_sub(MOST);
    let more = (more > 0).then(|| (Status::Ok, format!("and {more} more have instances here")));
    own.into_iter().chain(kept).chain(services.into_iter().take(MOST)).chain(more).map(line).collect()
}

fn is_host_of(fleet: &Fleet, name: &NodeName, host: &str) -> bool {
    fleet.mesos_agents(name).iter().any(|agent| &*agent.hostname == host)
        || fleet.listed(host).as_ref() == Some(name)
}

/// What a server does, and how good that is.
fn server(fleet: &Fleet, seen: &Scheduler, part: &Result<Part, String>) -> (Status, String) {
    let leader = seen.leader();
    match part {
        Ok(Part::Leads) => (Status::Ok, "it leads".to_owned()),
        Ok(Part::StandsBy(None)) => (Status::Ok, "it stands by".to_owned()),
        Ok(Part::StandsBy(Some(who))) => match leader {
            Some(leader) if fleet.listed(host_of(who)).is_some_and(|node| node != *leader) => {
                let leads = fleet.policy.spell(leader);
                let sentence = format!(
                    "it stands by for {who}, and {leads} says that it leads itself; if that is still so in a minute, see \
                     that both use the same ZooKeeper, and restart this one"
                );
                (Status::Warn, sentence)
            }
            _ => (Status::Ok, format!("it stands by, {who} leads")),
        },
        Ok(Part::Unclear(who)) => {
            (Status::Unknown, format!("it answers as if it led, and names {who}; it may stand by"))
        }
        Err(why) => (Status::Warn, why.clone()),
    }
}

/// The host of `host:port`, or of an address with a scheme.
fn host_of(who: &str) -> &str {
    let who = who.split_once("://").map_or(who, |(_, rest)| rest);
    who.split([':', '/']).next().unwrap_or_default()
}

/// What a service has on a node, and whether that is all there is.
fn here(name: &NodeName, service: &Service) -> Option<(Status, String)> {
    let (on_it, elsewhere): (Vec<_>, Vec<_>) =
        service.instances.iter().partition(|instance| instance.node.as_ref() == Some(name));
    if on_it.is_empty() {
        return None;
    }
    let well = on_it.iter().filter(|instance| instance.is_well).count();
    let others = elsewhere.iter().filter(|instance| instance.is_well).count();
    let count = format!("{}: {} of the {} wanted run here", service.name, on_it.len(), service.wanted);
    let (status, story) = match (well, others) {
        (0, 0) => (Status::Warn, ", and no instance anywhere is healthy".to_owned()),
        (0, _) => (Status::Warn, format!(", not healthy; {others} elsewhere are")),
        (_, 0) => (Status::Warn, ": the last healthy instance, without this node it stops".to_owned()),
        (_, _) => (Status::Ok, format!(", {others} elsewhere are healthy")),
    };
    let pin = service.pinned_to.as_ref();
    let pin = pin.map(|place| format!("; it may run on {place} only, so it cannot be moved"));
    let change =
        if service.is_changing { "; it is being changed just now, wait for that to end" } else { "" };
    let status = if service.pinned_to.is_some() { Status::Warn } else { status };
    Some((status, format!("{count}{story}{}{change}", pin.unwrap_or_default())))
}

/// A service and where it is.
fn whole(fleet: &Fleet, service: &Service) -> String {
    let mut places: Vec<&str> = service
        .instances
        .iter()
        .map(|instance| match &instance.node {
            Some(node) => fleet.policy.spell(node),
            None => instance.host.as_str(),
        })
        .collect();
    places.sort_unstable();
    places.dedup();
    let more = places.len().saturating_sub(MOST);
    places.truncate(MOST);
    let place = if places.is_empty() { String::new() } else { format!(", on {}", places.join(", ")) };
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let change = if service.is_changing { "; it is being changed" } else { "" };
    let pin = service.pinned_to.as_ref().map(|place| format!("; may run on {place} only"));
    let pin = pin.unwrap_or_default();
    format!("{}: {} of {} healthy{place}{more}{pin}{change}", service.name, service.well(), service.wanted)
}
