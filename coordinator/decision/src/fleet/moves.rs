//! What schedulers would take away from nodes if they were asked: instances of services, and their own lead.

use crate::Source;
use jiff::{SignedDuration, Timestamp};
use millwright_protocol::NodeName;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// One thing that a scheduler takes away from a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Move {
    /// One instance of a service. Its scheduler starts another one elsewhere.
    Task {
        /// Whose service it is.
        by: Source,
        /// What the scheduler calls it, such as `/kibana` or `root/prod/ci`.
        service: String,
        /// Mesos' id of the instance's task.
        task: String,
    },
    /// The lead of the scheduler itself. Another one of its servers takes it.
    Lead {
        /// Which scheduler leads there.
        by: Source,
    },
}

impl Move {
    /// Who does it.
    pub fn by(&self) -> Source {
        match self {
            Self::Task { by, .. } | Self::Lead { by } => *by,
        }
    }
}

impl fmt::Display for Move {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task { by, service, task } => write!(formatter, "{task} of {service} ({})", by.title()),
            Self::Lead { by } => write!(formatter, "the lead of {}", by.title()),
        }
    }
}

/// What one scheduler has where, as far as we may have it moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Movable {
    /// Whether we may have it move tasks.
    pub moves_tasks: bool,
    /// Whether we may have it give its lead away.
    pub gives_lead: bool,
    /// When it was asked; `None` while it has not answered since the start.
    pub at: Option<Timestamp>,
    /// By node.
    pub on: BTreeMap<NodeName, Vec<Move>>,
}

impl Movable {
    /// What it said is too old to go by, or it has said nothing.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.at.is_none_or(|at| now.duration_since(at) > super::STALE)
    }

    /// How old it is, where it has said anything.
    pub fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.at.map(|at| now.duration_since(at))
    }
}
