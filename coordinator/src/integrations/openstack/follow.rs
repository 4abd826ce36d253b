//! What became of a request: found in Nova's log of actions, and followed until it is over.
//!
//! Nova says 202 and does the work later, or never while a part of it is down. It is over when nothing is being done to
//! the server any more and its status is the wanted one. A reset that failed with the guest still running looks like one
//! that succeeded: only the node's next boot tells them apart.

use super::{
    act::{Intent, Outcome, Target},
    session::{CloudError, Session},
    wire::ActionWire,
};
use crate::fleet::outside::openstack::Server;
use jiff::SignedDuration;
use millwright_protocol::Evidence;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Nova's clock may differ from ours by so much.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What has been asked for.
pub(super) struct Asked<'a> {
    pub session: &'a Session,
    pub target: &'a Target,
    /// Nova's id of the server.
    pub server: &'a str,
    /// The word in the log.
    pub word: &'static str,
    /// For people, such as `rebuild`.
    pub attempt: &'a str,
    /// Any of these is the end of it.
    pub wanted: &'a [&'static str],
}

/// Ever longer pauses, from a quarter of a second to ten.
pub(super) struct Pace(Duration);

impl Pace {
    pub fn new() -> Self {
        Self(Duration::from_millis(250))
    }

    pub async fn rest(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(Duration::from_secs(10));
    }
}

impl Asked<'_> {
    /// Looks for our own request and follows it. Without one nothing was ever asked.
    pub async fn resume(&self, intent: &Intent) -> Outcome {
        match self.recall(intent).await {
            Ok(action) => self.follow(&action.request_id, intent.patience).await,
            Err(outcome) => outcome,
        }
    }

    /// Our own request, once it is in Nova's log.
    ///
    /// # Errors
    /// It is not there and never will be, or nobody can tell.
    pub async fn recall(&self, intent: &Intent) -> Result<ActionWire, Outcome> {
        let began = Instant::now();
        let mut pace = Pace::new();
        loop {
            match self.own(intent).await {
                Ok(Some(action)) => return Ok(action),
                Ok(None) if began.elapsed() >= intent.lost_after => {
                    return Err(Outcome::not_done(format!(
                        "{}: Nova's log of {} has no such request of ours",
                        self.attempt, self.target.name
                    )));
                }
                Err(why) if began.elapsed() >= intent.patience.max(intent.lost_after) => {
                    return Err(self.unknown(&format!("its log cannot be read: {why}")));
                }
                Ok(None) | Err(_) => pace.rest().await,
            }
        }
    }

    /// Our own request of this kind since the intent.
    async fn own(&self, intent: &Intent) -> Result<Option<ActionWire>, CloudError> {
        let Some(actions) = self.session.actions(self.server).await? else { return Ok(None) };
        let user = self.session.user().await?;
        let since = intent.at.checked_sub(SKEW).unwrap_or(intent.at);
        Ok(actions.into_iter().find(|action| {
            action.action == self.word
                && action.user_id.as_ref() == Some(&user)
                && action.started().is_some_and(|started| started >= since)
        }))
    }

    /// Waits for the end of a request.
    pub async fn follow(&self, request: &str, patience: Duration) -> Outcome {
        let until = Instant::now() + patience;
        let mut pace = Pace::new();
        loop {
            let standing = match self.look(request).await {
                Ok(Ok(outcome)) => return outcome,
                Ok(Err(standing)) => standing,
                Err(why) => format!("it cannot be asked: {why}"),
            };
            if Instant::now() >= until {
                return self.unknown(&format!(
                    "Nova took it as {request}, and after {} s {standing}",
                    patience.as_secs()
                ));
            }
            pace.rest().await;
        }
    }

    /// How it ended, or how it stands.
    async fn look(&self, request: &str) -> Result<Result<Outcome, String>, CloudError> {
        let Some(action) = self.session.action(self.server, request).await? else {
            return Ok(Err("Nova's log does not have it".to_owned()));
        };
        let Some(server) = self.session.server(self.server).await? else {
            return Ok(Err("there is no such server any more".to_owned()));
        };
        if server.task_state.is_none() && action.has_failed() {
            let fault = server.fault.clone().unwrap_or_else(|| "it does not say why".to_owned());
            return Ok(Ok(self.unknown(&format!(
                "Nova says that {request} failed ({fault}) and shows the server as {}",
                server.status
            ))));
        }
        let is_over = action.is_over() && self.wanted.iter().any(|status| server.rests_as(status));
        Ok(if is_over {
            Ok(Outcome::Done(self.evidence(&server, Some(request))))
        } else {
            Err(format!("it is {}", server.standing()))
        })
    }

    pub fn evidence(&self, server: &Server, request: Option<&str>) -> Vec<Evidence> {
        let mut evidence = vec![
            Evidence::new("server", &server.id, "nova"),
            Evidence::new("status", &server.status, "nova"),
        ];
        evidence.extend(request.map(|request| Evidence::new("request", request, "nova")));
        evidence.extend(server.image.as_ref().map(|image| Evidence::new("image", image, "nova")));
        evidence
    }

    /// Nobody knows, and this tells.
    pub fn unknown(&self, why: &str) -> Outcome {
        Outcome::Unknown(format!(
            "{} {}: {why}; what do `openstack server show {id}` and `openstack server event list {id}` say?",
            self.attempt,
            self.target.name,
            id = self.server
        ))
    }
}
