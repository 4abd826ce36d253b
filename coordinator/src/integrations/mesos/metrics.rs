//! `/metrics/snapshot`: the few numbers of a master that anybody here goes by. Never redirected to the leader.

use super::{ReadError, read_object};
use millwright_protocol::lenient;
use serde::Deserialize;
use std::io::Read;

/// What a master counts. Gauges that fail are left out of a snapshot, so each may be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Metrics {
    /// 1 on the leader.
    #[serde(default, rename = "master/elected", deserialize_with = "lenient::number")]
    pub elected: Option<f64>,
    /// Seconds since its process started.
    #[serde(default, rename = "master/uptime_secs", deserialize_with = "lenient::number")]
    pub uptime_secs: Option<f64>,
    /// 1 once the registrar has recovered.
    #[serde(default, rename = "registrar/log/recovered", deserialize_with = "lenient::number")]
    pub registrar_recovered: Option<f64>,
    /// Agents that get offers.
    #[serde(default, rename = "master/slaves_active", deserialize_with = "lenient::count")]
    pub agents_active: Option<u64>,
    /// Agents that get none.
    #[serde(default, rename = "master/slaves_inactive", deserialize_with = "lenient::count")]
    pub agents_inactive: Option<u64>,
    /// Agents out of sight.
    #[serde(default, rename = "master/slaves_unreachable", deserialize_with = "lenient::count")]
    pub agents_unreachable: Option<u64>,
    /// Tasks running.
    #[serde(default, rename = "master/tasks_running", deserialize_with = "lenient::count")]
    pub tasks_running: Option<u64>,
    /// Tasks staging.
    #[serde(default, rename = "master/tasks_staging", deserialize_with = "lenient::count")]
    pub tasks_staging: Option<u64>,
    /// Tasks lost since it started.
    #[serde(default, rename = "master/tasks_lost", deserialize_with = "lenient::count")]
    pub tasks_lost: Option<u64>,
}

/// Reads the answer to `/metrics/snapshot`.
///
/// # Errors
/// The stream breaks, or it is no flat JSON object of numbers.
pub fn read_metrics(body: impl Read) -> Result<Metrics, ReadError> {
    read_object("the metrics of a Mesos master", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_however_they_are_written_and_may_be_missing() {
        let body =
            br#"{"master/elected":1.0,"master/slaves_active":"40","master/cpus_percent":1.1,"x":{"y":[]}}"#;
        let metrics = read_metrics(&body[..]).unwrap();
        assert_eq!(
            (metrics.elected, metrics.agents_active, metrics.uptime_secs),
            (Some(1.0), Some(40), None)
        );
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        for body in ["", "[]", "x", r#"{"master/elected":{}}"#] {
            assert!(read_metrics(body.as_bytes()).is_err(), "{body}");
        }
    }
}
