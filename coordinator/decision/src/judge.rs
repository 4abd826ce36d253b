//! The one entry: asks every rule, keeps the worst, adds what is worth knowing.

use crate::{
    action::Request,
    case::{Case, Subject, seconds},
    code::Code,
    fleet::Snapshot,
    policy::{Class, Policy, Source},
    rules,
    verdict::{Capacity, Cost, Reason, Severity, TaskLost, Verdict},
};
use jiff::{Timestamp, TimestampRound, Unit};
use millwright_protocol::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// Whether the nodes of the request may be acted on now, and every reason why not.
///
/// Total: any request has an answer. The same arguments give the same answer, and neither the order nor the spelling
/// of nodes can matter, since the request holds a set of canonical names.
pub fn judge(request: &Request, snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Verdict {
    let case = Case::new(request, snapshot, policy, now);
    let mut reasons = Vec::new();
    let mut notes = Vec::new();
    let mut subjects = Vec::with_capacity(request.nodes.len());
    rules::policy::unreadable(&case, &mut reasons);
    let is_unreadable = !reasons.is_empty();
    let mut spelled = Vec::with_capacity(request.nodes.len());
    for name in &request.nodes {
        let listed = policy.nodes.get(name);
        spelled.push(listed.map_or(name.as_str(), |listed| listed.display.as_str()).to_owned());
        match rules::policy::admit(&case, name, listed) {
            Ok(subject) => subjects.push(subject),
            // What a policy that cannot be read lists, nobody knows; that it cannot be read objects enough.
            Err(reason) if is_unreadable && reason.code == Code::NodeUnlisted => {}
            Err(reason) => reasons.push(*reason),
        }
    }
    for subject in &subjects {
        rules::ask_about(&case, subject, &mut reasons);
        rules::notes::about(&case, subject, &mut notes);
    }
    rules::ask_about_all(&case, &subjects, &mut reasons);
    let cost = cost(&case, &subjects);
    rules::notes::about_all(&case, &cost, &mut notes);
    notes.sort();
    notes.dedup();
    let (reasons, verdict) = keep_the_worst(reasons);
    let waits: BTreeSet<Code> =
        reasons.iter().map(|reason| reason.code).filter(|code| code.clears_on_the_way()).collect();
    Verdict {
        action: request.action,
        nodes: spelled,
        verdict,
        may_start: Verdict::worst(reasons.iter().filter(|reason| !reason.code.clears_on_the_way())),
        asked_at: now
            .round(TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc))
            .unwrap_or(now),
        oldest_fact_seconds: oldest_fact(&case, &subjects),
        waits: waits.into_iter().collect(),
        notes,
        not_configured: not_configured(&subjects),
        cost,
        reasons,
    }
}

/// Worst first, in an order that depends on nothing but the reasons; beside a refusal the lesser ones are left out.
fn keep_the_worst(mut reasons: Vec<Reason>) -> (Vec<Reason>, Severity) {
    let verdict = Verdict::worst(reasons.iter());
    if verdict == Severity::Refused {
        reasons.retain(|reason| reason.severity == Severity::Refused);
    }
    reasons.sort_by(|a, b| {
        (b.severity, a.code, &a.node, &a.sentence).cmp(&(a.severity, b.code, &b.node, &b.sentence))
    });
    reasons.dedup();
    (reasons, verdict)
}

fn oldest_fact(case: &Case<'_>, subjects: &[Subject<'_>]) -> u64 {
    let ages =
        subjects.iter().filter_map(|subject| Some((subject, subject.node?))).flat_map(|(subject, node)| {
            let report = node.report_age(case.now).map(seconds);
            let master = node
                .master
                .as_ref()
                .filter(|_| subject.requires(Source::MesosMaster) && !subject.is_master());
            let jenkins = node.jenkins.as_ref().filter(|_| subject.requires(Source::Jenkins));
            [report, master.map(|view| case.age(view.at)), jenkins.map(|view| case.age(view.at))]
                .into_iter()
                .flatten()
        });
    ages.max().unwrap_or(0)
}

fn not_configured(subjects: &[Subject<'_>]) -> Vec<&'static str> {
    Source::ALL
        .iter()
        .filter(|source| subjects.iter().any(|subject| !subject.requires(**source)))
        .map(|source| source.as_str())
        .collect()
}

fn cost(case: &Case<'_>, subjects: &[Subject<'_>]) -> Cost {
    let mut cost = Cost::default();
    if case.action().ends_tasks() {
        cost.tasks_lost = subjects.iter().flat_map(|subject| tasks_lost(case, subject)).collect();
    }
    if case.action() == crate::Action::Rebuild {
        cost.images_to_pull_bytes = subjects
            .iter()
            .filter_map(|subject| subject.node?.agent.as_ref())
            .flat_map(|agent| agent.images.iter().map(|image| image.size_bytes))
            .sum();
    }
    if case.action().is_disruptive() {
        cost.capacity_left = capacity_left(case, subjects);
    }
    cost
}

fn tasks_lost(case: &Case<'_>, subject: &Subject<'_>) -> Vec<TaskLost> {
    rules::tasks::living(subject)
        .into_iter()
        .map(|task| {
            let runtime_seconds = task.started_at.map(|started| case.age(started));
            TaskLost {
                node: subject.display().to_owned(),
                id: task.id.clone(),
                name: task.name.clone(),
                framework: task.framework.clone(),
                class: task.class,
                runtime_seconds,
                kill_cost_seconds: runtime_seconds.map(|ran| ran + task.warm_up_seconds),
            }
        })
        .collect()
}

fn capacity_left(case: &Case<'_>, subjects: &[Subject<'_>]) -> BTreeMap<String, Capacity> {
    let mut wanted: BTreeMap<Class, Vec<&NodeName>> = BTreeMap::new();
    for subject in subjects {
        wanted.entry(subject.listed.class).or_default().push(subject.name);
    }
    wanted
        .into_iter()
        .map(|(class, names)| {
            let counts = case.snapshot.counts.class(class);
            let newly = names.iter().filter(|name| !counts.out.contains(**name)).count();
            let gone = u32::try_from(counts.out.len() + newly).unwrap_or(u32::MAX);
            (
                class.as_str().to_owned(),
                Capacity { listed: counts.listed, in_service: counts.listed.saturating_sub(gone) },
            )
        })
        .collect()
}
