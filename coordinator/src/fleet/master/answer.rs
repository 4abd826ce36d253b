//! One answer of the leading Mesos master, in our words, and how its version lets us stop offers.

use millwright_protocol::Task;
use std::collections::BTreeMap;

/// One answer of the leading master.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MasterAnswer {
    /// Who leads, such as its host name.
    pub leader: String,
    /// When it was elected, seconds since 1970 by its clock; changes when the same master is elected again.
    pub elected_at_secs: Option<i64>,
    /// Mesos' version.
    pub version: String,
    /// What this master can do, in Mesos' words; not said before Mesos 1.7.
    pub capabilities: Vec<String>,
    /// Every agent it lists, and those it does not list but knows tasks of.
    pub agents: Vec<MasterAgent>,
}

/// One Mesos agent as the master lists it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MasterAgent {
    /// Mesos' id of it.
    pub id: String,
    /// The host name it registered with; empty when the master no longer says.
    pub hostname: String,
    /// Whether it is registered and gets offers: a deactivated one is not active.
    pub active: bool,
    /// Whether its offers are stopped (Mesos ≥ 1.9).
    pub deactivated: bool,
    /// Whether somebody has Mesos drain it, which ends its tasks (Mesos ≥ 1.9).
    pub draining: bool,
    /// Whether it is out of the master's reach.
    pub unreachable: bool,
    /// Whether it is known from the registry only: it has not come back since the master was elected, and nothing is
    /// said about it but its name.
    pub recovered: bool,
    /// Whether a framework holds an offer of it: a task may still start, whatever stops further offers.
    pub offered: bool,
    /// When it registered under this id, seconds since 1970 by the master's clock.
    pub registered_at_secs: Option<i64>,
    /// Mesos' version there.
    pub version: String,
    /// Attributes it registered with.
    pub attributes: BTreeMap<String, String>,
    /// Living tasks.
    pub tasks: Vec<Task>,
}

/// How a Mesos of some version is told to send no more offers of a node. Running tasks go on either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CordonWay {
    /// `DEACTIVATE_AGENT`, for one agent id (Mesos ≥ 1.9). A node that comes back under a new id gets offers at once.
    Deactivate,
    /// The masters' whitelist file, for a host name (any version). It survives new ids.
    Whitelist,
}

impl CordonWay {
    /// The word in log, page and protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deactivate => "deactivate",
            Self::Whitelist => "whitelist",
        }
    }
}

impl MasterAnswer {
    /// How offers of a node are stopped here. What the master says it can do counts more than its version, and a version
    /// that cannot be read is an old one: the file works everywhere.
    pub fn cordon_way(&self) -> CordonWay {
        let says_so = self.capabilities.iter().any(|word| word == "AGENT_DRAINING");
        if says_so || is_at_least(&self.version, (1, 9)) {
            CordonWay::Deactivate
        } else {
            CordonWay::Whitelist
        }
    }

    /// Whether there is an event stream that tells a quiet cluster from a dead connection (Mesos ≥ 1.5).
    pub fn has_events(&self) -> bool {
        is_at_least(&self.version, (1, 5))
    }

    /// The ids under which each host name is listed, those that have not come back since a failover too.
    pub fn ids_by_host(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for agent in self.agents.iter().filter(|agent| !agent.hostname.is_empty()) {
            ids.entry(&agent.hostname).or_default().push(&agent.id);
        }
        ids
    }
}

/// Whether a version such as `1.11.0` or `1.4.3-rc1` is this one or a later one; one that cannot be read is not.
fn is_at_least(version: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map(|part| {
        let digits = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        part.get(..digits)?.parse::<u32>().ok()
    });
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: &str, capabilities: &[&str]) -> MasterAnswer {
        let capabilities = capabilities.iter().map(|word| (*word).to_owned()).collect();
        MasterAnswer { version: version.to_owned(), capabilities, ..MasterAnswer::default() }
    }

    #[test]
    fn agents_are_deactivated_from_1_9_on_and_the_whitelist_stands_in_before() {
        for (version, way) in [
            ("1.11.0", CordonWay::Deactivate),
            ("1.9.0-rc3", CordonWay::Deactivate),
            ("2.0", CordonWay::Deactivate),
            ("1.8.1", CordonWay::Whitelist),
            ("1.4.3", CordonWay::Whitelist),
            ("0.28.2", CordonWay::Whitelist),
            ("", CordonWay::Whitelist),
            ("one.nine", CordonWay::Whitelist),
            ("1", CordonWay::Whitelist),
        ] {
            assert_eq!(of(version, &[]).cordon_way(), way, "{version:?}");
        }
        assert_eq!(
            of("1.8.1-patched", &["AGENT_UPDATE", "AGENT_DRAINING"]).cordon_way(),
            CordonWay::Deactivate
        );
    }

    #[test]
    fn there_are_events_to_go_by_from_1_5_on() {
        assert!(of("1.5.0", &[]).has_events() && of("1.11.0", &[]).has_events());
        assert!(
            !of("1.4.3", &[]).has_events() && !of("0.28.2", &[]).has_events() && !of("", &[]).has_events()
        );
    }

    #[test]
    fn every_id_of_a_host_is_seen() {
        let agent = |id: &str, hostname: &str| MasterAgent {
            id: id.to_owned(),
            hostname: hostname.to_owned(),
            ..MasterAgent::default()
        };
        let agents = vec![agent("S0", "n1"), agent("S7", "n1"), agent("S1", "n2"), agent("S9", "")];
        let answer = MasterAnswer { agents, ..MasterAnswer::default() };
        let ids = answer.ids_by_host();
        assert_eq!(
            (ids["n1"].as_slice(), ids["n2"].as_slice(), ids.len()),
            (&["S0", "S7"][..], &["S1"][..], 2)
        );
    }
}
