//! Foreman, versions 1.x to 3.x: what it thinks of each node as a host.
//!
//! Hosts are searched for by their exact names, and what comes is compared with them once more. `subtotal` is how many match
//! the search; `total` is how many there are at all. Puppet's state is a number whose bits versions pack differently, so
//! only its label is read; a status that is absent is not the status 0. Foreman is looked at only.

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use super::{
    Observe,
    hosts::{Host, Hosts, Register, moment, text},
    peer::{Call, PeerError, Tallies},
};
use crate::{
    config::Place,
    fleet::{HostFacts, HostSeen, Known, Observation, Places},
};
use futures_util::future::BoxFuture;
use millwright_decision::Source;
use millwright_protocol::Status;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// So many names fit into an address that every proxy takes.
const AT_ONCE: usize = 20;
/// Names are exact, so a search has one page; one that goes on after so many is no answer.
const MOST_PAGES: usize = 5;

/// Foreman over HTTP.
pub struct ForemanClient(Register);

/// A page of hosts.
#[derive(Debug, Deserialize)]
struct Page {
    /// No default: without it nobody knows whether this is all.
    subtotal: usize,
    results: Vec<Map<String, Value>>,
}

impl ForemanClient {
    /// As configured.
    ///
    /// # Errors
    /// The address is none, a file cannot be read, or the HTTP client cannot be made.
    pub fn new(given: &Place, hosts: Hosts, tallies: &Tallies) -> Result<Self, PeerError> {
        Ok(Self(Register::new(Source::Foreman, given, hosts, tallies)?))
    }

    async fn look_once(&self) -> Result<Places, String> {
        let hosts = self.0.hosts();
        let mut found = BTreeMap::new();
        for some in hosts.chunks(AT_ONCE) {
            self.search(some, &mut found).await?;
        }
        self.0.has_known_any(&hosts, hosts.iter().filter(|host| found.contains_key(&host.name)).count())?;
        let seen = |host: Host| {
            let known = found.remove(&host.name).map_or(Known::No, |fields| Known::Yes(facts(&fields)));
            (host.node, HostSeen { host: host.name, known })
        };
        Ok(Places { source: Source::Foreman, hosts: hosts.into_iter().map(seen).collect() })
    }

    /// Every host of these names, whatever page it is on.
    async fn search(
        &self,
        hosts: &[Host],
        found: &mut BTreeMap<String, Map<String, Value>>,
    ) -> Result<(), String> {
        let words: Vec<String> = hosts.iter().map(|host| format!("name = \"{}\"", host.name)).collect();
        let mut seen = 0;
        for page in 1..=MOST_PAGES {
            let call = Call::get("api/v2/hosts")
                .query("search", words.join(" or "))
                .query("per_page", (AT_ONCE * 2).to_string())
                .query("page", page.to_string());
            let answer = self.0.ask(call).await.map_err(|error| self.0.explain(&error))?;
            let page: Page = answer.json().map_err(|error| error.to_string())?;
            let is_empty = page.results.is_empty();
            seen += page.results.len();
            for fields in page.results {
                if let Some(name) = text(&fields, "name").map(str::to_ascii_lowercase) {
                    found.insert(name, fields);
                }
            }
            if seen >= page.subtotal {
                return Ok(());
            }
            if is_empty {
                break;
            }
        }
        Err(format!("Foreman lists {seen} hosts and says that more match; nobody knows which are missing"))
    }
}

impl Observe for ForemanClient {
    fn source(&self) -> Source {
        Source::Foreman
    }

    fn look(&self) -> BoxFuture<'_, Result<Observation, String>> {
        Box::pin(async { Ok(Observation::Foreman(self.look_once().await?)) })
    }
}

/// What it thinks of a host. Every field may be missing.
fn facts(fields: &Map<String, Value>) -> HostFacts {
    let label = text(fields, "configuration_status_label").or_else(|| text(fields, "puppet_status_label"));
    let has_number = ["configuration_status", "puppet_status"]
        .iter()
        .any(|key| fields.get(*key).is_some_and(Value::is_number));
    let (state, status) = match label {
        Some(label) => (format!("Puppet: {label}"), puppet(label)),
        None if has_number => (
            "Puppet's state is told as a number only, which versions mean differently".to_owned(),
            Status::Unknown,
        ),
        None => ("Puppet's state is not told".to_owned(), Status::Unknown),
    };
    let is_to_be_built = fields.get("build").and_then(Value::as_bool) == Some(true);
    let build = text(fields, "build_status_label").filter(|label| *label != "Installed");
    let name = |keys: [&str; 2], what: &str| {
        let value = keys.iter().find_map(|key| text(fields, key))?;
        Some(format!("{what} {value}"))
    };
    let global = text(fields, "global_status_label").filter(|label| *label != "OK");
    let more = [
        is_to_be_built.then(|| "it is to be built anew at its next boot".to_owned()),
        build.map(|label| format!("build: {label}")),
        (fields.get("enabled").and_then(Value::as_bool) == Some(false))
            .then(|| "it is not enabled".to_owned()),
        global.map(|label| format!("as a whole: {label}")),
        name(["hostgroup_title", "hostgroup_name"], "host group"),
        name(["environment_name", "puppet_environment"], "environment"),
    ];
    let is_worse = is_to_be_built || build.is_some();
    HostFacts {
        state,
        status: if is_worse { status.max(Status::Warn) } else { status },
        fails: status == Status::Crit,
        last_report: text(fields, "last_report").and_then(moment),
        more: more.into_iter().flatten().collect(),
    }
}

/// How good a state of Puppet is. One that is not among these is shown as it is, and nobody knows how good it is.
fn puppet(label: &str) -> Status {
    match label {
        "No changes" | "Active" => Status::Ok,
        "Pending" | "Out of sync" => Status::Warn,
        "Error" => Status::Crit,
        _ => Status::Unknown,
    }
}
