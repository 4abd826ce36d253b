//! Owners of tasks, asked over HTTP whether an operation may end or move what is theirs.
//!
//! `POST URL/OWNER` with what is meant as JSON; the answer is 200 with `{"may": true}` or `{"may": false, "why": "…"}`.
//! Anything else is no answer, and never a yes.

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use super::channels::line;
use super::peer::{Call, Credentials, Limits, Peer, PeerError, Tallies, segment};
use crate::fleet::OwnerQuestion;
use futures_util::future::BoxFuture;
use millwright_decision::fleet::OwnerSaid;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// Bytes of an answer: a word and a sentence.
const LARGEST: usize = 16 * 1024;
/// Letters of a sentence that are kept.
const TOLD: usize = 300;

/// Somebody who can ask owners.
pub trait AskOwner: Send + Sync {
    /// May it?
    fn may<'a>(&'a self, question: &'a OwnerQuestion) -> BoxFuture<'a, OwnerSaid>;
}

/// Owners behind one address.
pub struct Owners {
    peer: Peer,
    credentials: Option<Credentials>,
}

/// As it is written.
#[derive(Debug, Deserialize)]
struct Said {
    may: bool,
    #[serde(default)]
    why: Option<String>,
}

impl Owners {
    /// At an address such as `https://ci.example.org/may-i`; `timeout` bounds each question.
    ///
    /// # Errors
    /// The address is none, or the HTTP client cannot be made.
    pub fn new(
        address: &str,
        credentials: Option<Credentials>,
        timeout: Duration,
        tallies: &Tallies,
    ) -> Result<Self, PeerError> {
        let limits = Limits { timeout, largest: LARGEST };
        Ok(Self { peer: Peer::new("owners", address, limits, tallies)?, credentials })
    }

    async fn ask(&self, question: &OwnerQuestion) -> Result<OwnerSaid, PeerError> {
        let body = json!({
            "owner": question.owner,
            "operation": question.operation,
            "requested_by": question.requested_by,
            "action": question.action.as_str(),
            "node": question.node,
            "task": question.task,
            "name": question.name,
            "framework": question.framework,
            "started_at": question.started_at.map(|at| at.to_string()),
        });
        let call = Call::post(segment(&question.owner)).json(body).credentials(self.credentials.as_ref());
        let said: Said = self.peer.ask(call).await?.json()?;
        Ok(match (said.may, said.why) {
            (true, _) => OwnerSaid::Yes,
            (false, why) => OwnerSaid::No(why.map_or_else(
                || "without saying why".to_owned(),
                |why| line(&why).chars().take(TOLD).collect(),
            )),
        })
    }
}

impl AskOwner for Owners {
    fn may<'a>(&'a self, question: &'a OwnerQuestion) -> BoxFuture<'a, OwnerSaid> {
        Box::pin(async move {
            self.ask(question).await.unwrap_or_else(|error| OwnerSaid::Nothing(error.to_string()))
        })
    }
}
