//! Operations in lists: what each does, where it stands, what it waits for and who has to act.

use super::{
    markdown::{self, Span},
    shell::Shell,
    verdict::capital,
    words::{Mark, Moment, Tone},
};
use crate::view::{FleetView, OperationSummary};
use askama::Template;
use jiff::Timestamp;

/// Operations that are over and still shown.
const LATELY: usize = 50;

/// The page.
#[derive(Template)]
#[template(path = "operations.html")]
pub struct OperationsPage {
    shell: Shell,
    headline: String,
    tone: Tone,
    /// The node that the list is about; absent for all.
    node: Option<String>,
    open: Vec<Row>,
    over: Vec<Row>,
    over_more: usize,
}

/// One operation in a list.
pub struct Row {
    /// Names it, and its page.
    pub id: String,
    /// "Rebuild".
    pub title: String,
    /// The node, as policy spells it.
    pub node: String,
    /// Its canonical name.
    pub key: String,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub asked: Moment,
    /// Where it stands.
    pub mark: Mark,
    /// How far it is.
    pub progress: Progress,
    /// What it waits for, how it ended, or why it stands still.
    pub sentence: Vec<Span>,
    /// Who ends the wait.
    pub owner: Option<String>,
    /// Since when it stands there.
    pub since: Moment,
    /// When it is expected to go on.
    pub expected: Option<Moment>,
    /// Whether nothing but a person can help it on.
    pub needs_people: bool,
}

/// Steps as a small line.
pub struct Progress {
    /// "step 4 of 12: rebuild", or "12 steps done".
    pub words: String,
    /// The class name of every step's piece, and where it begins.
    pub pieces: Vec<(usize, &'static str)>,
    /// How long the line is, in the same unit.
    pub width: usize,
}

impl OperationsPage {
    /// The page; `operations` newest first.
    pub fn new(fleet: &FleetView, operations: &[OperationSummary], node: Option<&str>) -> Self {
        let now = fleet.asked_at;
        let (over, open): (Vec<&OperationSummary>, Vec<&OperationSummary>) =
            operations.iter().partition(|operation| operation.is_over());
        let asking = open.iter().filter(|operation| operation.needs_people()).count();
        let mut open: Vec<Row> = open.into_iter().map(|operation| Row::new(operation, now)).collect();
        open.sort_by_key(|row| (!row.needs_people, row.mark.tone != Tone::Bad));
        let (headline, tone) = match (open.len(), asking) {
            (0, _) => ("Nothing is under way".to_owned(), Tone::Quiet),
            (1, 0) => ("1 operation is under way".to_owned(), Tone::Busy),
            (many, 0) => (format!("{many} operations are under way"), Tone::Busy),
            (1, _) => ("1 operation waits for a person".to_owned(), Tone::Notice),
            (many, 1) => (format!("1 of {many} operations waits for a person"), Tone::Notice),
            (many, asking) => (format!("{asking} of {many} operations wait for a person"), Tone::Notice),
        };
        Self {
            shell: Shell::new(fleet).at("/operations").about("", &headline),
            headline,
            tone,
            node: node.map(str::to_owned),
            open,
            over_more: over.len().saturating_sub(LATELY),
            over: over.into_iter().take(LATELY).map(|operation| Row::new(operation, now)).collect(),
        }
    }
}

impl Row {
    /// Of `operation`, seen at `now`.
    pub fn new(operation: &OperationSummary, now: Timestamp) -> Self {
        let waiting = operation.waiting.as_ref();
        Self {
            id: operation.id.clone(),
            title: capital(&operation.action),
            node: operation.node.clone(),
            key: operation.key.clone(),
            by: operation.by.clone(),
            reason: operation.reason.clone(),
            asked: Moment::new(operation.requested_at, now),
            mark: state(operation),
            progress: Progress::of(operation),
            sentence: markdown::line(&sentence(operation)),
            owner: waiting.map(|waiting| waiting.owner.clone()).filter(|owner| !owner.is_empty()),
            since: Moment::new(waiting.map_or(operation.changed_at, |waiting| waiting.since), now),
            expected: waiting.and_then(|waiting| waiting.expected_at).map(|at| Moment::new(at, now)),
            needs_people: operation.needs_people(),
        }
    }
}

/// What it waits for, how it ended, why it stands still, or what is being done.
pub fn sentence(operation: &OperationSummary) -> String {
    if let Some(why) = &operation.broken {
        return format!("it stands still, because its record is damaged: {why}");
    }
    match (&operation.ended, &operation.waiting, &operation.step) {
        (Some(ended), ..) => ended.clone(),
        (None, Some(waiting), _) => waiting.sentence.clone(),
        (None, None, Some(step)) => format!("{} is being done", step.replace('_', " ")),
        (None, None, None) => "all its steps are done".to_owned(),
    }
}

/// Where it stands, as a mark.
pub fn state(operation: &OperationSummary) -> Mark {
    let mark = |word, symbol, tone| Mark { word, symbol, tone };
    if operation.broken.is_some() {
        return mark("damaged", "✕", Tone::Bad);
    }
    match operation.state.as_str() {
        "stuck" => mark("stuck", "✕", Tone::Bad),
        "parked" => mark("kept empty", "–", Tone::Quiet),
        "succeeded" => mark("succeeded", "✓", Tone::Good),
        "cancelled" => mark("called off", "–", Tone::Quiet),
        "abandoned" => mark("taken over", "!", Tone::Notice),
        _ if operation.needs_people() => mark("needs people", "⚑", Tone::Notice),
        "undoing" => mark("being undone", "◔", Tone::Busy),
        "running" if operation.waiting.is_some() => mark("waits", "◔", Tone::Busy),
        "running" => mark("running", "◔", Tone::Busy),
        _ => mark("unknown", "?", Tone::Unknown),
    }
}

impl Progress {
    /// Of an operation.
    pub fn of(operation: &OperationSummary) -> Self {
        let (done, all) = (operation.steps_done.min(operation.steps_all), operation.steps_all);
        let words = match &operation.step {
            Some(step) => format!("step {} of {all}: {}", (done + 1).min(all), step.replace('_', " ")),
            None => format!("{done} of {all} steps done"),
        };
        let is_now = |place| place == done && operation.step.is_some();
        let piece = |place: usize| match place {
            place if place < done => "fill",
            place if is_now(place) => "now",
            _ => "track",
        };
        Self {
            words,
            pieces: (0..all).map(|place| (place * PIECE, piece(place))).collect(),
            width: all.max(1) * PIECE,
        }
    }
}

/// How long the piece of one step is, with the gap behind it.
const PIECE: usize = 10;
