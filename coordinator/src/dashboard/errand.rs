//! What a form is for: what it shows, what it says to the API, and where it leads.

mod begin;
mod say;
mod words;

use super::{
    PageData,
    acts::Say,
    forms::{Field, FormPage, Typed},
    render::Problem,
    shell::Shell,
};
use crate::people::Caller;
use jiff::Timestamp;
use millwright_decision::{Action, Class};
use millwright_protocol::NodeName;
use serde_json::{Value, json};

/// What somebody wants to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// Begin an operation.
    Begin {
        /// What.
        action: Action,
        /// On which node.
        node: NodeName,
    },
    /// Say something to one.
    Say {
        /// Which.
        operation: String,
        /// What.
        say: Say,
    },
    /// Keep a node as it is.
    Hold,
    /// Vouch for what a source would say about a node.
    Attest(NodeName),
    /// Lift a hold.
    Lift(String),
    /// Press the off switch.
    Pause,
    /// Release it.
    Resume,
    /// Reset the brake of a class.
    Brake(Class),
}

impl Errand {
    /// To begin an operation, from the words of a path.
    pub fn begin(action: &str, node: &str) -> Option<Self> {
        let action = Action::ALL.into_iter().find(|known| known.as_str() == action)?;
        Some(Self::Begin { action, node: node.parse().ok()? })
    }

    /// To say something, from the words of a path.
    pub fn say(operation: &str, word: &str) -> Option<Self> {
        let number: u64 = operation.strip_prefix("op-")?.parse().ok()?;
        let say = Say::ALL.into_iter().find(|known| known.as_str() == word)?;
        Some(Self::Say { operation: format!("op-{number}"), say })
    }

    /// To reset a brake, from the word of a path.
    pub fn brake(class: &str) -> Option<Self> {
        Class::ALL.iter().copied().find(|known| known.as_str() == class).map(Self::Brake)
    }

    /// To vouch for a source about a node, from the word of a path.
    pub fn attest(node: &str) -> Option<Self> {
        node.parse().ok().map(Self::Attest)
    }

    /// To lift a hold that was set here; one that was set on its node is lifted there.
    pub fn lift(hold: String) -> Option<Self> {
        hold.bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
            .then_some(Self::Lift(hold))
    }

    /// Where its form is.
    pub fn path(&self) -> String {
        match self {
            Self::Begin { action, node } => format!("/begin/{action}/{node}"),
            Self::Say { operation, say } => format!("/operations/{operation}/{}", say.as_str()),
            Self::Hold => "/holds/add".to_owned(),
            Self::Attest(node) => format!("/attest/{node}"),
            Self::Lift(hold) => format!("/holds/{hold}/lift"),
            Self::Pause => "/pause".to_owned(),
            Self::Resume => "/resume".to_owned(),
            Self::Brake(class) => format!("/brake/{class}"),
        }
    }

    /// What it says to the API, and to which path.
    ///
    /// # Errors
    /// What is missing or cannot be, for people.
    pub fn request(&self, typed: &Typed, now: Timestamp) -> Result<(String, Value), String> {
        let reason = typed.one("reason");
        if reason.is_empty() {
            return Err("say why: colleagues will read it".to_owned());
        }
        match self {
            Self::Begin { action, node } => begin::request(*action, node, typed),
            Self::Say { operation, say } => say::request(operation, *say, typed),
            Self::Hold => words::hold_request(typed, now),
            Self::Attest(node) => words::attest_request(node, typed),
            Self::Lift(hold) => Ok((format!("/api/v1/holds/{hold}/lift"), json!({ "reason": reason }))),
            Self::Pause => Ok(("/api/v1/pause".to_owned(), json!({ "on": true, "reason": reason }))),
            Self::Resume => Ok(("/api/v1/pause".to_owned(), json!({ "on": false, "reason": reason }))),
            Self::Brake(class) => {
                Ok(("/api/v1/brake".to_owned(), json!({ "class": class, "reason": reason })))
            }
        }
    }

    /// Where it leads once it was taken.
    pub fn after(&self, answer: &Value) -> String {
        match self {
            Self::Attest(node) => format!("/nodes/{node}"),
            Self::Begin { node, .. } => match answer.get("id").and_then(Value::as_str) {
                Some(id) => format!("/operations/{id}"),
                None => format!("/nodes/{node}"),
            },
            Self::Say { operation, .. } => format!("/operations/{operation}"),
            Self::Hold | Self::Lift(_) => "/holds".to_owned(),
            Self::Pause | Self::Resume | Self::Brake(_) => "/".to_owned(),
        }
    }

    /// Its page, with what was typed before.
    ///
    /// # Errors
    /// What it is about does not exist.
    pub async fn form<D: PageData>(
        &self,
        data: &D,
        caller: &Caller,
        typed: &Typed,
    ) -> Result<FormPage, Box<Problem>> {
        let fleet = data.fleet();
        let blank = FormPage {
            shell: Shell::new(&fleet).still(),
            title: String::new(),
            trail: ("/".to_owned(), "Fleet".to_owned()),
            leads: Vec::new(),
            facts: Vec::new(),
            callouts: Vec::new(),
            fields: vec![FormPage::reason(typed)],
            hidden: Vec::new(),
            path: self.path(),
            submit: String::new(),
            is_grave: false,
            cannot: None,
            sign_in: None,
            problem: None,
            seal: data.form_seal(caller),
        };
        match self {
            Self::Begin { action, node } => {
                begin::form(*action, node, data, &fleet, caller, typed, blank).await
            }
            Self::Say { operation, say } => {
                let Some(view) = data.operation(operation).await else {
                    return Err(Box::new(Problem::unknown_operation(operation)));
                };
                Ok(say::form(*say, &view, &fleet, caller, typed, blank))
            }
            Self::Hold => Ok(words::hold_form(caller, typed, blank)),
            Self::Attest(node) => words::attest_form(node, data, &fleet, caller, typed, blank).await,
            Self::Lift(id) => words::lift_form(id, data, &fleet, caller, blank),
            Self::Pause | Self::Resume => Ok(words::pause_form(*self == Self::Pause, &fleet, caller, blank)),
            Self::Brake(class) => Ok(words::brake_form(*class, &fleet, caller, blank)),
        }
    }
}

fn set(body: &mut Value, name: &str, value: &str) {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(name.to_owned(), Value::from(value));
    }
}

/// Whether somebody has typed the name of the node that they mean.
fn is_named(typed: &str, node: &NodeName) -> Result<(), String> {
    if typed.parse().ok().as_ref() == Some(node) {
        return Ok(());
    }
    let typed: String = typed.chars().take(60).collect();
    Err(format!("the typed name {typed:?} is not {node}; look again at what is meant"))
}

fn typed_name(spelled: &str, typed: &Typed) -> Field {
    Field::Line {
        name: "typed",
        label: format!("Type the node's name, {spelled}"),
        value: typed.one("typed").to_owned(),
        is_required: true,
        longest: 100,
    }
}
