//! What runs on a node: living tasks, the builds behind them, and who has seen it empty.

use super::{Mark, Moment, capital};
use crate::{
    dashboard::words,
    view::{BuildView, NodeDetail, TaskView},
};
use jiff::Timestamp;
use millwright_decision::Source;

/// One line of the list.
pub struct Task {
    pub name: String,
    pub id: String,
    pub framework: String,
    pub class: Mark,
    pub rule: String,
    pub state: &'static str,
    pub started: Option<Moment>,
    pub runtime: Option<String>,
    pub kill_cost: Option<String>,
    pub expected_end: Option<Moment>,
    pub build: Option<String>,
    pub named_by: String,
}

/// One task.
pub fn task(living: &TaskView, now: Timestamp) -> Task {
    let named: Vec<String> = living.named_by.iter().map(|source| source.as_str().replace('_', " ")).collect();
    Task {
        name: if living.name.is_empty() { living.id.clone() } else { living.name.clone() },
        id: living.id.clone(),
        framework: living.framework.clone(),
        class: living.class.into(),
        rule: living.rule.clone().unwrap_or_else(|| "no rule knows it, so it must finish".to_owned()),
        state: living.state.map_or("not told", words::task_state),
        started: living.started_at.map(|at| Moment::new(at, now)),
        runtime: living.runtime_seconds.map(words::seconds),
        kill_cost: living.kill_cost_seconds.map(|cost| words::kill_cost(cost, living.runtime_seconds)),
        expected_end: living.expected_end.map(|at| Moment::new(at, now)),
        build: living.build.clone(),
        named_by: named.join(" and "),
    }
}

/// What is known about emptiness, in a sentence: an empty list alone proves nothing.
pub fn story(node: &NodeDetail, now: Timestamp) -> String {
    let tasks = &node.living_tasks;
    let named = |source: Source| tasks.tasks.iter().filter(|task| task.named_by.contains(&source)).count();
    let view = |source, who: &str, known: Option<bool>, empty_since: Option<Timestamp>| {
        let length = empty_since.map(|since| words::length(now.duration_since(since)));
        match (known, length, named(source)) {
            (None, None, _) => None,
            (None, Some(length), _) => {
                Some(format!("{who} has seen no container of anybody's work for {length}"))
            }
            (Some(false), _, _) => Some(format!("{who} cannot tell")),
            (Some(true), Some(length), _) => Some(format!("{who} has seen it empty for {length}")),
            (Some(true), None, 0) => Some(format!("{who} names no task and has not seen it empty yet")),
            (Some(true), None, tasks) => Some(format!("{who} names {}", words::count(tasks, "task"))),
        }
    };
    let stories: Vec<String> = [
        view(Source::Agent, "the node's agent", tasks.agent_known, tasks.agent_empty_since),
        view(Source::MesosMaster, "the Mesos master", tasks.master_known, tasks.master_empty_since),
        jenkins_story(node, now),
    ]
    .into_iter()
    .flatten()
    .collect();
    if stories.is_empty() {
        "No source tells what runs here.".to_owned()
    } else {
        capital(&format!("{}.", stories.join("; ")))
    }
}

fn jenkins_story(node: &NodeDetail, now: Timestamp) -> Option<String> {
    let tasks = &node.living_tasks;
    let length = tasks.jenkins_empty_since.map(|since| words::length(now.duration_since(since)));
    Some(match (tasks.jenkins_known?, length, tasks.builds.len()) {
        (false, ..) => "Jenkins does not answer".to_owned(),
        (true, Some(length), 0) => format!("Jenkins has run nothing on it for {length}"),
        (true, _, 0) => "Jenkins runs nothing on it".to_owned(),
        (true, _, builds) => format!("Jenkins runs {} on it", words::count(builds, "build")),
    })
}

/// Builds that no living task is at work on, each in a sentence.
pub fn other_builds(node: &NodeDetail, now: Timestamp) -> Vec<String> {
    let alone = node.living_tasks.builds.iter().filter(|build| build.task.is_none());
    let tell = |build: &BuildView| {
        let end = build.expected_end.filter(|end| *end > now);
        let end = end.map_or_else(String::new, |end| {
            format!(", usually done in {}", words::length(end.duration_since(now)))
        });
        format!("Jenkins runs {} on its computer {}{end}", build.name, build.computer)
    };
    alone.map(tell).collect()
}

/// How many tasks live there; `None` when nobody could tell.
pub fn count_told(node: &NodeDetail) -> Option<usize> {
    let tasks = &node.living_tasks;
    let is_told = [tasks.agent_known, tasks.master_known].contains(&Some(true)) || !tasks.tasks.is_empty();
    is_told.then_some(tasks.tasks.len())
}
