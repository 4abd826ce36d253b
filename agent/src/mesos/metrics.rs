//! The few of a Mesos process' `/metrics/snapshot` that the checks go by.

use crate::json;
use millwright_protocol::lenient;
use serde::Deserialize;

/// What an agent counts about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct AgentMetrics {
    /// 1 while a master has it registered.
    #[serde(default, rename = "slave/registered", deserialize_with = "lenient::number")]
    pub registered: Option<f64>,
    /// Seconds since its process started.
    #[serde(default, rename = "slave/uptime_secs", deserialize_with = "lenient::number")]
    pub uptime_secs: Option<f64>,
}

/// What a master counts about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct MasterMetrics {
    /// 1 on the leader.
    #[serde(default, rename = "master/elected", deserialize_with = "lenient::number")]
    pub elected: Option<f64>,
    /// Seconds since its process started.
    #[serde(default, rename = "master/uptime_secs", deserialize_with = "lenient::number")]
    pub uptime_secs: Option<f64>,
    /// Agents that get offers.
    #[serde(default, rename = "master/slaves_active", deserialize_with = "lenient::count")]
    pub agents_active: Option<u64>,
    /// 1 once the registrar has recovered.
    #[serde(default, rename = "registrar/log/recovered", deserialize_with = "lenient::number")]
    pub registrar_recovered: Option<f64>,
}

/// Reads an agent's snapshot.
///
/// # Errors
/// Not a flat JSON object of numbers.
pub fn read_agent_metrics(body: &[u8]) -> Result<AgentMetrics, String> {
    json::object(body).map_err(|error| format!("read the metrics: {error}"))
}

/// Reads a master's snapshot.
///
/// # Errors
/// Not a flat JSON object of numbers.
pub fn read_master_metrics(body: &[u8]) -> Result<MasterMetrics, String> {
    json::object(body).map_err(|error| format!("read the metrics: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_however_they_are_written_and_the_rest_is_passed_over() {
        let body = br#"{"slave/registered":"1","slave/uptime_secs":12.5,"slave/new_thing":{"a":[1]}}"#;
        assert_eq!(
            read_agent_metrics(body).unwrap(),
            AgentMetrics { registered: Some(1.0), uptime_secs: Some(12.5) }
        );
    }

    #[test]
    fn a_gauge_that_is_left_out_is_not_known() {
        let metrics = read_master_metrics(br#"{"master/elected":0.0,"master/slaves_active":3.0}"#).unwrap();
        assert_eq!((metrics.elected, metrics.agents_active), (Some(0.0), Some(3)));
        assert_eq!((metrics.uptime_secs, metrics.registrar_recovered), (None, None));
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        for body in ["", "[]", "<html>", r#"{"master/elected":[1]}"#] {
            assert!(read_master_metrics(body.as_bytes()).is_err(), "{body}");
        }
    }
}
