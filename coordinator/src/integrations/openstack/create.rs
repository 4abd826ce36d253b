//! Making a server with its volume: the volume first, then the server, then the two together.
//!
//! Both carry the operation's id as a label, so that whoever begins again finds what is there already instead of making a
//! second one.

use super::{
    act::{Intent, OpenStackOperator, Outcome, Refusal, Target, expired, refused},
    follow::Pace,
    observe::{named, segment},
    session::{CloudError, Service, Session},
    wire::{CreatedAnswer, FlavorsAnswer, VolumeAnswer},
};
use crate::{
    config::openstack::NewServers,
    fleet::outside::openstack::{Server, Volume as SeenVolume},
    integrations::peer::Call,
};
use millwright_protocol::Evidence;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The label that says for which operation something was made.
const LABEL: &str = "millwright_operation";

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// In which project.
    pub project: String,
    /// Its name; nobody else may have it.
    pub name: String,
    /// In which zone; `None` leaves it to the cloud.
    pub zone: Option<String>,
    /// What all new servers are like.
    pub like: NewServers,
    /// An image by id or exact name instead of the newest of the usual kind.
    pub image: Option<String>,
    /// Its data volume.
    pub volume: Option<Volume>,
}

/// A data volume to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// In GiB.
    pub size_gib: u64,
}

impl OpenStackOperator {
    pub(super) async fn make(&self, order: &Order, intent: &Intent) -> Outcome {
        let target = Target { project: order.project.clone(), id: None, name: order.name.clone() };
        match self.made(order, intent, &target).await {
            Ok(evidence) => Outcome::Done(evidence),
            Err(outcome) => outcome,
        }
    }

    async fn made(&self, order: &Order, intent: &Intent, target: &Target) -> Result<Vec<Evidence>, Outcome> {
        let no = |why: CloudError| refused(&why, "make", target);
        let session = self.sessions.of(&order.project).map_err(no)?;
        let same_name = named(&self.sessions, &order.name).await.map_err(no)?;
        let is_own = |server: &Server| {
            server.project == order.project && server.label(LABEL) == Some(&intent.operation)
        };
        if let Some(other) = same_name.iter().find(|server| !is_own(server)) {
            return Err(Outcome::refused(
                Refusal::ServerExists,
                format!(
                    "make {}: project {:?} has server {} already under that name, or one whose name it cannot say",
                    order.name, other.project, other.id
                ),
            ));
        }
        let mut evidence = Vec::new();
        let volume = match &order.volume {
            None => None,
            Some(wanted) => Some(self.volume_for(session, order, wanted, intent, target).await?),
        };
        let id = match same_name.into_iter().next() {
            Some(server) => server.id,
            None => {
                may_send(intent, target)?;
                self.ask_for_server(session, order, intent, target).await?
            }
        };
        let server = active(session, target, &id, intent).await?;
        evidence.push(Evidence::new("server", &id, "nova"));
        evidence.extend(server.image.iter().map(|image| Evidence::new("image", image, "nova")));
        evidence.extend(server.zone.iter().map(|zone| Evidence::new("zone", zone, "nova")));
        if let Some(volume) = volume {
            attach(session, target, &id, &volume, intent).await?;
            evidence.push(Evidence::new("volume", &volume, "cinder"));
        }
        Ok(evidence)
    }

    /// The id of the volume: one that an earlier try has made, or a new one.
    async fn volume_for(
        &self,
        session: &Session,
        order: &Order,
        wanted: &Volume,
        intent: &Intent,
        target: &Target,
    ) -> Result<String, Outcome> {
        let no = |why: CloudError| refused(&why, "make the volume of", target);
        let made = session.volumes().await.map_err(no)?.into_iter().find(|volume| {
            volume.name == wanted.name && volume.label(LABEL) == Some(intent.operation.as_str())
        });
        let id = match made {
            Some(volume) => volume.id,
            None => {
                may_send(intent, target)?;
                let mut volume = json!({
                    "name": wanted.name, "size": wanted.size_gib, "metadata": { LABEL: intent.operation },
                });
                if !order.like.volume_type.is_empty() {
                    put(&mut volume, "volume_type", json!(order.like.volume_type));
                }
                let call = Call::post("volumes").json(json!({ "volume": volume }));
                let answer = session.ask(Service::Cinder, call).await.map_err(|why| sent(&why, target))?;
                let answer: VolumeAnswer = answer.json().map_err(|why| sent(&why.into(), target))?;
                answer.volume.id
            }
        };
        let ready = |volume: &SeenVolume| matches!(volume.status.as_str(), "available" | "in-use");
        volume_until(session, target, &id, intent, ready).await?;
        Ok(id)
    }

    async fn ask_for_server(
        &self,
        session: &Session,
        order: &Order,
        intent: &Intent,
        target: &Target,
    ) -> Result<String, Outcome> {
        let no = |why: CloudError| refused(&why, "make", target);
        let image = match &order.image {
            Some(wanted) => session.image(wanted).await.map_err(no)?,
            None => session.newest_image(&order.like.image).await.map_err(no)?,
        };
        let Some(image) = image else {
            let kind = order.image.as_ref().unwrap_or(&order.like.image);
            return Err(Outcome::not_done(format!(
                "make {}: project {:?} has no active image {kind:?}",
                order.name, order.project
            )));
        };
        let flavors: FlavorsAnswer = session
            .ask(Service::Nova, Call::get("flavors"))
            .await
            .map_err(no)?
            .json()
            .map_err(|why| no(why.into()))?;
        let flavor = flavors.flavors.into_iter().find(|flavor| flavor.name == order.like.flavor);
        let Some(flavor) = flavor else {
            return Err(Outcome::not_done(format!(
                "make {}: project {:?} has no flavor {:?}",
                order.name, order.project, order.like.flavor
            )));
        };
        let networks = match order.like.network.as_str() {
            "" => json!("auto"),
            network => json!([{ "uuid": network }]),
        };
        let mut server = json!({
            "name": order.name, "imageRef": image.id, "flavorRef": flavor.id, "networks": networks,
            "metadata": { LABEL: intent.operation },
        });
        if let Some(zone) = &order.zone {
            put(&mut server, "availability_zone", json!(zone));
        }
        if !order.like.key.is_empty() {
            put(&mut server, "key_name", json!(order.like.key));
        }
        // Looking took its time.
        may_send(intent, target)?;
        let call = Call::post("servers").json(json!({ "server": server }));
        let answer = session.ask(Service::Nova, call).await.map_err(|why| sent(&why, target))?;
        let answer: CreatedAnswer = answer.json().map_err(|why| sent(&why.into(), target))?;
        Ok(answer.server.id)
    }
}

/// Whether something may still be asked for.
fn may_send(intent: &Intent, target: &Target) -> Result<(), Outcome> {
    match intent.send_before {
        None => Err(Outcome::not_done(format!("make {}: it is not there", target.name))),
        Some(before) if Instant::now() >= before => Err(expired("make", target)),
        Some(_) => Ok(()),
    }
}

/// A question whose end nobody heard may have made something, which its label tells.
fn sent(why: &CloudError, target: &Target) -> Outcome {
    if why.had_no_effect() {
        return refused(why, "make", target);
    }
    Outcome::Unknown(format!(
        "make {}: {why}; do `openstack server list` or `openstack volume list` show it?",
        target.name
    ))
}

/// Waits for the server to run.
async fn active(session: &Session, target: &Target, id: &str, intent: &Intent) -> Result<Server, Outcome> {
    let until = Instant::now() + intent.patience;
    let mut pace = Pace::new();
    loop {
        let standing = match session.server(id).await {
            Ok(Some(server)) if server.rests_as("ACTIVE") => return Ok(server),
            Ok(Some(server)) if server.rests_as("ERROR") => {
                let fault = server.fault.unwrap_or_else(|| "it does not say why".to_owned());
                return Err(Outcome::Unknown(format!(
                    "make {}: Nova could not ({fault}), and the server {id} is left in ERROR; delete it with \
                     `openstack server delete {id}`, then confirm `not_run`",
                    target.name
                )));
            }
            Ok(Some(server)) => server.standing(),
            Ok(None) => "not there any more".to_owned(),
            Err(why) => format!("not to be asked: {why}"),
        };
        if Instant::now() >= until {
            return Err(Outcome::Unknown(format!(
                "make {}: server {id} is {standing} after {} s; what does `openstack server show {id}` say?",
                target.name,
                intent.patience.as_secs()
            )));
        }
        pace.rest().await;
    }
}

/// Waits for a volume to be as wanted.
async fn volume_until(
    session: &Session,
    target: &Target,
    id: &str,
    intent: &Intent,
    is_wanted: impl Fn(&SeenVolume) -> bool,
) -> Result<(), Outcome> {
    let until = Instant::now() + intent.patience;
    let mut pace = Pace::new();
    loop {
        let standing = match session.volume(id).await {
            Ok(Some(volume)) if is_wanted(&volume) => return Ok(()),
            Ok(Some(volume)) => volume.status,
            Ok(None) => "not there any more".to_owned(),
            Err(why) => format!("not to be asked: {why}"),
        };
        if standing.starts_with("error") || Instant::now() >= until {
            return Err(Outcome::Unknown(format!(
                "make {}: its volume {id} is {standing}; what does `openstack volume show {id}` say?",
                target.name
            )));
        }
        pace.rest().await;
    }
}

/// Gives the volume to the server, unless it has it.
async fn attach(
    session: &Session,
    target: &Target,
    server: &str,
    volume: &str,
    intent: &Intent,
) -> Result<(), Outcome> {
    let no = |why: CloudError| refused(&why, "attach its volume to", target);
    let has = session.attachments(server).await.map_err(no)?;
    if !has.iter().any(|id| id == volume) {
        let path = format!("servers/{}/os-volume_attachments", segment(server));
        let call = Call::post(path).json(json!({ "volumeAttachment": { "volumeId": volume } }));
        session.ask(Service::Nova, call).await.map_err(|why| sent(&why, target))?;
    }
    let is_there =
        |seen: &SeenVolume| seen.status == "in-use" && seen.attached_to.iter().any(|id| id == server);
    volume_until(session, target, volume, intent, is_there).await
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(key.to_owned(), value);
    }
}
