//! Findings: what one check saw, said so that a person can act on it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How one check ended, from best to worst; `Unknown` is neither healthy nor sick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth a look; nothing is broken yet.
    Warn,
    /// The check could not tell. Never counts as healthy.
    Unknown,
    /// Broken: somebody must act.
    Crit,
}

impl Status {
    /// The word used in API, log and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Crit => "crit",
        }
    }

    /// Whether a gating finding of this status lets its node count as healthy.
    pub fn is_healthy(self) -> bool {
        matches!(self, Self::Ok | Self::Warn)
    }
}

/// One fact a finding or a reason rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was looked at, such as `free_bytes`.
    pub fact: String,
    /// What was seen, as text.
    pub value: String,
    /// Who said so: `agent`, `mesos_master`, `policy`, a path, an address.
    pub source: String,
    /// How old the fact was when it was used, in seconds.
    #[serde(default)]
    pub age_seconds: u64,
}

impl Evidence {
    /// A fact seen just now.
    pub fn new(fact: impl Into<String>, value: impl ToString, source: impl Into<String>) -> Self {
        Self { fact: fact.into(), value: value.to_string(), source: source.into(), age_seconds: 0 }
    }
}

/// One check's result about one thing on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check: a lower-case word such as `docker`, `volume`, `puppet`.
    pub check: String,
    /// Which one, where a check looks at several: a mount point, a container name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// How it ended, after debounce.
    pub status: Status,
    /// Whether a bad status keeps the node from counting as healthy (DESIGN: gating findings).
    #[serde(default)]
    pub gating: bool,
    /// What was found, as one sentence for a tired person.
    pub sentence: String,
    /// What the sentence rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Since when the status is what it is, by the node's clock.
    pub since: Timestamp,
    /// How long ago the check last completed, in seconds, when the report was made.
    #[serde(default)]
    pub age_seconds: u64,
    /// What to do next, where there is something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Finding {
    /// The finding's name on its node: `check` or `check/item`.
    pub fn key(&self) -> String {
        finding_key(&self.check, self.item.as_deref())
    }
}

/// The id of a finding over the whole fleet: `node/check[/item]`.
pub fn finding_id(node: &str, check: &str, item: Option<&str>) -> String {
    format!("{node}/{}", finding_key(check, item))
}

/// `check[/item]`; the item of the root volume is `root`, other paths lose their first slash.
fn finding_key(check: &str, item: Option<&str>) -> String {
    match item {
        None => check.to_owned(),
        Some("/") => format!("{check}/root"),
        Some(item) => format!("{check}/{}", item.trim_start_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_id_reads_as_node_check_item() {
        assert_eq!(finding_id("alibuild10", "docker", None), "alibuild10/docker");
        assert_eq!(finding_id("alibuild10", "volume", Some("/build")), "alibuild10/volume/build");
        assert_eq!(finding_id("alibuild10", "volume", Some("/")), "alibuild10/volume/root");
    }

    #[test]
    fn only_ok_and_warn_are_healthy() {
        let healthy: Vec<bool> =
            [Status::Ok, Status::Warn, Status::Unknown, Status::Crit].map(Status::is_healthy).to_vec();
        assert_eq!(healthy, [true, true, false, false]);
    }
}
