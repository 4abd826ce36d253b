//! Orders: what the coordinator asks an agent to do, and what the agent says became of it.
//!
//! The list of verbs is closed. An order is for one boot of one machine, fenced by generation and epoch, and short-lived;
//! the agent may refuse it for reasons of its own, and its refusal is final: the same order is never carried out later.

use crate::{Evidence, Fence};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The newest an agent has heard of, as it keeps it over restarts: a store that is behind this was restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    /// The highest fence.
    #[serde(flatten)]
    pub fence: Fence,
    /// The highest journal position an order of that generation rested on.
    pub position: u64,
    /// When the newest order of that generation was made, by the coordinator's clock: no other order was made then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered_at: Option<Timestamp>,
}

/// Which machine is meant: all that is known of it must be so (S21).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The node, in any spelling.
    pub node: String,
    /// As its last report said.
    pub machine_id: String,
    /// As its last report said, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_uuid: Option<String>,
    /// The boot that is meant; in a later one the order is void.
    pub boot_id: String,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Names it for ever; at most 80 of `a-z`, `0-9`, `.` and `-`.
    pub id: String,
    /// The operation it belongs to.
    pub operation: String,
    /// Who speaks.
    #[serde(flatten)]
    pub fence: Fence,
    /// The journal position of the record that this order rests on.
    pub position: u64,
    /// Whom it is for.
    pub target: Target,
    /// The coordinator's clock when the order was made.
    pub issued_at: Timestamp,
    /// It is void so many seconds after `issued_at`.
    pub ttl_seconds: u64,
    /// Who wants it and why, for the node's log and whoever is logged in there.
    pub reason: String,
    /// What to do.
    #[serde(flatten)]
    pub verb: Verb,
}

impl Order {
    /// It is void from then on, by the coordinator's clock.
    pub fn void_at(&self) -> Timestamp {
        let ttl = std::time::Duration::from_secs(self.ttl_seconds);
        self.issued_at.checked_add(ttl).unwrap_or(Timestamp::MAX)
    }
}

/// What an agent can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Verb {
    /// Pull what is missing of these images, which must be among those the node is configured to keep.
    Prepull {
        /// Names as configured.
        images: Vec<String>,
    },
    /// Run Puppet once, in the foreground, and again while it fails, this often at most.
    PuppetRun {
        /// Runs at most, 1 to 5.
        tries: u8,
    },
    /// Reboot through logind, in two steps: without `commit` the agent looks, answers [`OrderState::Prepared`] with a
    /// nonce, and does nothing; the same order with that nonce, within 60 s, is carried out after a last look.
    Reboot {
        /// Tasks that a person let go; any other living task is a refusal.
        #[serde(default)]
        may_end: Vec<String>,
        /// Who confirmed it, where the node asks for that; its own configuration may.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed_by: Option<String>,
        /// The nonce of the agent's answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
    },
    /// Collect a bounded bundle of facts for people.
    CollectDiagnostics {},
    /// Write one external fact for Puppet; `None` removes it.
    SetFact {
        /// Its name: `millwright_` and lower-case letters and `_`.
        name: String,
        /// Its value: one line of at most 200 characters.
        value: Option<String>,
    },
    /// Replace the Mesos master's whitelist file (masters only).
    SetWhitelist {
        /// Every host that may get offers; never empty.
        hosts: Vec<String>,
        /// Grows with each list; an older one is refused.
        version: u64,
        /// So many hosts of the list in force may be missing from this one.
        may_drop: u32,
    },
    /// Remove what stands on the agent's own list of things that may be removed.
    Cleanup {
        /// Only say what would go.
        dry_run: bool,
    },
}

impl Verb {
    /// The word in log, page and protocol.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Prepull { .. } => "prepull",
            Self::PuppetRun { .. } => "puppet_run",
            Self::Reboot { .. } => "reboot",
            Self::CollectDiagnostics {} => "collect_diagnostics",
            Self::SetFact { .. } => "set_fact",
            Self::SetWhitelist { .. } => "set_whitelist",
            Self::Cleanup { .. } => "cleanup",
        }
    }
}

/// `GET /v1/agents/{node}/orders`. Each order is read for itself, so that one an agent does not understand can be
/// refused by its id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// In the order in which they are to be carried out.
    pub orders: Vec<serde_json::Value>,
    /// The coordinator's clock when it answered, for telling the offset of the node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Why an agent does not carry out an order: never, since it remembers its refusal. In the order of its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Not readable, too long, or a verb that is not on the list.
    Malformed,
    /// For another node, machine or server.
    NotMe,
    /// Another generation, or an epoch below the highest seen.
    StaleLeader,
    /// Its time is over.
    Expired,
    /// The node's clock cannot be bounded, so nobody can tell whether its time is over.
    ClockUnknown,
    /// For an earlier boot.
    EarlierBoot,
    /// The node's own configuration protects it from this.
    Protected,
    /// Somebody on the node, or something at work there, says no.
    Veto,
    /// Something runs that nobody let go, or the node cannot tell what runs.
    Busy,
    /// The node was booted too lately or too often.
    TooSoon,
    /// The second step of a reboot came without the first, or too late.
    PrepareLost,
    /// The last look found what the first had not.
    ChangedMind,
    /// The agent's memory is damaged or cannot be written: it does nothing.
    MemoryBroken,
    /// The node cannot do that: no Docker, no Puppet, not a master.
    NotHere,
}

impl RefusalCode {
    /// Every code, in the order of the checks.
    pub const ALL: [Self; 14] = [
        Self::Malformed,
        Self::NotMe,
        Self::StaleLeader,
        Self::Expired,
        Self::ClockUnknown,
        Self::EarlierBoot,
        Self::Protected,
        Self::Veto,
        Self::Busy,
        Self::TooSoon,
        Self::PrepareLost,
        Self::ChangedMind,
        Self::MemoryBroken,
        Self::NotHere,
    ];

    /// The word in log, page and protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotMe => "not_me",
            Self::StaleLeader => "stale_leader",
            Self::Expired => "expired",
            Self::ClockUnknown => "clock_unknown",
            Self::EarlierBoot => "earlier_boot",
            Self::Protected => "protected",
            Self::Veto => "veto",
            Self::Busy => "busy",
            Self::TooSoon => "too_soon",
            Self::PrepareLost => "prepare_lost",
            Self::ChangedMind => "changed_mind",
            Self::MemoryBroken => "memory_broken",
            Self::NotHere => "not_here",
        }
    }
}

/// What became of an order so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum OrderState {
    /// The first step of a reboot: nothing is done, and nothing speaks against it.
    Prepared {
        /// To be sent back with the same order, within 60 s.
        nonce: String,
    },
    /// It is about to be done; the intent is on the node's disk.
    Starting,
    /// It is done, or was so already.
    Done {
        /// What proves it.
        #[serde(default)]
        evidence: Vec<Evidence>,
    },
    /// Not begun, and never will be.
    Refused {
        /// Which check refused.
        code: RefusalCode,
        /// For people: what was found, and what would help.
        sentence: String,
    },
    /// Tried, and no effect remains.
    Failed {
        /// For people.
        sentence: String,
        /// What was seen.
        #[serde(default)]
        evidence: Vec<Evidence>,
    },
    /// Begun, and nobody knows how it ended.
    Unknown {
        /// For people: what would tell.
        sentence: String,
    },
}

impl OrderState {
    /// Whether nothing more will be said about the order.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Prepared { .. } | Self::Starting)
    }
}

/// `POST /v1/agents/{node}/orders/{id}/events`: repeated until it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// The node's clock.
    pub at: Timestamp,
    /// The boot in which it is said.
    pub boot_id: String,
    /// What became of it.
    #[serde(flatten)]
    pub state: OrderState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_reads_back_from_its_word() {
        for code in RefusalCode::ALL {
            let word = format!("{:?}", code.as_str());
            assert_eq!(serde_json::from_str::<RefusalCode>(&word).unwrap(), code);
        }
    }
}
