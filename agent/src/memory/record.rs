//! What is written into the memory, and what it adds up to.

use jiff::Timestamp;
use millwright_protocol::{Evidence, OrderEvent, OrderState, RefusalCode, Seen};
use serde::{Deserialize, Serialize};

/// One thing to remember. Later ones are laid over earlier ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Record {
    /// From here on the memory is complete; before, it may have lost something.
    Since {
        /// The boot in which it began.
        boot_id: String,
        /// Seconds since that boot.
        uptime_seconds: u64,
    },
    /// The newest coordinator and journal position heard of.
    Seen(Seen),
    /// A boot that was seen.
    Boot(Boot),
    /// How an order stands.
    Order(Remembered),
    /// The coordinator has heard what became of an order.
    Told {
        /// The order.
        id: String,
    },
    /// The whitelist in force, on masters.
    Whitelist {
        /// Its version.
        version: u64,
    },
}

/// One boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Its id.
    pub boot_id: String,
    /// When the agent first saw it, by the node's clock.
    pub at: Timestamp,
    /// The order that asked for it; `None` for one that somebody made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
}

/// One order, and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// Its id.
    pub id: String,
    /// Its verb, in the protocol's word; `?` for one that could not be read.
    pub verb: String,
    /// Void from then on, by the coordinator's clock; `None` for one that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void_at: Option<Timestamp>,
    /// When it was begun, by the coordinator's clock at its earliest and latest; `None` where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
    /// What became of it, as it is told.
    pub event: OrderEvent,
    /// Whether the coordinator has heard that.
    #[serde(default)]
    pub told: bool,
}

/// When an order was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The coordinator's clock, at its latest.
    pub at: Timestamp,
    /// The boot.
    pub boot_id: String,
    /// Seconds since that boot.
    pub uptime_seconds: u64,
    /// Why a reboot was asked for without a delay in which to tell of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undelayed: Option<String>,
}

/// A kept sentence or value is no longer.
const LONGEST_WORD: usize = 300;
/// A kept answer has no more evidence.
const MOST_EVIDENCE: usize = 4;

impl Remembered {
    /// Whether nothing more will become of it.
    pub fn is_final(&self) -> bool {
        self.event.state.is_final()
    }

    /// Which check refused it.
    pub fn refusal(&self) -> Option<RefusalCode> {
        match &self.event.state {
            OrderState::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Keeps of an answer that was heard only what tells it from others.
    pub fn shorten(&mut self) {
        match &mut self.event.state {
            OrderState::Done { evidence } => shorten(evidence),
            OrderState::Failed { sentence, evidence } => {
                cut(sentence);
                shorten(evidence);
            }
            OrderState::Refused { sentence, .. } | OrderState::Unknown { sentence } => cut(sentence),
            OrderState::Prepared { .. } | OrderState::Starting => {}
        }
    }
}

fn shorten(evidence: &mut Vec<Evidence>) {
    evidence.truncate(MOST_EVIDENCE);
    evidence.shrink_to_fit();
    evidence.iter_mut().for_each(|one| cut(&mut one.value));
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_WORD) {
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
}
