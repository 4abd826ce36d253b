//! Mesos-DNS 0.5 and later: where each server's answer for the leading master leads.
//!
//! Names that it does not know come as one record of empty words in an answer that says 200. An answer names addresses
//! only, so those of the masters are looked up to compare.

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use super::{
    Observe,
    peer::{Call, PeerError, Tallies},
    servers::{Server, Servers},
};
use crate::{
    config::OutsideServers,
    fleet::{MesosDns, Observation},
};
use futures_util::future::{BoxFuture, join_all};
use millwright_decision::Source;
use millwright_protocol::NodeName;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};
use tokio::{net::lookup_host, time::timeout};

/// A handful of addresses.
const LARGEST: usize = 1024 * 1024;
/// After this a host's addresses are not known.
const LOOK_UP: Duration = Duration::from_secs(2);

/// Mesos-DNS over HTTP.
pub struct MesosDnsClient {
    servers: Servers,
    /// Such as `leader.mesos`.
    name: String,
    /// Nodes and the hosts under which their addresses are looked up.
    hosts: Vec<(NodeName, String)>,
}

/// One record of `/v1/hosts/NAME`.
#[derive(Debug, Deserialize)]
struct Record {
    /// Empty where the name is not known.
    ip: String,
}

impl MesosDnsClient {
    /// Its servers as configured, the domain it answers for, and the addresses of the masters.
    ///
    /// # Errors
    /// An address is none, or the HTTP client cannot be made.
    pub fn new(
        given: &OutsideServers,
        domain: &str,
        masters: &[String],
        tallies: &Tallies,
    ) -> Result<Self, PeerError> {
        let of_servers = given.servers.iter().map(|(node, address)| (node.clone(), host(address)));
        // A bare address names no node.
        let named =
            masters.iter().map(|address| host(address)).filter(|host| host.parse::<IpAddr>().is_err());
        let of_masters = named.filter_map(|host| Some((host.parse().ok()?, host)));
        Ok(Self {
            hosts: of_servers.chain(of_masters).collect::<BTreeSet<_>>().into_iter().collect(),
            servers: Servers::new(Source::MesosDns, given, LARGEST, tallies)?,
            name: format!("leader.{domain}"),
        })
    }

    async fn look_once(&self) -> Result<MesosDns, String> {
        let asked = self.servers.iter().map(|server| async move { (server, self.ask(server).await) });
        let servers: BTreeMap<_, _> =
            join_all(asked).await.into_iter().map(|(server, said)| (server.node.clone(), said)).collect();
        if servers.values().all(Result::is_err) {
            let why: Vec<String> = servers.into_values().filter_map(Result::err).collect();
            return Err(format!("no server answers: {}", why.join("; ")));
        }
        let mut addresses: BTreeMap<NodeName, BTreeSet<IpAddr>> = BTreeMap::new();
        let looked_up = self.hosts.iter().map(|(node, host)| async move { (node, look_up(host).await) });
        for (node, found) in join_all(looked_up).await {
            addresses.entry(node.clone()).or_default().extend(found);
        }
        Ok(MesosDns { name: self.name.clone(), servers, addresses })
    }

    /// The addresses that a server gives for the leader.
    async fn ask(&self, server: &Server) -> Result<BTreeSet<IpAddr>, String> {
        let records: Vec<Record> = server.json(Call::get(format!("v1/hosts/{}", self.name))).await?;
        let given = records.iter().map(|record| record.ip.trim()).filter(|ip| !ip.is_empty());
        given
            .map(|ip| {
                ip.parse().map_err(|_| {
                    let (address, name) = (server.address(), &self.name);
                    format!("{address}: it gives {ip:?} as an address of {name}; see that mesos_dns.servers names Mesos-DNS itself")
                })
            })
            .collect()
    }
}

/// The host of an address, without scheme, port and path.
fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or_default();
    match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((literal, _)) => literal.to_owned(),
        None => rest.split(':').next().unwrap_or_default().to_owned(),
    }
}

/// None where it cannot be looked up.
async fn look_up(host: &str) -> Vec<IpAddr> {
    match timeout(LOOK_UP, lookup_host((host, 0))).await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        _ => Vec::new(),
    }
}

impl Observe for MesosDnsClient {
    fn source(&self) -> Source {
        Source::MesosDns
    }

    fn look(&self) -> BoxFuture<'_, Result<Observation, String>> {
        Box::pin(async { Ok(Observation::MesosDns(self.look_once().await?)) })
    }
}
