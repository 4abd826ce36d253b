//! `/state`: the agents and the tasks a master knows. (R12: the master's view, beside the agents' own.)

use super::{
    ReadError,
    agents::{Agent, RawAgent, visible},
    read_object,
    task::{Owner, RawTask},
};
use millwright_protocol::{
    Task,
    lenient::{self, Text},
};
use serde::{Deserialize, Deserializer, de};
use std::{fmt, io::Read};

/// What a master's `/state` says, as far as anybody here wants to know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MasterState {
    /// Mesos' version.
    pub version: String,
    /// Its own process, `master@ip:port`.
    pub pid: String,
    /// The leader's process; the same as `pid` on the leader.
    pub leader: String,
    /// The host name it announces.
    pub hostname: String,
    /// When it became leader, seconds since 1970.
    pub elected_at_secs: Option<i64>,
    /// `AGENT_DRAINING` among them means that it can deactivate agents.
    pub capabilities: Vec<String>,
    /// Registered agents.
    pub agents: Vec<Agent>,
    /// Agents known from the registry after a failover, not back yet.
    pub recovered: Vec<Agent>,
    /// Agents that are unreachable: counted only, listed nowhere.
    pub unreachable_count: u64,
    /// Every task in the frameworks' own lists, by agent id, in whatever state; orphans without framework too.
    pub tasks: Vec<(String, Task)>,
    /// Tasks on unreachable agents, by agent id: they may be at work.
    pub unreachable_tasks: Vec<(String, Task)>,
    /// Frameworks.
    pub frameworks: usize,
    /// Finished tasks the frameworks' lists still hold.
    pub completed_count: usize,
    /// Frameworks and tasks we are not allowed to see: with any, "no task" means nothing.
    pub hidden_count: usize,
}

#[derive(Debug, Deserialize)]
struct Raw {
    #[serde(default)]
    version: Text,
    #[serde(default)]
    pid: Text,
    #[serde(default)]
    leader: Text,
    #[serde(default)]
    hostname: Text,
    #[serde(default, deserialize_with = "lenient::number")]
    elected_time: Option<f64>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    capabilities: Vec<Text>,
    #[serde(default)]
    slaves: Option<Vec<RawAgent>>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    recovered_slaves: Vec<RawAgent>,
    #[serde(default, deserialize_with = "lenient::count")]
    unreachable_slaves: Option<u64>,
    #[serde(default)]
    frameworks: Option<Vec<Framework>>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    orphan_tasks: Vec<RawTask>,
}

#[derive(Debug, Deserialize)]
struct Framework {
    #[serde(default)]
    id: Text,
    #[serde(default)]
    name: Text,
    #[serde(default)]
    role: Text,
    #[serde(default, deserialize_with = "lenient::or_default")]
    tasks: Vec<RawTask>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    unreachable_tasks: Vec<RawTask>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    completed_tasks: Counted,
}

/// A list of which only the length is wanted.
#[derive(Debug, Default)]
struct Counted(usize);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counter;

        impl<'de> de::Visitor<'de> for Counter {
            type Value = Counted;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Counted, A::Error> {
                let mut count = 0;
                while list.next_element::<de::IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Counted(count))
            }
        }

        deserializer.deserialize_seq(Counter)
    }
}

/// Reads the answer to `/state`.
///
/// # Errors
/// The stream breaks, it is no JSON object, or it lists neither `slaves` nor `frameworks`.
pub fn read_state(body: impl Read) -> Result<MasterState, ReadError> {
    const WHAT: &str = "the state of a Mesos master";
    let raw: Raw = read_object(WHAT, body)?;
    let (Some(slaves), Some(frameworks)) = (raw.slaves, raw.frameworks) else {
        let why = "it has no \"slaves\" or no \"frameworks\"".to_owned();
        return Err(ReadError::Unreadable { what: WHAT, why });
    };
    let mut state = MasterState {
        version: raw.version.0,
        pid: raw.pid.0,
        leader: raw.leader.0,
        hostname: raw.hostname.0,
        elected_at_secs: raw.elected_time.map(|seconds| seconds as i64),
        capabilities: raw.capabilities.into_iter().map(|word| word.0).collect(),
        hidden_count: 0,
        agents: visible(Some(slaves)),
        recovered: visible(Some(raw.recovered_slaves)),
        unreachable_count: raw.unreachable_slaves.unwrap_or_default(),
        frameworks: frameworks.len(),
        ..MasterState::default()
    };
    for framework in frameworks {
        state.take(framework);
    }
    for orphan in raw.orphan_tasks {
        let seen = orphan.into_task(Owner::default());
        state.hidden_count += usize::from(seen.is_none());
        state.tasks.extend(seen);
    }
    Ok(state)
}

impl MasterState {
    fn take(&mut self, framework: Framework) {
        let role = Some(framework.role.0.as_str()).filter(|role| !role.is_empty());
        let owner = Owner { id: &framework.id.0, name: &framework.name.0, role };
        self.hidden_count += usize::from(owner.id.is_empty() && owner.name.is_empty());
        self.completed_count += framework.completed_tasks.0;
        for (listed, into) in
            [(framework.tasks, &mut self.tasks), (framework.unreachable_tasks, &mut self.unreachable_tasks)]
        {
            let count = listed.len();
            let before = into.len();
            into.extend(listed.into_iter().filter_map(|task| task.into_task(owner)));
            self.hidden_count += count - (into.len() - before);
        }
    }

    /// Whether this master leads, by its own word.
    pub fn leads(&self) -> bool {
        !self.pid.is_empty() && self.pid == self.leader
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwright_protocol::TaskState;

    const STATE: &str = r#"{
        "version":"1.4.3","pid":"master@10.0.0.1:5050","leader":"master@10.0.0.1:5050","hostname":"m1",
        "activated_slaves":1.0,"unreachable_slaves":2.0,"elected_time":1500000000.7,"start_time":null,
        "slaves":[{"id":"S0","hostname":"n1"}],"recovered_slaves":[],
        "frameworks":[
          {"completed_tasks":[{"id":"x"},{"id":"y","statuses":[{"a":[[[]]]}]}],
           "tasks":[{"id":"t1","slave_id":"S0","state":"TASK_RUNNING","resources":{"cpus":"2"},
                     "statuses":[{"state":"TASK_RUNNING","timestamp":12.5}],"labels":[{"key":"a"}]},
                    {"id":"t2","slave_id":"S9","state":"TASK_KILLED","statuses":[]}],
           "unreachable_tasks":[{"id":"t3","slave_id":"S8","state":"TASK_UNREACHABLE",
                     "statuses":[{"state":"TASK_RUNNING","timestamp":0.0}]}],
           "id":"F1","name":"Jenkins Scheduler","role":"*","pid":"x"},
          {"id":"F2","name":"Jenkins Scheduler","roles":["a"]}],
        "completed_frameworks":[{"id":"F0","completed_tasks":[{"id":"z"}]}],
        "orphan_tasks":[{"id":"t4","framework_id":"F9","slave_id":"S0","state":"TASK_RUNNING"}],
        "unregistered_frameworks":["F9"],"flags":{"quorum":"2"}}"#;

    #[test]
    fn tasks_are_told_by_agent_with_their_framework() {
        let state = read_state(STATE.as_bytes()).unwrap();
        let tasks: Vec<_> = state
            .tasks
            .iter()
            .map(|(agent, task)| (agent.as_str(), task.id.as_str(), task.framework.as_str(), task.state))
            .collect();
        assert_eq!(
            tasks,
            [
                ("S0", "t1", "Jenkins Scheduler", TaskState::Running),
                ("S9", "t2", "Jenkins Scheduler", TaskState::Ended),
                ("S0", "t4", "", TaskState::Running),
            ]
        );
        assert_eq!(state.tasks[0].1.started_at_secs, Some(12));
        assert_eq!(state.tasks[0].1.framework_id, "F1");
        assert_eq!(state.unreachable_tasks[0].1.state, TaskState::Unreachable);
        assert_eq!(state.unreachable_tasks[0].1.started_at_secs, None, "nobody told");
    }

    #[test]
    fn finished_tasks_are_counted_and_forgotten() {
        let state = read_state(STATE.as_bytes()).unwrap();
        assert_eq!((state.completed_count, state.frameworks, state.agents.len()), (2, 2, 1));
        assert_eq!((state.unreachable_count, state.hidden_count), (2, 0));
        assert!(state.leads());
    }

    #[test]
    fn what_may_not_be_seen_is_counted_as_hidden() {
        let body = r#"{"slaves":[],"frameworks":[{},{"id":"F","tasks":[{}]}]}"#;
        assert_eq!(read_state(body.as_bytes()).unwrap().hidden_count, 2);
    }

    #[test]
    fn an_empty_object_is_hidden_in_whichever_list_of_tasks_it_stands() {
        for body in [
            r#"{"slaves":[],"frameworks":[{"id":"F","tasks":[{}]}]}"#,
            r#"{"slaves":[],"frameworks":[{"id":"F","unreachable_tasks":[{}]}]}"#,
            r#"{"slaves":[],"frameworks":[{"id":"F"}],"orphan_tasks":[{}]}"#,
        ] {
            assert_eq!(read_state(body.as_bytes()).unwrap().hidden_count, 1, "{body}");
        }
    }

    #[test]
    fn every_task_is_told_however_many_there_are() {
        // The list of tasks alone would end at the hundredth.
        let task = |number: usize| format!(r#"{{"id":"t{number}","slave_id":"S0","state":"TASK_RUNNING"}}"#);
        let tasks: Vec<String> = (0..1001).map(task).collect();
        let body = format!(r#"{{"slaves":[],"frameworks":[{{"id":"F","tasks":[{}]}}]}}"#, tasks.join(","));
        assert_eq!(read_state(body.as_bytes()).unwrap().tasks.len(), 1001);
    }

    #[test]
    fn a_stream_that_breaks_off_is_an_error_and_never_an_empty_cluster() {
        struct Breaks(usize);
        impl Read for Breaks {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let rest = STATE.as_bytes().get(self.0..).unwrap_or_default();
                if self.0 > 200 {
                    return Err(std::io::Error::other("connection reset"));
                }
                let length = rest.len().min(buffer.len()).min(50);
                buffer[..length].copy_from_slice(&rest[..length]);
                self.0 += length;
                Ok(length)
            }
        }
        assert!(matches!(read_state(Breaks(0)), Err(ReadError::Broken { .. })));
        assert!(read_state(&STATE.as_bytes()[..STATE.len() - 1]).is_err());
    }

    #[test]
    fn what_is_no_masters_state_is_refused() {
        let deep = format!(r#"{{"slaves":[],"frameworks":[{{"tasks":{}"#, "[".repeat(100_000));
        for body in [
            "",
            " ",
            "[]",
            "{}",
            r#"{"slaves":[]}"#,
            r#"{"slaves":[],"frameworks":{}}"#,
            "\u{feff}{}",
            "{\"a\":\u{1}",
            r#"{"slaves":[],"frameworks":[{"tasks":{"id":"x"}}]}"#,
            r#"{"slaves":[],"frameworks":[{"tasks":[{"id":{}}]}]}"#,
            deep.as_str(),
        ] {
            assert!(read_state(body.as_bytes()).is_err(), "{body:.80}");
        }
        assert!(read_state(&b"{\"slaves\":[],\"frameworks\":[],\"version\":\"\xff\"}"[..]).is_err());
    }
}
