//! R3, R4, R24: three masters, of which two always work.

use crate::{
    case::{Case, Subject, spell},
    code::Code,
    fleet::{Node, PATIENCE},
    policy::Class,
    verdict::{Reason, Severity},
};
use jiff::Timestamp;
use millwright_protocol::NodeName;

/// R3, R4: a master goes only while all others have been without gating trouble for 10 min, and enough of them remain.
pub(crate) fn master_quorum(case: &Case<'_>, subjects: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    if !case.action().is_disruptive() || !subjects.iter().any(Subject::is_master) {
        return;
    }
    let listed = &case.snapshot.counts.masters;
    let others: Vec<&NodeName> = listed.iter().filter(|name| !case.request.nodes.contains(*name)).collect();
    let needed = listed.len() / 2 + 1;
    let troubled: Vec<&NodeName> =
        others.iter().filter(|name| ready_at(case, name).is_none_or(|at| case.now < at)).copied().collect();
    if troubled.is_empty() && others.len() >= needed {
        return;
    }
    // Only when each of them has merely to wait out its ten minutes is there a moment to name.
    let ready: Option<Vec<Timestamp>> = others.iter().map(|name| ready_at(case, name)).collect();
    let expected = ready.filter(|_| others.len() >= needed).and_then(|moments| moments.into_iter().max());
    let names: Vec<&str> = troubled.iter().map(|name| case.policy.spell(name)).collect();
    let sentence = if names.is_empty() {
        format!("only {} masters would stay, and {needed} of {} are needed", others.len(), listed.len())
    } else {
        format!("the other masters must have been healthy for 10 min, and {} has not", names.join(", "))
    };
    let mut reason = Reason::new(
        Code::MasterQuorum,
        Severity::Wait,
        sentence,
        "10 min of all other masters without gating trouble",
    )
    .rule("R4")
    .expected_at(expected)
    .fact("others_needed", needed, "policy", 0);
    for name in troubled {
        let story = case
            .snapshot
            .nodes
            .get(name)
            .map_or_else(|| "never heard of".to_owned(), |node| trouble(case, node));
        reason = reason.fact(case.policy.spell(name), story, "agent", 0);
    }
    reasons.push(reason);
}

/// When a master has been healthy for long enough; `None` while it is not healthy at all.
fn ready_at(case: &Case<'_>, name: &NodeName) -> Option<Timestamp> {
    let node = case.snapshot.nodes.get(name)?;
    if case.snapshot.is_taken(name) || node.is_uncounted() || !node.is_proven_healthy(case.now) {
        return None;
    }
    node.agent.as_ref()?.healthy_since?.checked_add(PATIENCE).ok()
}

fn trouble(case: &Case<'_>, node: &Node) -> String {
    let Some(agent) = &node.agent else { return "never heard of".to_owned() };
    if !node.is_fresh(case.now) {
        return format!("last report {} ago", spell(case.now.duration_since(agent.at)));
    }
    match agent.gating.first() {
        Some(finding) => finding.sentence.clone(),
        None if agent.verified_at.is_none() => "not verified since its boot".to_owned(),
        None => "healthy, for less than 10 min".to_owned(),
    }
}

/// R24: while a master is out, nothing else is taken; returns and the repair of silent nodes go on.
pub(crate) fn master_out(case: &Case<'_>, _: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !case.action().is_disruptive() {
        return;
    }
    let out = &case.snapshot.counts.class(Class::Master).out;
    let Some(master) = out.iter().find(|master| !case.request.nodes.contains(*master)) else { return };
    let name = case.policy.spell(master);
    let story = case
        .snapshot
        .nodes
        .get(master)
        .map_or_else(|| "never heard of".to_owned(), |node| trouble(case, node));
    reasons.push(
        Reason::new(
            Code::MasterOut,
            Severity::Wait,
            format!("{name} is out, and the ensemble survives the loss of one master only"),
            format!("{name} proven healthy"),
        )
        .rule("R24")
        .fact(name, story, "fleet", 0),
    );
}
