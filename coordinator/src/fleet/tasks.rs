//! Tasks and containers: told apart by policy, compared between the two views, watched for emptiness.
//!
//! Empty means: no living task that is not disposable, and no container of a task or of nobody. One observation that
//! finds something, or cannot tell, ends a stretch of emptiness; so does a minute without an observation.

use super::report::{ago, takes_tasks};
use jiff::Timestamp;
use millwright_decision::{
    Class, Node, Policy, TaskClass, TaskMatch,
    fleet::{AgentView, Containers, EmptySpan, NodeTask, STALE, StrayContainer, View},
};
use millwright_protocol::{ContainerRole, Facts, Report, Task};

/// Facts that were older than this when they were reported are no longer known.
fn is_old(age_seconds: u64) -> bool {
    age_seconds > STALE.as_secs().unsigned_abs()
}

/// Living tasks of the node's own Mesos agent.
pub(super) fn own_tasks(
    policy: &Policy,
    class: Option<Class>,
    facts: &Facts,
    before: &[NodeTask],
) -> View<Vec<NodeTask>> {
    match &facts.mesos_agent {
        Some(agent) if !is_old(agent.age_seconds) => {
            View::Known(told_apart(policy, agent.tasks.iter(), before))
        }
        None if !takes_tasks(policy, class) => View::NotConfigured,
        _ => View::Unknown,
    }
}

/// Living tasks by their ids, each told apart by policy. What a task of the same id was before, it still is, so most
/// tasks meet the rules once.
pub(super) fn told_apart<'a>(
    policy: &Policy,
    tasks: impl Iterator<Item = &'a Task>,
    before: &[NodeTask],
) -> Vec<NodeTask> {
    let known = |task: &Task| {
        let place = before.binary_search_by(|known| known.id.as_str().cmp(&task.id)).ok()?;
        before.get(place).filter(|known| known.name == task.name && known.framework == task.framework)
    };
    let mut told: Vec<NodeTask> = tasks
        .filter(|task| task.state.is_living())
        .map(|task| known(task).cloned().unwrap_or_else(|| tell_apart(policy, task)))
        .collect();
    told.sort_by(|a, b| a.id.cmp(&b.id));
    told.dedup_by(|a, b| a.id == b.id);
    told
}

fn tell_apart(policy: &Policy, task: &Task) -> NodeTask {
    let (class, rule) = policy.tasks.classify(TaskMatch {
        id: &task.id,
        name: &task.name,
        framework: &task.framework,
        role: task.role.as_deref().unwrap_or_default(),
        cpus: task.resources.cpus,
    });
    NodeTask {
        id: task.id.clone(),
        name: task.name.clone(),
        framework: task.framework.clone(),
        class,
        rule: rule.map(|rule| rule.name.clone()),
        started_at: task.started_at_secs.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        warm_up_seconds: rule.map_or(0, |rule| rule.warm_up_seconds),
        owner: rule.and_then(|rule| rule.owner.clone()),
    }
}

/// Whether two sorted lists name the same tasks.
pub(super) fn same(one: &[NodeTask], other: &[NodeTask]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.id == other.id)
}

/// Running containers that matter. A Docker that is looked at and gives no list is unknown, not absent.
pub(super) fn containers(report: &Report) -> View<Containers> {
    let Some(facts) = &report.facts.containers else {
        let is_watched = report.findings.iter().any(|finding| finding.check == "docker");
        return if is_watched { View::Unknown } else { View::NotConfigured };
    };
    if is_old(facts.age_seconds) {
        return View::Unknown;
    }
    let mut seen = Containers::default();
    for container in facts.containers.iter().filter(|container| container.is_running()) {
        match container.role {
            ContainerRole::Infrastructure => {}
            ContainerRole::Task => seen.of_tasks += 1,
            ContainerRole::Orphan | ContainerRole::Other => seen
                .stray
                .push(StrayContainer { name: container.name.clone(), image: container.image.clone() }),
        }
    }
    View::Known(seen)
}

/// Continues or ends the stretch in which the node itself says that it is empty.
pub(super) fn watch_own_emptiness(node: &mut Node, agent: &AgentView, facts: &Facts, now: Timestamp) {
    let looked = [
        facts.mesos_agent.as_ref().map(|facts| facts.age_seconds),
        facts.containers.as_ref().map(|facts| facts.age_seconds),
    ];
    let oldest = looked.into_iter().flatten().max().unwrap_or(0);
    node.agent_empty = watch(node.agent_empty, is_empty(agent), ago(now, oldest));
}

/// The same, where the node has said once more what it is known to have said.
pub(super) fn watch_emptiness_again(node: &mut Node, seen_at: Timestamp) {
    node.agent_empty = watch(node.agent_empty, node.agent.as_ref().is_some_and(is_empty), seen_at);
}

/// A container of a task is explained when every living task is disposable, and there is one.
fn is_empty(agent: &AgentView) -> bool {
    let (has_work, has_spare_work) = match &agent.tasks {
        View::Unknown => return false,
        // Who looks at nothing sees nothing, and that is no emptiness.
        View::NotConfigured if agent.containers == View::NotConfigured => return false,
        View::NotConfigured => (false, false),
        View::Known(tasks) => (!all_disposable(tasks), !tasks.is_empty()),
    };
    let containers_empty = match &agent.containers {
        View::Unknown => false,
        View::NotConfigured => true,
        View::Known(containers) => {
            containers.stray.is_empty() && (containers.of_tasks == 0 || has_spare_work)
        }
    };
    !has_work && containers_empty
}

pub(super) fn all_disposable(tasks: &[NodeTask]) -> bool {
    tasks.iter().all(|task| task.class == TaskClass::Disposable)
}

/// One more observation of a stretch.
pub(super) fn watch(span: Option<EmptySpan>, is_empty: bool, seen_at: Timestamp) -> Option<EmptySpan> {
    let goes_on = |span: &EmptySpan| seen_at.duration_since(span.last) <= STALE;
    is_empty.then(|| match span.filter(goes_on) {
        Some(span) => EmptySpan { first: span.first, last: span.last.max(seen_at) },
        None => EmptySpan { first: seen_at, last: seen_at },
    })
}

/// Notes since when the node's own Mesos agent and the master name different tasks.
pub(super) fn compare_views(node: &mut Node, now: Timestamp) {
    let own = node.agent.as_ref().and_then(|agent| agent.tasks.known());
    let differ = match (own, &node.master) {
        (Some(own), Some(master)) => !same(own, &master.tasks),
        _ => false,
    };
    node.views_disagree_since = differ.then(|| node.views_disagree_since.unwrap_or(now));
}

/// Tasks of which only the remembered form is at hand, under a policy that has changed: protected until they are named
/// again, since what a rule looks at may be missing from that form.
pub(super) fn protect_all(tasks: &mut [NodeTask]) {
    for task in tasks {
        task.class = TaskClass::Protected;
        task.rule = None;
    }
}
