//! Systems that know nodes as hosts: under which names they are asked, and when an answer is about the system and not about
//! the hosts.
//!
//! "There is no such host" is an answer that a wrong address, a wrong domain and a missing right give as well. So whoever
//! knows none of our hosts has said nothing about any of them, and one that fails on many at once is to blame itself.

use super::peer::{Answer, Call, Credentials, Limits, Peer, PeerError, Tallies};
use crate::config::Place;
use jiff::Timestamp;
use millwright_decision::Source;
use millwright_protocol::NodeName;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// One page of hosts, or one host.
const LARGEST: usize = 8 * 1024 * 1024;
/// So many hosts that fail at once, and this share of all, blame the system.
const BLAME_AT_LEAST: usize = 3;
const BLAME_PERCENT: usize = 30;

/// A node as such a system knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Our name.
    pub node: NodeName,
    /// Theirs: whole, and in lower case.
    pub name: String,
}

impl Host {
    /// A node as policy spells it, in a domain.
    pub fn new(node: NodeName, spelled: &str, domain: &str) -> Self {
        Self { node, name: format!("{spelled}.{domain}").to_ascii_lowercase() }
    }
}

/// Those that are asked about, as policy lists them at that moment.
pub type Hosts = Arc<dyn Fn(&str) -> Vec<Host> + Send + Sync>;

/// Such a system over HTTP.
pub(super) struct Register {
    pub source: Source,
    pub peer: Peer,
    credentials: Option<Credentials>,
    domain: String,
    hosts: Hosts,
}

impl Register {
    /// As configured.
    ///
    /// # Errors
    /// The address is none, a file cannot be read, or the HTTP client cannot be made.
    pub fn new(source: Source, given: &Place, hosts: Hosts, tallies: &Tallies) -> Result<Self, PeerError> {
        let limits = Limits { timeout: given.timeout, largest: LARGEST };
        let peer = Peer::with(source.as_str(), &given.url, limits, tallies, &given.files)?;
        let (credentials, domain) = (given.credentials.clone(), given.domain.clone());
        Ok(Self { source, peer, credentials, domain, hosts })
    }

    /// Those that are asked about now.
    pub fn hosts(&self) -> Vec<Host> {
        (self.hosts)(&self.domain)
    }

    /// Asks, and has an answer that says yes.
    pub async fn ask(&self, call: Call) -> Result<Answer, PeerError> {
        self.peer.ask(call.credentials(self.credentials.as_ref())).await
    }

    /// The error, and what to do where its own words do not help.
    pub fn explain(&self, error: &PeerError) -> String {
        let section = self.source.as_str();
        let advice = match (error.status().map(|status| status.as_u16()), &self.credentials) {
            (Some(401 | 403), None) => format!(
                "; it wants to know who asks: set {section}.user and {section}.secret_file, or {section}.certificate and {section}.key"
            ),
            (Some(401 | 403), Some(_)) => {
                "; see that the password or token is still valid and its user has the right".to_owned()
            }
            _ => String::new(),
        };
        format!("{error}{advice}")
    }

    /// Whether "there is no such host" can be believed: it is only from one that knows another host of ours.
    pub fn has_known_any(&self, hosts: &[Host], known: usize) -> Result<(), String> {
        match hosts.first() {
            Some(example) if known == 0 => Err(format!(
                "{title} knows none of our {all} hosts, such as {name}: see that {section}.url and {section}.domain are right, \
                 and that whoever asks may see them",
                title = self.source.title(),
                all = hosts.len(),
                name = example.name,
                section = self.source.as_str(),
            )),
            _ => Ok(()),
        }
    }

    /// Whether what failed of each host is about the hosts: many at once, and the system is to blame.
    pub fn is_about_hosts(&self, all: usize, failed: &BTreeMap<NodeName, String>) -> Result<(), String> {
        let many = failed.len();
        match failed.values().next() {
            Some(why) if many == all || (many >= BLAME_AT_LEAST && many * 100 >= all * BLAME_PERCENT) => {
                Err(format!("of {many} of {all} hosts it does not say anything, such as: {why}"))
            }
            _ => Ok(()),
        }
    }
}

/// A text that is there and says something.
pub(super) fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// A moment as these systems write it: `2021-03-01T10:00:00.000Z`, or `2021-03-01 10:00:00 UTC` by older ones.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix(" UTC").map_or_else(|| text.to_owned(), |text| format!("{text}Z"));
    text.parse().ok()
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::integrations::peer::Files;
    use std::time::Duration;

    /// These nodes, in example.org.
    pub fn hosts(names: &'static [&'static str]) -> Hosts {
        Arc::new(move |domain| {
            let host = |name: &&str| Host::new(name.parse().unwrap(), name, domain);
            names.iter().map(host).collect()
        })
    }

    /// A system at this address.
    pub fn place(url: &str) -> Place {
        drop(rustls::crypto::ring::default_provider().install_default());
        Place {
            url: url.to_owned(),
            domain: "example.org".to_owned(),
            credentials: None,
            files: Files::default(),
            every: Duration::from_secs(60),
            timeout: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_every_version_writes_them() {
        let expected = "2021-03-01T10:00:00Z".parse::<Timestamp>().unwrap();
        for text in ["2021-03-01 10:00:00 UTC", "2021-03-01T10:00:00.000Z", "2021-03-01T11:00:00+01:00"] {
            assert_eq!(moment(text), Some(expected), "{text}");
        }
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn a_host_is_called_by_its_whole_name_as_policy_spells_it() {
        let host = Host::new("alibuild01".parse().unwrap(), "AliBuild01", "cern.ch");
        assert_eq!((host.node.as_str(), host.name.as_str()), ("alibuild1", "alibuild01.cern.ch"));
    }
}
