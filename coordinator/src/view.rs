//! What people and programs are shown: plain structs, one shape for API, command line and dashboard.
//!
//! Nothing here decides anything. Names of nodes are spelled as the policy spells them; `key` is the canonical name.
//! Times are RFC 3339, ages are whole seconds, words are snake_case.

mod node;
mod operation;
mod people;
mod verdict_change;

pub use node::{
    Acknowledgement, AgentFacts, BootView, BuildView, CannotSee, ChecklistItem, ChecklistState,
    ContainersView, Diagnosis, FindingView, IdentityView, MachineView, MasterListing, NodeDetail,
    OutsideView, TaskView, TasksView, VolumeView,
};
pub use operation::{
    AcceptedView, AttestationView, AttestationsView, GrantView, HoldView, HoldsView, ObjectionView,
    OperationSummary, OperationView, OperationsView, PermitView, StepView, StoryLine, WaitingView,
};
pub use people::{MeView, TokenView, token_of};
pub use verdict_change::{VerdictChange, digest};

use jiff::Timestamp;
use millwright_decision::{Class, Mode, Policy, Protection, Source, TaskClass};
use millwright_protocol::Status;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /api/v1/nodes` and the fleet page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetView {
    /// The cluster's name.
    pub cluster: String,
    /// When this was looked at.
    pub asked_at: Timestamp,
    /// When the coordinator started.
    pub started_at: Timestamp,
    /// What a start still waits for; absent once it is over.
    pub warming_up: Option<WarmUpView>,
    /// The off switch, when pressed.
    pub paused: Option<PauseView>,
    /// Brakes that are on.
    pub brakes: Vec<BrakeView>,
    /// Sources that a class requires, the agents among them.
    pub sources: Vec<SourceView>,
    /// The policy in force.
    pub policy: PolicyView,
    /// Sources that no class requires: what the coordinator cannot see.
    pub not_configured: Vec<Source>,
    /// Outside checks that so many nodes fail that the outside is blamed.
    pub outside_blamed: Vec<String>,
    /// When Mesos last changed its leader, while that is under 10 min ago.
    pub leader_changed_at: Option<Timestamp>,
    /// Troubles of the coordinator itself, such as a disk that is full.
    pub own_troubles: Vec<OwnTrouble>,
    /// What needs a human first: worst first.
    pub attention: Vec<Attention>,
    /// The classes in the order of the policy's words; physical nodes are among them.
    pub classes: Vec<ClassView>,
    /// Nodes that report, or that Mesos lists with our agent, and that the policy does not list.
    pub unlisted: Vec<NodeSummary>,
}

impl FleetView {
    /// Every node of the view, listed or not.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeSummary> {
        self.classes.iter().flat_map(|class| &class.nodes).chain(&self.unlisted)
    }
}

/// The warm-up after a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmUpView {
    /// When the coordinator started.
    pub since: Timestamp,
    /// Full rounds of reports so far, of two.
    pub rounds: u8,
    /// Nodes that were healthy before and have not been heard of.
    pub missing: Vec<String>,
}

/// The off switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    /// Since when.
    pub since: Timestamp,
    /// Who pressed it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A brake that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrakeView {
    /// For which class.
    pub class: Class,
    /// Since when.
    pub since: Timestamp,
    /// What tripped it.
    pub why: String,
}

/// How well a source is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceWord {
    /// It answers.
    Fresh,
    /// It should answer and does not.
    Unknown,
}

/// One source that is required or asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceView {
    /// Which.
    pub source: Source,
    /// How well it is heard.
    pub state: SourceWord,
    /// When it last answered; for the agents, the newest report.
    pub last_answer: Option<Timestamp>,
    /// Since when it does not.
    pub unknown_since: Option<Timestamp>,
    /// In words, with the error where there is one.
    pub sentence: String,
    /// More of what it says, line by line.
    #[serde(default)]
    pub details: Vec<String>,
}

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    /// A digest of the file.
    pub version: String,
    /// That the file on disk cannot be read and why, as a sentence; then everything is protected.
    pub unreadable: Option<String>,
    /// When it was first seen to be so.
    #[serde(default)]
    pub unreadable_since: Option<Timestamp>,
    /// How many nodes it lists.
    pub listed: u32,
}

impl PolicyView {
    /// Whether a good file was ever read.
    pub fn is_known(&self) -> bool {
        self.unreadable.is_none() || !self.version.is_empty()
    }
}

impl From<&Policy> for PolicyView {
    fn from(policy: &Policy) -> Self {
        Self {
            version: policy.version.clone(),
            unreadable: policy.unreadable.as_ref().map(ToString::to_string),
            unreadable_since: policy.unreadable.as_ref().and_then(|unreadable| unreadable.since),
            listed: u32::try_from(policy.nodes.len()).unwrap_or(u32::MAX),
        }
    }
}

/// The policy in force, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDetail {
    /// Which, and whether it is the file on disk.
    #[serde(flatten)]
    pub summary: PolicyView,
    /// What it means, in sentences for people.
    pub explanation: String,
}

/// A trouble of the coordinator itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnTrouble {
    /// What, as a word: `store`, `mesos_master`, `notices`, …
    pub what: String,
    /// In words.
    pub sentence: String,
    /// Since when.
    pub since: Timestamp,
}

/// One thing that needs a human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// Where, as policy spells it; absent for the fleet as a whole.
    pub node: Option<String>,
    /// The canonical name, for links.
    pub key: Option<String>,
    /// How bad.
    pub status: Status,
    /// The finding's id (`node/check[/item]`), where it is one.
    pub finding: Option<String>,
    /// The operation that waits for somebody, where it is one.
    #[serde(default)]
    pub operation: Option<String>,
    /// In words.
    pub sentence: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What to do next, where that is known.
    pub next: Option<String>,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassView {
    /// Which.
    pub class: Class,
    /// How far the coordinator may go.
    pub mode: Mode,
    /// Nodes that count: without known-dead and quarantined ones; 0 for physical.
    pub listed: u32,
    /// Listed nodes that are not out.
    pub in_service: u32,
    /// Not proven healthy, or taken by an operation.
    pub out: u32,
    /// How many may be.
    pub may_be_out: u32,
    /// Draining and still building.
    pub draining: u32,
    /// Its nodes, in the order of their names.
    pub nodes: Vec<NodeSummary>,
}

/// A node in one word, the most telling one first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// In no policy; shown, never touched.
    Unlisted,
    /// Seen through Mesos only; other people run it.
    Physical,
    /// A person said that it is dead.
    KnownDead,
    /// Stopped, waiting for its deletion.
    Quarantined,
    /// Listed, and no report has ever come.
    NeverHeard,
    /// No report for 90 s.
    Silent,
    /// No report for 60 s.
    Stale,
    /// A gating finding is `crit`.
    Sick,
    /// A gating finding is `unknown`.
    Unknown,
    /// Clean, and not yet for two reports since its boot.
    Verifying,
    /// An operation has taken it.
    Out,
    /// Cordoned by an operation, still building.
    Draining,
    /// Proven healthy.
    Healthy,
}

impl NodeState {
    /// The word in API and store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unlisted => "unlisted",
            Self::Physical => "physical",
            Self::KnownDead => "known_dead",
            Self::Quarantined => "quarantined",
            Self::NeverHeard => "never_heard",
            Self::Silent => "silent",
            Self::Stale => "stale",
            Self::Sick => "sick",
            Self::Unknown => "unknown",
            Self::Verifying => "verifying",
            Self::Out => "out",
            Self::Draining => "draining",
            Self::Healthy => "healthy",
        }
    }

    /// The word for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::KnownDead => "known dead",
            Self::NeverHeard => "never heard of",
            other => other.as_str(),
        }
    }
}

/// One node in one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// As policy spells it.
    pub name: String,
    /// The canonical name.
    pub key: String,
    /// What it is for; absent for unlisted nodes.
    pub class: Option<Class>,
    /// Its availability zone.
    pub zone: Option<String>,
    /// What nobody may do to it.
    pub protections: Vec<Protection>,
    /// In one word.
    pub state: NodeState,
    /// Since when that word holds, where known.
    pub since: Option<Timestamp>,
    /// What people should know: the worst finding, or what the state means.
    pub sentence: String,
    /// The id of the finding the sentence is from, where it is one.
    pub finding: Option<String>,
    /// Its worst finding's status; absent before the first report.
    pub worst: Option<Status>,
    /// How many findings there are of each status.
    pub findings: FindingCounts,
    /// Living tasks by class, either view's; absent when neither view is known.
    pub tasks: Option<BTreeMap<TaskClass, u32>>,
    /// The fullest of its disks, or the one that fills first.
    pub disk: Option<DiskSummary>,
    /// The age of its last report.
    pub report_age_seconds: Option<u64>,
    /// Since when its identity is not the recorded one.
    pub identity_changed_at: Option<Timestamp>,
    /// How the Mesos master lists it: `active`, `inactive`, `unreachable`, `not listed`; absent when not asked.
    pub mesos: Option<String>,
}

/// Findings by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingCounts {
    /// As they should be.
    pub ok: u32,
    /// Worth a look.
    pub warn: u32,
    /// Could not tell.
    pub unknown: u32,
    /// Broken.
    pub crit: u32,
}

/// A disk in one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiskSummary {
    /// Where.
    pub mount: String,
    /// How full, in percent.
    pub used_percent: u8,
    /// Free, in bytes.
    pub free_bytes: u64,
    /// Hours until it is full; absent while it is not filling.
    pub hours_to_full: Option<f64>,
}

/// One change, for the store, the event stream and the history of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When it was noticed, by the coordinator's clock.
    pub at: Timestamp,
    /// As policy spells it; empty for the fleet as a whole.
    pub node: String,
    /// The canonical name; empty for the fleet as a whole.
    pub key: String,
    /// What changed: `state`, `identity`, `boot`, `brake`, `leader`, or a finding's `check[/item]`.
    pub what: String,
    /// The word before; absent for something new.
    pub from: Option<String>,
    /// The word now; `gone` for a finding that is no longer reported.
    pub to: String,
    /// Whether it is a gating finding.
    pub gating: bool,
    /// In words.
    pub sentence: String,
}
