//! The runbook's checklist (R8): the layers in the order in which a person would look, each with what was seen.

use super::super::report::takes_tasks;
use super::Fleet;
use crate::{
    view::{ChecklistItem, ChecklistState, OutsideView},
    words,
};
use jiff::Timestamp;
use millwright_decision::{Class, Node, Source};
use millwright_protocol::{Evidence, Finding, NodeName, Status};

/// A line that findings fill: the word, what it says when all is well, which checks belong to it.
const LINES: [(&str, &str, &[&str]); 6] = [
    ("puppet", "Puppet runs without errors", &["puppet"]),
    ("docker", "Docker answers", &["docker"]),
    ("container", "Required containers run", &["container", "containers"]),
    ("volume", "Volumes are mounted and have room", &["volume", "mount", "mounts", "space"]),
    ("mesos", "Mesos is well", &["mesos_agent", "mesos_master", "mesos"]),
    ("image", "Images are there", &["image", "images", "prepull"]),
];

/// The whole list for one node.
pub(super) fn list(
    fleet: &Fleet,
    name: &NodeName,
    findings: &[Finding],
    now: Timestamp,
) -> Vec<ChecklistItem> {
    let node = fleet.snapshot.nodes.get(name).map(Box::as_ref);
    let class = fleet.policy.nodes.get(name).map(|listed| listed.class);
    let mut items: Vec<ChecklistItem> = server(fleet, name, now).into_iter().collect();
    items.extend([report(node, now), ssh(node, now)]);
    items.extend(LINES.iter().map(|(step, title, checks)| from_findings(step, title, checks, findings)));
    if takes_tasks(&fleet.policy, class) && class.is_some() {
        items.insert(items.len() - 1, listed_by_mesos(node, now));
    }
    items.extend(foreman(fleet, name, now));
    if class == Some(Class::Master) {
        items.push(from_findings("zookeeper", "ZooKeeper serves", &["zookeeper"], findings));
    }
    items.push(verified(node, now));
    items
}

/// The findings with the words of their lines, where they belong to one.
pub(super) fn by_line(findings: &[Finding]) -> Vec<(&'static str, &Finding)> {
    findings.iter().filter_map(|finding| Some((line_of(&finding.check)?, finding))).collect()
}

/// The word of the line to which a check belongs, if it belongs to one.
pub(super) fn line_of(check: &str) -> Option<&'static str> {
    let found = LINES.iter().find(|(_, _, checks)| checks.contains(&check));
    found.map(|(step, _, _)| *step).or((check == "zookeeper").then_some("zookeeper"))
}

fn item(
    step: &str,
    title: &str,
    state: ChecklistState,
    sentence: String,
    evidence: Vec<Evidence>,
) -> ChecklistItem {
    ChecklistItem { step: step.to_owned(), title: title.to_owned(), state, sentence, evidence }
}

fn seconds(now: Timestamp, then: Timestamp) -> u64 {
    now.duration_since(then).as_secs().max(0).unsigned_abs()
}

fn age(now: Timestamp, then: Timestamp) -> String {
    words::seconds(seconds(now, then))
}

/// R8 begins with the cloud, where somebody asks it.
fn server(fleet: &Fleet, name: &NodeName, now: Timestamp) -> Option<ChecklistItem> {
    let seen = super::outside::cloud(fleet, name)?;
    Some(from_outside("server", "The cloud runs its server", seen, now))
}

/// What Foreman thinks, where somebody asks it. It is looked at behind the layers of the node itself (R8 has it before): what
/// it says is up to half an hour old.
fn foreman(fleet: &Fleet, name: &NodeName, now: Timestamp) -> Option<ChecklistItem> {
    let seen = super::outside::host(fleet, Source::Foreman, name, now)?;
    Some(from_outside("foreman", "Foreman has no complaint", seen, now))
}

fn from_outside(step: &str, title: &str, seen: OutsideView, now: Timestamp) -> ChecklistItem {
    let state = ChecklistState::from(seen.status);
    let mut evidence = Evidence::new(step, &seen.sentence, seen.source.as_str());
    evidence.age_seconds = seconds(now, seen.at);
    item(step, title, state, seen.sentence, vec![evidence])
}

fn report(node: Option<&Node>, now: Timestamp) -> ChecklistItem {
    let at = node.and_then(|node| node.agent.as_ref()).map(|agent| agent.at);
    let (state, sentence) = match at {
        None => (ChecklistState::Failed, "no report has ever come".to_owned()),
        Some(at) if node.is_some_and(|node| node.is_fresh(now)) => {
            (ChecklistState::Done, format!("last report {} ago", age(now, at)))
        }
        Some(at) => (ChecklistState::Failed, format!("last report {} ago; stale after 60 s", age(now, at))),
    };
    let evidence = at.map(|at| Evidence::new("last_report", format!("{at:.0}"), "agent"));
    item("report", "Its agent reports", state, sentence, evidence.into_iter().collect())
}

fn ssh(node: Option<&Node>, now: Timestamp) -> ChecklistItem {
    let title = "ssh answers";
    let Some(probe) = node.and_then(|node| node.ssh.as_ref()) else {
        let sentence = "not tried: only nodes that are silent for 90 s are".to_owned();
        return item("ssh", title, ChecklistState::NotConfigured, sentence, Vec::new());
    };
    let (state, answers) = match probe.answered {
        Some(true) => (ChecklistState::Done, "yes"),
        Some(false) => (ChecklistState::Failed, "no"),
        None => (ChecklistState::Unknown, "unknown"),
    };
    let fact = |fact: &str, answers: &str| Evidence {
        age_seconds: seconds(now, probe.at),
        ..Evidence::new(fact, answers, "coordinator")
    };
    let ping = probe.ping.map(|answers| fact("ping_answers", if answers { "yes" } else { "no" }));
    let evidence = [fact("ssh_answers", answers)].into_iter().chain(ping).collect();
    item("ssh", title, state, probe.story.to_string(), evidence)
}

fn from_findings(step: &str, title: &str, checks: &[&str], findings: &[Finding]) -> ChecklistItem {
    let of_step: Vec<&Finding> =
        findings.iter().filter(|finding| checks.contains(&finding.check.as_str())).collect();
    let Some(worst) = of_step.iter().max_by_key(|finding| (finding.status, finding.gating)) else {
        // An agent that has never spoken may well look at it.
        let (state, sentence) = if findings.is_empty() {
            (ChecklistState::Unknown, "its agent has not said")
        } else {
            (ChecklistState::NotConfigured, "nothing in its agent.toml asks for it")
        };
        return item(step, title, state, sentence.to_owned(), Vec::new());
    };
    let state = ChecklistState::from(worst.status);
    let all = of_step.iter().find(|finding| finding.item.is_none()).unwrap_or(worst);
    let sentence = match (worst.status, of_step.len()) {
        (Status::Ok, _) if step == "container" && !of_step.iter().any(|finding| finding.gating) => {
            format!("none is required here; {}", all.sentence)
        }
        (Status::Ok, many) if many > 1 => format!("{many} looked at, all well"),
        _ => worst.sentence.clone(),
    };
    let seen = |finding: &&Finding| Evidence {
        fact: finding.key(),
        value: finding.sentence.clone(),
        source: "agent".to_owned(),
        age_seconds: finding.age_seconds,
    };
    let mut evidence: Vec<Evidence> = of_step.iter().map(seen).collect();
    evidence.extend(worst.evidence.iter().cloned());
    item(step, title, state, sentence, evidence)
}

fn listed_by_mesos(node: Option<&Node>, now: Timestamp) -> ChecklistItem {
    let title = "The Mesos master lists it";
    let Some(view) = node.and_then(|node| node.master.as_ref()) else {
        let sentence = "the Mesos master has not been heard of".to_owned();
        return item("mesos_master", title, ChecklistState::Unknown, sentence, Vec::new());
    };
    use millwright_decision::fleet::Listing;
    let state = match view.listing {
        Listing::Active if view.deactivated => ChecklistState::Warn,
        Listing::Active => ChecklistState::Done,
        Listing::Inactive | Listing::Unreachable | Listing::Absent => ChecklistState::Failed,
    };
    let offers = if view.deactivated { ", its offers stopped" } else { "" };
    let mut evidence = Evidence::new("listing", view.listing.as_str(), "mesos_master");
    evidence.age_seconds = seconds(now, view.at);
    let sentence = format!("the Mesos master has it as {}{offers}", view.listing.as_str());
    item("mesos_master", title, state, sentence, vec![evidence])
}

fn verified(node: Option<&Node>, now: Timestamp) -> ChecklistItem {
    let title = "Verified since boot";
    let Some(agent) = node.and_then(|node| node.agent.as_ref()) else {
        return item("verified", title, ChecklistState::Unknown, "it has never reported".into(), Vec::new());
    };
    let (state, sentence) = match agent.verified_at {
        Some(at) => (
            ChecklistState::Done,
            format!("two clean reports ≥ 60 s apart since its boot, {} ago", age(now, at)),
        ),
        None if agent.is_gating_clean() => {
            (ChecklistState::Unknown, "clean, and a second clean report ≥ 60 s later is awaited".to_owned())
        }
        None => (ChecklistState::Failed, "not two clean reports since its boot".to_owned()),
    };
    let evidence =
        vec![Evidence::new("boot_first_heard", format!("{:.0}", agent.boot_first_heard_at), "coordinator")];
    item("verified", title, state, sentence, evidence)
}
