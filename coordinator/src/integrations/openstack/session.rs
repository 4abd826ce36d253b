//! A session with the cloud for one project: a token, renewed in time, and the services its catalogue names.
//!
//! A service that answers 401 gets a new token once. That the new one comes proves nothing about the old one: while
//! Keystone is away, Glance answers 401 to every token, so an old token is kept until a new one is there.

use super::wire::{self, TokenAnswer, VersionAnswer};
use crate::{
    config::openstack::{Credential, OpenStack, Who},
    integrations::peer::{Answer, Call, Limits, Peer, PeerError, Tallies},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex as PlainMutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Mutex, OnceCell},
    time::Instant,
};

/// The version of Nova's interface that everything here is written for.
const WANTED: (u32, u32) = (2, 79);
/// From here on a lock says why, so that ours is told from somebody else's.
const NEEDED: (u32, u32) = (2, 73);
/// A thousand servers with everything that is said about them.
const LARGEST: usize = 32 * 1024 * 1024;
/// A secret is short.
const LONGEST_SECRET: u64 = 4096;
/// A token is renewed so long before its end, or after three quarters of a short life.
const BEFORE_THE_END: Duration = Duration::from_secs(60);

/// Of a token whose times cannot be read.
const UNKNOWN_LIFE: Duration = Duration::from_secs(600);

/// One service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Servers.
    Nova,
    /// Volumes.
    Cinder,
    /// Images.
    Glance,
}

/// Why the cloud says nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// Policy names a project that the configuration does not.
    #[error("the project {0:?} is not among openstack.projects of coordinator.toml")]
    Project(String),
    /// The secret is not to be had.
    #[error("read the secret of {who} from {}: {why}", path.display())]
    Secret {
        /// Whose.
        who: String,
        /// From where.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Keystone gives no token.
    #[error("come to project {project:?} as {who}: {source}")]
    Token {
        /// Where to.
        project: String,
        /// As whom.
        who: String,
        /// What it says.
        source: PeerError,
    },
    /// An application credential belongs to another project than configuration says.
    #[error("{who} belongs to project {found:?} and not to {wanted:?}; make one in that project")]
    OtherProject {
        /// Which.
        who: String,
        /// Its own.
        found: String,
        /// As configured.
        wanted: String,
    },
    /// The catalogue lacks a service.
    #[error("Keystone's catalogue has no {service} in region {region:?}")]
    NoService {
        /// Which.
        service: &'static str,
        /// Where; empty for anywhere.
        region: String,
    },
    /// Nova is too old.
    #[error("Nova speaks versions {least} to {most} of its interface, and this needs {}.{} at least", NEEDED.0, NEEDED.1)]
    TooOld {
        /// Its lowest.
        least: String,
        /// Its highest.
        most: String,
    },
    /// A list that goes on and on.
    #[error("a list of project {project:?} has not ended after {entries} entries")]
    Endless {
        /// Whose.
        project: String,
        /// So many.
        entries: usize,
    },
    /// The service or the way to it.
    #[error(transparent)]
    Service(#[from] PeerError),
}

impl CloudError {
    /// Whether it is certain that nothing was changed.
    pub fn had_no_effect(&self) -> bool {
        match self {
            Self::Service(error) => error.had_no_effect(),
            _ => true,
        }
    }

    /// The status, where a service says no.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Service(error) => error.status(),
            _ => None,
        }
    }

    /// Whether a service says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }
}

/// The sessions of one credential: one for each project.
pub struct Sessions(Vec<Arc<Session>>);

/// With one project.
pub struct Session {
    project: String,
    region: String,
    credential: Credential,
    keystone: Peer,
    limits: Limits,
    tallies: Arc<Tallies>,
    /// Kept over tokens, so that a service's rest is.
    peers: PlainMutex<BTreeMap<(Service, String), Arc<Peer>>>,
    pass: Mutex<Option<Arc<Pass>>>,
    version: OnceCell<String>,
}

/// A token and where it opens doors.
struct Pass {
    token: String,
    user: String,
    renew_at: Instant,
    services: BTreeMap<Service, (Arc<Peer>, String)>,
}

impl Sessions {
    /// As this credential, with each configured project. Asks nothing yet.
    ///
    /// # Errors
    /// Keystone's address is none.
    pub fn new(
        config: &OpenStack,
        credential: &Credential,
        tallies: &Arc<Tallies>,
    ) -> Result<Self, PeerError> {
        let limits = Limits { timeout: config.timeout, largest: LARGEST };
        let session = |project: &String| {
            Ok(Arc::new(Session {
                project: project.clone(),
                region: config.region.clone(),
                credential: credential.clone(),
                keystone: Peer::new("keystone", &config.auth_url, limits, tallies)?,
                limits,
                tallies: Arc::clone(tallies),
                peers: PlainMutex::default(),
                pass: Mutex::default(),
                version: OnceCell::new(),
            }))
        };
        Ok(Self(config.projects.iter().map(session).collect::<Result<_, PeerError>>()?))
    }

    /// The session with a project.
    ///
    /// # Errors
    /// It is not configured.
    pub fn of(&self, project: &str) -> Result<&Arc<Session>, CloudError> {
        let found = self.0.iter().find(|session| session.project == project);
        found.ok_or_else(|| CloudError::Project(project.to_owned()))
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Session>] {
        &self.0
    }
}

impl Session {
    /// Its project's name.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// As whom it comes, for people.
    pub fn who(&self) -> String {
        match &self.credential.who {
            Who::Application(id) => format!("the application credential {id}"),
            Who::User { name, .. } => format!("the user {name}"),
        }
    }

    /// The id of the user in whose name requests are made.
    ///
    /// # Errors
    /// Keystone gives no token.
    pub async fn user(&self) -> Result<String, CloudError> {
        Ok(self.pass(None).await?.user.clone())
    }

    /// Asks a service, and has an answer that says yes. A 401 is answered with a new token, once.
    ///
    /// # Errors
    /// Everything else; see [`CloudError`].
    pub async fn ask(&self, service: Service, call: Call) -> Result<Answer, CloudError> {
        let call = match service {
            Service::Nova => {
                let version = self.nova_version().await?;
                call.header("x-openstack-nova-api-version", version)
                    .header("openstack-api-version", &format!("compute {version}"))
            }
            Service::Cinder => call.header("openstack-api-version", "volume 3.0"),
            Service::Glance => call,
        };
        self.send(service, call).await
    }

    async fn send(&self, service: Service, call: Call) -> Result<Answer, CloudError> {
        let pass = self.pass(None).await?;
        let answer = pass.send(service, &call, &self.region).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer.accepted()?);
        }
        let fresh = self.pass(Some(&pass)).await?;
        Ok(fresh.send(service, &call, &self.region).await?.accepted()?)
    }

    /// The version that is spoken with Nova: the wanted one, or the highest that it has.
    async fn nova_version(&self) -> Result<&str, CloudError> {
        let version = self.version.get_or_try_init(|| async {
            let answer: VersionAnswer = self.send(Service::Nova, Call::get("")).await?.json()?;
            let (least, most) = (answer.version.min_version, answer.version.version);
            let spoken = number(&most).unwrap_or((0, 0)).min(WANTED);
            if spoken < NEEDED || number(&least).is_none_or(|least| least > spoken) {
                return Err(CloudError::TooOld { least, most });
            }
            Ok(format!("{}.{}", spoken.0, spoken.1))
        });
        Ok(version.await?)
    }

    /// A token that is good for a while; another one than `refused`.
    async fn pass(&self, refused: Option<&Arc<Pass>>) -> Result<Arc<Pass>, CloudError> {
        let mut held = self.pass.lock().await;
        if let Some(pass) = held.as_ref()
            && refused.is_none_or(|refused| !Arc::ptr_eq(refused, pass))
            && Instant::now() < pass.renew_at
        {
            return Ok(Arc::clone(pass));
        }
        let pass = Arc::new(self.come().await?);
        *held = Some(Arc::clone(&pass));
        Ok(pass)
    }

    async fn come(&self) -> Result<Pass, CloudError> {
        let secret = self.secret()?;
        // The whole address may or may not end with the version.
        let path = if self.keystone.address().ends_with("/v3/") { "auth/tokens" } else { "v3/auth/tokens" };
        let started = Instant::now();
        let token = |source| CloudError::Token { project: self.project.clone(), who: self.who(), source };
        let answer = self.keystone.ask(Call::post(path).json(self.request(&secret))).await.map_err(token)?;
        let header = answer.headers.get("x-subject-token").and_then(|value| value.to_str().ok());
        let Some(header) = header.map(str::to_owned) else {
            return Err(token(answer.unreadable("its answer has no token (X-Subject-Token)".to_owned())));
        };
        let said = answer.json::<TokenAnswer>().map_err(token)?.token;
        let found = said.project.unwrap_or_else(|| wire::Named { id: String::new(), name: "none".into() });
        if found.name != self.project && found.id != self.project {
            return Err(CloudError::OtherProject {
                who: self.who(),
                found: found.name,
                wanted: self.project.clone(),
            });
        }
        // By Keystone's own clock, which need not be ours.
        let life = match (wire::moment(&said.issued_at), wire::moment(&said.expires_at)) {
            (Some(from), Some(until)) => {
                Duration::from_secs(until.duration_since(from).as_secs().try_into().unwrap_or(0))
            }
            _ => UNKNOWN_LIFE,
        };
        let services = [Service::Nova, Service::Cinder, Service::Glance]
            .into_iter()
            .filter_map(|service| Some((service, self.door(service, &said.catalog, &found.id)?)))
            .collect();
        Ok(Pass {
            token: header,
            user: said.user.id,
            renew_at: started + life.saturating_sub(BEFORE_THE_END).max(life.mul_f64(0.75)).min(life),
            services,
        })
    }

    /// What Keystone is sent.
    fn request(&self, secret: &str) -> Value {
        match &self.credential.who {
            Who::Application(id) => json!({ "auth": { "identity": {
                "methods": ["application_credential"],
                "application_credential": { "id": id, "secret": secret },
            } } }),
            Who::User { name, domain } => json!({ "auth": {
                "identity": { "methods": ["password"], "password": {
                    "user": { "name": name, "domain": { "name": domain }, "password": secret },
                } },
                "scope": { "project": { "name": self.project, "domain": { "name": domain } } },
            } }),
        }
    }

    fn secret(&self) -> Result<String, CloudError> {
        let path = &self.credential.secret_file;
        read_secret(path).map_err(|why| CloudError::Secret { who: self.who(), path: path.clone(), why })
    }

    /// The service's public address, and the path of its interface below that.
    fn door(
        &self,
        service: Service,
        catalogue: &[wire::Service],
        project: &str,
    ) -> Option<(Arc<Peer>, String)> {
        let is_ours = |endpoint: &&wire::Endpoint| {
            let region = endpoint.region_id.as_ref().or(endpoint.region.as_ref());
            endpoint.interface == "public"
                && (self.region.is_empty() || region.is_some_and(|region| *region == self.region))
        };
        let of_kind = catalogue.iter().filter(|listed| service.kinds().contains(&listed.kind.as_str()));
        let url = &of_kind.flat_map(|listed| &listed.endpoints).find(is_ours)?.url;
        let mut url = url.trim_end_matches('/').to_owned();
        let mut below = "";
        match service {
            // With or without the project; without it everything is there as well.
            Service::Nova => {
                if let Some(rest) = url.strip_suffix(project) {
                    url = rest.trim_end_matches('/').to_owned();
                }
            }
            Service::Glance if !url.ends_with("/v2") => below = "v2/",
            Service::Cinder | Service::Glance => {}
        }
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (service, url);
        if let Some(peer) = peers.get(&key) {
            return Some((Arc::clone(peer), below.to_owned()));
        }
        let peer = Peer::new(service.word(), &key.1, self.limits, &self.tallies);
        let peer = Arc::new(peer.inspect_err(|why| log::warn!("{why}")).ok()?);
        peers.insert(key, Arc::clone(&peer));
        Some((peer, below.to_owned()))
    }
}

impl Pass {
    async fn send(&self, service: Service, call: &Call, region: &str) -> Result<Answer, CloudError> {
        let Some((peer, below)) = self.services.get(&service) else {
            return Err(CloudError::NoService { service: service.word(), region: region.to_owned() });
        };
        Ok(peer.send(call.clone().below(below).secret("x-auth-token", &self.token)).await?)
    }
}

impl Service {
    fn word(self) -> &'static str {
        match self {
            Self::Nova => "nova",
            Self::Cinder => "cinder",
            Self::Glance => "glance",
        }
    }

    /// Its kinds in catalogues.
    fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Nova => &["compute"],
            Self::Cinder => &["volumev3", "block-storage"],
            Self::Glance => &["image"],
        }
    }
}

/// `2.79` as numbers.
fn number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The whole content of a file that others cannot read.
fn read_secret(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|why| why.to_string())?;
    let mode = file.metadata().map_err(|why| why.to_string())?.mode();
    if mode & 0o007 != 0 {
        return Err(format!("everybody on this host can read it; say `chmod 0600 {}`", path.display()));
    }
    let mut text = String::new();
    file.take(LONGEST_SECRET).read_to_string(&mut text).map_err(|why| why.to_string())?;
    let secret = text.trim();
    if secret.is_empty() { Err("it is empty".to_owned()) } else { Ok(secret.to_owned()) }
}
