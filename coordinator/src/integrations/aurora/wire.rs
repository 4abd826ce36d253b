//! What Aurora answers, as far as it is read: its API in readable JSON, with names for enumerations.

use crate::fleet::{Instance, Service};
use serde::Deserialize;
use std::collections::BTreeMap;

/// States of a task that has not ended, as far as every version knows them: one that does not know a name fails. So a
/// task that is out of reach (`PARTITIONED`, newer versions) is not told; it is no healthy instance either.
pub(super) const ACTIVE: [&str; 9] = [
    "PENDING",
    "THROTTLED",
    "ASSIGNED",
    "STARTING",
    "RUNNING",
    "KILLING",
    "PREEMPTING",
    "RESTARTING",
    "DRAINING",
];

/// `/vars.json`; counts come as whole numbers and as floats.
#[derive(Debug, Deserialize)]
pub(super) struct Vars {
    /// 1 on a leader that Mesos knows.
    #[serde(default)]
    pub framework_registered: Option<f64>,
}

/// Any answer of `/apibeta`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reply {
    /// An error is told here, in an answer that says 200.
    response_code: String,
    #[serde(default)]
    result: Option<Outcome>,
    #[serde(default)]
    details: Option<Vec<Detail>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    #[serde(default)]
    schedule_status_result: Option<TaskList>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
struct TaskList {
    tasks: Vec<ScheduledTask>,
}

/// A task and how it stands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScheduledTask {
    assigned_task: AssignedTask,
    status: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssignedTask {
    /// Mesos' id of it.
    #[serde(default)]
    task_id: String,
    /// Which of its job's instances it is.
    #[serde(default)]
    instance_id: Option<u32>,
    /// Nobody's while it waits for a place.
    #[serde(default)]
    slave_host: Option<String>,
    #[serde(default)]
    slave_id: Option<String>,
    task: TaskConfig,
}

#[derive(Debug, Deserialize)]
struct TaskConfig {
    job: JobKey,
    #[serde(default)]
    constraints: Option<Vec<Constraint>>,
}

#[derive(Debug, Deserialize)]
struct JobKey {
    role: String,
    environment: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Constraint {
    name: String,
    #[serde(default)]
    constraint: Option<Kind>,
}

/// Either a list of values, or a limit that is of no concern here.
#[derive(Debug, Deserialize)]
struct Kind {
    #[serde(default)]
    value: Option<Values>,
}

#[derive(Debug, Deserialize)]
struct Values {
    #[serde(default)]
    negated: bool,
    #[serde(default)]
    values: Vec<String>,
}

/// `/maintenance`. Hosts in service are in none of the lists, and neither are hosts that Aurora does not know.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) struct Maintenance {
    drained: Vec<String>,
    scheduled: Vec<String>,
    draining: BTreeMap<String, Vec<String>>,
}

impl Reply {
    /// Its code, and what it says beside.
    pub(super) fn said(&self) -> (&str, String) {
        let details = self.details.iter().flatten().map(|detail| detail.message.as_str());
        let said: Vec<&str> = details.filter(|message| !message.is_empty()).collect();
        let said = if said.is_empty() { "without a word why".to_owned() } else { said.join("; ") };
        (&self.response_code, said)
    }

    /// The tasks it was asked for, or what it says instead.
    pub(super) fn tasks(self) -> Result<Vec<ScheduledTask>, String> {
        if !matches!(self.response_code.as_str(), "OK" | "WARNING") {
            let (_, said) = self.said();
            let advice = match self.response_code.as_str() {
                "AUTH_FAILED" => "; set aurora.user and aurora.secret_file to one who may read there",
                "ERROR_TRANSIENT" => "; that passes by itself, look at its log when it does not",
                _ => "; look at the log of the scheduler that leads",
            };
            return Err(format!("asked for its tasks, it answers {}: {said}{advice}", self.response_code));
        }
        let list = self.result.and_then(|result| result.schedule_status_result);
        list.map(|list| list.tasks).ok_or_else(|| {
            "asked for its tasks, it answers OK and lists none, not even an empty list; see that aurora.servers names \
             Aurora itself"
                .to_owned()
        })
    }
}

/// All jobs with their instances, in our words.
pub(super) fn services(tasks: Vec<ScheduledTask>) -> Vec<Service> {
    let mut jobs: BTreeMap<String, Service> = BTreeMap::new();
    for ScheduledTask { assigned_task: task, status } in tasks {
        let JobKey { role, environment, name } = &task.task.job;
        let name = format!("{role}/{environment}/{name}");
        let job = jobs.entry(name.clone()).or_insert_with(|| Service { name, ..Service::default() });
        let is_leaving = matches!(status.as_str(), "KILLING" | "PREEMPTING" | "RESTARTING" | "DRAINING");
        // One that is killed gets no successor; the others that leave do, once they are gone.
        job.wanted += usize::from(status != "KILLING");
        job.is_changing |= is_leaving;
        job.pinned_to = task.task.constraints.iter().flatten().find_map(pin).or(job.pinned_to.take());
        if let Some(host) = task.slave_host.filter(|host| !host.is_empty()) {
            let agent_id = task.slave_id.unwrap_or_default();
            let (is_well, number) = (status == "RUNNING", task.instance_id);
            job.instances.push(Instance { host, agent_id, is_well, node: None, task: task.task_id, number });
        }
    }
    jobs.into_values().collect()
}

/// The one host that a constraint leaves.
fn pin(constraint: &Constraint) -> Option<String> {
    let values = constraint.constraint.as_ref()?.value.as_ref()?;
    match values.values.as_slice() {
        [host] if !values.negated && matches!(constraint.name.as_str(), "host" | "hostname") => {
            Some(host.clone())
        }
        _ => None,
    }
}

impl Maintenance {
    pub(super) fn in_our_words(self) -> BTreeMap<String, String> {
        let drained = self.drained.into_iter().map(|host| (host, "drained".to_owned()));
        let scheduled = self.scheduled.into_iter().map(|host| (host, "scheduled".to_owned()));
        let draining = self.draining.into_iter().map(|(host, left)| {
            let left = crate::words::count(left.len(), "task");
            (host, format!("draining, {left} left"))
        });
        drained.chain(scheduled).chain(draining).collect()
    }
}
