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
    operators: Option<Spanned<String>>,
    agents: Option<Spanned<String>>,
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
            state_dir: absolute(self.state_dir, "/var/lib/millwright")?,
            policy: absolute(self.policy, "/etc/millwright/policy.toml")?,
            listen: self.listen.checked()?,
            mesos: Mesos {
                masters: web_addresses(self.mesos.masters)?,
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
                Some(webhook) => Some(Notice { webhook: web_address(webhook)? }),
            },
        })
    }
}

impl ListenFragment {
    fn checked(self) -> Result<Listen, Wrong> {
        let offset = self.agents.as_ref().or(self.operators.as_ref()).map_or(0, |given| given.span().start);
        let operators = loopback(self.operators, 8480)?;
        let agents = loopback(self.agents, 8482)?;
        if operators == agents && operators.port() != 0 {
            let message = format!(
                "operators and agents cannot both be on {agents}; choose another port for one of them"
            );
            return Err(Wrong { offset, message });
        }
        Ok(Listen {
            operators,
            agents,
            socket: absolute(self.socket, "/run/millwright/coordinator.sock")?,
            host_names: self.host_names.into_iter().map(host_name).collect::<Result<_, _>>()?,
        })
    }
}

/// An address others can reach needs TLS, and this version has none.
fn loopback(given: Option<Spanned<String>>, port: u16) -> Result<SocketAddr, Wrong> {
    let Some(given) = given else { return Ok(SocketAddr::from(([127, 0, 0, 1], port))) };
    let wrong = |message| Wrong { offset: given.span().start, message };
    let text = given.get_ref();
    let address: SocketAddr = text.parse().map_err(|_| {
        wrong(format!("{text:?} is not an address and port; write one such as \"127.0.0.1:{port}\""))
    })?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(wrong(format!(
        "{text:?} can be reached from other machines, and this version has no TLS; \
         use a loopback address such as \"127.0.0.1:{port}\" and let an ssh tunnel or a TLS proxy on this host lead there"
    )))
}

fn absolute(given: Option<Spanned<PathBuf>>, default: &str) -> Result<PathBuf, Wrong> {
    match given {
        None => Ok(PathBuf::from(default)),
        Some(path) if path.get_ref().is_absolute() => Ok(path.into_inner()),
        Some(path) => Err(Wrong {
            offset: path.span().start,
            message: format!("{:?} must be an absolute path such as {default:?}", path.get_ref()),
        }),
    }
}

fn web_addresses(given: Vec<Spanned<String>>) -> Result<Vec<String>, Wrong> {
    given.into_iter().map(web_address).collect()
}

fn web_address(given: Spanned<String>) -> Result<String, Wrong> {
    let address = given.get_ref().trim_end_matches('/');
    let host = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
    if host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace)) {
        return Ok(address.to_owned());
    }
    Err(Wrong {
        offset: given.span().start,
        message: format!("{address:?} must begin with http:// or https:// and name a host"),
    })
}

fn host_name(given: Spanned<String>) -> Result<String, Wrong> {
    let name = given.get_ref();
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(Wrong {
        offset: given.span().start,
        message: format!("{name:?} must be a host name without a port, such as \"mw.cern.ch\""),
    })
}

fn length(given: Option<Length>, default_secs: u64) -> Duration {
    given.map_or(Duration::from_secs(default_secs), |Length(length)| length)
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

/// How the value of a key, named with its sections, is written: for whoever wrote something else.
pub(super) fn example(key: &str) -> Option<&'static str> {
    Some(match key {
        "host" => r#""alibuild-coordinator""#,
        "state_dir" => r#""/var/lib/millwright""#,
        "policy" => r#""/etc/millwright/policy.toml""#,
        "listen.operators" => r#""127.0.0.1:8480""#,
        "listen.agents" => r#""127.0.0.1:8482""#,
        "listen.socket" => r#""/run/millwright/coordinator.sock""#,
        "listen.host_names" => r#"["mw.cern.ch"]"#,
        "mesos.masters" => r#"["http://alimesos01.cern.ch:5050"]"#,
        "mesos.every" | "mesos.timeout" | "probe.timeout" => r#""10s""#,
        "probe.domain" => r#""cern.ch""#,
        "probe.port" => "22",
        "retention.transitions" | "retention.audit" => r#""90d""#,
        "notice.webhook" => r#""https://chat.example.org/hooks/millwright""#,
        _ => return None,
    })
}
