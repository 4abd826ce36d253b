//! The checklist read from the top: the first layer that is broken is the one to mend, and what rests on it says nothing.

use super::checklist::line_of;
use crate::{
    view::{ChecklistItem, ChecklistState, Diagnosis, FindingView},
    words,
};
use jiff::Timestamp;
use millwright_protocol::{Finding, Status};

/// So much is told beside the layer to mend first; the findings themselves hold the rest.
const MOST_BESIDE: usize = 5;

/// What rests on a layer, by their words.
const RESTS_ON: [(&str, &[&str]); 4] = [
    ("docker", &["container", "image", "mesos", "mesos_master", "zookeeper"]),
    ("container", &["mesos", "mesos_master", "zookeeper"]),
    ("volume", &["image"]),
    ("mesos", &["mesos_master"]),
];

/// Reads the list of one node, spelled as people do. What to do next comes from its findings where they say it.
pub(super) fn of(node: &str, checklist: &[ChecklistItem], findings: &[(&str, &Finding)]) -> Diagnosis {
    let state = |step: &str| checklist.iter().find(|item| item.step == step).map(|item| item.state);
    let server = checklist.iter().find(|item| item.step == "server");
    if state("report") == Some(ChecklistState::Failed)
        && let Some(item) = server.filter(|item| item.state == ChecklistState::Failed)
    {
        return Diagnosis {
            layer: Some(item.step.clone()),
            state: Some(item.state),
            sentence: format!("{node} does not report, and the cloud says why: {}", item.sentence),
            next: vec![
                format!("look at its console: `openstack console log show {node} --lines 50`"),
                format!(
                    "ask what stands against a reset from outside, and what it ends: `millwright may reboot {node}`"
                ),
            ],
            untold: titles(checklist, |item| {
                !matches!(item.step.as_str(), "server" | "foreman" | "mesos_master")
            }),
            also: Vec::new(),
        };
    }
    if state("report") == Some(ChecklistState::Failed) {
        return unheard(node, checklist, state("ssh"));
    }
    // A layer that is broken comes before one that nobody knows, and that before one worth a look.
    let first = [ChecklistState::Failed, ChecklistState::Unknown, ChecklistState::Warn]
        .into_iter()
        .find_map(|wanted| checklist.iter().find(|item| item.state == wanted && item.step != "verified"));
    let Some(item) = first.or_else(|| checklist.iter().find(|item| is_open(item))) else {
        let sentence = format!("every layer of {node} that is looked at is as it should be");
        return Diagnosis { sentence, ..Diagnosis::default() };
    };
    let rests = RESTS_ON.iter().find(|(step, _)| *step == item.step && item.state != ChecklistState::Warn);
    let untold = rests.map_or(&[][..], |(_, rests)| rests);
    Diagnosis {
        layer: Some(item.step.clone()),
        state: Some(item.state),
        sentence: format!("{} “{}”: {}", found(item.state), item.title, item.sentence),
        next: next(node, item, findings),
        untold: titles(checklist, |other| untold.contains(&other.step.as_str())),
        also: Vec::new(),
    }
}

/// The same, with what is not well beside the layer that is named; what no report has told of since is left out.
pub(super) fn beside(
    node: &str,
    diagnosis: Diagnosis,
    checklist: &[ChecklistItem],
    findings: &[FindingView],
    now: Timestamp,
) -> Diagnosis {
    let layer = diagnosis.layer.as_deref();
    if matches!(layer, Some("server" | "report" | "ssh")) {
        return diagnosis;
    }
    let is_told = |line: &str| {
        let title = checklist.iter().find(|item| item.step == line).map(|item| &item.title);
        Some(line) != layer && title.is_none_or(|title| !diagnosis.untold.contains(title))
    };
    let mut others: Vec<&FindingView> = findings
        .iter()
        .filter(|finding| finding.status != Status::Ok && line_of(&finding.check).is_none_or(is_told))
        .collect();
    others.sort_by_key(|finding| std::cmp::Reverse((finding.status, finding.gating)));
    let told = |finding: &FindingView| {
        let seconds = now.duration_since(finding.since).as_secs().max(0).unsigned_abs();
        format!("{} (for {})", finding.sentence, words::seconds(seconds))
    };
    let also =
        |others: &[&FindingView]| others.iter().take(MOST_BESIDE).map(|finding| told(finding)).collect();
    match others.split_first() {
        Some((worst, rest)) if layer.is_none() => Diagnosis {
            layer: None,
            state: Some(worst.status.into()),
            sentence: format!(
                "every layer of {node} is as it should be; worth a look beside them: {}",
                told(worst)
            ),
            next: vec![worst.next.clone().unwrap_or_else(|| look_there(node))],
            untold: Vec::new(),
            also: also(rest),
        },
        _ => Diagnosis { also: also(&others), ..diagnosis },
    }
}

fn found(state: ChecklistState) -> &'static str {
    match state {
        ChecklistState::Failed => "it stops at",
        ChecklistState::Unknown => "nobody knows about",
        ChecklistState::Warn | ChecklistState::Done | ChecklistState::NotConfigured => {
            "nothing is broken; worth a look is"
        }
    }
}

/// Verified is what follows from all others.
fn is_open(item: &ChecklistItem) -> bool {
    !matches!(item.state, ChecklistState::Done | ChecklistState::NotConfigured)
}

/// The agent does not report: is it the agent or the machine?
fn unheard(node: &str, checklist: &[ChecklistItem], ssh: Option<ChecklistState>) -> Diagnosis {
    let (layer, sentence, next) = match ssh {
        Some(ChecklistState::Done) => (
            "report",
            format!("{node} answers ssh and does not report: the machine lives, its agent does not"),
            vec![
                format!("look there: `ssh {node} systemctl status millwright-agent docker`"),
                format!("look there: `ssh {node} journalctl -u millwright-agent -n 50`"),
            ],
        ),
        Some(ChecklistState::Failed) => (
            "ssh",
            unreached(node, checklist),
            vec![
                format!("look at its console: `openstack console log show {node} --lines 50`"),
                format!(
                    "ask what stands against a reset from outside, and what it ends: `millwright may reboot {node}`"
                ),
            ],
        ),
        _ => (
            "report",
            format!(
                "{node} does not report; whether it answers ssh is tried once it has been silent for 90 s"
            ),
            vec![format!("look there: `ssh {node} systemctl status millwright-agent`")],
        ),
    };
    let state = checklist.iter().find(|item| item.step == layer).map(|item| item.state);
    Diagnosis {
        layer: Some(layer.to_owned()),
        state,
        sentence,
        next,
        untold: titles(checklist, |item| {
            !matches!(item.step.as_str(), "report" | "ssh" | "foreman" | "mesos_master")
                && item.state != ChecklistState::NotConfigured
        }),
        also: Vec::new(),
    }
}

/// What answers ping is not off; what does not may be anything.
fn unreached(node: &str, checklist: &[ChecklistItem]) -> String {
    let facts = checklist.iter().find(|item| item.step == "ssh").map_or(&[][..], |item| &item.evidence);
    let ping = facts.iter().find(|fact| fact.fact == "ping_answers").map(|fact| fact.value.as_str());
    match ping {
        Some("yes") => format!(
            "{node} neither reports nor answers ssh, and answers ping: its kernel lives, and what runs on it hangs or is not there yet"
        ),
        Some(_) => format!("{node} neither reports nor answers ssh, nor ping: it is off, frozen or cut off"),
        None => format!("{node} neither reports nor answers ssh: it is off, frozen or cut off"),
    }
}

fn look_there(node: &str) -> String {
    format!("look at its findings: `millwright node {node}`")
}

fn titles(checklist: &[ChecklistItem], wanted: impl Fn(&ChecklistItem) -> bool) -> Vec<String> {
    let rests = checklist.iter().filter(|item| item.state != ChecklistState::NotConfigured && wanted(item));
    rests.map(|item| item.title.clone()).collect()
}

/// What the findings of a layer say is to be done, the worst first; otherwise where to look.
fn next(node: &str, item: &ChecklistItem, findings: &[(&str, &Finding)]) -> Vec<String> {
    let mut of_layer: Vec<&Finding> = findings
        .iter()
        .filter(|(step, finding)| *step == item.step && finding.status != Status::Ok)
        .map(|(_, finding)| *finding)
        .collect();
    of_layer.sort_by_key(|finding| std::cmp::Reverse((finding.status, finding.gating)));
    let mut next: Vec<String> = of_layer.iter().filter_map(|finding| finding.next.clone()).collect();
    next.dedup();
    if next.is_empty() {
        next.push(match item.step.as_str() {
            "server" => format!("look at it in the cloud: `openstack server show {node}`"),
            "mesos_master" => format!("ask why it gets no tasks: `millwright may return {node}`"),
            "foreman" => format!("look at the end of its last Puppet run: `millwright node {node}`"),
            "verified" => "wait for two clean reports a minute apart".to_owned(),
            _ => look_there(node),
        });
    }
    next
}
