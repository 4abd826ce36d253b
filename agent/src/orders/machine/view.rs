//! The machine for people: the local status shows it.

use super::{Disk, Machine, OrderState};
use jiff::Timestamp;
use millwright_protocol::Seen;
use serde::{Deserialize, Serialize};

/// So many orders are shown.
const SHOWN: usize = 10;

/// Orders and memory, as the status shows them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OrdersView {
    /// Whether orders are carried out here.
    pub enabled: bool,
    /// The newest coordinator and journal position heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Why the memory cannot be used, so that every order is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_trouble: Option<String>,
    /// Orders that are remembered.
    pub remembered: usize,
    /// Answers that the coordinator has not heard yet.
    pub untold: usize,
    /// The last orders, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last: Vec<OrderView>,
}

/// One order, as the status shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderView {
    /// Its id.
    pub id: String,
    /// What was asked for; `?` where that could not be read.
    pub verb: String,
    /// What became of it: `starting`, `done`, `refused`, `failed` or `unknown`.
    pub state: String,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// When that was, by the node's clock.
    pub at: Timestamp,
    /// Whether the coordinator has heard it.
    pub told: bool,
}

impl<D: Disk> Machine<D> {
    /// As it stands.
    pub fn view(&self) -> OrdersView {
        let orders = self.memory.orders();
        let last = orders.iter().rev().take(SHOWN).map(|order| {
            let (state, sentence) = words(&order.event.state);
            OrderView {
                id: order.id.clone(),
                verb: order.verb.clone(),
                state: state.to_owned(),
                sentence,
                at: order.event.at,
                told: order.told,
            }
        });
        OrdersView {
            enabled: self.rules.enabled,
            seen: self.memory.seen(),
            memory_trouble: self.memory.trouble().map(|trouble| format!("{trouble}; {}", trouble.next())),
            remembered: orders.len(),
            untold: self.outbox.len(),
            last: last.collect(),
        }
    }
}

fn words(state: &OrderState) -> (&'static str, Option<String>) {
    match state {
        OrderState::Prepared { .. } => ("prepared", None),
        OrderState::Starting => ("starting", None),
        OrderState::Done { .. } => ("done", None),
        OrderState::Refused { code, sentence } => ("refused", Some(format!("{}: {sentence}", code.as_str()))),
        OrderState::Failed { sentence, .. } => ("failed", Some(sentence.clone())),
        OrderState::Unknown { sentence } => ("unknown", Some(sentence.clone())),
    }
}

impl OrderView {
    /// One line about it.
    pub fn sentence(&self) -> String {
        let why = self.sentence.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let heard = if self.told { "" } else { ", not told yet" };
        format!("{} {}: {}{why}{heard}", self.verb, self.id, self.state)
    }
}
