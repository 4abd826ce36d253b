//! What is recorded about an operation. The state of an operation is the replay of these, in their order.

use super::plan::{Doer, Plan, Step};
use crate::{Action, Class, Code, Evidence, Volumes, fleet::Move};
use jiff::Timestamp;
use millwright_protocol::{Fence, NodeName};
use serde::{Deserialize, Serialize};

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// What is to be done.
    pub action: Action,
    /// To which node.
    pub node: NodeName,
    /// As policy spells it.
    pub spelled: String,
    /// Of which class.
    pub class: Class,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What a delete does with the volumes.
    #[serde(default)]
    pub volumes: Volumes,
    /// Tasks that the requester lets go, each named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub let_go: Vec<String>,
    /// The image of a rebuild or create, where it is not the one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether this rests on the node being silent for good.
    #[serde(default)]
    pub is_silent: bool,
    /// Which machine is meant; `None` for one that has never been heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// Who does what needs the cloud's credentials.
    pub executor: Executor,
}

/// Which machine and which boot of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Changes when it is rebuilt.
    pub machine_id: String,
    /// The cloud's id of the server, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_uuid: Option<String>,
    /// Changes at each boot.
    pub boot_id: String,
}

/// Who does what needs the cloud's credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// A person, with `millwright step`.
    #[default]
    ByHand,
    /// The coordinator runs the configured command.
    Command,
    /// The coordinator asks the cloud itself.
    #[serde(rename = "openstack")]
    OpenStack,
}

impl Executor {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ByHand, Self::Command, Self::OpenStack];

    /// Whether the coordinator takes this step by asking the cloud itself; what the cloud knows nothing of, such as alarms,
    /// is a command or a person's in any case.
    pub fn asks_the_cloud(self, step: Step) -> bool {
        self == Self::OpenStack && step.doer() == Doer::Executor && step.is_irreversible()
    }

    /// The word in policy, journal and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Command => "command",
            Self::OpenStack => "openstack",
        }
    }
}

/// A short-lived, single-use, fenced licence to take one irreversible step on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Who gave it.
    #[serde(flatten)]
    pub fence: Fence,
    /// For which step.
    pub step: Step,
    /// When.
    pub at: Timestamp,
    /// After this moment the step must not begin any more.
    pub expires_at: Timestamp,
    /// Tasks that may end: disposable ones, and those that a person let go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_end: Vec<String>,
    /// The facts it rests on, worst first: how old the oldest was, and what the fleet looked like.
    #[serde(default)]
    pub rests_on: Vec<Evidence>,
}

/// How a step ended (S12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// It is so, and this proves it.
    Done {
        /// What was seen.
        #[serde(default)]
        evidence: Vec<Evidence>,
        /// It was so before anything was done.
        #[serde(default)]
        was_so: bool,
    },
    /// It has not happened and never will by what was done so far; no effect remains.
    NotDone {
        /// Why, for people.
        why: String,
        /// The word of the agent's refusal, where it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refusal: Option<String>,
    },
    /// Nobody knows, and this question would settle it.
    Unknown {
        /// For people.
        question: String,
    },
}

impl Outcome {
    /// Done, with what proves it.
    pub fn done(evidence: Vec<Evidence>) -> Self {
        Self::Done { evidence, was_so: false }
    }

    /// Not done.
    pub fn not_done(why: impl Into<String>) -> Self {
        Self::NotDone { why: why.into(), refusal: None }
    }

    /// Nobody knows.
    pub fn unknown(question: impl Into<String>) -> Self {
        Self::Unknown { question: question.into() }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything is done.
    Succeeded,
    /// A person called it off, and everything is as before.
    Cancelled,
    /// A person took it over where it was, and has brought it to an end.
    Abandoned,
}

impl Ending {
    /// The word in API and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Cancelled => "cancelled",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Somebody asked, and it was accepted.
    Requested {
        /// What is wanted.
        wish: Wish,
        /// How.
        plan: Plan,
        /// What approvals bind: a digest of action, identity, volumes, executor, image, overrides and policy.
        digest: String,
    },
    /// A person said yes to something that objects.
    Granted {
        /// To which objection.
        code: Code,
        /// Which task, where it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// The digest of what was agreed to, where it was that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
    },
    /// The intent: on the disk before the effect.
    Began {
        /// Its place in the plan.
        step: usize,
        /// Counts from 1.
        attempt: u32,
        /// The boot in which it began, where it matters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        machine: Option<Machine>,
        /// The licence, for an irreversible step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        permit: Option<Permit>,
        /// The exact command, where one is run.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        command: Vec<String>,
        /// The person who runs it, where one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// What schedulers are to take away, where they are.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        moves: Vec<Move>,
    },
    /// The agent would do it and has bound itself to a nonce.
    Prepared {
        /// Its place in the plan.
        step: usize,
        /// Which attempt.
        attempt: u32,
        /// To be sent back.
        nonce: String,
    },
    /// The coordinator has looked a last time and sends the nonce back: from here on it may happen at any moment.
    Committed {
        /// Its place in the plan.
        step: usize,
        /// Which attempt.
        attempt: u32,
    },
    /// How it ended.
    Finished {
        /// Its place in the plan.
        step: usize,
        /// Which attempt; 0 when nothing had to be done.
        attempt: u32,
        /// How.
        outcome: Outcome,
        /// The person who says so, where it is not seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// People were asked, once, because nothing else helps.
    Asked {
        /// Its place in the plan.
        step: usize,
        /// What they were told.
        sentence: String,
    },
    /// A person called it off.
    Cancelled {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// Past the point of no return: a person takes over.
        abandon: bool,
    },
    /// The intent to take a step back.
    UndoBegan {
        /// Its place in the plan.
        step: usize,
        /// Counts from 1.
        attempt: u32,
    },
    /// How that ended.
    UndoFinished {
        /// Its place in the plan.
        step: usize,
        /// Which attempt; 0 when nothing had to be done.
        attempt: u32,
        /// How.
        outcome: Outcome,
    },
    /// It cannot go on without a person.
    Stuck {
        /// Why.
        why: String,
    },
    /// A person has it tried again.
    Retried {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The node stays as it is, cordoned, for whoever asked or took over, until it is returned.
    Parked,
    /// It is over.
    Ended {
        /// How.
        ending: Ending,
        /// For people.
        sentence: String,
    },
}

impl Event {
    /// The word of it, for the journal's column and pages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "requested",
            Self::Granted { .. } => "granted",
            Self::Began { .. } => "began",
            Self::Prepared { .. } => "prepared",
            Self::Committed { .. } => "committed",
            Self::Finished { .. } => "finished",
            Self::Asked { .. } => "asked",
            Self::Cancelled { .. } => "cancelled",
            Self::UndoBegan { .. } => "undo_began",
            Self::UndoFinished { .. } => "undo_finished",
            Self::Stuck { .. } => "stuck",
            Self::Retried { .. } => "retried",
            Self::Parked => "parked",
            Self::Ended { .. } => "ended",
        }
    }
}
