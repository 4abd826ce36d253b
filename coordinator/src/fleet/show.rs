//! Views of the fleet, built from records and snapshot when somebody looks.

mod attention;
mod checklist;
mod detail;
mod diagnosis;
mod outside;
pub(super) use outside::cloud;

pub(super) use detail::node;

use super::{
    Fleet,
    age::{since_of, state_of},
};
use crate::{
    view::{
        BrakeView, ClassView, FleetView, NodeState, NodeSummary, OwnTrouble, PauseView, SourceView,
        SourceWord, WarmUpView,
    },
    words,
};
use jiff::Timestamp;
use millwright_decision::{
    Class, Node, NodePolicy, Source, TaskClass,
    fleet::{PATIENCE, STALE},
};
use millwright_protocol::{Finding, NodeName, Status, finding_id};
use std::collections::BTreeMap;

/// See [`Fleet::fleet_view`].
pub(super) fn fleet(fleet: &Fleet, now: Timestamp, own_troubles: Vec<OwnTrouble>) -> FleetView {
    let snapshot = &fleet.snapshot;
    let policy = &fleet.policy;
    let spell = |name: &NodeName| policy.spell(name).to_owned();
    let classes: Vec<ClassView> =
        Class::ALL.iter().filter_map(|class| class_view(fleet, *class, now)).collect();
    let unlisted = snapshot
        .nodes
        .keys()
        .filter(|name| !policy.nodes.contains_key(*name))
        .map(|name| summary(fleet, name, now))
        .collect();
    let mut view = FleetView {
        cluster: policy.cluster.clone(),
        asked_at: now,
        started_at: snapshot.started_at,
        warming_up: snapshot.warm_up.as_ref().map(|warm_up| WarmUpView {
            since: warm_up.since,
            rounds: warm_up.rounds,
            missing: warm_up.missing.iter().map(spell).collect(),
        }),
        paused: snapshot.pause.as_ref().map(|pause| PauseView {
            since: pause.since,
            by: pause.by.clone(),
            reason: pause.reason.clone(),
        }),
        brakes: snapshot
            .brakes
            .iter()
            .map(|(class, brake)| BrakeView { class: *class, since: brake.since, why: brake.why.clone() })
            .collect(),
        sources: sources(fleet, now),
        policy: (&**policy).into(),
        not_configured: not_configured(fleet),
        outside_blamed: snapshot.counts.blamed.iter().cloned().collect(),
        leader_changed_at: snapshot.leader_changed_at.filter(|at| now.duration_since(*at) < PATIENCE),
        own_troubles,
        attention: Vec::new(),
        classes,
        unlisted,
    };
    view.attention = attention::list(fleet, &view, now);
    view
}

fn class_view(fleet: &Fleet, class: Class, now: Timestamp) -> Option<ClassView> {
    let nodes: Vec<NodeSummary> =
        fleet.policy.nodes_of(class).map(|(name, _)| summary(fleet, name, now)).collect();
    let policy = fleet.policy.classes.get(&class);
    if nodes.is_empty() {
        return None;
    }
    let counts = fleet.snapshot.counts.class(class);
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let out = count(counts.out.len());
    Some(ClassView {
        class,
        mode: policy.map_or(millwright_decision::Mode::Observe, |policy| policy.mode),
        listed: counts.listed,
        in_service: counts.listed.saturating_sub(out),
        out,
        may_be_out: policy.map_or(0, |policy| policy.out.of(counts.listed)),
        draining: count(counts.draining.len()),
        nodes,
    })
}

/// Sources that no class requires and nobody asks; none where no policy says which those are.
fn not_configured(fleet: &Fleet) -> Vec<Source> {
    if !fleet.policy.is_known() {
        return Vec::new();
    }
    let is_required = |source: &Source| {
        fleet
            .policy
            .classes
            .iter()
            .any(|(class, policy)| *class != Class::Physical && policy.required.contains(source))
    };
    let is_asked = |source: &Source| fleet.snapshot.sources.contains_key(source);
    Source::ALL.iter().copied().filter(|source| !is_required(source) && !is_asked(source)).collect()
}

/// Sources that some class requires or that are asked all the same; none where no policy says which those are.
fn sources(fleet: &Fleet, now: Timestamp) -> Vec<SourceView> {
    if !fleet.policy.is_known() {
        return Vec::new();
    }
    let missing = not_configured(fleet);
    Source::ALL
        .iter()
        .copied()
        .filter(|source| !missing.contains(source))
        .map(|source| match source {
            Source::Agent => agents(fleet, now),
            source => heard(fleet, source, now),
        })
        .collect()
}

fn heard(fleet: &Fleet, source: Source, now: Timestamp) -> SourceView {
    let state = fleet.snapshot.sources.get(&source);
    let last_answer = state.and_then(|state| state.last_answer);
    let unknown_since = state.map_or(Some(fleet.snapshot.started_at), |state| state.unknown_since);
    let error = match source {
        Source::MesosMaster => fleet.mesos.error.as_deref(),
        source => fleet.outside.error(source),
    };
    let sentence = match (unknown_since, last_answer, error) {
        (None, _, None) => match (&fleet.mesos.leader, source) {
            (Some(leader), Source::MesosMaster) => {
                format!("Mesos {} answers, led by {leader}", fleet.mesos.version)
            }
            _ => fleet
                .outside
                .sentence(source)
                .map_or_else(|| format!("{} answers", source.title()), str::to_owned),
        },
        (None, _, Some(error)) => format!("{} answers, though not the last time: {error}", source.title()),
        (Some(_), None, error) => {
            format!("{} has not answered since the start{}", source.title(), colon(error))
        }
        (Some(_), Some(_), error) => format!("{} does not answer{}", source.title(), colon(error)),
    };
    let state = if unknown_since.is_none() { SourceWord::Fresh } else { SourceWord::Unknown };
    let details = outside::details(fleet, source, now);
    SourceView { source, state, last_answer, unknown_since, sentence, details }
}

fn colon(error: Option<&str>) -> String {
    error.map_or_else(String::new, |error| format!(": {error}"))
}

fn agents(fleet: &Fleet, now: Timestamp) -> SourceView {
    let ats = fleet.snapshot.nodes.values().filter_map(|node| node.agent.as_ref()).map(|agent| agent.at);
    let last_answer = ats.clone().max();
    let fresh = ats.filter(|at| now.duration_since(*at) <= STALE).count();
    let listed = fleet.policy.nodes.values().filter(|node| node.class != Class::Physical).count();
    SourceView {
        source: Source::Agent,
        state: if fresh > 0 { SourceWord::Fresh } else { SourceWord::Unknown },
        last_answer,
        unknown_since: (fresh == 0).then(|| last_answer.unwrap_or(fleet.snapshot.started_at)),
        sentence: format!("{fresh} of {listed} nodes report"),
        details: Vec::new(),
    }
}

/// One node in one line.
pub(super) fn summary(fleet: &Fleet, name: &NodeName, now: Timestamp) -> NodeSummary {
    let node = fleet.snapshot.nodes.get(name).map(Box::as_ref);
    let record = fleet.records.get(name).map(Box::as_ref);
    let listed = fleet.policy.nodes.get(name);
    let state = state_of(&fleet.policy, &fleet.snapshot, name, node, now);
    let counts = record.map(|record| record.counts).unwrap_or_default();
    let worst = worst_finding(fleet, name);
    let since = match (state, record.and_then(|record| record.state)) {
        (NodeState::NeverHeard, _) => Some(fleet.snapshot.started_at),
        (_, Some((known, since))) if known == state => Some(since),
        (NodeState::Unlisted | NodeState::Physical, _) => None,
        _ => node.filter(|node| node.agent.is_some()).map(|node| since_of(state, node, now)),
    };
    NodeSummary {
        name: fleet.policy.spell(name).to_owned(),
        key: name.as_str().to_owned(),
        class: listed.map(|listed| listed.class),
        zone: listed.and_then(|listed| listed.zone.clone()),
        protections: listed.map(|listed| listed.protections.iter().copied().collect()).unwrap_or_default(),
        state,
        since,
        sentence: sentence(state, node, listed, worst.as_ref(), now),
        finding: worst.as_ref().map(|finding| finding_name(fleet, name, finding)),
        worst: worst_status(&counts),
        findings: counts,
        tasks: node.and_then(task_counts),
        disk: record.and_then(|record| record.disk.clone()),
        report_age_seconds: node
            .and_then(|node| node.report_age(now))
            .map(|age| age.as_secs().unsigned_abs()),
        identity_changed_at: node.and_then(|node| node.identity_changed.as_ref()).map(|(at, _)| *at),
        mesos: node.and_then(|node| node.master.as_ref()).map(|view| view.listing.as_str().to_owned()),
    }
}

/// A finding's id with the node as policy spells it.
pub(super) fn finding_name(fleet: &Fleet, name: &NodeName, finding: &Finding) -> String {
    finding_id(fleet.policy.spell(name), &finding.check, finding.item.as_deref())
}

/// The finding to show first: the worst, a gating one before others, the oldest first. `None` when all are `ok`.
fn worst_finding(fleet: &Fleet, name: &NodeName) -> Option<Finding> {
    let record = fleet.records.get(name)?;
    if record.counts.warn + record.counts.unknown + record.counts.crit == 0 {
        return None;
    }
    let findings = record.packed.findings(&fleet.words);
    findings.into_iter().filter(|finding| finding.status != Status::Ok).max_by(|a, b| {
        (a.status, a.gating, std::cmp::Reverse(a.since)).cmp(&(
            b.status,
            b.gating,
            std::cmp::Reverse(b.since),
        ))
    })
}

fn worst_status(counts: &crate::view::FindingCounts) -> Option<Status> {
    [
        (counts.crit, Status::Crit),
        (counts.unknown, Status::Unknown),
        (counts.warn, Status::Warn),
        (counts.ok, Status::Ok),
    ]
    .into_iter()
    .find(|(count, _)| *count > 0)
    .map(|(_, status)| status)
}

fn sentence(
    state: NodeState,
    node: Option<&Node>,
    listed: Option<&NodePolicy>,
    worst: Option<&Finding>,
    now: Timestamp,
) -> String {
    let agent = node.and_then(|node| node.agent.as_ref());
    let age = agent.map(|agent| now.duration_since(agent.at));
    let ssh = match node.and_then(|node| node.ssh.as_ref()).map(|probe| probe.answered) {
        Some(Some(true)) => ", but ssh answers",
        Some(Some(false)) => ", and ssh does not answer",
        Some(None) => ", and its ssh could not be tried",
        None => "",
    };
    match state {
        NodeState::KnownDead => {
            let why = node.and_then(|node| node.known_dead.as_deref()).unwrap_or_default();
            format!("a person said that it is dead: {why}")
        }
        NodeState::Quarantined => "stopped, waiting for its deletion".into(),
        NodeState::NeverHeard => format!("no report has ever come{ssh}"),
        NodeState::Silent | NodeState::Stale => {
            format!("last report {} ago{ssh}", words::length(age.unwrap_or_default()))
        }
        NodeState::Physical => "seen through Mesos only; other people run it".into(),
        NodeState::Unlisted if age.is_none() => "Mesos knows it, the policy does not list it".into(),
        NodeState::Unlisted => "it reports, and the policy does not list it".into(),
        _ => worst.map(|finding| finding.sentence.clone()).unwrap_or_else(|| match state {
            NodeState::Verifying => "two clean reports 60 s apart since its boot are still awaited".into(),
            NodeState::Sick | NodeState::Unknown => {
                agent.and_then(|agent| agent.gating.first()).map_or_else(String::new, |f| f.sentence.clone())
            }
            NodeState::Out => "an operation has taken it".into(),
            NodeState::Draining => "an operation is draining it".into(),
            _ if listed.is_some() => "all is well".into(),
            _ => String::new(),
        }),
    }
}

/// Living tasks by class, whoever names them; `None` when nobody who would know has been heard.
fn task_counts(node: &Node) -> Option<BTreeMap<TaskClass, u32>> {
    let own = node.agent.as_ref().and_then(|agent| agent.tasks.known());
    if own.is_none() && node.master.is_none() {
        return None;
    }
    let own = own.into_iter().flatten();
    let listed = node.master.iter().flat_map(|view| &view.tasks);
    let by_id: BTreeMap<&str, TaskClass> =
        listed.chain(own).map(|task| (task.id.as_str(), task.class)).collect();
    let mut counts = BTreeMap::new();
    for class in by_id.into_values() {
        *counts.entry(class).or_default() += 1;
    }
    Some(counts)
}
