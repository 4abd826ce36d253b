//! R12: what is not known is neither healthy nor idle.

use crate::{
    action::Action,
    case::{Case, Subject, spell},
    code::Code,
    fleet::STALE,
    policy::Source,
    verdict::{Reason, Severity},
};
use jiff::SignedDuration;

/// The node's own report is missing or older than 60 s.
pub(crate) fn fact_stale(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let asked = case.action().is_disruptive();
    if !asked || !subject.requires(Source::Agent) || attested(case, subject, Source::Agent) {
        return;
    }
    let last = subject.node.and_then(|node| node.agent.as_ref()).map(|agent| agent.at);
    // A node never heard of is unknown since we began to listen.
    let stale_since = last.and_then(|at| at.checked_add(STALE).ok()).unwrap_or(case.snapshot.started_at);
    if last.is_some_and(|at| case.now.duration_since(at) <= STALE) {
        return;
    }
    let severity = case.patience(stale_since);
    let sentence = match last {
        Some(at) => format!("{} last reported {} ago", subject.display(), spell(case.now.duration_since(at))),
        None => format!("{} has never reported", subject.display()),
    };
    reasons.push(
        Reason::new(
            Code::FactStale,
            severity,
            sentence,
            unblocked(severity, "a fresh report from the node's agent"),
        )
        .rule("R12")
        .owner(owner(severity))
        .since(Some(stale_since))
        .fact(
            "last_report",
            last.map_or_else(|| "never".to_owned(), |at| at.to_string()),
            "agent",
            last.map_or(0, |at| case.age(at)),
        ),
    );
}

/// A source that policy requires does not answer.
pub(crate) fn source_unknown(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    // A master is back once its members say so: their silence is no word.
    let is_asked = |source: Source| match case.action() {
        Action::Return => source == Source::ZooKeeper,
        action => action.is_disruptive() && source != Source::Agent,
    };
    for &source in subject.class.required.iter().filter(|source| is_asked(**source)) {
        let state = case.snapshot.sources.get(&source);
        let since = match state {
            None => Some(case.snapshot.started_at),
            Some(state) => state.unknown_since,
        };
        let Some(since) = since else { continue };
        if source.can_be_attested() && attested(case, subject, source) {
            continue;
        }
        let severity = case.patience(since);
        let last = state.and_then(|state| state.last_answer);
        let silent = case.now.duration_since(since);
        let sentence = if silent < SignedDuration::from_secs(1) {
            format!("{} does not answer", source.title())
        } else {
            format!("{} has not answered for {}", source.title(), spell(silent))
        };
        let clears = if source == Source::MesosMaster {
            "an answer from the leading Mesos master; this view cannot be attested".to_owned()
        } else if !source.can_be_attested() {
            format!("an answer from {}; this view cannot be attested", source.title())
        } else {
            unblocked(severity, &format!("an answer from {}", source.title()))
        };
        reasons.push(
            Reason::new(Code::SourceUnknown, severity, sentence, clears)
                .rule("R12")
                .owner(owner(severity))
                .since(Some(since))
                .fact(
                    "last_answer",
                    last.map_or_else(|| "never".to_owned(), |at| at.to_string()),
                    source.as_str(),
                    last.map_or(0, |at| case.age(at)),
                ),
        );
    }
}

/// The node's own Mesos agent and the Mesos master tell different stories.
pub(crate) fn views_disagree(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let asked = case.action().ends_tasks() || case.action() == Action::Return;
    let Some(since) = subject.node.and_then(|node| node.views_disagree_since).filter(|_| asked) else {
        return;
    };
    if !subject.requires(Source::MesosMaster) {
        return;
    }
    let count = |tasks: Option<usize>| tasks.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    let node = subject.node;
    let own = node.and_then(|node| node.agent.as_ref()).and_then(|agent| agent.tasks.known()).map(Vec::len);
    let master = node.and_then(|node| node.master.as_ref()).map(|view| view.tasks.len());
    let severity = case.patience(since);
    reasons.push(
        Reason::new(
            Code::ViewsDisagree,
            severity,
            format!("{} and the Mesos master tell different stories about its tasks", subject.display()),
            "both views naming the same tasks",
        )
        .rule("R12")
        .owner(owner(severity))
        .since(Some(since))
        .fact("tasks", count(own), "agent", 0)
        .fact("tasks", count(master), "mesos_master", 0),
    );
}

/// Whether a person vouches for what the source would say.
pub(super) fn attested(case: &Case<'_>, subject: &Subject<'_>, source: Source) -> bool {
    case.snapshot.attested(subject.name, source, case.now).is_some()
}

fn owner(severity: Severity) -> &'static str {
    if severity == Severity::NeedsPeople { "operators" } else { "millwright" }
}

fn unblocked(severity: Severity, by_itself: &str) -> String {
    match severity {
        Severity::NeedsPeople => format!("{by_itself}, or a person who attests it for this node for 15 min"),
        _ => by_itself.to_owned(),
    }
}
