//! Operations as people see them: where each stands, what it waits for, what was seen at each step, what may be said now.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One operation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationSummary {
    /// Names it for ever, such as `op-17`.
    pub id: String,
    /// What is done.
    pub action: String,
    /// To which node, as policy spells it.
    pub node: String,
    /// Its canonical name.
    pub key: String,
    /// Who asked.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub requested_at: Timestamp,
    /// `running`, `undoing`, `stuck`, `parked`, `succeeded`, `cancelled` or `abandoned`.
    pub state: String,
    /// The step it is at; absent once all are done.
    pub step: Option<String>,
    /// What it waits for; absent while something is being done, and when it is over.
    pub waiting: Option<WaitingView>,
    /// Steps that are done.
    pub steps_done: usize,
    /// Steps in all.
    pub steps_all: usize,
    /// When anything last happened.
    pub changed_at: Timestamp,
    /// How it ended, in words; absent until then.
    pub ended: Option<String>,
    /// Why it stands still although nobody stopped it: its record is damaged.
    pub broken: Option<String>,
}

impl OperationSummary {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "cancelled" | "abandoned")
    }

    /// Whether nothing but a person can help it on.
    pub fn needs_people(&self) -> bool {
        self.broken.is_some() || self.waiting.as_ref().is_some_and(|waiting| waiting.needs_people)
    }
}

/// What an operation waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingView {
    /// For people.
    pub sentence: String,
    /// Who or what ends the wait.
    pub owner: String,
    /// Since when.
    pub since: Timestamp,
    /// When it is expected to end, where known.
    pub expected_at: Option<Timestamp>,
    /// Whether nothing but a person can end it.
    pub needs_people: bool,
    /// What objects, where it is an objection.
    pub reasons: Vec<ObjectionView>,
}

/// Something that objects to going on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectionView {
    /// Which; the manual has a page for each.
    pub code: String,
    /// How strongly.
    pub severity: String,
    /// For people.
    pub sentence: String,
    /// What would clear it.
    pub unblocked_by: String,
}

/// One operation with everything about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationView {
    /// As in a list.
    #[serde(flatten)]
    pub summary: OperationSummary,
    /// The node's class.
    pub class: String,
    /// Who does what needs the cloud's credentials: `by_hand` or `command`.
    pub executor: String,
    /// What a delete does with the volumes: `keep` or `delete`.
    pub volumes: String,
    /// The image of a rebuild or create, where one was named.
    pub image: Option<String>,
    /// Whether it rests on the node being silent for good.
    pub is_silent: bool,
    /// Tasks that may end.
    pub let_go: Vec<String>,
    /// What an approval binds, as things are now.
    pub digest: String,
    /// Whether something irreversible has happened or may have.
    pub is_past_no_return: bool,
    /// The licence it holds.
    pub permit: Option<PermitView>,
    /// Every step of its plan.
    pub steps: Vec<StepView>,
    /// What people said yes to.
    pub grants: Vec<GrantView>,
    /// What may be said to it now: `approve`, `cancel`, `abandon`, `retry`, `begin`, `done`, `not_run`.
    pub may: Vec<String>,
    /// The exact command that a person would run now, where one would.
    pub command: Vec<String>,
    /// Everything that happened, the oldest first.
    pub story: Vec<StoryLine>,
}

/// A licence to take one irreversible step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermitView {
    /// For which step.
    pub step: String,
    /// When it was given.
    pub at: Timestamp,
    /// After this moment the step must not begin.
    pub expires_at: Timestamp,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// Its word.
    pub step: String,
    /// What is going on while it lasts.
    pub doing: String,
    /// `pending`, `begun`, `prepared`, `committed`, `done`, `not_done`, `unknown`, `undoing` or `undone`.
    pub state: String,
    /// Whether it is the one the operation is at.
    pub is_current: bool,
    /// Whether there is no way back once it has begun.
    pub is_irreversible: bool,
    /// Whether it was so before anything was done.
    pub was_so: bool,
    /// How often it was begun.
    pub attempt: u32,
    /// When it last began.
    pub began_at: Option<Timestamp>,
    /// When its state last changed.
    pub changed_at: Option<Timestamp>,
    /// Why it is not done, or what would tell.
    pub why: Option<String>,
    /// Who ran it, or said how it ended.
    pub by: Option<String>,
    /// The exact command, where one was run.
    pub command: Vec<String>,
    /// What its outcome rests on.
    pub evidence: Vec<millwright_protocol::Evidence>,
}

/// A person's yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantView {
    /// To which objection.
    pub code: String,
    /// Which task, where it is about one.
    pub task: Option<String>,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Whether it counts: a yes to what is not planned any more does not.
    pub counts: bool,
}

/// One line of an operation's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryLine {
    /// When.
    pub at: Timestamp,
    /// The word of what happened.
    pub what: String,
    /// For people.
    pub sentence: String,
}

/// `GET /api/v1/operations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationsView {
    /// The newest first.
    pub operations: Vec<OperationSummary>,
}

/// The answer to a request for an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptedView {
    /// The operation; `None` for a rehearsal.
    pub id: Option<String>,
    /// Whether the same person had asked for the same before.
    pub is_known: bool,
    /// Whether nothing was started because only a rehearsal was asked for.
    pub is_dry_run: bool,
    /// Its steps, in their order.
    pub plan: Vec<String>,
    /// For people.
    pub sentence: String,
}

/// A "keep this node as it is".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// Names it.
    pub id: String,
    /// On which node, as policy spells it.
    pub node: String,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// When it asks to be renewed or lifted.
    pub until: Option<Timestamp>,
    /// The drain it belongs to, where it does.
    pub operation: Option<String>,
    /// Whether it was set on the node itself, where alone it can be lifted.
    pub is_local: bool,
}

/// `GET /api/v1/holds`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldsView {
    /// Those that stand, by node.
    pub holds: Vec<HoldView>,
}

/// A person's word for a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestationView {
    /// About which node, as policy spells it.
    pub node: String,
    /// For which source.
    pub source: String,
    /// Who.
    pub by: String,
    /// Until when.
    pub until: Timestamp,
}

/// `GET /api/v1/attestations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestationsView {
    /// Those that hold.
    pub attestations: Vec<AttestationView>,
}
