//! `/slaves`: the agents a master knows. Unreachable and gone ones are not listed anywhere.

use super::{ReadError, read_object};
use millwright_protocol::{
    Resources,
    lenient::{self, Text},
};
use serde::{Deserialize, Deserializer};
use std::{collections::BTreeMap, io::Read};

/// One agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agent {
    /// Its agent id.
    pub id: String,
    /// The host name it announces.
    pub hostname: String,
    /// Its process, `slave(1)@ip:port`; empty for agents that have not come back after a failover.
    pub pid: String,
    /// Whether it is connected.
    pub active: bool,
    /// Whether it gets no offers by order; not said before Mesos 1.9, nor while it has not come back after a failover.
    pub deactivated: Option<bool>,
    /// `DRAINING` or `DRAINED`; Mesos 1.9 and later.
    pub drain_state: Option<String>,
    /// Mesos' version there.
    pub version: String,
    /// Attributes such as `dedicated`.
    pub attributes: BTreeMap<String, String>,
    /// What it has.
    pub resources: Resources,
    /// What tasks hold of it.
    pub used_resources: Resources,
    /// What frameworks hold offers for: a task may still start on it.
    pub offered_resources: Resources,
    /// When it registered, seconds since 1970.
    pub registered_at_secs: Option<i64>,
}

/// All agents a master knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agents {
    /// Registered ones.
    pub agents: Vec<Agent>,
    /// Known from the registry after a failover, not back yet.
    pub recovered: Vec<Agent>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawAgent {
    #[serde(default)]
    id: Text,
    #[serde(default)]
    hostname: Text,
    #[serde(default)]
    pid: Text,
    #[serde(default, deserialize_with = "lenient::flag")]
    active: Option<bool>,
    #[serde(default, deserialize_with = "lenient::flag")]
    deactivated: Option<bool>,
    #[serde(default)]
    drain_info: Option<RawDrainInfo>,
    #[serde(default)]
    version: Text,
    #[serde(default, deserialize_with = "attributes")]
    attributes: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    resources: RawResources,
    #[serde(default, deserialize_with = "lenient::or_default")]
    used_resources: RawResources,
    #[serde(default, deserialize_with = "lenient::or_default")]
    offered_resources: RawResources,
    #[serde(default, deserialize_with = "lenient::number")]
    registered_time: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct RawDrainInfo {
    #[serde(default)]
    state: Text,
}

/// Scalars of resources; further ones and ranges are passed over.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawResources {
    #[serde(default, deserialize_with = "lenient::number")]
    cpus: Option<f64>,
    #[serde(default, deserialize_with = "lenient::number")]
    mem: Option<f64>,
    #[serde(default, deserialize_with = "lenient::number")]
    disk: Option<f64>,
}

impl From<RawResources> for Resources {
    fn from(raw: RawResources) -> Self {
        Self {
            cpus: raw.cpus.unwrap_or_default(),
            mem_mib: raw.mem.unwrap_or_default(),
            disk_mib: raw.disk.unwrap_or_default(),
        }
    }
}

impl From<RawAgent> for Agent {
    fn from(raw: RawAgent) -> Self {
        Self {
            id: raw.id.0,
            hostname: raw.hostname.0,
            pid: raw.pid.0,
            // Before 0.2x nothing was said: a listed agent was an active one.
            active: raw.active.unwrap_or(true),
            deactivated: raw.deactivated,
            drain_state: raw.drain_info.map(|info| info.state.0).filter(|state| !state.is_empty()),
            version: raw.version.0,
            attributes: raw.attributes,
            resources: raw.resources.into(),
            used_resources: raw.used_resources.into(),
            offered_resources: raw.offered_resources.into(),
            registered_at_secs: raw.registered_time.map(|seconds| seconds as i64),
        }
    }
}

fn attributes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let raw: Option<BTreeMap<String, Text>> = Option::deserialize(deserializer)?;
    Ok(raw.unwrap_or_default().into_iter().map(|(name, value)| (name, value.0)).collect())
}

/// Agents with an id; those without are hidden from us.
pub(super) fn visible(raw: Option<Vec<RawAgent>>) -> Vec<Agent> {
    raw.into_iter().flatten().map(Agent::from).filter(|agent| !agent.id.is_empty()).collect()
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(default)]
    slaves: Option<Vec<RawAgent>>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    recovered_slaves: Vec<RawAgent>,
}

/// Reads the answer to `/slaves`.
///
/// # Errors
/// The stream breaks, it is no JSON object, or it lists no `slaves`.
pub fn read_agents(body: impl Read) -> Result<Agents, ReadError> {
    const WHAT: &str = "the agents of a Mesos master";
    let raw: Raw = read_object(WHAT, body)?;
    if raw.slaves.is_none() {
        return Err(ReadError::Unreadable { what: WHAT, why: "it has no \"slaves\"".to_owned() });
    }
    Ok(Agents { agents: visible(raw.slaves), recovered: visible(Some(raw.recovered_slaves)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_of_1_11_and_one_of_0_22_read_alike() {
        let body = br#" {"slaves":[
            {"id":"S0","hostname":"n1","pid":"slave(1)@10.0.0.1:5051","active":true,"deactivated":true,"version":"1.11.0",
             "drain_info":{"state":"DRAINING","config":{}},"attributes":{"dedicated":"jenkins/master","rack":4},
             "resources":{"cpus":8.0,"mem":"1024","disk":10,"ports":"[1-2]","gpus":0},"registered_time":1500000000.5},
            {"id":"S1","hostname":"n2","resources":{}},
            {}],
            "recovered_slaves":[{"id":"S2","hostname":"n3"}]}"#;
        let read = read_agents(&body[..]).unwrap();
        assert_eq!(read.agents.len(), 2);
        let first = &read.agents[0];
        assert_eq!(
            (first.active, first.deactivated, first.drain_state.as_deref()),
            (true, Some(true), Some("DRAINING"))
        );
        assert_eq!(first.resources, Resources { cpus: 8.0, mem_mib: 1024.0, disk_mib: 10.0 });
        assert_eq!(first.attributes["rack"], "4");
        assert!(read.agents[1].active && read.agents[1].deactivated.is_none());
        assert_eq!(read.recovered[0].id, "S2");
    }

    #[test]
    fn somebody_elses_drain_is_told_whatever_its_length_is_and_however_it_is_written() {
        // Asked for as an object of seconds, it is told in nanoseconds, more than a float can count.
        for config in [
            r#"{"max_grace_period":{"nanoseconds":9223372036854775807},"mark_gone":true}"#,
            r#"{"max_grace_period":{"seconds":600,"nanos":1}}"#,
            r#"{"max_grace_period":"600s"}"#,
        ] {
            let body = format!(
                r#"{{"slaves":[{{"id":"S0","deactivated":true,"estimated_drain_start_time_seconds":1.5e9,
                "drain_info":{{"state":"DRAINED","config":{config}}}}}]}}"#
            );
            let read = read_agents(body.as_bytes()).unwrap();
            assert_eq!(read.agents[0].drain_state.as_deref(), Some("DRAINED"), "{config}");
        }
    }

    #[test]
    fn what_is_no_list_of_agents_is_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"slaves":{}}"#,
            r#"{"slaves":[1]}"#,
            r#"{"slaves":["#,
            r#"{"slaves":null}"#,
            "<html>",
            r#"{"slaves":[]} x"#,
        ] {
            assert!(read_agents(body.as_bytes()).is_err(), "{body}");
        }
    }
}
