//! Whom the agent reports to, and how often.

use super::{Fault, units};
use serde::Deserialize;
use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

/// `[coordinator]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// Where it listens for agents; without it the agent checks and shows, and reports to nobody.
    pub url: Option<Endpoint>,
    /// The coordinator's name in its certificate; without it the host in `url`.
    pub certname: Option<String>,
    /// The UUID of the coordinator's cluster; without it the name alone says who the coordinator is.
    pub cluster: Option<String>,
    /// How often a report is sent.
    #[serde(with = "units::duration")]
    pub report_every: Duration,
    /// How long one report may take.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// The longest wait between tries while the coordinator is away.
    #[serde(with = "units::duration")]
    pub retry_at_most: Duration,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            url: None,
            certname: None,
            cluster: None,
            report_every: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            retry_at_most: Duration::from_secs(60),
        }
    }
}

impl CoordinatorConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(cluster) = self.cluster.as_ref().filter(|cluster| !is_uuid(cluster)) {
            faults.push(Fault::new(
                "coordinator.cluster",
                format!(
                    "{cluster:?} is no UUID; write the one that `curl http://127.0.0.1:8480/healthz` on the coordinator's host \
                     says, such as \"9b2f6c1e-4a57-4d38-8f10-2b3c4d5e6f70\""
                ),
            ));
        }
        if self.report_every < Duration::from_secs(1) {
            faults.push(Fault::new("coordinator.report_every", "is below 1s; accepted is 1s or more"));
        }
        if self.retry_at_most < self.report_every {
            faults.push(Fault::new(
                "coordinator.retry_at_most",
                "is shorter than `report_every`; accepted is at least `report_every`",
            ));
        }
        faults
    }
}

/// Whether it is written as a UUID is: five runs of hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let is_hex = |run: &str| run.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(is_hex)
}

/// An address a report may be sent to: with TLS anywhere, in plain text on this machine only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Endpoint {
    /// `http://` on a loopback address, without a path.
    Http(String),
    /// `https://` on any address, without a path.
    Https {
        /// The address.
        url: String,
        /// The host in it.
        host: String,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

const ACCEPTED: &str = "write \"https://millwright.example.org:8482\", \"http://127.0.0.1:8482\" or \"unix:/run/millwright/agents.sock\"";

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(format!("{text:?} names no absolute path of a socket; {ACCEPTED}")),
            };
        }
        let url = reqwest::Url::parse(text).map_err(|error| format!("{text:?}: {error}; {ACCEPTED}"))?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !is_bare {
            return Err(format!("{text:?} is not an http:// or https:// address without a path; {ACCEPTED}"));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if url.scheme() == "https" {
            let host = host.to_owned();
            return Ok(Self::Https { url: url.as_str().trim_end_matches('/').to_owned(), host });
        }
        let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !is_loopback && host != "localhost" {
            return Err(format!(
                "{text:?} would send reports over the network unprotected; plain http is for loopback and \
                 Unix sockets only; {ACCEPTED}"
            ));
        }
        // A name would need the resolver, and the resolver a thread.
        Ok(Self::Http(url.as_str().trim_end_matches('/').replacen("//localhost", "//127.0.0.1", 1)))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) | Self::Https { url, .. } => formatter.write_str(url),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_sockets_are_accepted() {
        for (text, shown) in [
            ("http://127.0.0.1:8482", "http://127.0.0.1:8482"),
            ("http://localhost:8482/", "http://127.0.0.1:8482"),
            ("http://[::1]:8482", "http://[::1]:8482"),
            ("https://mw.cern.ch:8482/", "https://mw.cern.ch:8482"),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
            ("unix:///run/x.sock", "unix:/run/x.sock"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_cluster_is_written_as_a_uuid() {
        assert!(
            is_uuid("9b2f6c1e-4a57-4d38-8f10-2b3c4d5e6f70")
                && is_uuid("9B2F6C1E-4A57-4D38-8F10-2B3C4D5E6F70")
        );
        for text in ["", "lab", "9b2f6c1e4a574d388f102b3c4d5e6f70", "9b2f6c1e-4a57-4d38-8f10-2b3c4d5e6f7g"] {
            assert!(!is_uuid(text), "{text}");
        }
    }

    #[test]
    fn plain_http_over_the_network_is_refused_with_the_reason() {
        for text in ["http://10.0.0.1:8482", "http://coordinator.cern.ch:8482", "http://127.0.0.1.evil.org"] {
            let refusal = text.parse::<Endpoint>().unwrap_err();
            assert!(refusal.contains("unprotected"), "{refusal}");
        }
        for text in
            ["ftp://127.0.0.1", "http://127.0.0.1/x", "https://mw/x", "unix:x", "", "http://u@127.0.0.1"]
        {
            assert!(text.parse::<Endpoint>().unwrap_err().contains("write \"https://"), "{text}");
        }
    }
}
