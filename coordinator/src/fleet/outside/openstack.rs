//! What the cloud says about servers, volumes and images, in our words.

use jiff::Timestamp;

/// Everything seen in one round over all projects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenStackSeen {
    /// Every server of every project that answered.
    pub servers: Vec<Server>,
    /// Every volume of every project that answered.
    pub volumes: Vec<Volume>,
    /// Projects that did not, each with why: nothing is known of what they hold.
    pub unseen: Vec<(String, String)>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// In which project, by its name.
    pub project: String,
    /// Nova's id, which a rebuild keeps.
    pub id: String,
    /// Not unique. `None` where Nova cannot say, because the part of it that knows is down.
    pub name: Option<String>,
    /// Nova's word, such as `ACTIVE`, `SHUTOFF`, `ERROR`, `UNKNOWN`.
    pub status: String,
    /// What is being done to it; `None` when nothing is.
    pub task_state: Option<String>,
    /// Whether the hypervisor runs it.
    pub power: Power,
    /// Its availability zone.
    pub zone: Option<String>,
    /// The flavor's name.
    pub flavor: Option<String>,
    /// The id of the image it was made or last rebuilt from; `None` when it boots from a volume.
    pub image: Option<String>,
    /// Whether changes are refused.
    pub locked: bool,
    /// What whoever locked it wrote.
    pub locked_reason: Option<String>,
    /// Its volumes.
    pub volumes: Vec<Attachment>,
    /// Labels, by name.
    pub metadata: Vec<(String, String)>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// What went wrong last, while it is in `ERROR`.
    pub fault: Option<String>,
}

/// A volume of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Cinder's id.
    pub volume: String,
    /// Whether Nova deletes it together with the server.
    pub goes_with_server: bool,
}

/// The hypervisor's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    On,
    /// It is off.
    Off,
    /// It is paused or suspended.
    Held,
    /// It crashed.
    Crashed,
    /// Nobody knows.
    Unknown,
}

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// In which project, by its name.
    pub project: String,
    /// Cinder's id.
    pub id: String,
    /// May be empty, and is not unique.
    pub name: String,
    /// Cinder's word, such as `available`, `in-use`, `error`.
    pub status: String,
    /// In GiB.
    pub size_gib: u64,
    /// The servers that have it, by Nova's ids.
    pub attached_to: Vec<String>,
    /// Labels, by name.
    pub metadata: Vec<(String, String)>,
}

/// One image that a server can be made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Glance's id.
    pub id: String,
    /// Not unique.
    pub name: String,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl Server {
    /// Whether nothing is being done to it and its status is that.
    pub fn rests_as(&self, status: &str) -> bool {
        self.task_state.is_none() && self.status == status
    }

    /// Where it stands, for sentences: `ACTIVE`, or `ACTIVE, being rebuilt (rebuild_spawning)`.
    pub fn standing(&self) -> String {
        match &self.task_state {
            None => self.status.clone(),
            Some(task) => format!("{} and busy with {task}", self.status),
        }
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        label(&self.metadata, name)
    }
}

impl Volume {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        label(&self.metadata, name)
    }
}

fn label<'a>(labels: &'a [(String, String)], name: &str) -> Option<&'a str> {
    labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
