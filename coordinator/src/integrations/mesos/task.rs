//! One task as a master writes it.

use super::agents::RawResources;
use millwright_protocol::{
    Task, TaskState,
    lenient::{self, Text},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A task in any list of a master's `/state`.
#[derive(Debug, Deserialize)]
pub(super) struct RawTask {
    #[serde(default)]
    id: Text,
    #[serde(default)]
    name: Text,
    #[serde(default)]
    framework_id: Text,
    #[serde(default)]
    slave_id: Text,
    #[serde(default)]
    role: Option<Text>,
    #[serde(default)]
    state: Text,
    #[serde(default, deserialize_with = "lenient::or_default")]
    resources: RawResources,
    #[serde(default, deserialize_with = "lenient::labels")]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    statuses: Vec<RawStatus>,
}

#[derive(Debug, Deserialize)]
struct RawStatus {
    #[serde(default)]
    state: Text,
    #[serde(default, deserialize_with = "lenient::number")]
    timestamp: Option<f64>,
}

/// The framework a task was listed under.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Owner<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) role: Option<&'a str>,
}

impl RawTask {
    /// The agent's id and the task; none when it is an empty object, one we may not see.
    pub(super) fn into_task(self, owner: Owner<'_>) -> Option<(String, Task)> {
        if self.id.0.is_empty() {
            return None;
        }
        let started_at_secs = started_at(&self.statuses);
        let role = self.role.map(|role| role.0).filter(|role| !role.is_empty());
        let framework_id =
            if self.framework_id.0.is_empty() { owner.id.to_owned() } else { self.framework_id.0 };
        let task = Task {
            id: self.id.0,
            name: self.name.0,
            framework: owner.name.to_owned(),
            framework_id,
            role: role.or_else(|| owner.role.map(str::to_owned)),
            state: TaskState::from_mesos(&self.state.0),
            resources: self.resources.into(),
            labels: self.labels,
            started_at_secs,
        };
        Some((self.slave_id.0, task))
    }
}

/// When it first ran, else the first time anything was said about it.
fn started_at(statuses: &[RawStatus]) -> Option<i64> {
    let earliest = |only_running: bool| {
        statuses
            .iter()
            .filter(|status| !only_running || status.state.0 == "TASK_RUNNING")
            .filter_map(|status| status.timestamp)
            // An executor that leaves it out makes Mesos write 0.
            .filter(|seconds| *seconds > 0.0)
            .reduce(f64::min)
    };
    earliest(true).or_else(|| earliest(false)).map(|seconds| seconds as i64)
}
