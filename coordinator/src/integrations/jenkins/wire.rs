//! What Jenkins answers, as far as it is read. Fields come and go with versions and plugins: only the list itself must be there.

use super::moment;
use crate::fleet::{self, RunningBuild};
use serde::Deserialize;

/// `/computer/api/json`.
#[derive(Debug, Deserialize)]
pub(super) struct ComputerList {
    /// No default: an answer without it says nothing about builds.
    pub computer: Vec<Computer>,
}

/// One computer, in the list or alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Computer {
    pub display_name: String,
    #[serde(default)]
    pub offline: bool,
    #[serde(default)]
    pub temporarily_offline: bool,
    #[serde(default)]
    pub offline_cause_reason: Option<String>,
    #[serde(default)]
    executors: Vec<Executor>,
    /// The parts of pipelines that run beside the executors.
    #[serde(default)]
    one_off_executors: Vec<Executor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Executor {
    #[serde(default)]
    idle: Option<bool>,
    #[serde(default)]
    current_executable: Option<Executable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Executable {
    full_display_name: Option<String>,
    url: Option<String>,
    timestamp: Option<i64>,
    /// −1 while Jenkins cannot tell.
    estimated_duration: Option<i64>,
}

/// `/queue/api/json`.
#[derive(Debug, Deserialize)]
pub(super) struct Queue {
    #[serde(default)]
    pub items: Vec<serde::de::IgnoredAny>,
}

/// `/api/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Front {
    #[serde(default)]
    pub quieting_down: bool,
}

impl Computer {
    pub(super) fn in_our_words(self) -> fleet::Computer {
        let executors = self.executors.into_iter().chain(self.one_off_executors);
        fleet::Computer {
            name: self.display_name,
            offline: self.offline || self.temporarily_offline,
            offline_reason: self.offline_cause_reason.filter(|reason| !reason.trim().is_empty()),
            builds: executors.filter_map(Executor::build).collect(),
        }
    }
}

impl Executor {
    /// What it runs. An executor that works on something it does not name works all the same.
    fn build(self) -> Option<RunningBuild> {
        let works = self.idle.map_or(self.current_executable.is_some(), |idle| !idle);
        let build = self.current_executable.unwrap_or_default();
        let named = build.full_display_name.or(build.url);
        let since = build.timestamp.and_then(moment);
        let length = build.estimated_duration.filter(|length| *length > 0);
        let end = build.timestamp.zip(length).and_then(|(began, length)| moment(began.checked_add(length)?));
        works.then(|| RunningBuild {
            name: named.unwrap_or_else(|| "a build that it does not name".to_owned()),
            since,
            expected_end: end,
        })
    }
}
