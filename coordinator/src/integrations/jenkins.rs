//! Jenkins: which builds run on which computers, and whether one of those takes new builds.
//!
//! Jenkins has one switch for a computer's offers, and it is a toggle: two who press it undo each other. So it is read
//! before and after, what we do carries a mark, and only what carries our mark is lifted.

mod act;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
mod wire;

pub use act::{JenkinsAct, MARK};

use super::{
    Observe,
    peer::{Answer, Call, Credentials, Limits, Peer, PeerError, Tallies},
};
use crate::fleet::{Jenkins, Observation};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use millwright_decision::Source;
use std::time::Duration;
use wire::{ComputerList, Front, Queue};

/// Some hundred computers with their executors; the tree below leaves everything else out.
const LARGEST: usize = 16 * 1024 * 1024;
/// What is wanted of every computer.
const COMPUTERS: &str = "computer[displayName,offline,temporarilyOffline,offlineCauseReason,\
    executors[idle,currentExecutable[url,fullDisplayName,timestamp,estimatedDuration]],\
    oneOffExecutors[idle,currentExecutable[url,fullDisplayName,timestamp,estimatedDuration]]]";

/// Jenkins over HTTP.
pub struct JenkinsClient {
    peer: Peer,
    credentials: Option<Credentials>,
}

impl JenkinsClient {
    /// At an address such as `https://alijenkins.example.org/`; `timeout` bounds each question.
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
        Ok(Self { peer: Peer::new(Source::Jenkins.as_str(), address, limits, tallies)?, credentials })
    }

    async fn ask(&self, call: Call) -> Result<Answer, String> {
        let answer = self.peer.ask(call.credentials(self.credentials.as_ref())).await;
        answer.map_err(|error| self.explain(&error))
    }

    /// The error, and what to do where its own words do not help.
    fn explain(&self, error: &PeerError) -> String {
        let advice = match (error.status().map(|status| status.as_u16()), &self.credentials) {
            (Some(401 | 403), None) => {
                "; it wants to know who asks: set jenkins.user and jenkins.secret_file to a user and its API token"
            }
            (Some(403), Some(_)) if error.to_string().contains("crumb") => {
                "; give an API token instead of a password, which needs no crumb"
            }
            (Some(401 | 403), Some(_)) => {
                "; see that the API token is still valid and its user has the right"
            }
            _ => "",
        };
        format!("{error}{advice}")
    }

    async fn look_once(&self) -> Result<Jenkins, String> {
        let computers = self.ask(Call::get("computer/api/json").query("tree", COMPUTERS)).await?;
        let list: ComputerList = computers.json().map_err(|error| error.to_string())?;
        let queue = self.ask(Call::get("queue/api/json").query("tree", "items[id]")).await?;
        let queue: Queue = queue.json().map_err(|error| error.to_string())?;
        let front = self.ask(Call::get("api/json").query("tree", "quietingDown")).await?;
        let front: Front = front.json().map_err(|error| error.to_string())?;
        let version = computers.headers.get("x-jenkins").and_then(|version| version.to_str().ok());
        Ok(Jenkins {
            version: version.unwrap_or("of an unknown version").to_owned(),
            computers: list.computer.into_iter().map(wire::Computer::in_our_words).collect(),
            queued: queue.items.len(),
            is_quieting: front.quieting_down,
        })
    }
}

impl Observe for JenkinsClient {
    fn source(&self) -> Source {
        Source::Jenkins
    }

    fn look(&self) -> BoxFuture<'_, Result<Observation, String>> {
        Box::pin(async { Ok(Observation::Jenkins(self.look_once().await?)) })
    }
}

/// Milliseconds since 1970.
fn moment(millis: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis).ok().filter(|at| *at > Timestamp::UNIX_EPOCH)
}
