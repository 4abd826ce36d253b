//! What outside systems say, line by line: of the whole site, and of one node.

mod mesos_dns;
mod places;
mod schedulers;

pub(in crate::fleet) use places::of as host;

use crate::{
    fleet::{
        Fleet,
        outside::{
            MemberSaid,
            openstack::{Power, Server},
        },
    },
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
        Source::Marathon | Source::Aurora => schedulers::details(fleet, source),
        Source::MesosDns => mesos_dns::details(fleet, now),
        Source::Foreman | Source::PuppetDb | Source::Roger => places::details(fleet, source, now),
        _ => Vec::new(),
    }
}

/// What outside systems say about one node.
pub(super) fn of_node(fleet: &Fleet, name: &NodeName, now: Timestamp) -> Vec<OutsideView> {
    let ensembles = fleet.snapshot.ensembles.iter();
    let members = ensembles.filter_map(|ensemble| Some((ensemble, ensemble.member_on(name)?)));
    let members = members.map(|(ensemble, member)| OutsideView {
        source: Source::ZooKeeper,
        status: if member.in_quorum_since.is_some() { Status::Ok } else { Status::Crit },
        sentence: format!("its member of {}: {}", ensemble.name, tell(fleet, ensemble, member, now)),
        at: ensemble.at,
    });
    let services = schedulers::of_node(fleet, name).into_iter().chain(mesos_dns::of_node(fleet, name, now));
    let hosts = places::of_node(fleet, name, now);
    members.chain(cloud(fleet, name)).chain(hosts).chain(services).collect()
}

/// What the cloud says of its server; nothing while the cloud has not been asked.
pub(in crate::fleet) fn cloud(fleet: &Fleet, name: &NodeName) -> Option<OutsideView> {
    let cloud = &fleet.outside.cloud;
    let at = cloud.at?;
    let servers = cloud.servers.get(name).map_or(&[][..], Vec::as_slice);
    let project = fleet.policy.nodes.get(name).and_then(|listed| listed.project.as_deref());
    let (status, sentence) = match servers {
        [server] => (status(server), server_story(fleet, server)),
        // A node that is no server of ours, as far as policy says.
        [] if project.is_none() => return None,
        [] if project.is_some_and(|project| cloud.unseen.contains(project)) || cloud.nameless > 0 => (
            Status::Unknown,
            "whether it has a server is not known: a part of the cloud does not answer".to_owned(),
        ),
        [] => (Status::Crit, "no server of its name in any project that is asked".to_owned()),
        many => {
            let ids: Vec<&str> = many.iter().map(|server| server.id.as_str()).collect();
            (
                Status::Crit,
                format!(
                    "{} servers have its name: {}; one must go or be renamed",
                    many.len(),
                    ids.join(", ")
                ),
            )
        }
    };
    Some(OutsideView { source: Source::OpenStack, status, sentence, at })
}

fn status(server: &Server) -> Status {
    match server.status.as_str() {
        _ if server.task_state.is_some() => Status::Warn,
        "ACTIVE" if server.power == Power::On => Status::Ok,
        "ACTIVE" | "ERROR" | "SHUTOFF" | "PAUSED" | "SUSPENDED" | "DELETED" => Status::Crit,
        "UNKNOWN" => Status::Unknown,
        _ => Status::Warn,
    }
}

fn server_story(fleet: &Fleet, server: &Server) -> String {
    let power = match server.power {
        Power::On => None,
        Power::Off => Some("powered off"),
        Power::Held => Some("paused"),
        Power::Crashed => Some("crashed"),
        Power::Unknown => Some("power not known"),
    };
    let lock = server.locked.then(|| match &server.locked_reason {
        Some(reason) => format!("locked: {reason}"),
        None => "locked, nobody said why".to_owned(),
    });
    let volumes = server.volumes.iter().map(|attached| {
        let known = fleet.outside.cloud.volumes.get(&attached.volume);
        let name = known.map(|(name, _)| name.as_str()).filter(|name| !name.is_empty());
        let size = known.map_or_else(String::new, |(_, size)| format!(", {size} GiB"));
        let goes = if attached.goes_with_server { ", goes with it" } else { "" };
        format!("volume {}{size}{goes}", name.unwrap_or(&attached.volume))
    });
    let told = [
        Some(format!("its server is {} in {}", server.standing(), server.project)),
        power.map(str::to_owned),
        server.zone.clone(),
        server.flavor.clone(),
        lock,
        server.fault.as_ref().map(|fault| format!("fault: {fault}")),
    ];
    told.into_iter().flatten().chain(volumes).collect::<Vec<_>>().join(", ")
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
