//! What the leading Mesos master said, in the words of the fleet.

use millwright_protocol::Task;
use std::collections::BTreeMap;

/// One answer of the leading master.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MasterAnswer {
    /// Names this leadership: changes when another master leads.
    pub leader: String,
    /// Mesos' version.
    pub version: String,
    /// Every agent it lists, unreachable ones included.
    pub agents: Vec<MasterAgent>,
}

/// One Mesos agent as the master lists it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MasterAgent {
    /// Mesos' id of it.
    pub id: String,
    /// The host name it registered with.
    pub hostname: String,
    /// Whether it is registered and active.
    pub active: bool,
    /// Whether its offers are stopped (Mesos ≥ 1.9).
    pub deactivated: bool,
    /// Whether the master lists it as out of reach.
    pub unreachable: bool,
    /// Attributes it registered with.
    pub attributes: BTreeMap<String, String>,
    /// Living tasks.
    pub tasks: Vec<Task>,
}
