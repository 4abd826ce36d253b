//! How many nodes may be away at once, and the brake on taking more.

use crate::{
    action::Action,
    case::{Case, Subject},
    code::Code,
    policy::Class,
    verdict::{Reason, Severity},
};
use millwright_protocol::NodeName;
use std::collections::BTreeSet;

/// Nodes of the request by class, those that are known to be out already left aside: they cost nothing more.
fn newly_taken<'a>(subjects: &[Subject<'a>]) -> Vec<(Class, Vec<Subject<'a>>)> {
    let classes: BTreeSet<Class> = subjects.iter().map(|subject| subject.listed.class).collect();
    classes
        .into_iter()
        .map(|class| {
            let of_class = |subject: &&Subject<'a>| subject.listed.class == class && !subject.is_known_out;
            (class, subjects.iter().filter(of_class).copied().collect::<Vec<_>>())
        })
        .filter(|(_, of_class)| !of_class.is_empty())
        .collect()
}

/// How many the set would be with the nodes added that are not in it yet.
fn with<'a, 'b: 'a>(set: &BTreeSet<NodeName>, added: impl Iterator<Item = &'a Subject<'b>>) -> u32 {
    let newly = added.filter(|subject| !set.contains(subject.name)).count();
    u32::try_from(set.len() + newly).unwrap_or(u32::MAX)
}

/// Agents out ≤ max(1, 10 %), one master. Masters are guarded by their quorum as well.
pub(crate) fn budget_spent(case: &Case<'_>, subjects: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    if !case.action().ends_tasks() {
        return;
    }
    for (class, taken) in newly_taken(subjects).into_iter().filter(|(class, _)| *class != Class::Master) {
        let counts = case.snapshot.counts.class(class);
        let Some(limit) = taken.first().map(|subject| subject.class.out.of(counts.listed)) else { continue };
        // The silence of a node is its own question, whatever the budget.
        let costly: Vec<&Subject<'_>> = taken.iter().filter(|subject| !subject.is_silent).collect();
        if costly.is_empty() || with(&counts.out, costly.iter().copied()) <= limit {
            continue;
        }
        // A broken node may be repaired whatever the budget; one that nobody knows to be broken may not.
        let doubtful: Vec<&str> = costly
            .iter()
            .filter(|subject| counts.out.contains(subject.name))
            .map(|subject| subject.display())
            .collect();
        let doubt = match doubtful.join(", ") {
            none if none.is_empty() => none,
            names => format!("; {names} among them, not known to be broken"),
        };
        reasons.push(
            Reason::new(
                Code::BudgetSpent,
                Severity::Wait,
                format!(
                    "{} of {} {class} nodes are out, {limit} may be{doubt}",
                    counts.out.len(),
                    counts.listed
                ),
                "another node of the class proven healthy",
            )
            .fact("out", spell_some(case, &counts.out), "fleet", 0)
            .fact("limit", limit, "policy", 0),
        );
    }
}

/// Draining and still building ≤ max(2, 10 %), on top of those that are out.
pub(crate) fn drain_budget(case: &Case<'_>, subjects: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    if case.action() != Action::Drain {
        return;
    }
    for (class, taken) in newly_taken(subjects) {
        let counts = case.snapshot.counts.class(class);
        let Some(limit) = taken.first().map(|subject| subject.class.draining.of(counts.listed)) else {
            continue;
        };
        if with(&counts.draining, taken.iter()) <= limit {
            continue;
        }
        reasons.push(
            Reason::new(
                Code::DrainBudget,
                Severity::Wait,
                format!("{} {class} nodes are draining, {limit} may be", counts.draining.len()),
                "the end of another drain",
            )
            .fact("draining", spell_some(case, &counts.draining), "operations", 0)
            .fact("limit", limit, "policy", 0),
        );
    }
}

/// Operations take nodes of one zone at a time out of a class; nodes without a zone are not bound.
pub(crate) fn other_zone_out(case: &Case<'_>, subjects: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    if !case.action().is_disruptive() {
        return;
    }
    for (class, taken) in newly_taken(subjects) {
        let counts = case.snapshot.counts.class(class);
        let wanted: BTreeSet<&str> =
            taken.iter().filter_map(|subject| subject.listed.zone.as_deref()).collect();
        let away = counts
            .taken
            .iter()
            .filter(|(_, nodes)| nodes.iter().any(|node| !case.request.nodes.contains(node)))
            .map(|(zone, _)| zone.as_str());
        let zones: BTreeSet<&str> = wanted.iter().copied().chain(away).collect();
        if wanted.is_empty() || zones.len() <= 1 {
            continue;
        }
        let spelled = zones.iter().copied().collect::<Vec<_>>().join(", ");
        reasons.push(
            Reason::new(
                Code::OtherZoneOut,
                Severity::Wait,
                format!("operations take {class} nodes out of one zone at a time, and this would make it {spelled}"),
                "the return of the nodes in the other zone",
            )
            .fact("zones", spelled, "operations", 0),
        );
    }
}

/// The storm brake stops removals of healthy nodes, never repairs.
pub(crate) fn brake_tripped(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let Some(brake) = case.snapshot.brakes.get(&subject.listed.class) else { return };
    if !case.action().is_disruptive() || subject.is_known_out {
        return;
    }
    reasons.push(
        Reason::new(
            Code::BrakeTripped,
            Severity::NeedsPeople,
            format!("the storm brake of class {} is on: {}", subject.listed.class, brake.why),
            "a person who resets the brake once the cause is known",
        )
        .owner("operators")
        .since(Some(brake.since))
        .fact("brake", &brake.why, "fleet", case.age(brake.since)),
    );
}

/// Quiet time after a return, so that a bad change shows on one node before the next one goes.
pub(crate) fn settling(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !case.action().is_disruptive() {
        return;
    }
    let counts = case.snapshot.counts.class(subject.listed.class);
    let Some((at, returned)) = &counts.last_return else { return };
    let Some(until) = at.checked_add(subject.class.settle).ok().filter(|until| case.now < *until) else {
        return;
    };
    reasons.push(
        Reason::new(
            Code::Settling,
            Severity::Wait,
            format!("{} has just come back and is given time to settle", case.policy.spell(returned)),
            "the end of the settle time",
        )
        .since(Some(*at))
        .expected_at(Some(until))
        .fact("returned", case.policy.spell(returned), "operations", case.age(*at)),
    );
}

/// The last in-service node that can do something goes only with a person's yes.
pub(crate) fn last_of_label(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !case.action().is_disruptive() || subject.listed.labels.is_empty() {
        return;
    }
    // What is known to be out serves nobody; what is merely not proven to serve may be all there is.
    let serves_nobody = subject.is_known_out || subject.is_silent;
    if serves_nobody || super::protection::granted(case, Code::LastOfLabel) {
        return;
    }
    for label in &subject.listed.labels {
        let capable = case.snapshot.counts.capable.get(label).copied().unwrap_or(0);
        let asked = case.request.nodes.iter().filter(|name| offers(case, name, label)).count();
        if u64::from(capable) > u64::try_from(asked).unwrap_or(u64::MAX) {
            continue;
        }
        reasons.push(
            Reason::new(
                Code::LastOfLabel,
                Severity::NeedsPeople,
                format!("no other node in service has the label {label}"),
                "another node with the label in service, or a person who does without it",
            )
            .owner("operators")
            .fact("label", label, "policy", 0)
            .fact("capable", capable, "fleet", 0),
        );
    }
}

fn offers(case: &Case<'_>, name: &NodeName, label: &str) -> bool {
    case.policy.nodes.get(name).is_some_and(|node| node.labels.contains(label))
        && case.snapshot.nodes.get(name).is_some_and(|node| node.is_proven_healthy(case.now))
        && !case.snapshot.is_taken(name)
}

/// Two operations on one node would undo each other.
pub(crate) fn operation_running(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    // A drain that has done its work is where others go on from.
    let other = case
        .snapshot
        .operations
        .on(subject.name)
        .find(|operation| !case.is_own(operation) && !operation.is_parked);
    let Some(other) = other.filter(|_| case.action().is_disruptive()) else { return };
    reasons.push(
        Reason::new(
            Code::OperationRunning,
            Severity::Wait,
            format!("{} is in the {} {} of {}", subject.display(), other.action, other.id, other.requester),
            "the end of that operation",
        )
        .owner(other.requester.clone())
        .since(Some(other.since))
        .fact("operation", &other.id, "operations", case.age(other.since)),
    );
}

/// At most five names, then how many more.
fn spell_some(case: &Case<'_>, nodes: &BTreeSet<NodeName>) -> String {
    let mut names: Vec<&str> = nodes.iter().take(5).map(|name| case.policy.spell(name)).collect();
    let more = format!("{} more", nodes.len().saturating_sub(names.len()));
    if nodes.len() > names.len() {
        names.push(&more);
    }
    names.join(", ")
}
