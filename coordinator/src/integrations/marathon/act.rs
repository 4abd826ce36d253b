//! Has Marathon move a task, by killing it without scaling, and give its lead to another server.
//!
//! Only the server that leads is asked, and only when that is beyond doubt. Some versions kill tasks of an app that a
//! deployment has locked without a word, so it is looked for deployments first.

#[cfg(test)]
mod tests;

use super::MarathonClient;
use crate::{
    config::OutsideScheduler,
    fleet::{Instance, Scheduler},
    integrations::{
        moving::{self, Asked, Errand, MoveAway, Pace, Scheduled, refused},
        peer::{Call, PeerError, Tallies, segment},
        servers::Server,
    },
};
use futures_util::future::BoxFuture;
use millwright_decision::{Evidence, Source, operation::Outcome};
use millwright_protocol::NodeName;
use tokio::time::{Instant, sleep};

/// Marathon, as far as we may have it do something.
pub struct MarathonOperator {
    pub(super) client: MarathonClient,
    pub(super) pace: Pace,
}

impl MarathonOperator {
    /// Its servers as configured, asked in the name of whoever may act there.
    ///
    /// # Errors
    /// An address is none, or the HTTP client cannot be made.
    pub fn new(system: &OutsideScheduler, tallies: &Tallies) -> Result<Self, PeerError> {
        let client = MarathonClient::new(&system.as_actor(), tallies)?;
        Ok(Self { client, pace: Pace::new(system.may.patience) })
    }

    /// The server that leads, if that is beyond doubt.
    fn leader(&self, seen: &Scheduler) -> Result<&Server, Outcome> {
        let server = seen.only_leader().and_then(|node| self.client.servers.on(node));
        server.ok_or_else(|| refused("leader_unsure", "which server of Marathon leads is not sure just now"))
    }

    async fn abdicate(&self, node: &NodeName) -> Outcome {
        let seen = match self.client.look_once().await {
            Ok(seen) => seen,
            Err(why) => return Outcome::not_done(why),
        };
        match seen.only_leader() {
            Some(leader) if leader == node => {}
            Some(leader) => return Outcome::done(vec![self.leads(leader)]),
            None => return refused("leader_unsure", "which server of Marathon leads is not sure just now"),
        }
        let server = match self.leader(&seen) {
            Ok(server) => server,
            Err(outcome) => return outcome,
        };
        let own = server.address();
        if !seen.has_another_than(node) {
            return Outcome::not_done(format!("no other server of Marathon than {own} stands by to lead"));
        }
        if let Err(outcome) = asked(server, server.act(Call::delete("v2/leader")).await) {
            return outcome;
        }
        let began = Instant::now();
        loop {
            let why = match self.client.look_once().await {
                Ok(seen) => match seen.only_leader() {
                    Some(leader) if leader != node => return Outcome::done(vec![self.leads(leader)]),
                    Some(_) => "it leads as before".to_owned(),
                    None => "no server leads".to_owned(),
                },
                Err(why) => why,
            };
            if began.elapsed() >= self.pace.goes_within {
                return Outcome::unknown(format!(
                    "has Marathon's server {own} given its lead away? After {} s {why}",
                    began.elapsed().as_secs()
                ));
            }
            sleep(self.pace.every).await;
        }
    }

    fn leads(&self, leader: &NodeName) -> Evidence {
        let address = self.client.servers.on(leader).map(Server::address).unwrap_or_default();
        Evidence::new("marathon_leader", address, Source::Marathon.as_str())
    }
}

/// What the answer to an act means; what may have had an effect is read back.
fn asked(
    server: &Server,
    answer: Result<crate::integrations::peer::Answer, PeerError>,
) -> Result<Asked, Outcome> {
    let error = match answer {
        Ok(_) => return Ok(Asked::Taken),
        Err(error) => error,
    };
    match error.status().map(|status| status.as_u16()) {
        // Somebody else was quicker, or it has just ended.
        Some(404) => Ok(Asked::Taken),
        Some(409) => {
            Err(refused("service_changing", format!("{}: {error}; that has to end first", server.address())))
        }
        Some(401 | 403) => Err(refused(
            "forbidden",
            format!(
                "{}: {error}; see that marathon.act_user and marathon.act_secret_file name somebody who may do that",
                server.address()
            ),
        )),
        _ if error.had_no_effect() => Err(Outcome::not_done(server.explain(&error))),
        _ => Ok(Asked::Unheard(server.explain(&error))),
    }
}

impl Scheduled for MarathonOperator {
    fn source(&self) -> Source {
        Source::Marathon
    }

    async fn look(&self) -> Result<Scheduler, String> {
        self.client.look_once().await
    }

    async fn ask(&self, seen: &Scheduler, _: &Instance, errand: &Errand) -> Result<Asked, Outcome> {
        let server = self.leader(seen)?;
        // An app's name is a path; whatever else is in it is no part of one.
        let app: Vec<String> =
            errand.service.split('/').filter(|part| !part.is_empty()).map(segment).collect();
        let path = format!("v2/apps/{}/tasks/{}", app.join("/"), segment(&errand.task));
        let answer = server.act(Call::delete(path).query("scale", "false")).await;
        asked(server, answer)
    }
}

impl MoveAway for MarathonOperator {
    fn move_task<'a>(&'a self, errand: &'a Errand) -> BoxFuture<'a, Outcome> {
        Box::pin(moving::move_task(self, self.pace, errand))
    }

    fn hand_over<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Outcome> {
        Box::pin(self.abdicate(node))
    }
}
