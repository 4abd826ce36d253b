//! Outside systems that are asked over HTTP: where each is, in whose name it is asked, and how often.

use super::fragment::{Length, Wrong, absolute, host_name, length, web_address};
use crate::integrations::peer::Credentials;
use millwright_protocol::NodeName;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use toml::Spanned;

/// One system.
#[derive(Debug, Clone)]
pub struct OutsideSystem {
    /// Such as `https://jenkins.example.org`.
    pub url: String,
    /// In whose name; nobody's where it lets everybody look.
    pub credentials: Option<Credentials>,
    /// From the start of one look to the start of the next.
    pub every: Duration,
    /// After this an answer is given up.
    pub timeout: Duration,
}

/// One system as written; the section may be there without saying where the system is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OutsideFragment {
    url: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    secret_file: Option<Spanned<PathBuf>>,
    every: Option<Length>,
    timeout: Option<Length>,
}

/// Who asks; both keys or none.
pub(super) fn credentials(
    user: Option<Spanned<String>>,
    file: Option<Spanned<PathBuf>>,
) -> Result<Option<Credentials>, Wrong> {
    match (user, file) {
        (None, None) => Ok(None),
        (Some(user), Some(file)) => Ok(Some(Credentials {
            user: user.into_inner(),
            secret_file: absolute(Some(file), "/etc/millwright/secret")?,
        })),
        (user, file) => {
            let offset = user.map_or(0, |user| user.span().start) + file.map_or(0, |file| file.span().start);
            let message = "user and secret_file go together: who asks, and a file with the password or token";
            Err(Wrong { offset, message: message.to_owned() })
        }
    }
}

impl OutsideFragment {
    /// The system, where one is named.
    pub fn checked(self, every_secs: u64) -> Result<Option<OutsideSystem>, Wrong> {
        let credentials = credentials(self.user, self.secret_file)?;
        let Some(url) = self.url else { return Ok(None) };
        Ok(Some(OutsideSystem {
            url: web_address(url)?,
            credentials,
            every: length(self.every, every_secs),
            timeout: length(self.timeout, 10),
        }))
    }
}

/// A service of which several nodes run a server.
#[derive(Debug, Clone)]
pub struct OutsideServers {
    /// Where each is, by the node it runs on; at least one.
    pub servers: BTreeMap<NodeName, String>,
    /// In whose name; nobody's where they let everybody look.
    pub credentials: Option<Credentials>,
    /// From the start of one look to the start of the next.
    pub every: Duration,
    /// After this an answer is given up.
    pub timeout: Duration,
}

/// The servers as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServersFragment {
    servers: BTreeMap<NodeName, Spanned<String>>,
    user: Option<Spanned<String>>,
    secret_file: Option<Spanned<PathBuf>>,
    every: Option<Length>,
    timeout: Option<Length>,
}

impl ServersFragment {
    /// The servers, where any are named.
    pub fn checked(self) -> Result<Option<OutsideServers>, Wrong> {
        let credentials = credentials(self.user, self.secret_file)?;
        let mut servers = BTreeMap::new();
        for (node, address) in self.servers {
            servers.insert(node, web_address(address)?);
        }
        let (every, timeout) = (length(self.every, 20), length(self.timeout, 10));
        Ok((!servers.is_empty()).then_some(OutsideServers { servers, credentials, every, timeout }))
    }
}

/// Mesos-DNS.
#[derive(Debug, Clone)]
pub struct MesosDns {
    /// Its servers.
    pub given: OutsideServers,
    /// The domain it answers for, such as `mesos`.
    pub domain: String,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MesosDnsFragment {
    servers: BTreeMap<NodeName, Spanned<String>>,
    domain: Option<Spanned<String>>,
    every: Option<Length>,
    timeout: Option<Length>,
}

impl MesosDnsFragment {
    /// The servers, where any are named.
    pub fn checked(self) -> Result<Option<MesosDns>, Wrong> {
        let domain = self.domain.map_or_else(|| Ok("mesos".to_owned()), host_name)?;
        let (every, timeout) = (self.every, self.timeout);
        let fragment =
            ServersFragment { servers: self.servers, every, timeout, ..ServersFragment::default() };
        Ok(fragment.checked()?.map(|given| MesosDns { given, domain }))
    }
}

/// ZooKeeper's ensembles.
#[derive(Debug, Clone)]
pub struct ZooKeeper {
    /// Each one's name and, by the node it runs on, where each member answers clients.
    pub ensembles: Vec<(String, BTreeMap<NodeName, String>)>,
    /// From the start of one look to the start of the next.
    pub every: Duration,
    /// After this a member says nothing.
    pub timeout: Duration,
}

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ZooKeeperFragment {
    ensembles: BTreeMap<String, BTreeMap<NodeName, Spanned<String>>>,
    every: Option<Length>,
    timeout: Option<Length>,
}

impl ZooKeeperFragment {
    pub fn checked(self) -> Result<ZooKeeper, Wrong> {
        let mut ensembles = Vec::new();
        for (name, members) in self.ensembles {
            let mut places = BTreeMap::new();
            for (node, address) in members {
                places.insert(node, host_and_port(&address)?);
            }
            ensembles.push((name, places));
        }
        Ok(ZooKeeper { ensembles, every: length(self.every, 10), timeout: length(self.timeout, 5) })
    }
}

fn host_and_port(given: &Spanned<String>) -> Result<String, Wrong> {
    let text = given.get_ref();
    let port = text
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .and_then(|(_, port)| port.parse::<u16>().ok());
    match port {
        Some(_) => Ok(text.clone()),
        None => Err(Wrong {
            offset: given.span().start,
            message: format!(
                "{text:?} is not a host and port; write one such as \"alimesos01.cern.ch:2181\""
            ),
        }),
    }
}
