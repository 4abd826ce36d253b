//! One node with everything that is known about it, and what is not.

use super::{NodeSummary, Transition, VerdictChange};
use jiff::Timestamp;
use millwright_decision::{Source, TaskClass};
use millwright_protocol::{
    Container, Evidence, ImageFact, MesosMasterFacts, PuppetFacts, Resources, Status, SystemFacts, TaskState,
    VolumeFact, ZooKeeperFacts,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /api/v1/nodes/{node}` and the node page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeDetail {
    /// What the fleet page shows of it.
    #[serde(flatten)]
    pub summary: NodeSummary,
    /// When this was looked at.
    pub asked_at: Timestamp,
    /// When the last report arrived.
    pub reported_at: Option<Timestamp>,
    /// Whether everything below is from before the coordinator's start, or older than 60 s.
    pub is_stale: bool,
    /// Who the machine is.
    pub identity: Option<IdentityView>,
    /// This boot.
    pub boot: Option<BootView>,
    /// A person said that it is dead: why.
    pub known_dead: Option<String>,
    /// The runbook's checklist (R8), in the order in which a person would look.
    pub checklist: Vec<ChecklistItem>,
    /// Where that list ends: the first layer that is not as it should be.
    pub diagnosis: Diagnosis,
    /// Findings, worst first.
    pub all_findings: Vec<FindingView>,
    /// Disks and volumes.
    pub volumes: Vec<VolumeView>,
    /// Docker; absent when it did not answer or is not asked.
    pub containers: Option<ContainersView>,
    /// Living tasks as the node's own Mesos agent and the Mesos master name them.
    pub living_tasks: TasksView,
    /// The node's own Mesos agent.
    pub mesos_agent: Option<AgentFacts>,
    /// The Mesos master's view of the node; absent when it has never been asked.
    pub mesos_listing: Option<MasterListing>,
    /// Images it should have, with the progress of pulls.
    pub images: Vec<ImageFact>,
    /// Puppet's last run.
    pub puppet: Option<PuppetFacts>,
    /// The machine.
    pub machine: Option<MachineView>,
    /// Its Mesos master (masters only).
    pub mesos_master: Option<MesosMasterFacts>,
    /// Its ZooKeeper member (masters only).
    pub zookeeper: Option<ZooKeeperFacts>,
    /// What outside systems say of it.
    #[serde(default)]
    pub outside: Vec<OutsideView>,
    /// What the coordinator cannot see of this node, and why.
    pub cannot_see: Vec<CannotSee>,
    /// Changes, newest first. The fleet keeps none: filled from the store by whoever asks.
    #[serde(default)]
    pub history: Vec<Transition>,
    /// When verdicts were no longer what they were, the latest of each action, newest first. From the store as well.
    #[serde(default)]
    pub verdict_history: Vec<VerdictChange>,
}

/// Who the machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityView {
    /// Changes when the machine is rebuilt.
    pub machine_id: String,
    /// The server's UUID, where there is one.
    pub server_uuid: Option<String>,
    /// The version of its agent.
    pub agent_version: String,
    /// When this identity was first recorded or last accepted.
    pub recorded_at: Timestamp,
    /// What is different from the record, until a person accepts it.
    pub changed: Option<String>,
}

/// This boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootView {
    /// Changes at each boot.
    pub boot_id: String,
    /// When it was first heard of.
    pub first_heard_at: Timestamp,
    /// Seconds since boot, when the last report was made.
    pub uptime_seconds: u64,
    /// Since when two clean reports ≥ 60 s apart have been seen; absent until then.
    pub verified_at: Option<Timestamp>,
    /// Since when every gating finding has been `ok` or `warn`.
    pub healthy_since: Option<Timestamp>,
}

/// How far a line of the checklist is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecklistState {
    /// As it should be.
    Done,
    /// Worth a look.
    Warn,
    /// Broken.
    Failed,
    /// Not known.
    Unknown,
    /// Nothing to look at here.
    NotConfigured,
}

impl From<Status> for ChecklistState {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Self::Done,
            Status::Warn => Self::Warn,
            Status::Crit => Self::Failed,
            Status::Unknown => Self::Unknown,
        }
    }
}

/// One line of the runbook's checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// A word: `server`, `report`, `ssh`, `puppet`, `docker`, `container`, `volume`, `mesos`, `zookeeper`, `image`, `verified`.
    pub step: String,
    /// For people, such as "Docker answers".
    pub title: String,
    /// How far.
    pub state: ChecklistState,
    /// What was seen.
    pub sentence: String,
    /// What that rests on.
    pub evidence: Vec<Evidence>,
}

/// Which layer to mend first. What rests on a broken one says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The word of the layer in the checklist; absent when every layer that is looked at is as it should be.
    pub layer: Option<String>,
    /// How that layer is.
    pub state: Option<ChecklistState>,
    /// What is the matter, for people.
    pub sentence: String,
    /// What to do next, in order.
    pub next: Vec<String>,
    /// Titles of layers about which nothing is known as long as this one is broken.
    pub untold: Vec<String>,
    /// What else is not as it should be, worst first, with how long that is so: a node may be slow, and its layers well.
    #[serde(default)]
    pub also: Vec<String>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingView {
    /// `node/check[/item]`, with the canonical name; what an acknowledgement names.
    pub id: String,
    /// The check.
    pub check: String,
    /// Which one.
    pub item: Option<String>,
    /// How it ended.
    pub status: Status,
    /// Whether it gates.
    pub gating: bool,
    /// What was found.
    pub sentence: String,
    /// What that rests on; not kept for findings that are `ok`.
    pub evidence: Vec<Evidence>,
    /// Since when, by the coordinator's clock.
    pub since: Timestamp,
    /// How old the look itself is, in seconds.
    pub age_seconds: u64,
    /// What to do next.
    pub next: Option<String>,
    /// A person has seen it.
    pub acknowledged: Option<Acknowledgement>,
}

/// A person has seen a finding. Never changes a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// `node/check[/item]`.
    pub finding: String,
    /// Who.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// One volume with how full it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeView {
    /// As reported.
    #[serde(flatten)]
    pub fact: VolumeFact,
    /// How full, in percent; absent when it is not mounted.
    pub used_percent: Option<u8>,
    /// What policy calls it, where policy knows it.
    pub name: Option<String>,
}

/// Docker on the node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainersView {
    /// All containers.
    pub containers: Vec<Container>,
    /// Docker's version.
    pub version: String,
    /// Docker's storage driver.
    pub storage_driver: String,
}

/// Living tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TasksView {
    /// Whether the node's own agent is known: `None` when it has no Mesos to ask.
    pub agent_known: Option<bool>,
    /// Whether the Mesos master's view is known: `None` when the site has no such source.
    pub master_known: Option<bool>,
    /// Since when the two views differ.
    pub disagree_since: Option<Timestamp>,
    /// Since when the node has been seen empty by its own agent.
    pub agent_empty_since: Option<Timestamp>,
    /// Since when the node has been seen empty by the Mesos master.
    pub master_empty_since: Option<Timestamp>,
    /// Whether Jenkins is known: `None` when nobody asks it about this node.
    #[serde(default)]
    pub jenkins_known: Option<bool>,
    /// Since when the node has been seen empty by Jenkins.
    #[serde(default)]
    pub jenkins_empty_since: Option<Timestamp>,
    /// Tasks that either names.
    pub tasks: Vec<TaskView>,
    /// Builds that Jenkins runs there.
    #[serde(default)]
    pub builds: Vec<BuildView>,
}

/// One build that is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildView {
    /// Such as `daily-tags #123`.
    pub name: String,
    /// The computer of Jenkins that runs it.
    pub computer: String,
    /// The task it is at work in; absent when no living task is called as its computer.
    pub task: Option<String>,
    /// When it began, where told.
    pub started_at: Option<Timestamp>,
    /// When builds of its job usually end, where told.
    pub expected_end: Option<Timestamp>,
}

/// One living task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Mesos' id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its framework.
    pub framework: String,
    /// What may happen to it.
    pub class: TaskClass,
    /// The rule that says so; absent for a task no rule knows.
    pub rule: Option<String>,
    /// Where it is in its life, where the node's own agent says.
    pub state: Option<TaskState>,
    /// What it holds, where the node's own agent says.
    pub resources: Option<Resources>,
    /// When it started, where known.
    pub started_at: Option<Timestamp>,
    /// How long it has run, in seconds.
    pub runtime_seconds: Option<u64>,
    /// What killing it would cost, in seconds of work: its run time and the warm-up of its successor.
    pub kill_cost_seconds: Option<u64>,
    /// When it is expected to end; absent as long as nobody can tell.
    pub expected_end: Option<Timestamp>,
    /// The build that Jenkins runs in it, where it tells.
    #[serde(default)]
    pub build: Option<String>,
    /// Who names it: `agent`, `mesos_master`, or both.
    pub named_by: Vec<Source>,
}

/// The node's own Mesos agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentFacts {
    /// Where it was asked.
    pub url: String,
    /// Its id.
    pub agent_id: Option<String>,
    /// Mesos' version.
    pub version: String,
    /// The host name it announces.
    pub hostname: String,
    /// Whether a master has it registered.
    pub registered: Option<bool>,
    /// Attributes it announces.
    pub attributes: BTreeMap<String, String>,
}

/// The Mesos master's view of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterListing {
    /// When it was read.
    pub at: Timestamp,
    /// `active`, `inactive`, `unreachable`, `not listed`.
    pub listing: String,
    /// Whether its offers are stopped.
    pub deactivated: bool,
    /// The id under which it is listed.
    pub agent_id: Option<String>,
    /// Attributes the master knows.
    pub attributes: BTreeMap<String, String>,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineView {
    /// As reported.
    #[serde(flatten)]
    pub facts: SystemFacts,
    /// The offset of the node's clock from the coordinator's when it last reported, in seconds; ahead is positive.
    pub clock_offset_seconds: i64,
}

/// What an outside system says of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideView {
    /// Who says so.
    pub source: Source,
    /// How good that is.
    pub status: Status,
    /// In words.
    pub sentence: String,
    /// When it was asked.
    pub at: Timestamp,
}

/// Something that the coordinator cannot see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CannotSee {
    /// What, as a word.
    pub what: String,
    /// Whether the site simply has no such thing, as opposed to it not answering.
    pub not_configured: bool,
    /// Why, in words.
    pub sentence: String,
}
