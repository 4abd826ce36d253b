//! What can be asked: an action, on which nodes, at which stage.

use millwright_protocol::NodeName;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// What somebody wants done with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Cordon, wait, prove empty.
    Drain,
    /// Back into service.
    Return,
    /// Drain, boot, return.
    Reboot,
    /// Drain, new system disk, return.
    Rebuild,
    /// Away for good.
    Delete,
    /// A node that policy lists and nobody has made yet.
    Create,
    /// Pull the builder images.
    Prepull,
}

impl Action {
    /// Every action, in the order pages show them.
    pub const ALL: [Self; 7] =
        [Self::Drain, Self::Reboot, Self::Rebuild, Self::Delete, Self::Return, Self::Create, Self::Prepull];

    /// The four that a node's page shows a verdict for.
    pub const DISRUPTIVE: [Self; 4] = [Self::Drain, Self::Reboot, Self::Rebuild, Self::Delete];

    /// The word in API, log and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Return => "return",
            Self::Reboot => "reboot",
            Self::Rebuild => "rebuild",
            Self::Delete => "delete",
            Self::Create => "create",
            Self::Prepull => "prepull",
        }
    }

    /// "drained", "rebooted", … for sentences.
    pub fn past(self) -> &'static str {
        match self {
            Self::Drain => "drained",
            Self::Return => "returned",
            Self::Reboot => "rebooted",
            Self::Rebuild => "rebuilt",
            Self::Delete => "deleted",
            Self::Create => "created",
            Self::Prepull => "given its images",
        }
    }

    /// Whether it takes a node out of service.
    pub fn is_disruptive(self) -> bool {
        Self::DISRUPTIVE.contains(&self)
    }

    /// Whether its irreversible step ends what runs on the node. A drain's step is the cordon, which ends nothing.
    pub fn ends_tasks(self) -> bool {
        matches!(self, Self::Reboot | Self::Rebuild | Self::Delete)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an action; the actions are drain, return, reboot, rebuild, delete, create and prepull")]
pub struct UnknownAction(String);

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(word: &str) -> Result<Self, UnknownAction> {
        let wanted = word.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == wanted)
            .ok_or_else(|| UnknownAction(word.chars().take(40).collect()))
    }
}

/// What a delete does with the volumes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Volumes {
    /// They stay.
    #[default]
    Keep,
    /// They go with the node.
    Delete,
}

/// How far along the asker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// Somebody asks whether it would be allowed.
    #[default]
    Ask,
    /// An operation asks for the permit to take the irreversible step now.
    Permit,
}

/// A question to [`crate::judge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is wanted.
    pub action: Action,
    /// On which nodes; a set, so that neither order nor spelling can matter.
    pub nodes: BTreeSet<NodeName>,
    /// What a delete does with the volumes.
    pub volumes: Volumes,
    /// How far along the asker is.
    pub stage: Stage,
    /// The operation that asks, whose own hold, cordon and slot never object.
    pub operation: Option<String>,
}

impl Request {
    /// Asks about one node.
    pub fn one(action: Action, node: NodeName) -> Self {
        Self::set(action, [node])
    }

    /// Asks about several nodes at once.
    pub fn set(action: Action, nodes: impl IntoIterator<Item = NodeName>) -> Self {
        Self {
            action,
            nodes: nodes.into_iter().collect(),
            volumes: Volumes::Keep,
            stage: Stage::Ask,
            operation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_reads_back_from_its_word() {
        for action in Action::ALL {
            assert_eq!(action.as_str().to_uppercase().parse(), Ok(action));
        }
        assert!("explode".parse::<Action>().unwrap_err().to_string().contains("the actions are"));
    }
}
