//! Mesos tasks, as far as a decision needs them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a task holds on its node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor shares; 1.0 is one core.
    #[serde(default)]
    pub cpus: f64,
    /// Memory in MiB, as Mesos counts it.
    #[serde(default)]
    pub mem_mib: f64,
    /// Disk in MiB, as Mesos counts it.
    #[serde(default)]
    pub disk_mib: f64,
}

/// Where a task is in its life. States this version does not know read as `Unknown`, which counts as living.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Being fetched and prepared.
    Staging,
    /// Its executor has it.
    Starting,
    /// At work.
    Running,
    /// Told to stop, not yet stopped.
    Killing,
    /// Its agent is out of the master's sight; it may be at work.
    Unreachable,
    /// Over, however it ended.
    Ended,
    /// A word this version does not know.
    #[serde(other)]
    Unknown,
}

impl TaskState {
    /// Reads Mesos' own word, such as `TASK_RUNNING` (all states of Mesos 0.22 to 1.11).
    pub fn from_mesos(word: &str) -> Self {
        match word {
            "TASK_STAGING" => Self::Staging,
            "TASK_STARTING" => Self::Starting,
            "TASK_RUNNING" => Self::Running,
            "TASK_KILLING" => Self::Killing,
            "TASK_UNREACHABLE" => Self::Unreachable,
            "TASK_FINISHED"
            | "TASK_FAILED"
            | "TASK_KILLED"
            | "TASK_ERROR"
            | "TASK_LOST"
            | "TASK_DROPPED"
            | "TASK_GONE"
            | "TASK_GONE_BY_OPERATOR" => Self::Ended,
            _ => Self::Unknown,
        }
    }

    /// Whether the task may still be doing something.
    pub fn is_living(self) -> bool {
        self != Self::Ended
    }
}

/// One task on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Mesos' task id.
    pub id: String,
    /// The name its framework gave it.
    #[serde(default)]
    pub name: String,
    /// The framework's name, such as `Jenkins Scheduler`.
    #[serde(default)]
    pub framework: String,
    /// The framework's id.
    #[serde(default)]
    pub framework_id: String,
    /// The role it runs under, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Where it is in its life.
    pub state: TaskState,
    /// What it holds.
    #[serde(default)]
    pub resources: Resources,
    /// Labels set by the framework.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it first ran (or was staged, while it has not run), seconds since 1970; absent where not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_secs: Option<i64>,
}
