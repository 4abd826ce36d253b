//! Marathon 0.8 to 1.11: which of its servers leads, what its apps have running where, and what it is changing.
//!
//! A server that stands by hands every question on to the leader and gives back that one's answer. So an answer proves
//! little about the server that gave it; a header that it adds on the way, with the leader's address, tells it apart.

mod act;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
mod wire;

pub use act::MarathonOperator;

use super::{
    Observe,
    peer::{Call, PeerError, Tallies},
    servers::{Server, Servers},
};
use crate::{
    config::OutsideServers,
    fleet::{Observation, Part, Scheduler},
};
use futures_util::future::{BoxFuture, join_all};
use millwright_decision::Source;
use millwright_protocol::NodeName;
use std::collections::BTreeMap;
use wire::{AppList, Deployment, Info, Leader, TaskList};

/// A thousand apps with all they say about themselves.
const LARGEST: usize = 64 * 1024 * 1024;
/// What a server that stands by adds to the leader's answer.
const LEADER: &str = "x-marathon-leader";

/// Marathon over HTTP.
pub struct MarathonClient {
    servers: Servers,
}

impl MarathonClient {
    /// Its servers as configured.
    ///
    /// # Errors
    /// An address is none, or the HTTP client cannot be made.
    pub fn new(given: &OutsideServers, tallies: &Tallies) -> Result<Self, PeerError> {
        Ok(Self { servers: Servers::new(Source::Marathon, given, LARGEST, tallies)? })
    }

    async fn look_once(&self) -> Result<Scheduler, String> {
        let asked = self.servers.iter().map(|server| async move { (server, part(server).await) });
        let mut servers = BTreeMap::new();
        for (server, part) in join_all(asked).await {
            servers.insert(server.node.clone(), part);
        }
        settle(&mut servers);
        // Whoever answers at all hands the question on, but the leader is one way less.
        let mut able: Vec<&NodeName> =
            servers.iter().filter(|(_, part)| part.is_ok()).map(|(node, _)| node).collect();
        able.sort_by_key(|node| !matches!(servers.get(*node), Some(Ok(Part::Leads))));
        let Some(server) = able.first().and_then(|node| self.servers.on(node)) else {
            let why: Vec<String> = servers.into_values().filter_map(Result::err).collect();
            return Err(format!("none of its servers can be asked: {}", why.join("; ")));
        };
        let apps = wire::list::<AppList>(server.answer(Call::get("v2/apps")).await?, server)?.apps;
        let tasks = wire::list::<TaskList>(server.answer(Call::get("v2/tasks")).await?, server)?.tasks;
        let deployments: Vec<Deployment> = server.json(Call::get("v2/deployments")).await?;
        let info: Info = server.json(Call::get("v2/info")).await.unwrap_or_default();
        Ok(Scheduler {
            version: info.version,
            servers,
            services: wire::services(apps, tasks, &deployments),
            changes: deployments.iter().map(Deployment::tell).collect(),
            maintenance: BTreeMap::new(),
        })
    }
}

/// What one server does.
async fn part(server: &Server) -> Result<Part, String> {
    let answer = server.send(Call::get("v2/leader")).await?;
    if answer.status.as_u16() == 404 && String::from_utf8_lossy(&answer.body).contains("no leader") {
        return Err(format!(
            "{}: it says that there is no leader; see that its ZooKeeper is well",
            server.address()
        ));
    }
    let answer = answer.accepted().map_err(|error| server.explain(&error))?;
    let behind = answer.headers.get(LEADER).and_then(|leader| leader.to_str().ok());
    if let Some(leader) = behind {
        return Ok(Part::StandsBy(Some(leader.to_owned())));
    }
    let leader: Leader = answer.json().map_err(|error| server.explain(&error))?;
    let own = server.address().split_once("://").map_or(server.address(), |(_, rest)| rest);
    let host = |address: &str| address.split([':', '/']).next().unwrap_or_default().to_ascii_lowercase();
    let is_own = host(own) == host(&leader.leader) || names(&leader.leader, &server.node);
    Ok(if is_own { Part::Leads } else { Part::Unclear(leader.leader) })
}

/// Whether an address is that of a node.
fn names(address: &str, node: &NodeName) -> bool {
    let host = address.split(':').next().unwrap_or_default();
    host.parse::<NodeName>().is_ok_and(|name| name == *node)
}

/// The only one without the header leads, whatever it calls itself; and beside one that leads, all others stand by.
fn settle(servers: &mut BTreeMap<NodeName, Result<Part, String>>) {
    let leads = |part: &Result<Part, String>| matches!(part, Ok(Part::Leads));
    let is_led = servers.values().any(leads);
    let stand_by = servers.values().filter(|part| matches!(part, Ok(Part::StandsBy(_)))).count();
    let unclear = servers.values().filter(|part| matches!(part, Ok(Part::Unclear(_)))).count();
    for part in servers.values_mut() {
        if let Ok(Part::Unclear(who)) = part {
            if is_led {
                *part = Ok(Part::StandsBy(Some(std::mem::take(who))));
            } else if unclear == 1 && stand_by > 0 {
                *part = Ok(Part::Leads);
            }
        }
    }
}

impl Observe for MarathonClient {
    fn source(&self) -> Source {
        Source::Marathon
    }

    fn look(&self) -> BoxFuture<'_, Result<Observation, String>> {
        Box::pin(async { Ok(Observation::Marathon(self.look_once().await?)) })
    }
}
