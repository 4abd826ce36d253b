//! R21: a node that is silent for good. A person names what is lost; then it may be rebooted from outside.

use crate::{
    action::Action,
    case::{Case, Subject, spell},
    code::Code,
    fleet::Listing,
    policy::TaskClass,
    verdict::{Reason, Severity},
};

/// The one question that replaces those a silent node cannot answer.
pub(crate) fn silent_node(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !subject.is_silent {
        return;
    }
    let unnamed: Vec<&str> = super::tasks::living(subject)
        .into_iter()
        .filter(|task| task.class != TaskClass::Disposable && !is_named(case, &task.id))
        .map(|task| task.id.as_str())
        .collect();
    if super::protection::granted(case, Code::SilentNode) && unnamed.is_empty() {
        return;
    }
    let node = subject.node;
    let ssh = node.and_then(|node| node.ssh.as_ref());
    let tried = ssh.map_or_else(|| "no answer on TCP 22".to_owned(), |probe| probe.story.to_string());
    let age = node.and_then(|node| node.report_age(case.now)).unwrap_or_default();
    let lost = if unnamed.is_empty() {
        String::new()
    } else {
        format!("; last known tasks: {}", unnamed.join(", "))
    };
    let listing = node.and_then(|node| node.master.as_ref()).map_or(Listing::Absent, |view| view.listing);
    reasons.push(
        Reason::new(
            Code::SilentNode,
            Severity::NeedsPeople,
            format!(
                "{} has been silent for {} and does not answer ssh: {tried}{lost}",
                subject.display(),
                spell(age)
            ),
            "a person who has it rebooted from outside and names every task that is lost",
        )
        .rule("R21")
        .owner("operators")
        .since(node.and_then(|node| node.agent.as_ref()).map(|agent| agent.at))
        .fact("last_report_seconds", age.as_secs(), "agent", crate::case::seconds(age))
        .fact("ssh", &tried, "coordinator", ssh.map_or(0, |probe| case.age(probe.at)))
        .fact("mesos_listing", listing.as_str(), "mesos_master", 0),
    );
}

fn is_named(case: &Case<'_>, task: &str) -> bool {
    case.operation.is_some_and(|own| own.grants.iter().any(|grant| grant.task.as_deref() == Some(task)))
}

/// Silent nodes are repaired one at a time: several at once are more likely the network than the nodes.
pub(crate) fn silent_repair_running(case: &Case<'_>, subjects: &[Subject<'_>], reasons: &mut Vec<Reason>) {
    let silent: Vec<&Subject<'_>> = subjects.iter().filter(|subject| subject.is_silent).collect();
    if silent.is_empty() || case.action() != Action::Reboot {
        return;
    }
    let other = case.snapshot.counts.silent_repairs.iter().find(|node| !case.request.nodes.contains(*node));
    let sentence = match other {
        Some(other) => {
            format!("{} is being repaired, and silent nodes go one at a time", case.policy.spell(other))
        }
        None if silent.len() > 1 => "silent nodes are repaired one at a time".to_owned(),
        None => return,
    };
    reasons.push(
        Reason::new(Code::SilentRepairRunning, Severity::Wait, sentence, "the end of the other repair").fact(
            "silent_nodes",
            silent.len(),
            "request",
            0,
        ),
    );
}
