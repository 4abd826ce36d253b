//! Deleting servers and volumes, with a credential of its own.
//!
//! A server that is not found is no deleted server: the wrong project finds none either. Only Nova's log, which deleted
//! servers keep, or having seen it go, proves it.

use super::{
    act::{Intent, Outcome, Refusal, Sought, Target, expired, refused, seek, untold},
    follow::{Asked, Pace},
    observe::segment,
    session::{CloudError, Service, Session, Sessions},
};
use crate::{fleet::outside::openstack::Volume, integrations::peer::Call};
use futures_util::future::BoxFuture;
use millwright_protocol::Evidence;
use std::sync::Arc;
use tokio::time::Instant;

/// In which a volume can be deleted.
const DELETABLE: [&str; 3] = ["available", "error", "error_deleting"];

/// What is taken away for good.
pub trait OpenStackDelete: Send + Sync {
    /// Deletes a server that nobody has locked. Its volumes stay, unless they go with it.
    fn delete_server<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome>;

    /// Deletes a volume that no server has.
    fn delete_volume<'a>(
        &'a self,
        project: &'a str,
        id: &'a str,
        intent: &'a Intent,
    ) -> BoxFuture<'a, Outcome>;
}

/// The cloud over HTTP, to delete from.
pub struct OpenStackRemover {
    sessions: Arc<Sessions>,
}

impl OpenStackRemover {
    /// With the sessions of the credential that may.
    pub fn new(sessions: Arc<Sessions>) -> Self {
        Self { sessions }
    }

    async fn remove_server(&self, target: &Target, intent: &Intent) -> Outcome {
        let (session, sought) = match seek(&self.sessions, target).await {
            Ok(found) => found,
            Err(outcome) => return untold(outcome, intent, "delete", target),
        };
        let server = match sought {
            Sought::One(server) => *server,
            Sought::None(Some(id)) => return gone_before(&session, target, &id).await,
            Sought::None(None) => return absent(target, "no server of that name, and its id is not known"),
        };
        let asked = Asked {
            session: &session,
            target,
            server: &server.id,
            word: "delete",
            attempt: "delete",
            wanted: &[],
        };
        if server.task_state.as_deref() == Some("deleting") {
            return see_it_go(&asked, intent).await;
        }
        let Some(before) = intent.send_before else {
            return match asked.recall(intent).await {
                Ok(_) => see_it_go(&asked, intent).await,
                Err(outcome) => outcome,
            };
        };
        if server.locked {
            let reason = server.locked_reason.as_deref().unwrap_or("no reason is given");
            return Outcome::refused(
                Refusal::ServerLocked,
                format!("delete {}: it is locked in Nova: {reason}", target.name),
            );
        }
        if server.task_state.is_some() {
            let why = format!("delete {}: Nova shows it as {}", target.name, server.standing());
            return Outcome::refused(Refusal::ServerBusy, why);
        }
        if Instant::now() >= before {
            return expired("delete", target);
        }
        match session.ask(Service::Nova, Call::delete(format!("servers/{}", segment(&server.id)))).await {
            Err(why) if why.had_no_effect() && !why.is_not_found() => refused(&why, "delete", target),
            _ => see_it_go(&asked, intent).await,
        }
    }

    async fn remove_volume(&self, project: &str, id: &str, intent: &Intent) -> Outcome {
        let target = Target { project: project.to_owned(), id: None, name: format!("the volume {id}") };
        let session = match self.sessions.of(project) {
            Ok(session) => session,
            Err(why) => return refused(&why, "delete", &target),
        };
        let volume = match session.volume(id).await {
            Ok(Some(volume)) => volume,
            Ok(None) => return Outcome::Done(volume_gone(id)),
            Err(why) => return untold(refused(&why, "delete", &target), intent, "delete", &target),
        };
        let in_use = |volume: &Volume| {
            let servers = volume.attached_to.join(", ");
            let on = if servers.is_empty() { String::new() } else { format!(", on server {servers}") };
            Outcome::refused(
                Refusal::VolumeInUse,
                format!("delete the volume {id} ({}): it is {}{on}", volume.name, volume.status),
            )
        };
        if volume.status != "deleting" {
            if !volume.attached_to.is_empty() || !DELETABLE.contains(&volume.status.as_str()) {
                return in_use(&volume);
            }
            match intent.send_before {
                None => return Outcome::not_done(format!("delete the volume {id}: it is {}", volume.status)),
                Some(before) if Instant::now() >= before => return expired("delete", &target),
                Some(_) => {}
            }
            let sent = session.ask(Service::Cinder, Call::delete(format!("volumes/{}", segment(id)))).await;
            if let Err(why) = sent
                && why.had_no_effect()
                && !why.is_not_found()
            {
                return refused(&why, "delete", &target);
            }
        }
        let until = Instant::now() + intent.patience;
        let mut pace = Pace::new();
        loop {
            let standing = match session.volume(id).await {
                Ok(None) => return Outcome::Done(volume_gone(id)),
                Ok(Some(volume)) => volume.status,
                Err(why) => why.to_string(),
            };
            if standing == "error_deleting" || Instant::now() >= until {
                return Outcome::Unknown(format!(
                    "delete the volume {id}: Cinder was asked and shows it as {standing}; what does \
                     `openstack volume show {id}` say?"
                ));
            }
            pace.rest().await;
        }
    }
}

impl OpenStackDelete for OpenStackRemover {
    fn delete_server<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome> {
        Box::pin(self.remove_server(target, intent))
    }

    fn delete_volume<'a>(
        &'a self,
        project: &'a str,
        id: &'a str,
        intent: &'a Intent,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(self.remove_volume(project, id, intent))
    }
}

/// Waits until it is gone. With the part of Nova down that runs it, the request is kept and carried out later.
async fn see_it_go(asked: &Asked<'_>, intent: &Intent) -> Outcome {
    let until = Instant::now() + intent.patience;
    let mut pace = Pace::new();
    loop {
        let standing = match asked.session.server(asked.server).await {
            Ok(None) => return Outcome::Done(server_gone(asked.server)),
            Ok(Some(server)) if server.rests_as("ERROR") => {
                let fault = server.fault.unwrap_or_else(|| "it does not say why".to_owned());
                return asked.unknown(&format!("it could not be deleted ({fault}) and is in ERROR"));
            }
            Ok(Some(server)) => format!("it is {}", server.standing()),
            Err(why) => format!("it cannot be asked: {why}"),
        };
        if Instant::now() >= until {
            return asked
                .unknown(&format!("Nova took it, and after {} s {standing}", intent.patience.as_secs()));
        }
        pace.rest().await;
    }
}

/// It is not there: its log tells whether it was deleted.
async fn gone_before(session: &Session, target: &Target, id: &str) -> Outcome {
    match session.actions(id).await {
        Ok(Some(actions)) if actions.iter().any(|action| action.action == "delete") => {
            Outcome::Done(server_gone(id))
        }
        Ok(_) => absent(target, &format!("no server {id} and no trace of one")),
        Err(why) => silent(&why, target),
    }
}

fn silent(why: &CloudError, target: &Target) -> Outcome {
    refused(why, "delete", target)
}

fn absent(target: &Target, what: &str) -> Outcome {
    Outcome::refused(
        Refusal::ServerAbsent,
        format!(
            "delete {}: project {:?} has {what}; see that policy names the right project",
            target.name, target.project
        ),
    )
}

fn server_gone(id: &str) -> Vec<Evidence> {
    vec![Evidence::new("server", id, "nova"), Evidence::new("deleted", "yes", "nova")]
}

fn volume_gone(id: &str) -> Vec<Evidence> {
    vec![Evidence::new("deleted_volume", id, "cinder")]
}
