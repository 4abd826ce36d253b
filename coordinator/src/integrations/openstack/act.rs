//! What we do to servers: reset, rebuild, stop, start, lock, unlock, make. Deleting is another credential's business.
//!
//! Each act asks first whether it is already so and whether anything speaks against it: a lock of somebody else's, two
//! servers of one name, something else being done to it. Whoever only looks what became of an earlier request, after a
//! crash, sends nothing.

use super::{
    create::Order,
    follow::{Asked, Pace},
    observe::{named, segment},
    session::{CloudError, Service, Session, Sessions},
};
use crate::{
    fleet::outside::openstack::{Server, Volume},
    integrations::peer::Call,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use millwright_protocol::Evidence;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Locks of ours begin with this.
const OURS: &str = "millwright ";

/// What a lock of ours says.
pub fn lock_reason(operation: &str) -> String {
    format!("{OURS}{operation}: quarantine before it is deleted")
}

/// Which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// In which project, by its name.
    pub project: String,
    /// Nova's id, where its agent has said it.
    pub id: Option<String>,
    /// Its exact name.
    pub name: String,
}

/// On what behalf, and how long.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The operation's id.
    pub operation: String,
    /// When the intent was written.
    pub at: Timestamp,
    /// Nothing is sent from here on; `None` sends nothing at all and only looks what became of what was sent.
    pub send_before: Option<Instant>,
    /// How long the end is waited for.
    pub patience: Duration,
    /// A request that is in nobody's log after this was never made.
    pub lost_after: Duration,
}

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is so, now or already before, by Nova's own account.
    Done(Vec<Evidence>),
    /// It is not so, and nothing of the try remains.
    NotDone {
        /// For people.
        why: String,
        /// What spoke against it, where something did.
        refusal: Option<Refusal>,
    },
    /// Nobody knows: the question that would tell, for people. Looking again asks it.
    Unknown(String),
}

/// What speaks against an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody has locked the server.
    ServerLocked,
    /// It is not certain which server is meant.
    ServerDoubtful,
    /// Something else is being done to it, or its status does not allow it.
    ServerBusy,
    /// There is none, or it is not where it should be.
    ServerAbsent,
    /// There is one of that name already.
    ServerExists,
    /// The volume is still attached, or elsewhere.
    VolumeInUse,
    /// The credential may not.
    Forbidden,
    /// Too late to begin.
    Expired,
    /// The cloud does not answer; it may later.
    CloudSilent,
}

impl Refusal {
    /// The word in journal and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServerLocked => "server_locked",
            Self::ServerDoubtful => "server_doubtful",
            Self::ServerBusy => "server_busy",
            Self::ServerAbsent => "server_absent",
            Self::ServerExists => "server_exists",
            Self::VolumeInUse => "volume_in_use",
            Self::Forbidden => "forbidden",
            Self::Expired => "expired",
            Self::CloudSilent => "cloud_silent",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Outcome {
    pub(super) fn not_done(why: impl Into<String>) -> Self {
        Self::NotDone { why: why.into(), refusal: None }
    }

    pub(super) fn refused(refusal: Refusal, why: impl Into<String>) -> Self {
        Self::NotDone { why: why.into(), refusal: Some(refusal) }
    }
}

/// What we do to servers, and nothing more.
pub trait OpenStackAct: Send + Sync {
    /// The one server that is meant, with its volumes as Cinder tells of them.
    fn find<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<(Server, Vec<Volume>), Outcome>>;

    /// Resets it, whatever it is doing.
    fn hard_reboot<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome>;

    /// Gives it a new system disk from this image, by id or exact name; from the one it has where none is named.
    fn rebuild<'a>(
        &'a self,
        target: &'a Target,
        image: Option<&'a str>,
        intent: &'a Intent,
    ) -> BoxFuture<'a, Outcome>;

    /// Turns it off.
    fn stop<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome>;

    /// Turns it on.
    fn start<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome>;

    /// Has everything refused that changes it; the lock says by which operation.
    fn lock<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome>;

    /// Takes a lock of ours away, never another's.
    fn unlock<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome>;

    /// Makes a server with its volume.
    fn create<'a>(&'a self, order: &'a Order, intent: &'a Intent) -> BoxFuture<'a, Outcome>;
}

/// The cloud over HTTP, to act on.
pub struct OpenStackOperator {
    pub(super) sessions: Arc<Sessions>,
}

/// What is found under a name.
pub(super) enum Sought {
    One(Box<Server>),
    /// There is none; the id that it had, where that is known.
    None(Option<String>),
}

enum Act {
    HardReboot,
    Rebuild { image: String },
    Stop,
    Start,
}

impl OpenStackOperator {
    /// With these sessions.
    pub fn new(sessions: Arc<Sessions>) -> Self {
        Self { sessions }
    }

    async fn act(&self, target: &Target, intent: &Intent, act: Act) -> Outcome {
        let (session, server) = match one(&self.sessions, target).await {
            Ok(found) => found,
            Err(outcome) => return untold(outcome, intent, act.attempt(), target),
        };
        let asked = Asked {
            session: &session,
            target,
            server: &server.id,
            word: act.word(),
            attempt: act.attempt(),
            wanted: act.wanted(),
        };
        if act.is_so(&server) {
            return Outcome::Done(asked.evidence(&server, None));
        }
        let Some(before) = intent.send_before else { return asked.resume(intent).await };
        if let Some(objection) = objection(&server, &act) {
            return objection;
        }
        if Instant::now() >= before {
            return expired(act.attempt(), target);
        }
        let call = Call::post(format!("servers/{}/action", segment(&server.id))).json(act.body());
        match session.ask(Service::Nova, call).await {
            Ok(answer) => match answer.headers.get("x-compute-request-id").and_then(|id| id.to_str().ok()) {
                Some(request) => asked.follow(request, intent.patience).await,
                None => asked.resume(intent).await,
            },
            Err(why) if why.had_no_effect() => refused(&why, act.attempt(), target),
            Err(_) => asked.resume(intent).await,
        }
    }

    /// Locks or unlocks: done at once, and read back.
    async fn turn_key(&self, target: &Target, intent: &Intent, shut: bool) -> Outcome {
        let attempt = if shut { "lock" } else { "unlock" };
        let (session, server) = match one(&self.sessions, target).await {
            Ok(found) => found,
            Err(outcome) => return untold(outcome, intent, attempt, target),
        };
        if server.locked && !is_ours(&server) {
            return locked(&server, attempt, target);
        }
        let evidence = |server: &Server| {
            vec![
                Evidence::new("server", &server.id, "nova"),
                Evidence::new("locked", server.locked, "nova"),
                Evidence::new("locked_reason", server.locked_reason.as_deref().unwrap_or("none"), "nova"),
            ]
        };
        if server.locked == shut {
            return Outcome::Done(evidence(&server));
        }
        match intent.send_before {
            None => return Outcome::not_done(format!("{attempt} {}: it is not so", target.name)),
            Some(before) if Instant::now() >= before => return expired(attempt, target),
            Some(_) => {}
        }
        let body = match shut {
            true => json!({ "lock": { "locked_reason": lock_reason(&intent.operation) } }),
            false => json!({ "unlock": null }),
        };
        let call = Call::post(format!("servers/{}/action", segment(&server.id))).json(body);
        let sent = session.ask(Service::Nova, call).await;
        if let Err(why) = &sent
            && why.had_no_effect()
        {
            return refused(why, attempt, target);
        }
        let mut pace = Pace::new();
        let until = Instant::now() + intent.patience.min(Duration::from_secs(60));
        loop {
            let now = session.server(&server.id).await;
            match now {
                Ok(Some(now)) if now.locked == shut => return Outcome::Done(evidence(&now)),
                _ if Instant::now() >= until => {
                    return Outcome::Unknown(format!(
                        "{attempt} {}: it was asked for and is not seen; what does `openstack server show {}` say \
                         of its lock?",
                        target.name, server.id
                    ));
                }
                _ => pace.rest().await,
            }
        }
    }
}

impl OpenStackAct for OpenStackOperator {
    fn find<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<(Server, Vec<Volume>), Outcome>> {
        Box::pin(async move {
            let (session, server) = one(&self.sessions, target).await?;
            let silent = |why: CloudError| refused(&why, "look at", target);
            // Nova lists them at the server as well; what is being attached this moment stands here only.
            let attached = session.attachments(&server.id).await.map_err(silent)?;
            let mut volumes = Vec::new();
            for id in attached.iter().chain(server.volumes.iter().map(|one| &one.volume)) {
                if volumes.iter().any(|volume: &Volume| volume.id == *id) {
                    continue;
                }
                match session.volume(id).await.map_err(silent)? {
                    Some(volume) => volumes.push(volume),
                    None => {
                        return Err(Outcome::refused(
                            Refusal::ServerDoubtful,
                            format!(
                                "Nova says that {} has the volume {id}, and Cinder has none such",
                                target.name
                            ),
                        ));
                    }
                }
            }
            Ok((server, volumes))
        })
    }

    fn hard_reboot<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome> {
        Box::pin(self.act(target, intent, Act::HardReboot))
    }

    fn rebuild<'a>(
        &'a self,
        target: &'a Target,
        image: Option<&'a str>,
        intent: &'a Intent,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.image_for(target, image, intent).await {
                Ok(image) => self.act(target, intent, Act::Rebuild { image }).await,
                Err(outcome) => outcome,
            }
        })
    }

    fn stop<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome> {
        Box::pin(self.act(target, intent, Act::Stop))
    }

    fn start<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome> {
        Box::pin(self.act(target, intent, Act::Start))
    }

    fn lock<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome> {
        Box::pin(self.turn_key(target, intent, true))
    }

    fn unlock<'a>(&'a self, target: &'a Target, intent: &'a Intent) -> BoxFuture<'a, Outcome> {
        Box::pin(self.turn_key(target, intent, false))
    }

    fn create<'a>(&'a self, order: &'a Order, intent: &'a Intent) -> BoxFuture<'a, Outcome> {
        Box::pin(self.make(order, intent))
    }
}

impl OpenStackOperator {
    /// The id of the image that a rebuild takes.
    async fn image_for(
        &self,
        target: &Target,
        wanted: Option<&str>,
        intent: &Intent,
    ) -> Result<String, Outcome> {
        let attempt = "rebuild";
        // Whoever only looks sends nothing, so no image is needed.
        if intent.send_before.is_none() {
            return Ok(String::new());
        }
        let (session, server) = one(&self.sessions, target).await?;
        let Some(present) = server.image else {
            return Err(Outcome::refused(
                Refusal::ServerBusy,
                format!("rebuild {}: it boots from a volume, which a rebuild would not renew", target.name),
            ));
        };
        let Some(wanted) = wanted.filter(|wanted| *wanted != present) else { return Ok(present) };
        let image = session.image(wanted).await.map_err(|why| refused(&why, attempt, target))?;
        image.map(|image| image.id).ok_or_else(|| {
            Outcome::not_done(format!(
                "rebuild {}: project {:?} has no active image {wanted:?}",
                target.name, target.project
            ))
        })
    }
}

impl Act {
    fn attempt(&self) -> &'static str {
        match self {
            Self::HardReboot => "reset",
            Self::Rebuild { .. } => "rebuild",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }

    /// The word in Nova's log.
    fn word(&self) -> &'static str {
        match self {
            Self::HardReboot => "reboot",
            _ => self.attempt(),
        }
    }

    fn body(&self) -> Value {
        match self {
            Self::HardReboot => json!({ "reboot": { "type": "HARD" } }),
            Self::Rebuild { image } => json!({ "rebuild": { "imageRef": image } }),
            Self::Stop => json!({ "os-stop": null }),
            Self::Start => json!({ "os-start": null }),
        }
    }

    /// A stopped server is rebuilt and stays stopped.
    fn wanted(&self) -> &'static [&'static str] {
        match self {
            Self::Rebuild { .. } => &["ACTIVE", "SHUTOFF"],
            Self::Stop => &["SHUTOFF"],
            Self::HardReboot | Self::Start => &["ACTIVE"],
        }
    }

    /// From which it can begin.
    fn begins_in(&self) -> &'static [&'static str] {
        match self {
            Self::HardReboot => {
                &["ACTIVE", "ERROR", "SHUTOFF", "PAUSED", "SUSPENDED", "REBOOT", "HARD_REBOOT"]
            }
            Self::Rebuild { .. } => &["ACTIVE", "SHUTOFF", "ERROR"],
            Self::Stop => &["ACTIVE", "ERROR"],
            Self::Start => &["SHUTOFF"],
        }
    }

    /// A reset or a rebuild is never so already.
    fn is_so(&self, server: &Server) -> bool {
        match self {
            Self::HardReboot | Self::Rebuild { .. } => false,
            Self::Stop => server.rests_as("SHUTOFF"),
            Self::Start => server.rests_as("ACTIVE"),
        }
    }
}

/// What speaks against beginning.
fn objection(server: &Server, act: &Act) -> Option<Outcome> {
    let name = server.name.as_deref().unwrap_or_default();
    if server.locked {
        let reason = server.locked_reason.as_deref().unwrap_or("no reason is given");
        let why = format!(
            "{} {name}: it is locked in Nova: {reason}; `openstack server unlock {}` by whoever locked it",
            act.attempt(),
            server.id
        );
        return Some(Outcome::refused(Refusal::ServerLocked, why));
    }
    let can_begin = server.task_state.is_none() && act.begins_in().contains(&server.status.as_str());
    (!can_begin).then(|| {
        let why = format!("{} {name}: Nova shows it as {}", act.attempt(), server.standing());
        Outcome::refused(Refusal::ServerBusy, why)
    })
}

/// The one server that is meant.
///
/// # Errors
/// There is none, or it is not certain which, or the cloud does not say.
pub(super) async fn one(sessions: &Sessions, target: &Target) -> Result<(Arc<Session>, Server), Outcome> {
    let (session, sought) = seek(sessions, target).await?;
    match sought {
        Sought::One(server) => Ok((session, *server)),
        Sought::None(id) => Err(Outcome::refused(
            Refusal::ServerAbsent,
            format!(
                "project {:?} has no server {}{}; see that policy names the right project",
                target.project,
                target.name,
                id.map_or_else(String::new, |id| format!(" ({id})"))
            ),
        )),
    }
}

/// The same, where there may be none any more.
pub(super) async fn seek(sessions: &Sessions, target: &Target) -> Result<(Arc<Session>, Sought), Outcome> {
    let silent = |why: CloudError| refused(&why, "look at", target);
    let doubtful = |why: String| Err(Outcome::refused(Refusal::ServerDoubtful, why));
    let session = Arc::clone(sessions.of(&target.project).map_err(silent)?);
    let named = named(sessions, &target.name).await.map_err(silent)?;
    if named.len() > 1 || named.iter().any(|server| server.name.is_none()) {
        let all: Vec<String> = named
            .iter()
            .map(|server| format!("{} of project {:?} ({})", server.id, server.project, server.status))
            .collect();
        return doubtful(format!(
            "it is not certain which server {} is: {}; rename or delete the others",
            target.name,
            all.join(", ")
        ));
    }
    let found = named.into_iter().next();
    if let Some(other) = found.as_ref().filter(|server| server.project != target.project) {
        return doubtful(format!(
            "{} is in project {:?}, and policy says {:?}",
            target.name, other.project, target.project
        ));
    }
    let Some(id) = &target.id else {
        return Ok((session, found.map_or(Sought::None(None), |server| Sought::One(Box::new(server)))));
    };
    match found {
        Some(server) if server.id.eq_ignore_ascii_case(id) => Ok((session, Sought::One(Box::new(server)))),
        Some(server) => doubtful(format!(
            "Nova's {} is {}, and the agent there says that its server is {id}",
            target.name, server.id
        )),
        None => match session.server(id).await.map_err(silent)? {
            Some(other) => doubtful(format!(
                "the server {id}, which {}'s agent says it is on, is called {} in Nova",
                target.name,
                other.name.as_deref().unwrap_or("nothing that Nova can say")
            )),
            None => Ok((session, Sought::None(Some(id.clone())))),
        },
    }
}

/// Nothing was sent this time; whoever looks for what was sent before knows no more than before.
pub(super) fn untold(outcome: Outcome, intent: &Intent, attempt: &str, target: &Target) -> Outcome {
    match outcome {
        Outcome::NotDone { why, .. } if intent.send_before.is_none() => Outcome::Unknown(format!(
            "{attempt} {}: it may have been asked for, and {why}; what does `openstack server show {}` say?",
            target.name, target.name
        )),
        other => other,
    }
}

/// A failure that had no effect, in words.
pub(super) fn refused(why: &CloudError, attempt: &str, target: &Target) -> Outcome {
    let refusal = match why.status() {
        Some(StatusCode::CONFLICT) if why.to_string().contains("is locked") => Refusal::ServerLocked,
        Some(StatusCode::CONFLICT) => Refusal::ServerBusy,
        Some(StatusCode::FORBIDDEN) => Refusal::Forbidden,
        Some(StatusCode::NOT_FOUND) => Refusal::ServerAbsent,
        Some(StatusCode::BAD_REQUEST) => {
            return Outcome::not_done(format!("{attempt} {}: {why}", target.name));
        }
        _ => Refusal::CloudSilent,
    };
    Outcome::refused(refusal, format!("{attempt} {}: {why}", target.name))
}

pub(super) fn expired(attempt: &str, target: &Target) -> Outcome {
    let why = format!("{attempt} {}: its permit ran out before it could begin", target.name);
    Outcome::refused(Refusal::Expired, why)
}

fn locked(server: &Server, attempt: &str, target: &Target) -> Outcome {
    let reason = server.locked_reason.as_deref().unwrap_or("no reason is given");
    Outcome::refused(
        Refusal::ServerLocked,
        format!("{attempt} {}: somebody else has locked it in Nova: {reason}", target.name),
    )
}

/// Whether its lock is one of ours.
pub(super) fn is_ours(server: &Server) -> bool {
    server.locked_reason.as_deref().is_some_and(|reason| reason.starts_with(OURS))
}
