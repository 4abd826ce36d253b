//! What an operation has done outside, as data. Each may be asked for again: whoever carries it out decides nothing, and looks
//! first whether it is so.

use crate::fleet::{Alarms, Move};

/// What is to be done outside, once its intent is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell colleagues.
    Announce,
    /// Stop new work on the node, and read back that it is so.
    Cordon,
    /// Have schedulers take this away from the node, one after the other, and read back that each is so.
    Move {
        /// What, in this order.
        moves: Vec<Move>,
    },
    /// Let new work come to the node, and read back that it is so.
    Uncordon,
    /// Run this exact command.
    Run {
        /// Its words.
        command: Vec<String>,
    },
    /// Have the cloud take this step, or only look what became of having asked it before.
    Cloud {
        /// Whether anything may be asked for; its permit says until when.
        may_ask: bool,
    },
    /// Have Roger wake nobody, and read back that it is so.
    MaskAlarms {
        /// What was set when the intent was written; if it is something else by now, nothing is changed.
        before: Alarms,
    },
    /// Have Roger set what was set before, unless somebody has changed it since.
    RestoreAlarms {
        /// What to put back.
        before: Alarms,
    },
}

impl Effect {
    /// The word of it, for the log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Announce => "announce",
            Self::Cordon => "cordon",
            Self::Move { .. } => "move",
            Self::Uncordon => "uncordon",
            Self::Run { .. } => "run",
            Self::Cloud { .. } => "cloud",
            Self::MaskAlarms { .. } => "mask_alarms",
            Self::RestoreAlarms { .. } => "restore_alarms",
        }
    }
}
