//! Outside systems that are asked over HTTP: where each is, in whose name it is asked, and how often.

use super::fragment::{Length, Wrong, absolute, length, web_address};
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

impl OutsideFragment {
    /// The system, where one is named.
    pub fn checked(self, every_secs: u64) -> Result<Option<OutsideSystem>, Wrong> {
        let credentials = match (self.user, self.secret_file) {
            (None, None) => None,
            (Some(user), Some(file)) => Some(Credentials {
                user: user.into_inner(),
                secret_file: absolute(Some(file), "/etc/millwright/secret")?,
            }),
            (user, file) => {
                let offset =
                    user.map_or(0, |user| user.span().start) + file.map_or(0, |file| file.span().start);
                let message =
                    "user and secret_file go together: who asks, and a file with the password or token";
                return Err(Wrong { offset, message: message.to_owned() });
            }
        };
        let Some(url) = self.url else { return Ok(None) };
        Ok(Some(OutsideSystem {
            url: web_address(url)?,
            credentials,
            every: length(self.every, every_secs),
            timeout: length(self.timeout, 10),
        }))
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
