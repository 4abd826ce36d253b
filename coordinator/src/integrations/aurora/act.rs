//! Has Aurora move a task, by restarting that one instance of its job.
//!
//! Aurora is asked by job key and number, not by task: so the task is looked up right before, and only a job key that
//! Aurora itself gave for it is used. It starts the successor wherever it gets offers, so the node has to be cordoned.

#[cfg(test)]
mod tests;

use super::{AuroraClient, wire::Reply};
use crate::{
    config::OutsideScheduler,
    fleet::{Instance, Scheduler},
    integrations::{
        moving::{self, Asked, Errand, MoveAway, Pace, Scheduled, refused},
        peer::{Call, PeerError, Tallies},
    },
};
use futures_util::future::BoxFuture;
use millwright_decision::{Source, operation::Outcome};
use millwright_protocol::NodeName;
use serde_json::{Value, json};

/// Aurora, as far as we may have it do something.
pub struct AuroraOperator {
    pub(super) client: AuroraClient,
    pub(super) pace: Pace,
}

impl AuroraOperator {
    /// Its schedulers as configured, asked in the name of whoever may act there.
    ///
    /// # Errors
    /// An address is none, or the HTTP client cannot be made.
    pub fn new(system: &OutsideScheduler, tallies: &Tallies) -> Result<Self, PeerError> {
        let client = AuroraClient::new(&system.as_actor(), tallies)?;
        Ok(Self { client, pace: Pace::new(system.may.patience) })
    }
}

/// The key of a job as Aurora wants it back: three words, none of which can hold a slash.
fn job_key(service: &str) -> Option<Value> {
    let mut words = service.split('/');
    let (role, environment, name) = (words.next()?, words.next()?, words.next()?);
    let is_whole = words.next().is_none() && [role, environment, name].iter().all(|word| !word.is_empty());
    is_whole.then(|| json!({ "role": role, "environment": environment, "name": name }))
}

/// What an answer of `restartShards` means.
fn taken(address: &str, reply: &Reply) -> Result<Asked, Outcome> {
    let (code, said) = reply.said();
    let story = format!("{address}: asked to restart it, it answers {code}: {said}");
    match code {
        "OK" | "WARNING" => Ok(Asked::Taken),
        // The second is what older versions call it.
        "JOB_UPDATING_ERROR" | "LOCK_ERROR" => {
            Err(refused("service_changing", format!("{story}; the job's update has to end first")))
        }
        "AUTH_FAILED" => Err(refused(
            "forbidden",
            format!(
                "{story}; see that aurora.act_user and aurora.act_secret_file name somebody who may do that"
            ),
        )),
        "ERROR_TRANSIENT" => Err(refused("server_busy", format!("{story}; that passes by itself"))),
        "INVALID_REQUEST" => Err(Outcome::not_done(story)),
        _ => Ok(Asked::Unheard(story)),
    }
}

impl Scheduled for AuroraOperator {
    fn source(&self) -> Source {
        Source::Aurora
    }

    async fn look(&self) -> Result<Scheduler, String> {
        self.client.look_once().await
    }

    async fn ask(&self, seen: &Scheduler, instance: &Instance, errand: &Errand) -> Result<Asked, Outcome> {
        let Some(server) = seen.only_leader().and_then(|node| self.client.servers.on(node)) else {
            return Err(refused("leader_unsure", "which scheduler of Aurora leads is not sure just now"));
        };
        let (Some(job), Some(number)) = (job_key(&errand.service), instance.number) else {
            return Err(Outcome::not_done(format!(
                "{} is not moved: Aurora does not say which instance of which job it is",
                errand.task
            )));
        };
        let question = json!({ "job": job, "shardIds": [number] });
        let answer = match server.act(Call::post("apibeta/restartShards").json(question)).await {
            Ok(answer) => answer,
            Err(error) if matches!(error.status().map(|status| status.as_u16()), Some(401 | 403)) => {
                return Err(refused(
                    "forbidden",
                    format!(
                        "{}: {error}; see that aurora.act_user and aurora.act_secret_file name somebody who may do that",
                        server.address()
                    ),
                ));
            }
            Err(error) if error.had_no_effect() => return Err(Outcome::not_done(server.explain(&error))),
            Err(error) => return Ok(Asked::Unheard(server.explain(&error))),
        };
        match answer.json::<Reply>() {
            Ok(reply) => taken(server.address(), &reply),
            Err(error) => Ok(Asked::Unheard(server.explain(&error))),
        }
    }
}

impl MoveAway for AuroraOperator {
    fn move_task<'a>(&'a self, errand: &'a Errand) -> BoxFuture<'a, Outcome> {
        Box::pin(moving::move_task(self, self.pace, errand))
    }

    /// Aurora has nothing that would do that and no more.
    fn hand_over<'a>(&'a self, _: &'a NodeName) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            Outcome::not_done("Aurora's lead moves by itself when its scheduler stops, and not otherwise")
        })
    }
}
