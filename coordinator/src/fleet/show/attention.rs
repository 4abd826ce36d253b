//! What needs a human first, worst first.

use super::super::{Fleet, conditions::TONIGHT_HOURS};
use super::finding_name;
use crate::view::{Attention, FleetView, NodeState, NodeSummary, SourceWord};
use jiff::Timestamp;
use millwright_decision::{Source, fleet::DEAD};
use millwright_protocol::{Finding, NodeName, Status, finding_id};

/// How urgent a line is; the smaller the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Fleet,
    Stuck,
    Gating,
    Silent,
    Identity,
    Offers,
    Broken,
    Asked,
    NotKnown,
    FullTonight,
    Unlisted,
}

/// Everything that a person should look at. What was acknowledged is left out.
pub(super) fn list(fleet: &Fleet, view: &FleetView, now: Timestamp) -> Vec<Attention> {
    let mut lines = Vec::new();
    about_fleet(fleet, view, &mut lines);
    about_offers(fleet, &mut lines);
    for summary in view.nodes() {
        about_node(fleet, summary, now, &mut lines);
    }
    about_operations(fleet, &mut lines);
    lines.sort_by(|(a, one), (b, other)| {
        (a, one.since, &one.key, &one.finding, &one.operation).cmp(&(
            b,
            other.since,
            &other.key,
            &other.finding,
            &other.operation,
        ))
    });
    lines.into_iter().map(|(_, line)| line).collect()
}

/// What others did to the offers of nodes: whoever did it gets asked, and nothing is undone.
fn about_offers(fleet: &Fleet, lines: &mut Lines) {
    for note in fleet.foreign() {
        let name = fleet.policy.spell(&note.node);
        let line = Attention {
            node: Some(name.to_owned()),
            key: Some(note.node.as_str().to_owned()),
            status: Status::Warn,
            finding: None,
            operation: None,
            sentence: format!("{name}: {}", note.sentence),
            since: Some(note.since),
            next: Some(format!("ask who did it; `millwright node {name}` has what is known")),
        };
        lines.push((Urgency::Offers, line));
    }
}

type Lines = Vec<(Urgency, Attention)>;

fn about_fleet(fleet: &Fleet, view: &FleetView, lines: &mut Lines) {
    let mut add = |status, sentence: String, since, next: &str| {
        let next = Some(next.to_owned());
        let (node, key, finding, operation) = Default::default();
        let line = Attention { node, key, status, finding, operation, sentence, since, next };
        lines.push((Urgency::Fleet, line));
    };
    if let Some(why) = &view.policy.unreadable {
        add(
            Status::Crit,
            format!("everything is protected, because {why}"),
            view.policy.unreadable_since,
            &format!("see `millwright policy check {}`", fleet.policy_path.display()),
        );
    }
    for brake in &view.brakes {
        add(
            Status::Crit,
            format!("the brake is on: {}", brake.why),
            Some(brake.since),
            "find out what happened, then reset the brake",
        );
    }
    for source in view.sources.iter().filter(|source| source.state == SourceWord::Unknown) {
        add(Status::Unknown, source.sentence.clone(), source.unknown_since, &next_for(source.source));
    }
    for trouble in &view.own_troubles {
        add(Status::Crit, trouble.sentence.clone(), Some(trouble.since), "look at the coordinator's host");
    }
    for check in &view.outside_blamed {
        add(
            Status::Warn,
            format!("many nodes fail {check} at once, so the trouble is outside them"),
            None,
            "look at what the check depends on, not at the nodes",
        );
    }
}

fn about_operations(fleet: &Fleet, lines: &mut Lines) {
    for ask in &fleet.asks {
        let spelled = fleet.policy.spell(&ask.node);
        let (urgency, status) =
            if ask.is_stuck { (Urgency::Stuck, Status::Crit) } else { (Urgency::Asked, Status::Warn) };
        let line = Attention {
            node: Some(spelled.to_owned()),
            key: Some(ask.node.to_string()),
            status,
            finding: None,
            operation: Some(ask.operation.clone()),
            sentence: format!("{spelled}: {}", ask.sentence),
            since: Some(ask.since),
            next: Some(format!("see `millwright operations {}`", ask.operation)),
        };
        lines.push((urgency, line));
    }
}

/// What to do about a source that is not heard.
fn next_for(source: Source) -> String {
    match source {
        Source::Agent => "see that millwright-agent runs on the nodes and reaches the coordinator".to_owned(),
        Source::MesosMaster => {
            "see that the Mesos masters run and that the coordinator reaches them".to_owned()
        }
        other => format!("see that {other} runs and that the coordinator reaches it"),
    }
}

fn about_node(fleet: &Fleet, summary: &NodeSummary, now: Timestamp, lines: &mut Lines) {
    let line = |status, sentence: String, since, next: Option<String>| Attention {
        node: Some(summary.name.clone()),
        key: Some(summary.key.clone()),
        status,
        finding: None,
        operation: None,
        sentence: format!("{}: {sentence}", summary.name),
        since,
        next,
    };
    if summary.state == NodeState::KnownDead || summary.state == NodeState::Quarantined {
        return;
    }
    if let Some(since) = summary.identity_changed_at {
        lines.push((
            Urgency::Identity,
            line(
                Status::Crit,
                "it is not the machine it was".into(),
                Some(since),
                Some(format!("see who it is, then `millwright node accept {}`", summary.name)),
            ),
        ));
    }
    match summary.state {
        NodeState::Silent => {
            let is_long = summary.report_age_seconds.is_some_and(|age| age >= DEAD.as_secs().unsigned_abs());
            let status = if is_long { Status::Crit } else { Status::Unknown };
            let next = "see its console and its network; reboot it if it stays silent";
            lines.push((
                if is_long { Urgency::Silent } else { Urgency::NotKnown },
                line(status, summary.sentence.clone(), summary.since, Some(next.to_owned())),
            ));
            return;
        }
        NodeState::NeverHeard => {
            let next = "install its agent, or take it out of the policy";
            lines.push((
                Urgency::NotKnown,
                line(Status::Unknown, summary.sentence.clone(), summary.since, Some(next.to_owned())),
            ));
            return;
        }
        NodeState::Stale => return,
        NodeState::Unlisted if fleet.policy.is_known() && summary.report_age_seconds.is_some() => {
            let next = "add it to policy.toml, or stop its agent";
            lines.push((
                Urgency::Unlisted,
                line(Status::Warn, summary.sentence.clone(), None, Some(next.to_owned())),
            ));
        }
        _ => {}
    }
    if summary.findings.crit + summary.findings.unknown + summary.findings.warn == 0 {
        return;
    }
    let Ok(name) = summary.key.parse::<NodeName>() else { return };
    let Some(record) = fleet.records.get(&name) else { return };
    for finding in record.packed.findings(&fleet.words) {
        let Some(urgency) = urgency(&finding, summary) else { continue };
        let id = finding_id(name.as_str(), &finding.check, finding.item.as_deref());
        if fleet.acknowledgements.get(&id).is_some_and(|given| now < given.until) {
            continue;
        }
        let mut found =
            line(finding.status, finding.sentence.clone(), Some(finding.since), finding.next.clone());
        found.finding = Some(finding_name(fleet, &name, &finding));
        lines.push((urgency, found));
    }
}

fn urgency(finding: &Finding, summary: &NodeSummary) -> Option<Urgency> {
    match (finding.status, finding.gating) {
        (Status::Ok, _) => None,
        (Status::Crit, true) => Some(Urgency::Gating),
        (Status::Crit, false) => Some(Urgency::Broken),
        (Status::Unknown, true) => Some(Urgency::NotKnown),
        // A warning waits for a quiet hour, but for a disk that will not.
        _ => {
            let disk = summary.disk.as_ref()?;
            let is_that_disk = finding.item.as_deref() == Some(disk.mount.as_str());
            let is_soon = disk.hours_to_full.is_some_and(|hours| hours <= TONIGHT_HOURS);
            (is_that_disk && is_soon && finding.status == Status::Warn).then_some(Urgency::FullTonight)
        }
    }
}
