//! Apache Aurora: which scheduler leads, what its jobs have running where, and which hosts it has in maintenance.
//!
//! A scheduler that stands by answers 503 when it is asked whether it leads, and points at the leader when it is asked
//! anything else. So only the leader is asked, and no pointer is followed. Errors come in answers that say 200.

mod act;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
mod wire;

pub use act::AuroraOperator;

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
use serde_json::json;
use std::collections::BTreeMap;
use wire::{ACTIVE, Maintenance, Reply, Vars};

/// Some ten thousand tasks with their histories.
const LARGEST: usize = 128 * 1024 * 1024;

/// Aurora over HTTP.
pub struct AuroraClient {
    servers: Servers,
}

impl AuroraClient {
    /// Its schedulers as configured.
    ///
    /// # Errors
    /// An address is none, or the HTTP client cannot be made.
    pub fn new(given: &OutsideServers, tallies: &Tallies) -> Result<Self, PeerError> {
        Ok(Self { servers: Servers::new(Source::Aurora, given, LARGEST, tallies)? })
    }

    async fn look_once(&self) -> Result<Scheduler, String> {
        let asked = self.servers.iter().map(|server| async move { (server, part(server).await) });
        let (mut servers, mut leader) = (BTreeMap::new(), None);
        for (server, part) in join_all(asked).await {
            if part == Ok(Part::Leads) {
                leader = Some(server);
            }
            servers.insert(server.node.clone(), part);
        }
        let Some(leader) = leader else {
            let why: Vec<String> = servers.into_values().filter_map(Result::err).collect();
            return Err(format!("none of its schedulers says that it leads: {}", why.join("; ")));
        };
        let vars: Vars = leader.json(Call::get("vars.json")).await?;
        if vars.framework_registered == Some(0.0) {
            return Err(format!(
                "{} leads and is not registered with Mesos, so it starts nothing; see that the Mesos masters are led",
                leader.address()
            ));
        }
        let question = json!({ "query": { "statuses": ACTIVE } });
        let reply: Reply = leader.json(Call::post("apibeta/getTasksWithoutConfigs").json(question)).await?;
        let tasks = reply.tasks().map_err(|why| format!("{}: {why}", leader.address()))?;
        let maintenance: Maintenance = leader.json(Call::get("maintenance")).await?;
        Ok(Scheduler {
            version: String::new(),
            servers,
            services: wire::services(tasks),
            changes: Vec::new(),
            maintenance: maintenance.in_our_words(),
        })
    }
}

/// What one scheduler does.
async fn part(server: &Server) -> Result<Part, String> {
    let answer = server.send(Call::get("leaderhealth").may_say_no()).await?;
    match answer.status.as_u16() {
        503 => Ok(Part::StandsBy(None)),
        502 => Err(format!("{}: it knows no leader; see that its ZooKeeper is well", server.address())),
        _ => match answer.accepted() {
            Ok(_) => Ok(Part::Leads),
            Err(error) => Err(server.explain(&error)),
        },
    }
}

impl Observe for AuroraClient {
    fn source(&self) -> Source {
        Source::Aurora
    }

    fn look(&self) -> BoxFuture<'_, Result<Observation, String>> {
        Box::pin(async { Ok(Observation::Aurora(self.look_once().await?)) })
    }
}
