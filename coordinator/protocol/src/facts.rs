//! Facts: what a report carries beside findings, for the decision and for people.
//!
//! Every field may be missing: an agent of another version, a check that is off, a system that is silent.
//! A missing view is `None` and means "not known", never "nothing there".

use crate::Task;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything an agent knows beside its findings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The Mesos agent of this node and its tasks; `None` when it was not asked or did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesos_agent: Option<MesosAgentFacts>,
    /// The Mesos master of this node (masters only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesos_master: Option<MesosMasterFacts>,
    /// Docker's containers; `None` when Docker was not asked or did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containers: Option<ContainerFacts>,
    /// Every expected volume and every other mounted block device that matters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeFact>,
    /// The images this node should have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageFact>,
    /// The ZooKeeper member of this node (masters only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zookeeper: Option<ZooKeeperFacts>,
    /// Puppet's last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puppet: Option<PuppetFacts>,
    /// The machine itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemFacts>,
}

/// What the node's own Mesos agent says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MesosAgentFacts {
    /// Where it was asked, such as `http://127.0.0.1:5051/slave(1)`.
    pub url: String,
    /// Its agent id; absent until it has registered once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Mesos' version.
    #[serde(default)]
    pub version: String,
    /// The host name it announces.
    #[serde(default)]
    pub hostname: String,
    /// Whether a master has it registered; `None` when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<bool>,
    /// Attributes such as `dedicated`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Living tasks only.
    #[serde(default)]
    pub tasks: Vec<Task>,
    /// How long ago this was read, in seconds, when the report was made.
    #[serde(default)]
    pub age_seconds: u64,
}

/// What the node's own Mesos master says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MesosMasterFacts {
    /// Whether this master leads; `None` when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elected: Option<bool>,
    /// The leader it names, `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Whether its registrar has recovered (leader only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registrar_recovered: Option<bool>,
    /// Agents it counts as active (leader only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents_active: Option<u64>,
    /// Seconds since it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<u64>,
    /// How long ago this was read, in seconds, when the report was made.
    #[serde(default)]
    pub age_seconds: u64,
}

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerRole {
    /// On the allow-list of infrastructure: never counts as work.
    Infrastructure,
    /// Belongs to a living Mesos task.
    Task,
    /// Named like a task's container, but no living task owns it.
    Orphan,
    /// Anything else; unknown to us, so it may be somebody's work.
    #[serde(other)]
    Other,
}

/// One container that Docker lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Its name without the leading slash.
    pub name: String,
    /// Its image.
    #[serde(default)]
    pub image: String,
    /// Docker's word: `running`, `exited`, `restarting`, …
    #[serde(default)]
    pub state: String,
    /// What it is for.
    pub role: ContainerRole,
    /// When it started, by Docker's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// How often Docker restarted it.
    #[serde(default)]
    pub restarts: u64,
}

impl Container {
    /// Whether it may be doing something now.
    pub fn is_running(&self) -> bool {
        matches!(self.state.as_str(), "running" | "restarting" | "paused" | "removing")
    }
}

/// Docker as this node sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerFacts {
    /// All containers, running or not.
    #[serde(default)]
    pub containers: Vec<Container>,
    /// Docker's version.
    #[serde(default)]
    pub version: String,
    /// Docker's storage driver.
    #[serde(default)]
    pub storage_driver: String,
    /// How long ago this was read, in seconds, when the report was made.
    #[serde(default)]
    pub age_seconds: u64,
}

/// One volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumeFact {
    /// Where it is, or should be, mounted.
    pub mount: String,
    /// Whether it is mounted on a block device of its own.
    #[serde(default)]
    pub mounted: bool,
    /// The device, such as `/dev/vdb`; for people only, letters change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// File system type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system: Option<String>,
    /// File-system UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The disk's serial; for Cinder volumes the first 20 characters of the volume's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Whether it can be written to.
    #[serde(default)]
    pub read_write: bool,
    /// Size in bytes.
    #[serde(default)]
    pub size_bytes: u64,
    /// There to be used, in bytes; what root keeps for itself is not.
    #[serde(default)]
    pub free_bytes: u64,
    /// How full, in percent, as `df` counts: what root keeps for itself is neither used nor there to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_percent: Option<u8>,
    /// Used inodes, in percent; absent for file systems without a fixed number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes_used_percent: Option<u8>,
    /// Hours until it is full at the slope of the last hours; absent while it is not filling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours_to_full: Option<f64>,
    /// Whether this is the machine's root disk, which is nobody's data volume.
    #[serde(default)]
    pub is_root: bool,
}

/// One image a node should have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageFact {
    /// As configured, such as `alisw/slc7-builder:latest`.
    pub name: String,
    /// Whether Docker has it.
    #[serde(default)]
    pub present: bool,
    /// Docker's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Size in bytes, where known.
    #[serde(default)]
    pub size_bytes: u64,
    /// When this node last pulled or verified it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// What pre-pull is doing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<PullProgress>,
}

/// Where a pull is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullState {
    /// Its turn or its jitter has not come.
    Waiting,
    /// Under way.
    Pulling,
    /// Failed; will be tried again.
    Failed,
    /// Not tried: too little room.
    #[serde(rename = "no_room")]
    NoRoom,
    /// Done.
    Done,
    /// A word this version does not know.
    #[serde(other)]
    Unknown,
}

/// One pull, as a person follows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PullProgress {
    /// Where it is.
    pub state: PullState,
    /// Bytes done and to do over all layers known so far.
    #[serde(default)]
    pub done_bytes: u64,
    /// See `done_bytes`.
    #[serde(default)]
    pub total_bytes: u64,
    /// How many tries so far.
    #[serde(default)]
    pub attempts: u32,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
}

/// One ZooKeeper member.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ZooKeeperFacts {
    /// `leader`, `follower`, `observer`, `standalone`, `read-only`; absent while it does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Followers in sync (leader only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_followers: Option<u64>,
    /// The epoch: the high half of its last transaction id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// How long ago this was read, in seconds, when the report was made.
    #[serde(default)]
    pub age_seconds: u64,
}

/// Puppet on this node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PuppetFacts {
    /// When the last run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Timestamp>,
    /// Whether the last run was clean: completed, nothing failed, catalog not from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean: Option<bool>,
    /// Clean runs in a row since boot.
    #[serde(default)]
    pub clean_streak: u32,
    /// Failing runs in a row since boot.
    #[serde(default)]
    pub failed_streak: u32,
    /// Why it is disabled, when it is; an empty text when no reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<String>,
    /// The environment the last run used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Puppet's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SystemFacts {
    /// Processors.
    #[serde(default)]
    pub cpus: u32,
    /// Total memory, in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Available memory, in bytes.
    #[serde(default)]
    pub memory_available_bytes: u64,
    /// Load over 1, 5 and 15 minutes.
    #[serde(default)]
    pub load: [f64; 3],
    /// The running kernel.
    #[serde(default)]
    pub kernel: String,
    /// The operating system, such as `CentOS Linux 7`.
    #[serde(default)]
    pub os: String,
    /// Why a reboot is wanted, when one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_required: Option<String>,
}
