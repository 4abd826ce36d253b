//! The page of one operation: what it waits for, every step with what it rests on, and what may be said to it now.

use super::{
    acts::{self, Act},
    markdown::{self, Span},
    operations::{self, Progress},
    shell::Shell,
    verdict::{EvidenceView, capital},
    words::{Mark, Moment, Tone, length},
};
use crate::{
    people::Caller,
    view::{FleetView, GrantView, OperationView, PermitView, StepView, StoryLine, WaitingView},
};
use askama::Template;
use jiff::Timestamp;
use millwright_decision::{Class, Code};

/// The page.
#[derive(Template)]
#[template(path = "operation.html")]
pub struct OperationPage {
    shell: Shell,
    id: String,
    title: String,
    node: String,
    key: String,
    state: Mark,
    progress: Progress,
    by: String,
    reason: String,
    asked: Moment,
    sentence: Vec<Span>,
    /// Whether that is what it waits for.
    waits: bool,
    since: Moment,
    owner: Option<String>,
    expected: Option<Moment>,
    objections: Vec<Objection>,
    acts: Vec<Act>,
    /// Why something that may be said cannot be said by whoever looks.
    not_you: Vec<String>,
    /// Where to sign in, for whoever has no name and could say something with one.
    sign_in: Option<String>,
    by_hand: Option<ByHand>,
    permit: Option<Permit>,
    steps: Vec<Step>,
    grants: Vec<Grant>,
    /// What somebody who approves agrees to; absent where nobody has to.
    covers: Option<Vec<(&'static str, String)>>,
    digest: String,
    story: Vec<Line>,
}

/// What objects to going on.
pub struct Objection {
    mark: Mark,
    code: String,
    /// Whether the manual of this version has its page.
    is_known: bool,
    sentence: String,
    unblocked_by: Vec<Span>,
}

/// A command that people run.
struct ByHand {
    /// What to type where the credentials are.
    command: String,
    /// What that runs; empty where policy names none.
    runs: String,
    /// Whether it has been begun.
    is_begun: bool,
}

struct Permit {
    step: String,
    at: Moment,
    until: Moment,
    is_over: bool,
}

struct Step {
    place: usize,
    title: String,
    doing: String,
    mark: Mark,
    is_current: bool,
    is_irreversible: bool,
    /// "point of no return", before the first step that cannot be taken back.
    limit: Option<&'static str>,
    story: String,
    why: Option<Vec<Span>>,
    changed: Option<Moment>,
    command: String,
    evidence: Vec<EvidenceView>,
}

struct Grant {
    code: String,
    about: String,
    by: String,
    at: Moment,
    mark: Mark,
}

struct Line {
    at: Moment,
    sentence: String,
}

impl OperationPage {
    /// The page of `operation` for `caller`.
    pub fn new(fleet: &FleetView, operation: &OperationView, caller: &Caller) -> Self {
        let now = fleet.asked_at;
        let summary = &operation.summary;
        let waiting = summary.waiting.as_ref().filter(|_| summary.broken.is_none());
        let state = operations::state(summary);
        let title = format!("{} {}", capital(&summary.action), summary.node);
        let offered = acts::of_operation(operation, class_of(fleet, &summary.key), caller);
        Self {
            shell: Shell::new(fleet)
                .at("/operations")
                .about(&summary.key, &format!("{title}: {}", operations::sentence(summary))),
            id: summary.id.clone(),
            title,
            node: summary.node.clone(),
            key: summary.key.clone(),
            state,
            progress: Progress::of(summary),
            by: summary.by.clone(),
            reason: summary.reason.clone(),
            asked: Moment::new(summary.requested_at, now),
            sentence: markdown::line(&operations::sentence(summary)),
            waits: waiting.is_some() && !matches!(summary.state.as_str(), "stuck" | "parked"),
            since: Moment::new(waiting.map_or(summary.changed_at, |waiting| waiting.since), now),
            owner: waiting.map(|waiting| waiting.owner.clone()).filter(|owner| !owner.is_empty()),
            expected: waiting.and_then(|waiting| waiting.expected_at).map(|at| Moment::new(at, now)),
            objections: waiting.map(objections).unwrap_or_default(),
            acts: offered.acts,
            not_you: offered.not_you,
            sign_in: offered.sign_in,
            by_hand: by_hand(operation),
            permit: operation.permit.as_ref().map(|permit| show_permit(permit, now)),
            steps: steps(operation, now),
            grants: operation.grants.iter().map(|grant| show_grant(grant, now)).collect(),
            covers: is_about_consent(operation).then(|| covers(operation, &fleet.policy.version)),
            digest: operation.digest.clone(),
            story: operation.story.iter().map(|line| show_line(line, now)).collect(),
        }
    }
}

/// The class of a node; none for one that no policy lists.
pub fn class_of(fleet: &FleetView, key: &str) -> Option<Class> {
    fleet.nodes().find(|node| node.key == key).and_then(|node| node.class)
}

fn objections(waiting: &WaitingView) -> Vec<Objection> {
    let objection = |reason: &crate::view::ObjectionView| Objection {
        mark: super::words::verdict_word(&reason.severity),
        is_known: Code::ALL.iter().any(|code| code.as_str() == reason.code),
        code: reason.code.clone(),
        sentence: reason.sentence.clone(),
        unblocked_by: markdown::line(&reason.unblocked_by),
    };
    waiting.reasons.iter().map(objection).collect()
}

/// The command of a step that waits for a person who runs it, or that one runs.
fn by_hand(operation: &OperationView) -> Option<ByHand> {
    let current = operation.steps.iter().find(|step| step.is_current)?;
    let is_open = matches!(current.state.as_str(), "pending" | "not_done" | "begun" | "unknown");
    let is_theirs = operation.executor == "by_hand" && !operation.command.is_empty();
    (is_open && is_theirs && !operation.summary.is_over()).then(|| ByHand {
        command: format!("millwright step {}", operation.summary.id),
        runs: operation.command.join(" "),
        is_begun: matches!(current.state.as_str(), "begun" | "unknown"),
    })
}

fn show_permit(permit: &PermitView, now: Timestamp) -> Permit {
    Permit {
        step: permit.step.replace('_', " "),
        at: Moment::new(permit.at, now),
        until: Moment::new(permit.expires_at, now),
        is_over: permit.expires_at <= now,
    }
}

fn steps(operation: &OperationView, now: Timestamp) -> Vec<Step> {
    let first = operation.steps.iter().position(|step| step.is_irreversible);
    let limit = if operation.is_past_no_return {
        "The point of no return is behind: it goes on until the node is back, or a person takes it over as it is"
    } else {
        "Point of no return: before it everything can be called off"
    };
    let shown = operation.steps.iter().enumerate();
    shown
        .map(|(place, step)| Step {
            limit: (first == Some(place)).then_some(limit),
            ..show_step(place, step, now)
        })
        .collect()
}

fn show_step(place: usize, step: &StepView, now: Timestamp) -> Step {
    let mut story = Vec::new();
    if step.was_so {
        story.push("was so before".to_owned());
    }
    if let (Some(began), Some(changed), true) = (step.began_at, step.changed_at, step.state == "done") {
        story.push(format!("took {}", length(changed.duration_since(began))));
    }
    if step.attempt > 1 {
        story.push(format!("attempt {}", step.attempt));
    }
    story.extend(step.by.as_ref().map(|by| format!("by {by}")));
    Step {
        place: place + 1,
        title: capital(&step.step.replace('_', " ")),
        doing: step.doing.clone(),
        mark: step_mark(step),
        is_current: step.is_current,
        is_irreversible: step.is_irreversible,
        limit: None,
        story: story.join(", "),
        why: step.why.as_deref().map(markdown::line),
        changed: step.changed_at.or(step.began_at).map(|at| Moment::new(at, now)),
        command: step.command.join(" "),
        evidence: step
            .evidence
            .iter()
            .map(|seen| EvidenceView::new(&seen.fact, &seen.value, &seen.source, seen.age_seconds))
            .collect(),
    }
}

fn step_mark(step: &StepView) -> Mark {
    let mark = |word, symbol, tone| Mark { word, symbol, tone };
    match step.state.as_str() {
        "done" => mark("done", "✓", Tone::Good),
        "pending" if step.is_current => mark("next", "◔", Tone::Busy),
        "pending" => mark("to come", "–", Tone::Quiet),
        "begun" => mark("begun", "◔", Tone::Busy),
        "prepared" => mark("prepared", "◔", Tone::Busy),
        "committed" => mark("under way", "◔", Tone::Busy),
        "not_done" => mark("not done", "!", Tone::Notice),
        "undoing" => mark("being undone", "◔", Tone::Busy),
        "undone" => mark("undone", "–", Tone::Quiet),
        _ => mark("unknown", "?", Tone::Unknown),
    }
}

fn show_grant(grant: &GrantView, now: Timestamp) -> Grant {
    Grant {
        code: grant.code.clone(),
        about: grant.task.as_ref().map(|task| format!("the task {task} may end")).unwrap_or_default(),
        by: grant.by.clone(),
        at: Moment::new(grant.at, now),
        mark: if grant.counts {
            Mark { word: "counts", symbol: "✓", tone: Tone::Good }
        } else {
            Mark { word: "counts no longer", symbol: "!", tone: Tone::Notice }
        },
    }
}

fn show_line(line: &StoryLine, now: Timestamp) -> Line {
    Line { at: Moment::new(line.at, now), sentence: line.sentence.clone() }
}

/// Whether somebody has agreed, or has to.
fn is_about_consent(operation: &OperationView) -> bool {
    operation.steps.iter().any(|step| step.step == "consent") && !operation.summary.is_over()
}

/// What somebody who approves agrees to, in words.
pub fn covers(operation: &OperationView, policy: &str) -> Vec<(&'static str, String)> {
    let summary = &operation.summary;
    let mut covers = vec![
        ("what", summary.action.clone()),
        (
            "node",
            format!(
                "{} ({}), the machine that it was when this was asked for",
                summary.node, operation.class
            ),
        ),
        ("asked for by", format!("{}: {}", summary.by, summary.reason)),
    ];
    if summary.action == "delete" {
        let fate = if operation.volumes == "keep" { "kept" } else { "deleted with it" };
        covers.push(("its volumes", fate.to_owned()));
    }
    covers.push((
        "run by",
        match operation.executor.as_str() {
            "command" => "the coordinator, with the command that the policy names".to_owned(),
            "openstack" => "the coordinator, which asks OpenStack itself".to_owned(),
            _ => "a person, with `millwright step`".replace('`', ""),
        },
    ));
    covers.extend(operation.image.iter().map(|image| ("image", image.clone())));
    if operation.is_silent {
        covers.push(("because", "the node is silent for good: it is reset without being emptied".to_owned()));
    }
    covers.extend(operation.let_go.iter().map(|task| ("task that may end", task.clone())));
    if !policy.is_empty() {
        covers.push(("policy", policy.chars().take(12).collect()));
    }
    covers
}
