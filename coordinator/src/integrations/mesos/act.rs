//! What we do to Mesos: stop the offers of one agent, and let them flow again. Nothing else.
//!
//! Apart from the observing half, so that a rehearsal can be built without it. Draining is left out on purpose: it ends
//! running tasks at once and cannot be called off.
//!
//! Each act asks first whether it is already so, and afterwards reads back what the leader has recorded: a call can be
//! accepted and mean something else. Silence is never taken for a failure: who is asked in vain may have done it.

use super::{
    Agents, MesosError,
    agents::read_agents,
    masters::{Answer, Masters, NoAnswer, Question, read_body, read_refusal, spell},
};
use futures_util::future::BoxFuture;
use millwright_protocol::Evidence;
use reqwest::{StatusCode, Url};
use serde_json::json;
use std::time::Duration;

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is so, now or already before, by the leader's own account.
    Done(Vec<Evidence>),
    /// It is not so, and nothing of the try remains: the reason, for people.
    NotDone(String),
    /// Nobody knows: the question that would tell, for people. Acting again asks it first.
    Unknown(String),
}

/// What we do to Mesos, and nothing more. Both need Mesos 1.9; an older master says no, which is [`Outcome::NotDone`].
pub trait MesosAct: Send + Sync {
    /// Stops the offers of this agent; its tasks go on, and offers that frameworks hold are taken back.
    fn deactivate<'a>(&'a self, agent_id: &'a str) -> BoxFuture<'a, Outcome>;

    /// Lets offers of this agent flow again.
    fn reactivate<'a>(&'a self, agent_id: &'a str) -> BoxFuture<'a, Outcome>;
}

/// The masters over HTTP, to act on.
pub struct MesosOperator {
    masters: Masters,
}

/// What the leader says about one agent.
struct Look {
    /// Who said so.
    leader: Url,
    found: Found,
}

enum Found {
    /// It is registered; `None` where the master does not know of deactivation.
    Registered { deactivated: Option<bool>, draining: Option<String>, hostname: String },
    /// It is known from the registry and has not come back since the master was elected.
    NotBack,
    /// It is unreachable, gone, or was never there.
    NotListed,
}

impl MesosOperator {
    /// Addresses such as `http://alimesos01.cern.ch:5050`; `timeout` bounds each request.
    ///
    /// # Errors
    /// An address is none, or the HTTP client cannot be made.
    pub fn new(addresses: &[String], timeout: Duration) -> Result<Self, MesosError> {
        Ok(Self { masters: Masters::new(addresses, timeout)? })
    }

    async fn act(&self, agent_id: &str, act: Act) -> Outcome {
        let before = match self.look(agent_id, None).await {
            Ok(look) if look.is(act) => return Outcome::Done(look.evidence(agent_id, act)),
            Ok(look) => look,
            Err(why) => return act.unknown(agent_id, &format!("the masters do not tell: {why}")),
        };
        let refusal = match self.call(&before.leader, agent_id, act).await {
            Ok(()) => None,
            Err(NoAnswer::NotTaken(why)) => Some((why, true)),
            Err(NoAnswer::Unknown(why)) => Some((why, false)),
        };
        let after = self.look(agent_id, Some(&before.leader)).await;
        match (after, refusal) {
            // However the call ended, what the leader has recorded is what counts.
            (Ok(look), _) if look.is(act) => Outcome::Done(look.evidence(agent_id, act)),
            (_, Some((why, true))) => Outcome::NotDone(format!("{} {agent_id}: {why}", act.attempt())),
            (_, Some((why, false))) => act.unknown(agent_id, &why),
            (Ok(look), None) => {
                act.unknown(agent_id, &format!("the call was accepted, and {}", look.story()))
            }
            (Err(why), None) => act.unknown(agent_id, &format!("the call was accepted, then {why}")),
        }
    }

    /// Asks the leader about the agent; the one that led a moment ago first.
    async fn look(&self, agent_id: &str, leader: Option<&Url>) -> Result<Look, String> {
        let mut troubles = Vec::new();
        let path = format!("/slaves?{}", query(agent_id));
        for master in self.in_turn(leader) {
            let question = Question { path: &path, body: None, endless: false };
            match self.masters.ask(master, question).await {
                Ok(Answer { from, response }) if response.status() == StatusCode::OK => {
                    match read_body(response, read_agents).await {
                        Ok(agents) => return Ok(Look { leader: from, found: find(agents, agent_id) }),
                        Err(why) => troubles.push(format!("{}: {why}", spell(&from))),
                    }
                }
                Ok(Answer { from, response }) => {
                    troubles.push(format!("{}: {}", spell(&from), read_refusal(response).await));
                }
                Err(why) => troubles.push(format!("{}: {}", spell(master), why.why())),
            }
        }
        Err(if troubles.is_empty() { "none is configured".to_owned() } else { troubles.join("; ") })
    }

    /// Sends the call to the leader. A master that has not taken it leaves it to the next; once one may have, none else
    /// is asked.
    async fn call(&self, leader: &Url, agent_id: &str, act: Act) -> Result<(), NoAnswer> {
        let body = act.body(agent_id);
        let mut troubles = Vec::new();
        for master in self.in_turn(Some(leader)) {
            let question = Question { path: "/api/v1", body: Some(&body), endless: false };
            let Answer { from, response } = match self.masters.ask(master, question).await {
                Ok(answer) => answer,
                Err(NoAnswer::NotTaken(why)) => {
                    troubles.push(format!("{}: {why}", spell(master)));
                    continue;
                }
                Err(NoAnswer::Unknown(why)) => {
                    return Err(NoAnswer::Unknown(format!("{}: {why}", spell(master))));
                }
            };
            let status = response.status();
            if status.is_success() {
                return Ok(());
            }
            let said = read_refusal(response).await;
            let why = format!("{} answers {said}", spell(&from));
            if status.is_client_error() {
                return Err(NoAnswer::NotTaken(why));
            }
            if !leads_nobody(status, &said) {
                return Err(NoAnswer::Unknown(why));
            }
            troubles.push(why);
        }
        Err(NoAnswer::NotTaken(troubles.join("; ")))
    }

    fn in_turn<'a>(&'a self, first: Option<&'a Url>) -> impl Iterator<Item = &'a Url> {
        first.into_iter().chain(self.masters.urls().iter().filter(move |url| Some(*url) != first))
    }
}

impl MesosAct for MesosOperator {
    fn deactivate<'a>(&'a self, agent_id: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(self.act(agent_id, Act::Deactivate))
    }

    fn reactivate<'a>(&'a self, agent_id: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(self.act(agent_id, Act::Reactivate))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Deactivate,
    Reactivate,
}

impl Act {
    fn attempt(self) -> &'static str {
        match self {
            Self::Deactivate => "stop the offers of the Mesos agent",
            Self::Reactivate => "let offers flow again of the Mesos agent",
        }
    }

    fn body(self, agent_id: &str) -> String {
        let agent = json!({ "agent_id": { "value": agent_id } });
        match self {
            Self::Deactivate => json!({ "type": "DEACTIVATE_AGENT", "deactivate_agent": agent }),
            Self::Reactivate => json!({ "type": "REACTIVATE_AGENT", "reactivate_agent": agent }),
        }
        .to_string()
    }

    fn unknown(self, agent_id: &str, why: &str) -> Outcome {
        Outcome::Unknown(format!(
            "{} {agent_id}: {why}; does the leading master list it as deactivated (`deactivated` in /slaves)?",
            self.attempt()
        ))
    }
}

impl Look {
    /// Whether that is so already.
    fn is(&self, act: Act) -> bool {
        let wanted = act == Act::Deactivate;
        matches!(self.found, Found::Registered { deactivated: Some(is), .. } if is == wanted)
    }

    fn evidence(&self, agent_id: &str, act: Act) -> Vec<Evidence> {
        let source = format!("mesos_master {}", spell(&self.leader));
        let mut evidence = vec![
            Evidence::new("mesos_agent_id", agent_id, &source),
            Evidence::new("deactivated", act == Act::Deactivate, &source),
        ];
        if let Found::Registered { draining, hostname, .. } = &self.found {
            evidence.push(Evidence::new("mesos_hostname", hostname, &source));
            evidence.extend(draining.as_ref().map(|state| Evidence::new("drain_state", state, &source)));
        }
        evidence
    }

    fn story(&self) -> String {
        let leader = spell(&self.leader);
        match &self.found {
            Found::Registered { deactivated: Some(true), .. } => format!("{leader} lists it as deactivated"),
            Found::Registered { deactivated: Some(false), .. } => {
                format!("{leader} lists it as not deactivated")
            }
            Found::Registered { deactivated: None, .. } => {
                format!("{leader} does not say whether it is deactivated")
            }
            Found::NotBack => {
                format!(
                    "{leader} says nothing about it until it has registered again after the change of leader"
                )
            }
            Found::NotListed => format!("{leader} does not list it: it is unreachable, or gone"),
        }
    }
}

/// A master without a leader, or a leader that is still reading its registry, takes no calls.
fn leads_nobody(status: StatusCode, said: &str) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE
        && (said.contains("No leader elected") || said.contains("has not finished recovery"))
}

fn find(agents: Agents, agent_id: &str) -> Found {
    // Masters before 1.1 list every agent whatever is asked.
    if let Some(agent) = agents.agents.into_iter().find(|agent| agent.id == agent_id) {
        return Found::Registered {
            deactivated: agent.deactivated,
            draining: agent.drain_state,
            hostname: agent.hostname,
        };
    }
    if agents.recovered.iter().any(|agent| agent.id == agent_id) { Found::NotBack } else { Found::NotListed }
}

fn query(agent_id: &str) -> String {
    // An id is outside data: nothing in it may become another parameter.
    Url::parse_with_params("http://any/", [("slave_id", agent_id)])
        .ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
