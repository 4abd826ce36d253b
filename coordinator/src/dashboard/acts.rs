//! What whoever looks at a page may say, as buttons that lead to forms; and why not, where they may not.

use crate::{
    people::{Caller, Role},
    view::{ClassView, FleetView, OperationView},
};
use millwright_decision::{Action, Class, Code, Mode, Reason, Severity, Verdict};

/// A button that leads to a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Where the form is.
    pub href: String,
    /// Its word.
    pub label: &'static str,
    /// Whether it should not be pressed lightly.
    pub is_grave: bool,
}

/// What can be offered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Buttons.
    pub acts: Vec<Act>,
    /// What may be said, and why not by whoever looks.
    pub not_you: Vec<String>,
    /// Where to sign in first.
    pub sign_in: Option<String>,
}

/// A person's word to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// A second person agrees.
    Approve,
    /// Go on with the step.
    Begin,
    /// The step is done.
    Done,
    /// The step was not run, and will not be.
    NotRun,
    /// Try again.
    Retry,
    /// Call it off.
    Cancel,
    /// Take it over as it is.
    Abandon,
}

impl Say {
    /// Every one, in the order of the buttons.
    pub const ALL: [Self; 7] =
        [Self::Approve, Self::Begin, Self::Done, Self::NotRun, Self::Retry, Self::Cancel, Self::Abandon];

    /// The word in the API's list of what may be said, and in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Begin => "begin",
            Self::Done => "done",
            Self::NotRun => "not_run",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Abandon => "abandon",
        }
    }

    /// What stands on its button.
    pub fn label(self) -> &'static str {
        match self {
            Self::Approve => "Approve",
            Self::Begin => "Go on with it",
            Self::Done => "It is done",
            Self::NotRun => "It was not run",
            Self::Retry => "Try again",
            Self::Cancel => "Call it off",
            Self::Abandon => "Take it over as it is",
        }
    }

    /// Who may say it.
    pub fn role(self) -> Role {
        if self == Self::Approve { Role::Approve } else { Role::Operate }
    }
}

/// What may be said to an operation by `caller`.
pub fn of_operation(operation: &OperationView, class: Option<Class>, caller: &Caller) -> Offered {
    let mut offered = Offered::default();
    let summary = &operation.summary;
    for say in Say::ALL.into_iter().filter(|say| operation.may.iter().any(|may| may == say.as_str())) {
        // A command is begun where it is run, so that its end is told as well.
        if say == Say::Begin && is_run_by_hand(operation) {
            continue;
        }
        match cannot(say, operation, class, caller) {
            None => offered.acts.push(Act {
                href: format!("/operations/{}/{}", summary.id, say.as_str()),
                label: say.label(),
                is_grave: matches!(say, Say::Abandon | Say::Done | Say::NotRun),
            }),
            Some(why) if caller.is_somebody() => offered.not_you.push(why),
            Some(_) => offered.sign_in = Some(format!("/sign-in?next=/operations/{}", summary.id)),
        }
    }
    offered
}

/// Whether the step that it is at is a command for a person.
pub fn is_run_by_hand(operation: &OperationView) -> bool {
    operation.executor == "by_hand" && !operation.command.is_empty()
}

/// Why `caller` cannot say it.
pub fn cannot(say: Say, operation: &OperationView, class: Option<Class>, caller: &Caller) -> Option<String> {
    if say == Say::Approve && operation.summary.by.eq_ignore_ascii_case(&caller.name) {
        return Some("You asked for it yourself, so another person has to agree.".to_owned());
    }
    lacks(caller, say.role(), class, say.label())
}

/// What `caller` lacks to do `what`.
pub fn lacks(caller: &Caller, role: Role, class: Option<Class>, what: &str) -> Option<String> {
    if !caller.is_somebody() {
        return Some("This takes somebody with a name.".to_owned());
    }
    let wanted = class.map_or_else(|| role.to_string(), |class| format!("{role}:{class}"));
    (!caller.rights.may(role, class)).then(|| {
        format!(
            "“{what}” takes {wanted}, and {} may {}; an administrator gives roles.",
            caller.name,
            caller.rights.words().join(", ")
        )
    })
}

/// Why nothing at all is begun for a node of this class here; none where it is.
pub fn is_only_looked_at(fleet: &FleetView, class: Option<Class>) -> Option<String> {
    let found: Option<&ClassView> =
        class.and_then(|class| fleet.classes.iter().find(|known| known.class == class));
    match found.filter(|found| found.class != Class::Physical).map(|found| found.mode) {
        Some(Mode::Advise | Mode::Act) => None,
        Some(Mode::Observe) => Some(
            "Nothing is begun from here: the policy has this class in mode observe, in which Millwright only watches and \
             says what it thinks. A person does it by hand."
                .to_owned(),
        ),
        None => Some("Nothing is begun from here: only nodes that the policy lists are ever touched.".to_owned()),
    }
}

/// What the requester has to say yes to before it can begin; none when it cannot begin at all.
pub fn to_confirm(verdict: &Verdict) -> Option<Vec<&Reason>> {
    if verdict.may_start == Severity::Allowed {
        return Some(Vec::new());
    }
    let is_typed = |code| verdict.action == Action::Delete && code == Code::IntentMissing;
    let objecting: Vec<&Reason> = verdict
        .reasons
        .iter()
        .filter(|reason| !reason.code.clears_on_the_way() && !is_typed(reason.code))
        .collect();
    let can = |reason: &&Reason| crate::operations::CONFIRMABLE.contains(&reason.code);
    (verdict.verdict != Severity::Refused && objecting.iter().all(can)).then_some(objecting)
}

/// "Drain it…" for a node's page.
pub fn begin_label(action: Action) -> &'static str {
    match action {
        Action::Drain => "Drain it…",
        Action::Return => "Return it…",
        Action::Reboot => "Reboot it…",
        Action::Rebuild => "Rebuild it…",
        Action::Delete => "Delete it…",
        Action::Create => "Create it…",
        Action::Prepull => "Pull its images…",
    }
}
