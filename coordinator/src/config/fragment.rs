//! The file as written: every key optional, every default here, every unknown key refused.

use super::{Config, Listen, Mesos, Notice, Probe, Retention, parse_length};
use millwright_protocol::NodeName;
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use toml::Spanned;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fragment {
    host: Option<NodeName>,
    state_dir: Option<Spanned<PathBuf>>,
    policy: Option<Spanned<PathBuf>>,
    listen: ListenFragment,
    mesos: MesosFragment,
    probe: ProbeFragment,
    retention: RetentionFragment,
    notice: NoticeFragment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ListenFragment {
    operators: Option<Spanned<Address>>,
    agents: Option<Spanned<Address>>,
    socket: Option<Spanned<PathBuf>>,
    host_names: Vec<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MesosFragment {
    masters: Vec<Spanned<String>>,
    every: Option<Length>,
    timeout: Option<Length>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProbeFragment {
    domain: Option<String>,
    port: Option<u16>,
    timeout: Option<Length>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetentionFragment {
    transitions: Option<Length>,
    audit: Option<Length>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NoticeFragment {
    webhook: Option<Spanned<String>>,
}

/// What is wrong, and where in the file.
#[derive(Debug)]
pub(super) struct Wrong {
    pub offset: usize,
    pub message: String,
}

impl Fragment {
    /// Fills in the defaults and checks what a type alone cannot.
    pub fn checked(self) -> Result<Config, Wrong> {
        Ok(Config {
            host: self.host,
            state_dir: absolute("state_dir", self.state_dir, "/var/lib/millwright")?,
            policy: absolute("policy", self.policy, "/etc/millwright/policy.toml")?,
            listen: self.listen.checked()?,
            mesos: Mesos {
                masters: web_addresses("mesos.masters", self.mesos.masters)?,
                every: length(self.mesos.every, 10),
                timeout: length(self.mesos.timeout, 5),
            },
            probe: Probe {
                domain: self.probe.domain.unwrap_or_default().trim_matches('.').to_owned(),
                port: self.probe.port.unwrap_or(22),
                timeout: length(self.probe.timeout, 5),
            },
            retention: Retention {
                transitions: length(self.retention.transitions, 90 * 86_400),
                audit: length(self.retention.audit, 400 * 86_400),
            },
            notice: match self.notice.webhook {
                None => None,
                Some(webhook) => Some(Notice { webhook: web_address("notice.webhook", webhook)? }),
            },
        })
    }
}

impl ListenFragment {
    fn checked(self) -> Result<Listen, Wrong> {
        Ok(Listen {
            operators: loopback("listen.operators", self.operators, 8480)?,
            agents: loopback("listen.agents", self.agents, 8482)?,
            socket: absolute("listen.socket", self.socket, "/run/millwright/coordinator.sock")?,
            host_names: self.host_names.into_iter().map(host_name).collect::<Result<_, _>>()?,
        })
    }
}

/// An address others can reach needs TLS, and this version has none.
fn loopback(key: &str, given: Option<Spanned<Address>>, port: u16) -> Result<SocketAddr, Wrong> {
    let Some(given) = given else { return Ok(SocketAddr::from(([127, 0, 0, 1], port))) };
    let offset = given.span().start;
    let Address(address) = given.into_inner();
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(Wrong {
        offset,
        message: format!(
            "{key} = \"{address}\" can be reached from other machines, and this version has no TLS; \
             use a loopback address such as \"127.0.0.1:{port}\" and let an ssh tunnel or a TLS proxy on this host lead there"
        ),
    })
}

fn absolute(key: &str, given: Option<Spanned<PathBuf>>, default: &str) -> Result<PathBuf, Wrong> {
    match given {
        None => Ok(PathBuf::from(default)),
        Some(path) if path.get_ref().is_absolute() => Ok(path.into_inner()),
        Some(path) => Err(Wrong {
            offset: path.span().start,
            message: format!("{key} = {:?} must be an absolute path such as {default:?}", path.get_ref()),
        }),
    }
}

fn web_addresses(key: &str, given: Vec<Spanned<String>>) -> Result<Vec<String>, Wrong> {
    given.into_iter().map(|address| web_address(key, address)).collect()
}

fn web_address(key: &str, given: Spanned<String>) -> Result<String, Wrong> {
    let address = given.get_ref().trim_end_matches('/');
    let host = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
    if host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace)) {
        return Ok(address.to_owned());
    }
    Err(Wrong {
        offset: given.span().start,
        message: format!("{key}: {address:?} must begin with http:// or https:// and name a host"),
    })
}

fn host_name(given: Spanned<String>) -> Result<String, Wrong> {
    let name = given.get_ref();
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(Wrong {
        offset: given.span().start,
        message: format!(
            "listen.host_names: {name:?} must be a host name without a port, such as \"mw.cern.ch\""
        ),
    })
}

fn length(given: Option<Length>, default_secs: u64) -> Duration {
    given.map_or(Duration::from_secs(default_secs), |Length(length)| length)
}

/// `"127.0.0.1:8480"`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Address(SocketAddr);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("{text:?} is not an address and port; write one such as \"127.0.0.1:8482\""))
    }
}

/// A length of time above zero.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Length(Duration);

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match parse_length(&text) {
            Ok(Duration::ZERO) => Err(format!("{text:?} must be longer than nothing, such as \"10s\"")),
            Ok(length) => Ok(Self(length)),
            Err(invalid) => Err(invalid.to_string()),
        }
    }
}
