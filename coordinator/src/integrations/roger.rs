//! Roger, which at CERN says what a host is for at the moment and which of its alarms wake people.
//!
//! `GET roger/v1/state/HOST/` tells it, `PUT` of the same with some fields changes those. That, the names of the fields
//! (`appstate`, `message`, `expires`, `updated_by`, `updated_by_puppet` and the four `…_alarmed`), and 404 for a host that
//! it does not know, were read in public copies of its users: CERN's own tools and a provider for Terraform. These send
//! truth as a JSON boolean or as 0 and 1, so both are read. What is assumed, since nobody could look: a field that is left
//! out of a PUT stays as it is, a message may be emptied again with `""`, and the answer to a PUT need not be read, as every
//! change is read back. Roger's door takes Kerberos, which this client does not speak: it shows a name and a password, or a
//! certificate, to whatever stands in front.

mod act;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

pub use act::RogerAct;

use super::{
    Observe,
    hosts::{Hosts, Register, text},
    peer::{Answer, Call, PeerError, Tallies, segment},
};
use crate::{
    config::Place,
    fleet::{HostAlarms, Observation, RogerSet},
};
use futures_util::{StreamExt, future::BoxFuture, stream};
use millwright_decision::{Alarms, Source};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// So many hosts are asked about at once: it has no list.
const AT_ONCE: usize = 4;
/// The alarms, each a field that ends in `_alarmed`: no contact, hardware, operating system, application.
const ALARMS: [&str; 4] = ["nc", "hw", "os", "app"];

/// Roger over HTTP.
pub struct RogerClient(Register);

impl RogerClient {
    /// As configured.
    ///
    /// # Errors
    /// The address is none, a file cannot be read, or the HTTP client cannot be made.
    pub fn new(given: &Place, hosts: Hosts, tallies: &Tallies) -> Result<Self, PeerError> {
        Ok(Self(Register::new(Source::Roger, given, hosts, tallies)?))
    }

    async fn look_once(&self) -> Result<BTreeMap<millwright_protocol::NodeName, HostAlarms>, String> {
        let hosts = self.0.hosts();
        let asked = stream::iter(hosts.clone()).map(|host| async move {
            let said = self.state(&host.name).await;
            (host, said)
        });
        let answers: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        let (mut seen, mut failed) = (BTreeMap::new(), BTreeMap::new());
        for (host, said) in answers {
            match said {
                Ok(set) => drop(seen.insert(host.node, HostAlarms { host: host.name, set })),
                Err(error) => drop(failed.insert(host.node, self.0.explain(&error))),
            }
        }
        self.0.is_about_hosts(hosts.len(), &failed)?;
        self.0.has_known_any(&hosts, seen.values().filter(|seen| seen.set.is_some()).count())?;
        Ok(seen)
    }

    /// What is set for a host; `None` where it is not known.
    async fn state(&self, host: &str) -> Result<Option<RogerSet>, PeerError> {
        match self.0.ask(Call::get(path(host))).await {
            Ok(answer) => read(&answer, host).map(Some),
            Err(error) if error.status().is_some_and(|status| status.as_u16() == 404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Observe for RogerClient {
    fn source(&self) -> Source {
        Source::Roger
    }

    fn look(&self) -> BoxFuture<'_, Result<Observation, String>> {
        Box::pin(async { Ok(Observation::Roger(self.look_once().await?)) })
    }
}

fn path(host: &str) -> String {
    format!("roger/v1/state/{}/", segment(host))
}

/// The state of exactly this host.
fn read(answer: &Answer, host: &str) -> Result<RogerSet, PeerError> {
    let fields: Map<String, Value> = answer.json()?;
    if !text(&fields, "hostname").is_some_and(|name| name.eq_ignore_ascii_case(host)) {
        return Err(answer.unreadable(format!("asked for {host}, it tells of another host")));
    }
    let Some(appstate) = text(&fields, "appstate") else {
        return Err(answer.unreadable("its answer names no appstate".to_owned()));
    };
    let mut set = RogerSet {
        set: Alarms { appstate: appstate.to_owned(), ..Alarms::default() },
        off: Vec::new(),
        by: text(&fields, "updated_by").map(str::to_owned),
    };
    for alarm in ALARMS {
        match fields.get(&field(alarm)).and_then(truth) {
            Some(true) => drop(set.set.on.insert(alarm.to_owned())),
            Some(false) => set.off.push(alarm.to_owned()),
            // A kind of alarm that this host has not.
            None => {}
        }
    }
    if set.set.on.is_empty() && set.off.is_empty() {
        return Err(answer.unreadable("its answer names no alarm".to_owned()));
    }
    set.set.message = text(&fields, "message").unwrap_or_default().to_owned();
    Ok(set)
}

fn field(alarm: &str) -> String {
    format!("{alarm}_alarmed")
}

/// As any of its versions and users writes it.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(is_so) => Some(*is_so),
        Value::Number(number) => number.as_u64().filter(|number| *number < 2).map(|number| number == 1),
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
