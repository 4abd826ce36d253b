//! `/state-summary`: agents with counts of their tasks, without the tasks themselves.

use super::{
    ReadError,
    agents::{Agent, RawAgent},
    read_object,
};
use millwright_protocol::lenient::{self, Text};
use serde::Deserialize;
use std::io::Read;

/// What a summary says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// The master's host name.
    pub hostname: String,
    /// The cluster's name.
    pub cluster: String,
    /// Registered agents.
    pub agents: Vec<AgentSummary>,
    /// Frameworks.
    pub frameworks: usize,
}

/// One agent with its living tasks, counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentSummary {
    /// The agent.
    pub agent: Agent,
    /// Tasks staging, starting, running, being killed or unreachable; finished ones are history.
    pub living_tasks: u64,
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(default)]
    hostname: Text,
    #[serde(default)]
    cluster: Text,
    #[serde(default)]
    slaves: Option<Vec<RawSummary>>,
    #[serde(default)]
    frameworks: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Debug, Deserialize)]
struct RawSummary {
    #[serde(flatten)]
    agent: RawAgent,
    #[serde(default, rename = "TASK_STAGING", deserialize_with = "lenient::count")]
    staging: Option<u64>,
    #[serde(default, rename = "TASK_STARTING", deserialize_with = "lenient::count")]
    starting: Option<u64>,
    #[serde(default, rename = "TASK_RUNNING", deserialize_with = "lenient::count")]
    running: Option<u64>,
    #[serde(default, rename = "TASK_KILLING", deserialize_with = "lenient::count")]
    killing: Option<u64>,
    #[serde(default, rename = "TASK_UNREACHABLE", deserialize_with = "lenient::count")]
    unreachable: Option<u64>,
}

impl From<RawSummary> for AgentSummary {
    fn from(raw: RawSummary) -> Self {
        let living = [raw.staging, raw.starting, raw.running, raw.killing, raw.unreachable];
        Self {
            agent: raw.agent.into(),
            living_tasks: living.into_iter().flatten().fold(0, u64::saturating_add),
        }
    }
}

/// Reads the answer to `/state-summary`.
///
/// # Errors
/// The stream breaks, it is no JSON object, or it lists no `slaves` or no `frameworks`.
pub fn read_summary(body: impl Read) -> Result<Summary, ReadError> {
    const WHAT: &str = "the summary of a Mesos master";
    let raw: Raw = read_object(WHAT, body)?;
    let (Some(slaves), Some(frameworks)) = (raw.slaves, raw.frameworks) else {
        let why = "it has no \"slaves\" or no \"frameworks\"".to_owned();
        return Err(ReadError::Unreadable { what: WHAT, why });
    };
    Ok(Summary {
        hostname: raw.hostname.0,
        cluster: raw.cluster.0,
        agents: slaves.into_iter().map(AgentSummary::from).filter(|one| !one.agent.id.is_empty()).collect(),
        frameworks: frameworks.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn living_tasks_are_counted_and_history_is_not() {
        let body = br#"{"hostname":"m1","cluster":"build","frameworks":[{"id":"F"}],"slaves":[
            {"id":"S0","hostname":"n1","active":true,"TASK_RUNNING":3.0,"TASK_STAGING":"1","TASK_UNREACHABLE":1,
             "TASK_FINISHED":900,"TASK_LOST":7,"framework_ids":["F"],"resources":{"cpus":8}},
            {"id":"S1"}]}"#;
        let summary = read_summary(&body[..]).unwrap();
        let living: Vec<u64> = summary.agents.iter().map(|one| one.living_tasks).collect();
        assert_eq!((living, summary.frameworks), (vec![5, 0], 1));
        assert_eq!(summary.agents[0].agent.resources.cpus, 8.0);
    }

    #[test]
    fn what_is_no_summary_is_refused() {
        for body in ["", "[]", "{}", r#"{"slaves":[]}"#, r#"{"slaves":1,"frameworks":[]}"#] {
            assert!(read_summary(body.as_bytes()).is_err(), "{body}");
        }
    }
}
