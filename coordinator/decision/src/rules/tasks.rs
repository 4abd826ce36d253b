//! R11: what runs on the node, whether that may end, and whether nothing runs at all.

use crate::{
    action::Stage,
    case::{Case, Subject, spell},
    code::Code,
    fleet::{APART, Build, EmptySpan, JenkinsView, Listing, NodeTask, STALE, View},
    policy::{Source, TaskClass},
    verdict::{Reason, Severity},
};
use jiff::SignedDuration;
use std::{borrow::Cow, collections::BTreeMap};

/// A checker is left at its boundary; after this long a person is asked (DESIGN section 4, Tasks).
const CHECKER_PATIENCE: SignedDuration = SignedDuration::from_hours(1);
/// What proves a view.
const TWO_LOOKS: &str = "two looks ≥ 60 s apart that find it empty";
/// DESIGN 3.2: what a person may do about the agent's view.
const ATTEST: &str = "a person who attests the agent's view of this node for 15 min";

/// Living tasks of the node, whoever names them: what either view has is there.
pub(crate) fn living<'a>(subject: &Subject<'a>) -> Vec<&'a NodeTask> {
    let Some(node) = subject.node else { return Vec::new() };
    let own = node.agent.as_ref().and_then(|agent| agent.tasks.known()).into_iter().flatten();
    let master = node.master.iter().flat_map(|view| &view.tasks);
    let by_id: BTreeMap<&str, &NodeTask> = master.chain(own).map(|task| (task.id.as_str(), task)).collect();
    by_id.into_values().collect()
}

/// Each task objects according to its class; disposable ones never do.
pub(crate) fn tasks(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !case.action().ends_tasks() {
        return;
    }
    for task in living(subject) {
        if let Some((code, severity)) = objection(case, task) {
            let (story, unblocked_by) = words(subject, task, severity);
            let age = task.started_at.map(|started| case.now.duration_since(started));
            let ran = age.map_or_else(String::new, |age| format!(", running for {}", spell(age)));
            let build = builds(subject).iter().find(|build| build.is_of(task));
            let builds = build.map_or_else(String::new, |build| format!(", building {}", build.name));
            let mut reason = Reason::new(
                code,
                severity,
                format!("{} ({}{ran}{builds}) {story}", task.id, task.framework),
                unblocked_by,
            );
            if let Some(build) = build {
                reason = tell_build(case, subject, reason, build);
            }
            reasons.push(
                reason
                    .rule("R11")
                    .owner(if severity == Severity::Wait { "mesos" } else { "operators" })
                    .since(task.started_at)
                    .fact("task", &task.id, who_says(subject, task), 0)
                    .fact("class", told_apart(task), "policy", 0),
            );
        }
    }
}

/// What Jenkins runs on the node, as far as it is known.
fn builds<'a>(subject: &Subject<'a>) -> &'a [Build] {
    jenkins(subject).map_or(&[], |view| &view.builds)
}

fn jenkins<'a>(subject: &Subject<'a>) -> Option<&'a JenkinsView> {
    subject.node?.jenkins.as_deref()
}

/// Says of an objection which build is behind it, and when it may be over.
fn tell_build(case: &Case<'_>, subject: &Subject<'_>, reason: Reason, build: &Build) -> Reason {
    let age = jenkins(subject).map_or(0, |view| case.age(view.at));
    reason.expected_at(build.expected_end.filter(|end| *end > case.now)).fact(
        "build",
        &build.name,
        Source::Jenkins.as_str(),
        age,
    )
}

/// Whose view names the task: for seconds after its end only one does.
pub(super) fn who_says(subject: &Subject<'_>, task: &NodeTask) -> &'static str {
    let names = |tasks: &[NodeTask]| tasks.iter().any(|other| other.id == task.id);
    let agent = subject.node.and_then(|node| node.agent.as_ref()).and_then(|agent| agent.tasks.known());
    let master = subject.node.and_then(|node| node.master.as_ref());
    match (agent.is_some_and(|tasks| names(tasks)), master.is_some_and(|view| names(&view.tasks))) {
        (true, true) => "agent and mesos_master",
        (true, false) => "agent",
        (false, _) => "mesos_master",
    }
}

/// What policy takes a task for, and by which of its rules.
fn told_apart(task: &NodeTask) -> String {
    match &task.rule {
        Some(rule) => format!("{}, by the rule '{rule}'", task.class.as_str()),
        None => format!("{}, since no rule knows it", task.class.as_str()),
    }
}

/// Whether a task objects, and how strongly.
pub(super) fn objection(case: &Case<'_>, task: &NodeTask) -> Option<(Code, Severity)> {
    let (code, severity) = match task.class {
        TaskClass::Disposable => return None,
        TaskClass::Protected => (Code::TaskProtected, Severity::Wait),
        TaskClass::Checker => {
            let waited = case.operation.and_then(|own| own.cordoned_at).map(|at| case.now.duration_since(at));
            let is_late = waited.is_some_and(|waited| waited >= CHECKER_PATIENCE);
            (Code::TaskChecker, if is_late { Severity::NeedsPeople } else { Severity::Wait })
        }
        TaskClass::Service if has_sibling(case, task) => (Code::TaskService, Severity::Wait),
        TaskClass::Service => (Code::TaskService, Severity::NeedsPeople),
        TaskClass::Pinned => (Code::TaskPinned, Severity::NeedsPeople),
    };
    (!is_overridden(case, code, task)).then_some((code, severity))
}

/// What a task that objects is, and what would clear it.
fn words(subject: &Subject<'_>, task: &NodeTask, severity: Severity) -> (String, &'static str) {
    match (task.class, severity) {
        (TaskClass::Protected | TaskClass::Disposable, _) => {
            let story = match &task.rule {
                Some(rule) => format!("must finish: {rule}"),
                None => "is a task no rule knows, so it must finish".to_owned(),
            };
            (story, "the end of the task")
        }
        (TaskClass::Checker, _) => (
            "builds pull requests and is left alone until a boundary".to_owned(),
            "the end of its build, or after 1 h a person who lets it go",
        ),
        (TaskClass::Service, Severity::Wait) => (
            "is a service that has to move; another instance is healthy".to_owned(),
            "the service running elsewhere",
        ),
        (TaskClass::Service, _) => (
            "is a service without another healthy instance".to_owned(),
            "another instance elsewhere, or a person who lets it stop",
        ),
        (TaskClass::Pinned, _) => {
            (format!("lives on {} only", subject.display()), "a person who lets it stop")
        }
    }
}

/// Whether a person has named this very task and let it go (DESIGN 3.5); a yes for the node as a whole is none.
pub(super) fn is_overridden(case: &Case<'_>, code: Code, task: &NodeTask) -> bool {
    case.operation.is_some_and(|own| {
        own.grants.iter().any(|grant| grant.code == code && grant.task.as_deref() == Some(task.id.as_str()))
    })
}

/// Whether the service runs on an in-service node that is not asked about.
fn has_sibling(case: &Case<'_>, task: &NodeTask) -> bool {
    case.snapshot
        .counts
        .services
        .get(&task.service())
        .is_some_and(|nodes| nodes.iter().any(|node| !case.request.nodes.contains(node)))
}

/// Containers that nobody owns may be somebody's work.
pub(crate) fn stray_containers(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    if !case.action().ends_tasks() || super::protection::granted(case, Code::OrphanContainer) {
        return;
    }
    let agent = subject.node.and_then(|node| node.agent.as_ref());
    for container in agent.and_then(|agent| agent.containers.known()).into_iter().flat_map(|all| &all.stray) {
        reasons.push(
            Reason::new(
                Code::OrphanContainer,
                Severity::NeedsPeople,
                format!(
                    "the container {} ({}) belongs to no task and is on no list",
                    container.name, container.image
                ),
                "its removal, an entry in the agent's list of infrastructure, or a person who lets it stop",
            )
            .owner("operators")
            .fact(
                "container",
                &container.name,
                "agent",
                agent.map_or(0, |agent| case.age(agent.at)),
            ),
        );
    }
}

/// Empty is proven by every view, twice, a minute apart, and lately.
pub(crate) fn empty_not_proven(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    // Masters take no tasks, and what runs without anybody's yes objects in its own words.
    if !case.action().ends_tasks() || subject.is_master() || something_objects(case, subject) {
        return;
    }
    let asks_agent =
        subject.requires(Source::Agent) && !super::freshness::attested(case, subject, Source::Agent);
    let asks_master = subject.requires(Source::MesosMaster);
    if !subject.requires(Source::Agent) && !asks_master {
        let story = "the policy requires no source that could tell what runs there";
        let reason = unproven(subject, Severity::NeedsPeople, story, "a source in policy.toml");
        return reasons.push(reason.owner("policy"));
    }
    // A stale view is freshness's to say.
    let agent_fresh = subject.node.is_some_and(|node| node.is_fresh(case.now));
    let master_fresh =
        case.snapshot.sources.get(&Source::MesosMaster).is_some_and(|state| state.unknown_since.is_none());
    let agent_empty = subject.node.and_then(|node| node.agent_empty);
    let master_empty = subject.node.and_then(|node| node.master_empty);
    if asks_agent && agent_fresh && !is_known_busy(subject) && !is_proven(case, agent_empty) {
        reasons.push(match agent_empty {
            Some(span) => seen_too_little(case, subject, Source::Agent, span),
            None => agent_cannot_tell(case, subject),
        });
    }
    if asks_master && master_fresh && !is_listed_busy(subject) && !is_proven(case, master_empty) {
        reasons.push(match master_empty {
            Some(span) => seen_too_little(case, subject, Source::MesosMaster, span),
            None => not_yet(subject, "the Mesos master has not seen it empty yet"),
        });
    }
    reasons.extend(still_building(case, subject));
}

/// What Jenkins, where it is asked at all, has against the node being empty.
fn still_building(case: &Case<'_>, subject: &Subject<'_>) -> Option<Reason> {
    let answers =
        case.snapshot.sources.get(&Source::Jenkins).is_some_and(|state| state.unknown_since.is_none());
    if !subject.requires(Source::Jenkins)
        || super::freshness::attested(case, subject, Source::Jenkins)
        || !answers
    {
        return None;
    }
    let tasks = living(subject);
    let (of_tasks, alone): (Vec<&Build>, Vec<&Build>) =
        builds(subject).iter().partition(|build| tasks.iter().any(|task| build.is_of(task)));
    if let Some(build) = alone.first() {
        let story = format!("Jenkins runs {} there", build.name);
        let reason = unproven(subject, Severity::Wait, &story, "the end of the build").owner("jenkins");
        return Some(tell_build(case, subject, reason.since(build.since), build));
    }
    // Their tasks have spoken for themselves, or were let go by name.
    if !of_tasks.is_empty() {
        return None;
    }
    let span = jenkins(subject).and_then(|view| view.empty);
    match span {
        _ if is_proven(case, span) => None,
        Some(span) => Some(seen_too_little(case, subject, Source::Jenkins, span)),
        None => Some(not_yet(subject, "Jenkins has not been seen to run nothing there yet")),
    }
}

/// Whether the agent knows of work; when nothing objects to it, people have let it go by name.
fn is_known_busy(subject: &Subject<'_>) -> bool {
    let Some(agent) = subject.node.and_then(|node| node.agent.as_ref()) else { return false };
    let works = agent.tasks.known().is_some_and(|tasks| is_busy(tasks));
    let strays = agent.containers.known().is_some_and(|containers| !containers.stray.is_empty());
    // One unknown half leaves the whole unknown.
    (works || strays) && agent.tasks != View::Unknown && agent.containers != View::Unknown
}

/// Whether the Mesos master knows of work.
fn is_listed_busy(subject: &Subject<'_>) -> bool {
    subject.node.and_then(|node| node.master.as_ref()).is_some_and(|view| is_busy(&view.tasks))
}

fn is_busy(tasks: &[NodeTask]) -> bool {
    tasks.iter().any(|task| task.class != TaskClass::Disposable)
}

fn unproven(
    subject: &Subject<'_>,
    severity: Severity,
    story: &str,
    unblocked_by: impl Into<Cow<'static, str>>,
) -> Reason {
    let sentence = format!("{} is not proven empty: {story}", subject.display());
    Reason::new(Code::EmptyNotProven, severity, sentence, unblocked_by).rule("R12")
}

/// Two looks that prove it are still to come.
fn not_yet(subject: &Subject<'_>, story: &str) -> Reason {
    unproven(subject, Severity::Wait, story, TWO_LOOKS)
}

/// Seen empty, but not for long enough, or not lately.
fn seen_too_little(case: &Case<'_>, subject: &Subject<'_>, source: Source, span: EmptySpan) -> Reason {
    let who = match source {
        Source::Agent => "its agent",
        Source::Jenkins => "Jenkins",
        _ => "the Mesos master",
    };
    let begins = begins(case, span);
    let age = case.now.duration_since(span.last);
    let reason = if age > STALE {
        let story = format!("{who} last looked {} ago; it was empty then, and that is too old", spell(age));
        unproven(
            subject,
            Severity::Wait,
            &story,
            "a fresh look that finds it empty, or two ≥ 60 s apart if none came for 60 s",
        )
    } else {
        let cordon = if begins > span.first { " since the cordon" } else { "" };
        let length = spell(span.last.duration_since(begins));
        not_yet(subject, &format!("{who} has seen it empty for {length}{cordon}"))
    };
    reason
        .since(Some(span.first))
        .expected_at(begins.checked_add(APART).ok().filter(|at| *at > case.now))
        .fact("last_look", span.last, source.as_str(), case.age(span.last))
}

/// The node's own view has a hole, and which; a person closes it when that lasts.
fn agent_cannot_tell(case: &Case<'_>, subject: &Subject<'_>) -> Reason {
    let Some(agent) = subject.node.and_then(|node| node.agent.as_ref()) else {
        return not_yet(subject, "its agent has not seen it empty yet");
    };
    let age = case.age(agent.at);
    let (hole, checks): (&str, &[&str]) = match (&agent.containers, &agent.tasks) {
        (View::NotConfigured, View::NotConfigured) => {
            let story =
                "its agent looks at neither Docker nor a Mesos agent, so nobody can tell what runs there";
            let clears = format!("the checks of Docker or of the Mesos agent in its agent.toml, or {ATTEST}");
            return unproven(subject, Severity::NeedsPeople, story, clears)
                .owner("operators")
                .fact("containers", "not looked at", "agent", age)
                .fact("tasks", "not looked at", "agent", age);
        }
        (View::Unknown, _) => ("Docker", &["docker", "containers"]),
        (_, View::Unknown) => ("its Mesos agent", &["mesos_agent"]),
        _ => return not_yet(subject, "its agent has not seen it empty yet"),
    };
    let check_of = |key: &str| checks.iter().position(|check| key.split('/').next() == Some(check));
    let findings = agent.gating.iter().filter_map(|finding| Some((check_of(&finding.key)?, finding)));
    let Some((_, finding)) = findings.min_by_key(|(check, finding)| (*check, &finding.key)) else {
        let story = format!("its agent does not know what {hole} runs");
        let clears = format!("an answer of {hole} to its agent, then {TWO_LOOKS}");
        return unproven(subject, Severity::Wait, &story, clears).fact(hole, "unknown", "agent", age);
    };
    let severity = case.patience(finding.since);
    let or_attest = if severity == Severity::NeedsPeople { format!("; or {ATTEST}") } else { String::new() };
    let clears = format!("{hole} answering its agent again, then {TWO_LOOKS}{or_attest}");
    unproven(subject, severity, &format!("its agent cannot tell: {}", finding.sentence), clears)
        .owner("operators")
        .since(Some(finding.since))
        .fact(&finding.key, if finding.is_crit { "crit" } else { "unknown" }, "agent", age)
}

fn something_objects(case: &Case<'_>, subject: &Subject<'_>) -> bool {
    let mut strays = Vec::new();
    stray_containers(case, subject, &mut strays);
    !strays.is_empty() || living(subject).into_iter().any(|task| objection(case, task).is_some())
}

/// Once a node is cordoned, only what was seen after that proves anything.
fn begins(case: &Case<'_>, span: EmptySpan) -> jiff::Timestamp {
    match (case.request.stage, case.operation.and_then(|own| own.cordoned_at)) {
        (Stage::Permit, Some(cordoned)) => span.first.max(cordoned),
        _ => span.first,
    }
}

fn is_proven(case: &Case<'_>, span: Option<EmptySpan>) -> bool {
    span.is_some_and(|span| {
        span.last.duration_since(begins(case, span)) >= APART && case.now.duration_since(span.last) <= STALE
    })
}

/// At the permit the node must not be getting new work. Before that it is a note.
pub(crate) fn not_cordoned(case: &Case<'_>, subject: &Subject<'_>, reasons: &mut Vec<Reason>) {
    let asked = case.action().ends_tasks() && case.request.stage == Stage::Permit && !subject.is_master();
    if !asked || !subject.requires(Source::MesosMaster) || is_cordoned(case, subject) {
        return;
    }
    reasons.push(
        Reason::new(
            Code::NotCordoned,
            Severity::Wait,
            format!("{} still gets offers, so it can get a new task at any moment", subject.display()),
            "a cordon that the Mesos master reads back",
        )
        .fact("listing", listing(subject), "mesos_master", 0),
    );
}

/// Whether the node's offers are known to be stopped.
pub(super) fn is_cordoned(case: &Case<'_>, subject: &Subject<'_>) -> bool {
    case.operation.is_some_and(|own| own.nodes.contains(subject.name) && own.cordoned_at.is_some())
        || subject.node.and_then(|node| node.master.as_ref()).is_some_and(|view| view.deactivated)
}

fn listing(subject: &Subject<'_>) -> &'static str {
    subject.node.and_then(|node| node.master.as_ref()).map_or("unknown", |view| Listing::as_str(view.listing))
}
