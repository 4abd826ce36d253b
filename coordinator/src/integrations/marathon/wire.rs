//! What Marathon answers, as far as it is read. Fields come and go with versions; only the lists themselves and what names
//! an entry must be there.

use crate::{
    fleet::{Instance, Service},
    integrations::{peer::Answer, servers::Server},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `/v2/leader`.
#[derive(Debug, Deserialize)]
pub(super) struct Leader {
    /// `host:port`.
    pub leader: String,
}

/// `/v2/info`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub version: String,
}

/// `/v2/apps`.
#[derive(Debug, Deserialize)]
pub(super) struct AppList {
    pub apps: Vec<App>,
}

#[derive(Debug, Deserialize)]
pub(super) struct App {
    id: String,
    /// Without it nobody could say whether an instance is missing.
    instances: usize,
    /// Lists of words; anything else is passed over.
    #[serde(default)]
    constraints: Value,
    #[serde(default)]
    deployments: Vec<serde::de::IgnoredAny>,
}

/// `/v2/tasks`.
#[derive(Debug, Deserialize)]
pub(super) struct TaskList {
    pub tasks: Vec<Task>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    /// Mesos' id of it.
    #[serde(default)]
    id: String,
    app_id: String,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    slave_id: Option<String>,
    /// Not said before 1.0.
    #[serde(default)]
    state: Option<String>,
    /// Null while it is being staged.
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    health_check_results: Option<Vec<Option<Health>>>,
}

#[derive(Debug, Deserialize)]
struct Health {
    #[serde(default)]
    alive: Option<bool>,
}

/// One of `/v2/deployments`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deployment {
    id: String,
    #[serde(default)]
    affected_apps: Vec<String>,
    #[serde(default)]
    affected_pods: Vec<String>,
    #[serde(default)]
    current_step: usize,
    #[serde(default)]
    total_steps: usize,
    #[serde(default)]
    current_actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
struct Action {
    #[serde(default)]
    action: String,
}

/// A list in its object, or bare as some proxies in front give it.
pub(super) trait Listed: DeserializeOwned {
    type Entry: DeserializeOwned;
    fn of(entries: Vec<Self::Entry>) -> Self;
}

impl Listed for AppList {
    type Entry = App;
    fn of(apps: Vec<App>) -> Self {
        Self { apps }
    }
}

impl Listed for TaskList {
    type Entry = Task;
    fn of(tasks: Vec<Task>) -> Self {
        Self { tasks }
    }
}

/// Reads either.
pub(super) fn list<T: Listed>(answer: Answer, server: &Server) -> Result<T, String> {
    let read = if answer.body.trim_ascii_start().starts_with(b"[") {
        answer.json().map(T::of)
    } else {
        answer.json()
    };
    read.map_err(|error| server.explain(&error))
}

/// All apps with their instances, in our words.
pub(super) fn services(apps: Vec<App>, tasks: Vec<Task>, deployments: &[Deployment]) -> Vec<Service> {
    let changing: BTreeSet<&str> =
        deployments.iter().flat_map(|deployment| &deployment.affected_apps).map(String::as_str).collect();
    let mut instances: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
    for task in tasks {
        let (app, instance) = task.in_our_words();
        instances.entry(app).or_default().push(instance);
    }
    let mut services: Vec<Service> = apps
        .into_iter()
        .map(|app| Service {
            wanted: app.instances,
            instances: instances.remove(&app.id).unwrap_or_default(),
            pinned_to: pin(&app.constraints),
            is_changing: !app.deployments.is_empty() || changing.contains(app.id.as_str()),
            name: app.id,
        })
        .collect();
    // Both lists are of different moments: an app may be gone from one already, and its tasks run all the same.
    let left = instances.into_iter();
    services.extend(left.map(|(name, instances)| Service { name, instances, ..Service::default() }));
    services
}

impl Task {
    fn in_our_words(self) -> (String, Instance) {
        let runs = match &self.state {
            Some(state) => state == "TASK_RUNNING",
            None => self.started_at.is_some(),
        };
        let checks = self.health_check_results.into_iter().flatten().flatten();
        let is_ill = checks.filter_map(|check| check.alive).any(|alive| !alive);
        let instance = Instance {
            host: self.host.unwrap_or_default(),
            agent_id: self.slave_id.unwrap_or_default(),
            is_well: runs && !is_ill,
            task: self.id,
            ..Instance::default()
        };
        (self.app_id, instance)
    }
}

/// The one host that an app may run on: what `hostname` must be, or must be alike for all its instances.
pub(super) fn pin(constraints: &Value) -> Option<String> {
    let lists = constraints.as_array()?.iter().filter_map(Value::as_array);
    lists
        .filter_map(|words| {
            let word = |place: usize| words.get(place).and_then(Value::as_str).unwrap_or_default();
            if !matches!(word(0), "hostname" | "@hostname") {
                return None;
            }
            match (word(1), word(2)) {
                ("CLUSTER" | "IS", "") => Some("one and the same host".to_owned()),
                ("CLUSTER" | "IS", host) => Some(host.to_owned()),
                // A pattern that is a plain name; with signs in it, it may mean many.
                ("LIKE", host) if is_plain(host) => Some(host.replace('\\', "")),
                _ => None,
            }
        })
        .next()
}

fn is_plain(pattern: &str) -> bool {
    !pattern.is_empty()
        && pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.\\".contains(&byte))
}

impl Deployment {
    /// In a line.
    pub(super) fn tell(&self) -> String {
        const MOST: usize = 5;
        let mut affected: Vec<&str> =
            self.affected_apps.iter().chain(&self.affected_pods).map(String::as_str).collect();
        let more = affected.len().saturating_sub(MOST);
        affected.truncate(MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let actions: BTreeSet<&str> = self.current_actions.iter().map(|now| now.action.as_str()).collect();
        let actions: Vec<&str> = actions.into_iter().filter(|action| !action.is_empty()).collect();
        let now = if actions.is_empty() { String::new() } else { format!(", {}", actions.join(", ")) };
        let (step, steps) = (self.current_step, self.total_steps);
        format!("deployment {} of {}{more}: step {step} of {steps}{now}", self.id, affected.join(", "))
    }
}
