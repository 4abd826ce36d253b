//! A Mesos agent's `/state`: who it is and which tasks live on it, for Mesos 0.22 to 1.11.
//!
//! Read as a stream: finished tasks, which are most of the megabytes, are counted and forgotten.

use super::picker::{Harvest, PickError, Picker, Want};
use millwright_protocol::{
    Resources, Task, TaskState,
    lenient::{self, Text},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What an agent's `/state` says, as far as anybody here wants to know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentState {
    /// Its agent id; none until it has registered once.
    pub id: Option<String>,
    /// The host name it announces.
    pub hostname: String,
    /// Mesos' version; empty in some test builds.
    pub version: String,
    /// Attributes such as `dedicated`.
    pub attributes: BTreeMap<String, String>,
    /// When its process started, seconds since 1970.
    pub started_at_secs: Option<i64>,
    /// Tasks of its executors, queued ones too; some may have ended without their framework knowing yet.
    pub tasks: Vec<Task>,
    /// Mesos' ids of the containers whose executors live.
    pub containers: Vec<String>,
    /// How many frameworks have executors here.
    pub frameworks: usize,
    /// How many finished tasks it still remembers.
    pub completed_count: usize,
    /// Frameworks, executors and tasks it does not let us see: with any, "no tasks" means nothing.
    pub hidden_count: usize,
}

/// Reads a `/state` piece by piece.
#[derive(Debug)]
pub struct StateReader(Picker<Gatherer>);

impl Default for StateReader {
    fn default() -> Self {
        Self(Picker::new(Gatherer::default()))
    }
}

impl StateReader {
    /// Reads the next piece; pieces may be cut anywhere.
    ///
    /// # Errors
    /// Not JSON, or not an agent's state.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), PickError> {
        self.0.feed(piece)
    }

    /// Ends the document.
    ///
    /// # Errors
    /// It is not complete, or it has no `frameworks`, so nothing can be said about tasks.
    pub fn finish(self) -> Result<AgentState, PickError> {
        let gatherer = self.0.finish()?;
        if !gatherer.saw_frameworks {
            return Err(PickError::Unexpected {
                path: "/".to_owned(),
                what: "no \"frameworks\": not the state of a Mesos agent".to_owned(),
            });
        }
        Ok(gatherer.state)
    }
}

/// Reads a whole `/state`.
///
/// # Errors
/// As [`StateReader`].
pub fn read_state(body: &[u8]) -> Result<AgentState, PickError> {
    let mut reader = StateReader::default();
    reader.feed(body)?;
    reader.finish()
}

/// One task as `/state` writes it; queued tasks have neither state nor statuses.
#[derive(Debug, Deserialize)]
struct RawTask {
    #[serde(default)]
    id: Text,
    #[serde(default)]
    name: Text,
    #[serde(default)]
    framework_id: Text,
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

#[derive(Debug, Default, Deserialize)]
struct RawResources {
    #[serde(default, deserialize_with = "lenient::number")]
    cpus: Option<f64>,
    #[serde(default, deserialize_with = "lenient::number")]
    mem: Option<f64>,
    #[serde(default, deserialize_with = "lenient::number")]
    disk: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct RawStatus {
    #[serde(default)]
    state: Text,
    #[serde(default, deserialize_with = "lenient::number")]
    timestamp: Option<f64>,
}

/// What is gathered while the document passes by.
#[derive(Debug, Default)]
struct Gatherer {
    state: AgentState,
    saw_frameworks: bool,
    /// Of the framework being read: its name may come after its tasks.
    framework: FrameworkSoFar,
    /// Whether the executor being read has named itself.
    executor_is_named: bool,
}

#[derive(Debug, Default)]
struct FrameworkSoFar {
    id: String,
    name: String,
    role: Option<String>,
    tasks: Vec<Task>,
}

impl Harvest for Gatherer {
    fn want(&mut self, path: &str) -> Want {
        let Some(inside) = path.strip_prefix("/frameworks") else {
            return match path {
                "" => Want::Object,
                "/id" | "/hostname" | "/version" | "/attributes" | "/start_time" => Want::Take,
                "/completed_frameworks" => Want::List,
                _ => self.want_finished(path),
            };
        };
        match inside {
            "" => {
                self.saw_frameworks = true;
                Want::List
            }
            "/*" => {
                self.framework = FrameworkSoFar::default();
                Want::Object
            }
            "/*/id" | "/*/name" | "/*/role" => Want::Take,
            "/*/executors" => Want::List,
            "/*/executors/*" => {
                self.executor_is_named = false;
                Want::Object
            }
            "/*/executors/*/id" | "/*/executors/*/executor_id" | "/*/executors/*/container" => Want::Take,
            "/*/executors/*/tasks" | "/*/executors/*/queued_tasks" => Want::List,
            "/*/executors/*/tasks/*" | "/*/executors/*/queued_tasks/*" => Want::Take,
            _ => self.want_finished(path),
        }
    }

    fn take(&mut self, path: &str, json: &[u8]) -> Result<(), String> {
        match path {
            "/id" => self.state.id = Some(text(json)?).filter(|id| !id.is_empty()),
            "/hostname" => self.state.hostname = text(json)?,
            "/version" => self.state.version = text(json)?,
            "/start_time" => self.state.started_at_secs = seconds(json)?,
            "/attributes" => self.state.attributes = attributes(json)?,
            "/frameworks/*/id" => self.framework.id = text(json)?,
            "/frameworks/*/name" => self.framework.name = text(json)?,
            "/frameworks/*/role" => self.framework.role = Some(text(json)?).filter(|role| !role.is_empty()),
            "/frameworks/*/executors/*/id" | "/frameworks/*/executors/*/executor_id" => {
                self.executor_is_named = true;
            }
            "/frameworks/*/executors/*/container" => self.state.containers.push(text(json)?),
            _ => {
                let is_queued = path.ends_with("/queued_tasks/*");
                match task(json, is_queued)? {
                    Some(task) => self.framework.tasks.push(task),
                    None => self.state.hidden_count += 1,
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, path: &str) -> Result<(), String> {
        match path {
            // Without the right to view it, an executor is an empty object.
            "/frameworks/*/executors/*" if !self.executor_is_named => self.state.hidden_count += 1,
            "/frameworks/*" => self.end_framework(),
            _ => {}
        }
        Ok(())
    }
}

impl Gatherer {
    /// Finished work: counted by element, never looked into.
    fn want_finished(&mut self, path: &str) -> Want {
        if path.ends_with("/completed_tasks/*") {
            self.state.completed_count += 1;
            return Want::Skip;
        }
        if path.ends_with("/completed_tasks") || path.ends_with("/completed_executors") {
            return Want::List;
        }
        if path.ends_with("/completed_frameworks/*") || path.ends_with("/completed_executors/*") {
            return Want::Object;
        }
        Want::Skip
    }

    fn end_framework(&mut self) {
        let framework = std::mem::take(&mut self.framework);
        if framework.id.is_empty() && framework.name.is_empty() {
            self.state.hidden_count += 1;
        }
        self.state.frameworks += 1;
        self.state.tasks.extend(framework.tasks.into_iter().map(|mut task| {
            task.framework.clone_from(&framework.name);
            if task.framework_id.is_empty() {
                task.framework_id.clone_from(&framework.id);
            }
            if task.role.is_none() {
                task.role.clone_from(&framework.role);
            }
            task
        }));
    }
}

/// One task, or none where it is an empty object: one we may not see.
fn task(json: &[u8], is_queued: bool) -> Result<Option<Task>, String> {
    let raw: RawTask =
        serde_json::from_slice(json).map_err(|error| format!("a task that cannot be read: {error}"))?;
    if raw.id.0.is_empty() {
        return Ok(None);
    }
    let state = match raw.state.0.as_str() {
        "" if is_queued => TaskState::Staging,
        word => TaskState::from_mesos(word),
    };
    Ok(Some(Task {
        id: raw.id.0,
        name: raw.name.0,
        framework: String::new(),
        framework_id: raw.framework_id.0,
        role: raw.role.map(|role| role.0).filter(|role| !role.is_empty()),
        state,
        resources: Resources {
            cpus: raw.resources.cpus.unwrap_or_default(),
            mem_mib: raw.resources.mem.unwrap_or_default(),
            disk_mib: raw.resources.disk.unwrap_or_default(),
        },
        labels: raw.labels,
        started_at_secs: started_at(&raw.statuses),
    }))
}

/// When the task first ran, else the first time anything was said about it.
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

fn text(json: &[u8]) -> Result<String, String> {
    serde_json::from_slice::<Text>(json).map(|text| text.0).map_err(|_| "not a text".to_owned())
}

fn seconds(json: &[u8]) -> Result<Option<i64>, String> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "lenient::number")] Option<f64>);
    let number: Number = serde_json::from_slice(json).map_err(|_| "not a number".to_owned())?;
    Ok(number.0.map(|seconds| seconds as i64))
}

fn attributes(json: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let read: Option<BTreeMap<String, Text>> =
        serde_json::from_slice(json).map_err(|_| "not an object of texts and numbers".to_owned())?;
    Ok(read.unwrap_or_default().into_iter().map(|(name, value)| (name, value.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = r#"{
        "version": "1.4.3", "id": "a1-S0", "hostname": "node1", "start_time": 1500000000.25,
        "attributes": {"dedicated": "jenkins/master", "rack": 4},
        "completed_frameworks": [{"completed_executors": [{"completed_tasks": [{"id": "x"}], "tasks": []}]}],
        "frameworks": [
          {"executors": [
             {"id": "e1", "container": "c1", "tasks": [
                {"id": "t1", "name": "one", "framework_id": "f1", "state": "TASK_RUNNING", "role": "*",
                 "resources": {"cpus": 1.5, "mem": "128", "disk": 0},
                 "labels": [{"key": "who", "value": "me"}],
                 "statuses": [{"state": "TASK_STARTING", "timestamp": 10.5}, {"state": "TASK_RUNNING", "timestamp": 11.9}]},
                {"id": "t2", "state": "TASK_FINISHED"}],
              "queued_tasks": [{"id": "t3", "name": "three", "resources": {}}],
              "completed_tasks": [{"id": "old", "tasks": [{}]}, {"id": "older"}]}],
           "completed_executors": [{"id": "e0", "completed_tasks": [{"id": "ancient"}]}],
           "id": "f1", "name": "Jenkins Scheduler"}]
    }"#;

    #[test]
    fn tasks_carry_their_frameworks_name_even_when_it_comes_after_them() {
        let state = read_state(STATE.as_bytes()).unwrap();
        let tasks: Vec<_> =
            state.tasks.iter().map(|task| (task.id.as_str(), task.framework.as_str(), task.state)).collect();
        assert_eq!(
            tasks,
            [
                ("t1", "Jenkins Scheduler", TaskState::Running),
                ("t2", "Jenkins Scheduler", TaskState::Ended),
                ("t3", "Jenkins Scheduler", TaskState::Staging)
            ]
        );
        assert_eq!(state.tasks[0].resources, Resources { cpus: 1.5, mem_mib: 128.0, disk_mib: 0.0 });
        assert_eq!(state.tasks[0].started_at_secs, Some(11));
        assert_eq!(state.tasks[0].labels["who"], "me");
        assert_eq!(state.tasks[2].framework_id, "f1");
    }

    #[test]
    fn a_start_that_no_executor_told_is_not_the_year_1970() {
        for (statuses, started_at) in [
            (r#"{"state": "TASK_RUNNING", "timestamp": 0.0}"#, None),
            (r#"{"state": "TASK_RUNNING"}, {"state": "TASK_STARTING", "timestamp": 9}"#, Some(9)),
            ("", None),
        ] {
            let statuses: Vec<RawStatus> = serde_json::from_str(&format!("[{statuses}]")).unwrap();
            assert_eq!(super::started_at(&statuses), started_at);
        }
    }

    #[test]
    fn finished_work_is_counted_wherever_it_is_kept() {
        let state = read_state(STATE.as_bytes()).unwrap();
        assert_eq!((state.completed_count, state.frameworks, state.hidden_count), (4, 1, 0));
        assert_eq!(state.id.as_deref(), Some("a1-S0"));
        assert_eq!(state.containers, ["c1"]);
        assert_eq!(state.attributes["rack"], "4");
        assert_eq!(state.started_at_secs, Some(1_500_000_000));
    }

    #[test]
    fn a_state_in_one_byte_pieces_reads_the_same() {
        let mut reader = StateReader::default();
        for byte in STATE.as_bytes() {
            reader.feed(&[*byte]).unwrap();
        }
        assert_eq!(reader.finish().unwrap(), read_state(STATE.as_bytes()).unwrap());
    }

    #[test]
    fn what_may_not_be_seen_is_counted_as_hidden() {
        for body in [
            r#"{"frameworks":[{"id":"f","executors":[{}]}]}"#,
            r#"{"frameworks":[{}]}"#,
            r#"{"frameworks":[{"id":"f","executors":[{"id":"e","tasks":[{}]}]}]}"#,
        ] {
            assert_eq!(read_state(body.as_bytes()).unwrap().hidden_count, 1, "{body}");
        }
    }

    #[test]
    fn an_unknown_state_counts_as_living() {
        let body =
            r#"{"frameworks":[{"id":"f","executors":[{"id":"e","tasks":[{"id":"t","state":"TASK_NEW"}]}]}]}"#;
        assert_eq!(read_state(body.as_bytes()).unwrap().tasks[0].state, TaskState::Unknown);
    }

    #[test]
    fn what_is_not_an_agents_state_is_refused() {
        for body in [
            r#"{}"#,
            r#"[]"#,
            r#"{"frameworks":{}}"#,
            r#"{"frameworks":[{"id":"f","executors":{"tasks":[]}}]}"#,
            r#"{"frameworks":[{"id":"f","executors":[{"id":"e","tasks":[{"id":["t"]}]}]}]}"#,
            r#"{"frameworks":["#,
            "",
        ] {
            assert!(read_state(body.as_bytes()).is_err(), "{body}");
        }
    }
}
