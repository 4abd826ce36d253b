//! The services' own shapes, as far as we read them, and their way into our words.

use crate::fleet::outside::openstack::{Attachment, Image, Power, Server, Volume};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
pub struct TokenAnswer {
    pub token: Token,
}

#[derive(Debug, Deserialize)]
pub struct Token {
    pub expires_at: String,
    pub issued_at: String,
    pub user: Named,
    /// Absent in a token that is for no project.
    pub project: Option<Named>,
    #[serde(default)]
    pub catalog: Vec<Service>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Named {
    pub id: String,
    #[serde(default)]
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct Service {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
pub struct Endpoint {
    pub interface: String,
    /// Newer; older Keystones have `region` alone.
    pub region_id: Option<String>,
    pub region: Option<String>,
    pub url: String,
}

#[derive(Debug, Deserialize)]
pub struct VersionAnswer {
    pub version: Version,
}

#[derive(Debug, Deserialize)]
pub struct Version {
    /// Empty before microversions.
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub min_version: String,
}

#[derive(Debug, Deserialize)]
pub struct ServersAnswer {
    pub servers: Vec<ServerWire>,
    #[serde(default)]
    pub servers_links: Vec<Link>,
}

#[derive(Debug, Deserialize)]
pub struct Link {
    pub rel: String,
}

#[derive(Debug, Deserialize)]
pub struct ServerAnswer {
    pub server: ServerWire,
}

/// A server in a part of Nova that is down has an id, `UNKNOWN` and little else.
#[derive(Debug, Deserialize)]
pub struct ServerWire {
    pub id: String,
    pub name: Option<String>,
    #[serde(default)]
    pub status: String,
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub task_state: Option<String>,
    #[serde(rename = "OS-EXT-STS:power_state")]
    pub power_state: Option<i64>,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    pub zone: Option<String>,
    pub flavor: Option<FlavorWire>,
    /// An object, or an empty text for a server that boots from a volume.
    #[serde(default, deserialize_with = "image")]
    pub image: Option<String>,
    #[serde(default)]
    pub locked: bool,
    pub locked_reason: Option<String>,
    #[serde(rename = "os-extended-volumes:volumes_attached", default)]
    pub volumes: Vec<AttachedWire>,
    #[serde(default, deserialize_with = "labels")]
    pub metadata: Vec<(String, String)>,
    pub created: Option<String>,
    pub fault: Option<Fault>,
}

#[derive(Debug, Deserialize)]
pub struct FlavorWire {
    /// From 2.47 on.
    pub original_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct AttachedWire {
    pub id: String,
    #[serde(default)]
    pub delete_on_termination: bool,
}

#[derive(Debug, Deserialize)]
pub struct Fault {
    #[serde(default)]
    pub message: String,
}

/// Only the server's id is sure.
#[derive(Debug, Deserialize)]
pub struct CreatedAnswer {
    pub server: Created,
}

#[derive(Debug, Deserialize)]
pub struct Created {
    pub id: String,
}

#[derive(Debug, Deserialize)]
pub struct ActionsAnswer {
    #[serde(rename = "instanceActions")]
    pub actions: Vec<ActionWire>,
}

#[derive(Debug, Deserialize)]
pub struct ActionAnswer {
    #[serde(rename = "instanceAction")]
    pub action: ActionWire,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ActionWire {
    pub action: String,
    pub request_id: String,
    pub user_id: Option<String>,
    pub start_time: Option<String>,
    /// `Error` when it failed.
    pub message: Option<String>,
    /// In one action only, and from 2.51 on for everybody.
    #[serde(default)]
    pub events: Vec<EventWire>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct EventWire {
    pub finish_time: Option<String>,
    pub result: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct AttachmentsAnswer {
    #[serde(rename = "volumeAttachments")]
    pub attachments: Vec<AttachmentWire>,
}

/// `id` is gone from 2.89 on, so nothing here relies on it.
#[derive(Debug, Deserialize)]
pub struct AttachmentWire {
    #[serde(rename = "volumeId")]
    pub volume: String,
}

#[derive(Debug, Deserialize)]
pub struct VolumesAnswer {
    pub volumes: Vec<VolumeWire>,
    #[serde(default)]
    pub volumes_links: Vec<Link>,
}

#[derive(Debug, Deserialize)]
pub struct VolumeAnswer {
    pub volume: VolumeWire,
}

#[derive(Debug, Deserialize)]
pub struct VolumeWire {
    pub id: String,
    pub name: Option<String>,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub size: u64,
    #[serde(default)]
    pub attachments: Vec<VolumeAttachmentWire>,
    #[serde(default, deserialize_with = "labels")]
    pub metadata: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
pub struct VolumeAttachmentWire {
    pub server_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct ImagesAnswer {
    pub images: Vec<ImageWire>,
    pub next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct ImageWire {
    pub id: String,
    pub name: Option<String>,
    pub status: String,
    pub created_at: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct FlavorsAnswer {
    pub flavors: Vec<Named>,
}

impl ServerWire {
    pub fn into_words(self, project: &str) -> Server {
        let power = match self.power_state {
            Some(1) => Power::On,
            Some(4) => Power::Off,
            Some(3 | 7) => Power::Held,
            Some(6) => Power::Crashed,
            _ => Power::Unknown,
        };
        Server {
            project: project.to_owned(),
            id: self.id,
            name: self.name,
            status: if self.status.is_empty() { "UNKNOWN".to_owned() } else { self.status },
            task_state: self.task_state.filter(|task| !task.is_empty()),
            power,
            zone: self.zone.filter(|zone| !zone.is_empty()),
            flavor: self.flavor.and_then(|flavor| flavor.original_name),
            image: self.image,
            locked: self.locked,
            locked_reason: self.locked_reason.filter(|reason| !reason.is_empty()),
            volumes: self
                .volumes
                .into_iter()
                .map(|one| Attachment { volume: one.id, goes_with_server: one.delete_on_termination })
                .collect(),
            metadata: self.metadata,
            created: self.created.as_deref().and_then(moment),
            fault: self.fault.map(|fault| fault.message).filter(|message| !message.is_empty()),
        }
    }
}

impl VolumeWire {
    pub fn into_words(self, project: &str) -> Volume {
        Volume {
            project: project.to_owned(),
            id: self.id,
            name: self.name.unwrap_or_default(),
            status: self.status,
            size_gib: self.size,
            attached_to: self.attachments.into_iter().filter_map(|one| one.server_id).collect(),
            metadata: self.metadata,
        }
    }
}

impl ImageWire {
    pub fn into_words(self) -> Image {
        Image {
            id: self.id,
            name: self.name.unwrap_or_default(),
            created: self.created_at.as_deref().and_then(moment),
        }
    }
}

impl ActionWire {
    pub fn started(&self) -> Option<Timestamp> {
        self.start_time.as_deref().and_then(moment)
    }

    /// Whether everything that has begun of it is over.
    pub fn is_over(&self) -> bool {
        self.events.iter().all(|event| event.finish_time.is_some())
    }

    pub fn has_failed(&self) -> bool {
        self.message.as_deref() == Some("Error")
            || self.events.iter().any(|event| event.result.as_deref() == Some("Error"))
    }
}

/// `2026-11-22T18:18:06Z`, or the same without a zone, which is UTC.
pub fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let plain: DateTime = text.parse().ok()?;
        plain.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

fn image<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let image = serde_json::Value::deserialize(deserializer)?;
    Ok(image.get("id").and_then(serde_json::Value::as_str).map(str::to_owned))
}

/// Values are texts as a rule; whatever else is written there is no label of ours.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let all: Option<BTreeMap<String, serde_json::Value>> = Option::deserialize(deserializer)?;
    let texts = all.into_iter().flatten().filter_map(|(name, value)| match value {
        serde_json::Value::String(text) => Some((name, text)),
        _ => None,
    });
    Ok(texts.collect())
}
