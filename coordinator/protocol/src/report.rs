//! The report: what an agent says every 10 seconds, and what it gets back.

use crate::{Facts, Finding, Seen};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the contract. A coordinator accepts reports of this version and the one before.
pub const PROTOCOL_VERSION: u32 = 1;

/// `POST /v1/agents/{node}/report`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub protocol: u32,
    /// The node's name as the agent spells it: the certname, or the host name without one.
    pub node: String,
    /// The agent's own version.
    #[serde(default)]
    pub agent_version: String,
    /// Changes at each boot.
    pub boot_id: String,
    /// Changes when the machine is rebuilt.
    pub machine_id: String,
    /// The server's UUID, where there is one (OpenStack's, by way of DMI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_uuid: Option<String>,
    /// Grows by one with every report; compared within one machine id only.
    pub sequence: u64,
    /// The node's clock when the report was made; the coordinator goes by its own clock of arrival.
    pub sent_at: Timestamp,
    /// Seconds since boot.
    #[serde(default)]
    pub uptime_seconds: u64,
    /// What the checks found.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// What the checks saw.
    #[serde(default)]
    pub facts: Facts,
    /// The newest order and coordinator this node has heard of; `None` where its memory is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Holds set on the node itself, which no order overrules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_holds: Vec<LocalHold>,
    /// The hosts in the whitelist file of this node's Mesos master, read for this report; none where the file is
    /// missing. Absent where the agent keeps no such file, cannot read it, or finds it empty (masters only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whitelist: Option<Vec<String>>,
}

/// "Leave this node as it is", said on the node, without a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalHold {
    /// Names it on its node.
    pub id: String,
    /// Who said it: a user of the node.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Since when, by the node's clock.
    pub since: Timestamp,
    /// When it ends by itself, by the node's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The coordinator's answer to a report it took in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// The coordinator's [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// The coordinator's clock, so that an agent can tell its own offset.
    pub received_at: Timestamp,
    /// Whether the node stands in the policy; an unlisted node is seen, never touched.
    #[serde(default)]
    pub listed: bool,
    /// The UUID of the coordinator's cluster, so that an agent that knows which is its own can tell another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// How often a person has put a copy of the coordinator's store in its place, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// How often a coordinator has begun to write to its store, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}
