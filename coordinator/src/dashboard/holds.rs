//! Holds: nodes that somebody wants kept as they are.

use super::{
    markdown::Span,
    shell::Shell,
    words::{self, Mark, Moment, Tone},
};
use crate::{
    people::{Caller, Role},
    view::{FleetView, HoldView},
};
use askama::Template;
use jiff::Timestamp;
use millwright_decision::Class;
use millwright_protocol::NodeName;

/// The page.
#[derive(Template)]
#[template(path = "holds.html")]
pub struct HoldsPage {
    shell: Shell,
    headline: String,
    holds: Vec<Line>,
    can_add: bool,
    is_nobody: bool,
}

/// One hold in a list.
pub struct Line {
    /// Names it.
    pub id: String,
    /// The node, as policy spells it.
    pub node: String,
    /// Its canonical name.
    pub key: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Moment,
    /// When it asks.
    pub until: Option<Moment>,
    /// How it stands.
    pub mark: Mark,
    /// The drain that it belongs to.
    pub operation: Option<String>,
    /// Whether it can be lifted here by whoever looks.
    pub can_lift: bool,
    /// Whether it is lifted on the node itself.
    pub is_local: bool,
}

impl Line {
    /// Of a hold, for `caller`.
    pub fn new(hold: &HoldView, caller: &Caller, now: Timestamp) -> Self {
        let key = hold.node.parse().map_or_else(|_| hold.node.clone(), |name: NodeName| name.to_string());
        let is_due = hold.until.is_some_and(|until| until <= now);
        Self {
            id: hold.id.clone(),
            node: hold.node.clone(),
            key,
            by: hold.by.clone(),
            reason: hold.reason.clone(),
            since: Moment::new(hold.since, now),
            until: hold.until.map(|until| Moment::new(until, now)),
            mark: match (is_due, &hold.operation) {
                (true, _) => Mark { word: "its time is over", symbol: "⚑", tone: Tone::Notice },
                (false, Some(_)) => Mark { word: "drained", symbol: "–", tone: Tone::Quiet },
                (false, None) => Mark { word: "held", symbol: "–", tone: Tone::Quiet },
            },
            operation: hold.operation.clone(),
            can_lift: !hold.is_local && may_operate(caller),
            is_local: hold.is_local,
        }
    }
}

/// Whether somebody may operate anything: the form knows the rest.
pub fn may_operate(caller: &Caller) -> bool {
    let on = |class: &Class| caller.rights.may(Role::Operate, Some(*class));
    caller.is_somebody() && Class::ALL.iter().any(on)
}

impl HoldsPage {
    /// The page.
    pub fn new(fleet: &FleetView, holds: &[HoldView], caller: &Caller) -> Self {
        let headline = match holds.len() {
            0 => "No holds stand".to_owned(),
            1 => "1 hold stands".to_owned(),
            many => format!("{} stand", words::count(many, "hold")),
        };
        Self {
            shell: Shell::new(fleet).at("/holds").about("", &headline),
            headline,
            holds: holds.iter().map(|hold| Line::new(hold, caller, fleet.asked_at)).collect(),
            can_add: may_operate(caller),
            is_nobody: !caller.is_somebody(),
        }
    }
}
