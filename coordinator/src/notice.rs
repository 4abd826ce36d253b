//! What people who are not looking are told, once, in order, however long a chat is away.
//!
//! ```text
//!  the fleet ──conditions──▶ Known ──news──┐
//!  operations ──what happened──▶ Post ─────┼─▶ Outbox ──▶ each channel in turn: chat, mail
//!                                          │      └──▶ rows in the store, before anything is sent
//! ```
//! Everything here is plain data, and time is an argument; what sends is in [`crate::integrations`].

mod kept;
mod known;
mod outbox;
mod post;

pub use outbox::{NotTold, Outbox, Parcel, Taken};
pub use post::{Announcement, Post};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Back to normal.
    Ok,
    /// Worth knowing.
    Info,
    /// Today.
    Warn,
    /// Now.
    Crit,
}

impl Level {
    /// The word in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Crit => "crit",
        }
    }

    fn again_after(self) -> SignedDuration {
        match self {
            Self::Crit => SignedDuration::from_hours(1),
            Self::Ok | Self::Info | Self::Warn => SignedDuration::from_hours(24),
        }
    }
}

/// Something that holds now and that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What makes it the same condition later: `alibuild01/silent`, `alibuild01/docker`, `brake/agent`, `op-17`.
    pub subject: String,
    /// Where, as policy spells it.
    pub node: Option<String>,
    /// The operation that asks, where one does: its end is told by what the operation does next.
    pub operation: Option<String>,
    /// Which of several things it may be about: another one is news, the same in other words is not.
    pub what: String,
    /// How urgent.
    pub level: Level,
    /// In words.
    pub sentence: String,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// When it was so.
    pub at: Timestamp,
    /// How urgent.
    pub level: Level,
    /// Where, as policy spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// See [`Condition::subject`].
    pub subject: String,
    /// The operation whose story it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// For people. It may hold what somebody outside has written.
    pub text: String,
}

impl Notice {
    /// What stands together where a channel can have that: an operation, or a condition with its end.
    pub fn thread(&self) -> &str {
        self.operation.as_deref().unwrap_or(&self.subject)
    }
}
