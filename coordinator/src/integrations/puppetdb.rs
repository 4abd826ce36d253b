//! PuppetDB: when each node last reported and how that run ended, and whether somebody has deactivated it.
//!
//! Nodes that were deactivated or have expired are left out of its lists, so whoever is missing is asked for by name: only
//! PuppetDB's own "no information is known" means that it has never heard of one, or has forgotten it. Old servers lack the
//! newer fields: every one is optional. It is looked at only.

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use super::{
    Observe,
    hosts::{Host, Hosts, Register, moment, text},
    peer::{Call, PeerError, Tallies, segment},
};
use crate::{
    config::Place,
    fleet::{HostFacts, HostSeen, Known, Observation, Places},
};
use futures_util::future::BoxFuture;
use millwright_decision::Source;
use millwright_protocol::Status;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// So many names fit into an address that every proxy takes.
const AT_ONCE: usize = 20;
/// So many that are missing in its lists are asked for by name; of more nothing is known until the next look.
const MOST_MISSING: usize = 40;

/// PuppetDB over HTTP.
pub struct PuppetDbClient(Register);

impl PuppetDbClient {
    /// As configured.
    ///
    /// # Errors
    /// The address is none, a file cannot be read, or the HTTP client cannot be made.
    pub fn new(given: &Place, hosts: Hosts, tallies: &Tallies) -> Result<Self, PeerError> {
        Ok(Self(Register::new(Source::PuppetDb, given, hosts, tallies)?))
    }

    async fn look_once(&self) -> Result<Places, String> {
        let hosts = self.0.hosts();
        let mut found = BTreeMap::new();
        for some in hosts.chunks(AT_ONCE) {
            let query: Vec<Value> = some.iter().map(|host| json!(["=", "certname", host.name])).collect();
            let query = Value::Array([vec![json!("or")], query].concat());
            let call = Call::get("pdb/query/v4/nodes").query("query", query.to_string());
            let answer = self.0.ask(call).await.map_err(|error| self.0.explain(&error))?;
            let nodes: Vec<Map<String, Value>> = answer.json().map_err(|error| error.to_string())?;
            found.extend(
                nodes.into_iter().filter_map(|node| Some((text(&node, "certname")?.to_owned(), node))),
            );
        }
        self.0.has_known_any(&hosts, hosts.iter().filter(|host| found.contains_key(&host.name)).count())?;
        let mut seen = BTreeMap::new();
        let mut missing = Vec::new();
        for host in hosts {
            match found.remove(&host.name) {
                Some(node) => {
                    let known = known(&node);
                    seen.insert(host.node, HostSeen { host: host.name, known });
                }
                None => missing.push(host),
            }
        }
        let mut failed = BTreeMap::new();
        for host in missing.into_iter().take(MOST_MISSING) {
            match self.ask_for(&host).await {
                Ok(known) => drop(seen.insert(host.node, HostSeen { host: host.name, known })),
                Err(why) => drop(failed.insert(host.node, why)),
            }
        }
        self.0.is_about_hosts(seen.len() + failed.len(), &failed)?;
        Ok(Places { source: Source::PuppetDb, hosts: seen })
    }

    async fn ask_for(&self, host: &Host) -> Result<Known, String> {
        let call = Call::get(format!("pdb/query/v4/nodes/{}", segment(&host.name)));
        match self.0.ask(call).await {
            Ok(answer) => {
                let node: Map<String, Value> = answer.json().map_err(|error| error.to_string())?;
                if text(&node, "certname") != Some(&host.name) {
                    return Err(format!("asked for {}, PuppetDB tells of another node", host.name));
                }
                Ok(known(&node))
            }
            // A page about an address that leads nowhere is a 404 as well.
            Err(PeerError::Refused { status, said, .. })
                if status.as_u16() == 404 && said.starts_with("No information is known") =>
            {
                Ok(Known::No)
            }
            Err(error) => Err(self.0.explain(&error)),
        }
    }
}

impl Observe for PuppetDbClient {
    fn source(&self) -> Source {
        Source::PuppetDb
    }

    fn look(&self) -> BoxFuture<'_, Result<Observation, String>> {
        Box::pin(async { Ok(Observation::PuppetDb(self.look_once().await?)) })
    }
}

fn known(node: &Map<String, Value>) -> Known {
    if let Some(since) = text(node, "deactivated") {
        return Known::Retired(format!("deactivated at {since}"));
    }
    if let Some(since) = text(node, "expired") {
        return Known::Retired(format!("expired at {since}"));
    }
    let (state, status) = match text(node, "latest_report_status") {
        Some("failed") => ("its last run failed".to_owned(), Status::Crit),
        Some(word @ ("changed" | "unchanged")) => (format!("its last run ended as {word}"), Status::Ok),
        Some(other) => (format!("its last run ended as {other}"), Status::Unknown),
        None => ("no run is known".to_owned(), Status::Unknown),
    };
    let is_true = |key: &str| node.get(key).and_then(Value::as_bool) == Some(true);
    let is_cached = text(node, "cached_catalog_status") == Some("on_failure");
    let more = [
        is_true("latest_report_noop").then(|| "it only said what it would do (noop)".to_owned()),
        is_cached.then(|| "it ran an old catalogue, since it got no new one".to_owned()),
        ["report_environment", "catalog_environment"]
            .iter()
            .find_map(|key| text(node, key))
            .map(|name| format!("environment {name}")),
    ];
    Known::Yes(HostFacts {
        state,
        status: if is_cached { status.max(Status::Warn) } else { status },
        fails: status == Status::Crit,
        last_report: text(node, "report_timestamp").and_then(moment),
        more: more.into_iter().flatten().collect(),
    })
}
