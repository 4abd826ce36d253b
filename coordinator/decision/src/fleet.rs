//! The snapshot: everything known about the fleet at one moment, in the words a decision needs.
//!
//! Ages are never stored; every fact carries the moment it was seen, by the coordinator's clock. A missing fact is
//! `None` or `View::Unknown` and never means "nothing there".

mod builds;
mod cloud;
mod ensembles;
mod moves;
mod places;

pub use builds::{Build, JenkinsView};
pub use cloud::{CloudServer, CloudView};
pub use ensembles::{Ensemble, Member};
pub use moves::{Movable, Move};
pub use places::{Alarms, AlarmsView, Place};

use crate::{
    Action, Code, Source,
    counts::FleetCounts,
    per_node::PerNode,
    policy::{Class, TaskClass},
};
use jiff::{SignedDuration, Timestamp};
use millwright_protocol::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// A report older than this is stale (DESIGN section 1).
pub const STALE: SignedDuration = SignedDuration::from_secs(60);
/// A report older than this is silence, and the coordinator tries TCP 22.
pub const SILENT: SignedDuration = SignedDuration::from_secs(90);
/// Silence of this length is told to people, and may be a dead node.
pub const DEAD: SignedDuration = SignedDuration::from_mins(5);
/// An unknown fact waits this long before people are asked (DESIGN 3.2).
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// Two emptiness proofs are this far apart, and so are the two reports that verify a boot.
pub const APART: SignedDuration = SignedDuration::from_secs(60);

/// One source's view of one thing.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum View<T> {
    /// The site has no such source.
    NotConfigured,
    /// It should be known and is not.
    #[default]
    Unknown,
    /// Seen.
    Known(T),
}

impl<T> View<T> {
    /// The value, where known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }
}

/// A living task, told apart by policy when it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeTask {
    /// Mesos' id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its framework's name.
    pub framework: String,
    /// What policy takes it for.
    pub class: TaskClass,
    /// The rule that says so; `None` for a task no rule knows.
    pub rule: Option<String>,
    /// When it started, where known.
    pub started_at: Option<Timestamp>,
    /// See [`crate::TaskRule::warm_up_seconds`].
    pub warm_up_seconds: u64,
    /// See [`crate::TaskRule::owner`].
    pub owner: Option<String>,
}

impl NodeTask {
    /// What its instances have in common.
    pub fn service(&self) -> (String, String) {
        (self.framework.clone(), self.name.clone())
    }
}

/// What the owner of a task has answered to "may I?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerWord {
    /// Who was asked.
    pub owner: String,
    /// When the question was put: an answer is as old as its question.
    pub at: Timestamp,
    /// What was said.
    pub said: OwnerSaid,
}

/// An answer to "may I?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerSaid {
    /// It may end.
    Yes,
    /// Not now, and why.
    No(String),
    /// There was no answer that anybody could read, and why.
    Nothing(String),
}

impl OwnerWord {
    /// A yes is asked for again after this long, so that an owner can change their mind.
    pub const LASTS: SignedDuration = SignedDuration::from_mins(2);

    /// Whether it is a yes of that owner that still holds.
    pub fn allows(&self, owner: &str, now: Timestamp) -> bool {
        self.owner == owner && self.said == OwnerSaid::Yes && now.duration_since(self.at) < Self::LASTS
    }
}

/// An uninterrupted stretch of observations that all saw the node empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmptySpan {
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}

/// A gating finding that is neither `ok` nor `warn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatingFinding {
    /// `check` or `check/item`.
    pub key: String,
    /// `true` for `crit`, `false` for `unknown`.
    pub is_crit: bool,
    /// What the agent says about it.
    pub sentence: String,
    /// Since when, by the coordinator's clock.
    pub since: Timestamp,
}

/// How the Mesos master lists a node's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Registered and taking offers.
    Active,
    /// Registered, not active.
    Inactive,
    /// Known to be out of reach.
    Unreachable,
    /// Not listed.
    Absent,
}

impl Listing {
    /// The word for evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Unreachable => "unreachable",
            Self::Absent => "not listed",
        }
    }
}

/// What the Mesos master says about one node.
#[derive(Debug, Clone, PartialEq)]
pub struct MasterView {
    /// When it was read.
    pub at: Timestamp,
    /// How the node's agent is listed.
    pub listing: Listing,
    /// Whether its offers are stopped.
    pub deactivated: bool,
    /// Whether nobody can tell if they are: the masters' whitelists differ, or one is not known. Neither a cordon nor its
    /// end is proven then.
    pub undecided: bool,
    /// Living tasks it has on the node.
    pub tasks: Vec<NodeTask>,
    /// Attributes the node's agent announced.
    pub attributes: BTreeMap<String, String>,
}

impl MasterView {
    /// Whether its offers are known to flow.
    pub fn gets_offers(&self) -> bool {
        self.listing == Listing::Active && !self.deactivated && !self.undecided
    }
}

/// Whether TCP port 22 answered, and ping beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshProbe {
    /// When it was tried.
    pub at: Timestamp,
    /// Whether it did; `None` when it could not be tried, which says nothing about the node.
    pub answered: Option<bool>,
    /// Where, and what really happened, such as "alibuild10.cern.ch:22 refused the connection".
    pub story: Box<str>,
    /// Whether it answers ping, where ssh does not; `None` when that was not or could not be tried. It proves nothing.
    pub ping: Option<bool>,
}

/// A data volume that the node has mounted, or should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedVolume {
    /// Where.
    pub mount: String,
    /// Whether it is mounted there; one that is not may be attached all the same.
    pub mounted: bool,
    /// File-system UUID.
    pub uuid: Option<String>,
    /// Disk serial.
    pub serial: Option<String>,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// An image a node should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// As configured.
    pub name: String,
    /// Whether it is there.
    pub present: bool,
    /// Its size, where known.
    pub size_bytes: u64,
}

/// A container that nobody owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayContainer {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
}

/// Puppet, as far as a return needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PuppetRuns {
    /// Clean runs in a row since boot.
    pub clean: u32,
    /// Failing runs in a row since boot.
    pub failed: u32,
}

/// The agent's own account.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentView {
    /// When the last report arrived.
    pub at: Timestamp,
    /// When the boot it tells of was first heard of.
    pub boot_first_heard_at: Timestamp,
    /// Since two clean reports ≥ 60 s apart in this boot; `None` until then.
    pub verified_at: Option<Timestamp>,
    /// Since when every gating finding has been `ok` or `warn`, reports coming in; `None` while one is not.
    pub healthy_since: Option<Timestamp>,
    /// Gating findings that are not.
    pub gating: Vec<GatingFinding>,
    /// Names of other checks that are `crit`, for telling outside trouble.
    pub failing_checks: Vec<String>,
    /// Living tasks its own Mesos agent has.
    pub tasks: View<Vec<NodeTask>>,
    /// Running containers of tasks, and strays; `Known` when Docker answered.
    pub containers: View<Containers>,
    /// Data volumes, mounted or expected.
    pub volumes: Vec<AttachedVolume>,
    /// Images it should have.
    pub images: Vec<Image>,
    /// Puppet's runs since boot.
    pub puppet: Option<PuppetRuns>,
    /// Whether its Mesos master leads.
    pub leads_mesos: bool,
}

/// Running containers that matter to a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Containers {
    /// Containers of living tasks.
    pub of_tasks: u32,
    /// Orphans, and containers that are on no allow-list.
    pub stray: Vec<StrayContainer>,
}

impl AgentView {
    /// Whether every gating finding is `ok` or `warn`.
    pub fn is_gating_clean(&self) -> bool {
        self.gating.is_empty()
    }
}

/// Everything known about one node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// Its agent's account; `None` for a node never heard of.
    pub agent: Option<AgentView>,
    /// The Mesos master's account; `None` when it has never been asked.
    pub master: Option<MasterView>,
    /// Since its own view was empty without a break.
    pub agent_empty: Option<EmptySpan>,
    /// Since the master's view was empty without a break.
    pub master_empty: Option<EmptySpan>,
    /// Jenkins' account; `None` when it has never told of the node.
    pub jenkins: Option<Box<JenkinsView>>,
    /// The cloud's account; `None` when it has never told of the node.
    pub cloud: Option<Box<CloudView>>,
    /// What systems that know it as a host say, one account a system.
    pub places: Vec<Place>,
    /// Roger's account of its alarms; `None` when it has never told of the node.
    pub alarms: Option<Box<AlarmsView>>,
    /// Since when the two views differ.
    pub views_disagree_since: Option<Timestamp>,
    /// Since when its identity is not the recorded one, and what changed.
    pub identity_changed: Option<(Timestamp, String)>,
    /// The last try of TCP 22, made only while it is silent.
    pub ssh: Option<SshProbe>,
    /// When an operation last brought it back.
    pub returned_at: Option<Timestamp>,
    /// A person said it is dead: why.
    pub known_dead: Option<String>,
    /// It is stopped and waits for its deletion.
    pub quarantined: bool,
}

impl Node {
    /// The age of its last report.
    pub fn report_age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.agent.as_ref().map(|agent| now.duration_since(agent.at).max(SignedDuration::ZERO))
    }

    /// Whether its last report is fresh.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.report_age(now).is_some_and(|age| age <= STALE)
    }

    /// DESIGN section 1: report ≤ 60 s old, verified since boot, every gating finding `ok` or `warn`.
    pub fn is_proven_healthy(&self, now: Timestamp) -> bool {
        self.is_fresh(now)
            && self.agent.as_ref().is_some_and(|agent| agent.verified_at.is_some() && agent.is_gating_clean())
    }

    /// Whether it stands in no count: known-dead or quarantined.
    pub fn is_uncounted(&self) -> bool {
        self.known_dead.is_some() || self.quarantined
    }
}

/// A required source that is not a node's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceState {
    /// When it last answered.
    pub last_answer: Option<Timestamp>,
    /// Since when it does not; `None` while it answers.
    pub unknown_since: Option<Timestamp>,
}

/// A person's yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What it clears, such as `confirm_reboot` or `approval_missing`.
    pub code: Code,
    /// Which task, where it is about one; a grant without one is about the node as a whole.
    pub task: Option<String>,
    /// Who said it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The digest of what was agreed to, where it was that.
    pub digest: Option<String>,
}

/// How far an operation is, as far as other decisions are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Asked for, nothing done.
    Requested,
    /// Cordoned, not yet empty.
    Draining,
    /// Past its emptiness proof: the node counts as out.
    Out,
    /// Verifying, lifting the cordon.
    Returning,
}

/// An operation that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// What it does.
    pub action: Action,
    /// To which nodes.
    pub nodes: BTreeSet<NodeName>,
    /// Who asked for it.
    pub requester: String,
    /// How far it is.
    pub progress: Progress,
    /// Since when it is that far.
    pub since: Timestamp,
    /// When its cordon was read back.
    pub cordoned_at: Option<Timestamp>,
    /// When it was announced to colleagues.
    pub announced_at: Option<Timestamp>,
    /// Whether it rests on `proof=silent`.
    pub is_silent_repair: bool,
    /// Whether it is a drain that has done its work: the node stays empty for whoever asked, and others may go on from there.
    pub is_parked: bool,
    /// What people said yes to.
    pub grants: Vec<Grant>,
}

impl Operation {
    /// The yes to `code`, for the node as a whole or for that task.
    pub fn granted(&self, code: Code, task: Option<&str>) -> Option<&Grant> {
        self.grants
            .iter()
            .find(|grant| grant.code == code && (grant.task.is_none() || grant.task.as_deref() == task))
    }
}

/// A named "keep this node as it is".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// On which node.
    pub node: NodeName,
    /// By whom.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// When it asks to be renewed or lifted.
    pub expires_at: Option<Timestamp>,
    /// The operation it belongs to, if one.
    pub operation: Option<String>,
}

/// A person vouches for one source about one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// About which node.
    pub node: NodeName,
    /// For which source.
    pub source: Source,
    /// Who.
    pub by: String,
    /// Until when (15 minutes after it was given).
    pub until: Timestamp,
}

/// Why the brake of a class is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brake {
    /// Since when.
    pub since: Timestamp,
    /// What tripped it.
    pub why: String,
}

/// The off switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Who pressed it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// The list of revoked certificates, when it should have been replaced longer ago than the site allows (X3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlExpired {
    /// When it should have been replaced.
    pub expired_at: Timestamp,
    /// When the site's patience with it ended.
    pub since: Timestamp,
}

/// S9: what agents have seen and this store does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreBehind {
    /// Who has seen it.
    pub node: NodeName,
    /// What it has seen.
    pub seen: String,
    /// What the store holds.
    pub ours: String,
}

/// What a start still waits for (DESIGN section 4, warm-up).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmUp {
    /// When the coordinator started.
    pub since: Timestamp,
    /// Full rounds so far, of two.
    pub rounds: u8,
    /// Nodes that were healthy before and have not been heard of, beyond what is tolerated.
    pub missing: Vec<NodeName>,
}

/// Everything known at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the coordinator started.
    pub started_at: Timestamp,
    /// Every node heard of or listed. Boxed, because a tree keeps room for nearly twice as many entries as it has.
    pub nodes: BTreeMap<NodeName, Box<Node>>,
    /// Sources other than agents.
    pub sources: BTreeMap<Source, SourceState>,
    /// Ensembles, as their members tell.
    pub ensembles: Vec<Ensemble>,
    /// What schedulers would take away from nodes; only those that we may ask for it stand here.
    pub movable: BTreeMap<Source, Movable>,
    /// What owners have said of their tasks, by the task's id.
    pub owners: BTreeMap<String, OwnerWord>,
    /// Open operations.
    pub operations: PerNode<Operation>,
    /// Holds.
    pub holds: PerNode<Hold>,
    /// Attestations, expired ones included.
    pub attestations: PerNode<Attestation>,
    /// Brakes that are on.
    pub brakes: BTreeMap<Class, Brake>,
    /// The off switch, when pressed.
    pub pause: Option<Pause>,
    /// Set once the list of revoked certificates is too old to be relied on.
    pub crl_expired: Option<CrlExpired>,
    /// Set while agents have seen a newer store than this one.
    pub store_behind: Option<StoreBehind>,
    /// What cannot be read of the journal, where nobody knows which node that is about.
    pub journal_damaged: Option<String>,
    /// The warm-up, until it is over.
    pub warm_up: Option<WarmUp>,
    /// When Mesos last changed its leader.
    pub leader_changed_at: Option<Timestamp>,
    /// Counts over the whole fleet; see [`FleetCounts::recount`].
    pub counts: FleetCounts,
}

impl Snapshot {
    /// A fleet of which nothing is known yet.
    pub fn new(started_at: Timestamp) -> Self {
        Self {
            started_at,
            nodes: BTreeMap::new(),
            sources: BTreeMap::new(),
            ensembles: Vec::new(),
            movable: BTreeMap::new(),
            owners: BTreeMap::new(),
            operations: PerNode::default(),
            holds: PerNode::default(),
            attestations: PerNode::default(),
            brakes: BTreeMap::new(),
            pause: None,
            crl_expired: None,
            store_behind: None,
            journal_damaged: None,
            warm_up: None,
            leader_changed_at: None,
            counts: FleetCounts::default(),
        }
    }

    /// The open operation on a node.
    pub fn operation_on(&self, node: &NodeName) -> Option<&Operation> {
        self.operations.on(node).next()
    }

    /// Whether an operation has taken a node past its emptiness proof.
    pub fn is_taken(&self, node: &NodeName) -> bool {
        self.operation_on(node).is_some_and(|operation| operation.progress >= Progress::Out)
    }

    /// Whether a person vouches for `source` about `node` at `now`.
    pub fn attested(&self, node: &NodeName, source: Source, now: Timestamp) -> Option<&Attestation> {
        self.attestations.on(node).find(|given| given.source == source && now < given.until)
    }
}
