//! Looking at the cloud, and nothing else.
//!
//! Nova takes the name it is asked for as a pattern, and two servers may have one name: names are compared here, whole.

use super::{
    session::{CloudError, Service, Session, Sessions},
    wire::{
        ActionAnswer, ActionWire, ActionsAnswer, AttachmentsAnswer, ImageWire, ImagesAnswer, ServerAnswer,
        ServersAnswer, VolumeAnswer, VolumesAnswer,
    },
};
use crate::{
    fleet::{
        Observation,
        outside::openstack::{Image, OpenStackSeen, Server, Volume},
    },
    integrations::{
        Observe,
        peer::{Answer, Call},
    },
};
use futures_util::future::{BoxFuture, join_all};
use millwright_decision::Source;
use std::sync::Arc;

/// Entries asked for at once; a service may give fewer.
const PAGE: usize = 500;
/// No list is longer: whoever goes on giving pages is broken.
const MOST_PAGES: usize = 100;

/// Looks at servers, volumes and images of every configured project.
pub trait ObserveOpenStack: Send + Sync {
    /// Every server and volume. A project that does not answer is named as unseen; the others are seen all the same.
    fn look(&self) -> BoxFuture<'_, OpenStackSeen>;

    /// Every server in any project whose name is exactly that, and every one whose name Nova cannot say.
    fn servers_named<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Server>, CloudError>>;

    /// The newest active image in a project whose name begins so; `None` when there is none.
    fn newest_image<'a>(
        &'a self,
        project: &'a str,
        kind: &'a str,
    ) -> BoxFuture<'a, Result<Option<Image>, CloudError>>;
}

/// The cloud over HTTP, to look at.
pub struct OpenStackObserver {
    sessions: Arc<Sessions>,
}

impl OpenStackObserver {
    /// With these sessions.
    pub fn new(sessions: Arc<Sessions>) -> Self {
        Self { sessions }
    }
}

impl Observe for OpenStackObserver {
    fn source(&self) -> Source {
        Source::OpenStack
    }

    fn look(&self) -> BoxFuture<'_, Result<Observation, String>> {
        Box::pin(async {
            let seen = ObserveOpenStack::look(self).await;
            match seen.unseen.first() {
                // Not one project: the cloud as a whole is away, or does not know us.
                Some((project, why)) if seen.unseen.len() == self.sessions.all().len() => {
                    Err(format!("{project}: {why}"))
                }
                _ => Ok(Observation::OpenStack(seen)),
            }
        })
    }
}

impl ObserveOpenStack for OpenStackObserver {
    fn look(&self) -> BoxFuture<'_, OpenStackSeen> {
        Box::pin(async {
            let mut seen = OpenStackSeen::default();
            let both = |session: &Arc<Session>| {
                let session = Arc::clone(session);
                async move {
                    let found = async {
                        Ok::<_, CloudError>((session.servers(None).await?, session.volumes().await?))
                    };
                    (session.project().to_owned(), found.await)
                }
            };
            for (project, found) in join_all(self.sessions.all().iter().map(both)).await {
                match found {
                    Ok((servers, volumes)) => {
                        seen.servers.extend(servers);
                        seen.volumes.extend(volumes);
                    }
                    Err(why) => seen.unseen.push((project, why.to_string())),
                }
            }
            seen
        })
    }

    fn servers_named<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Server>, CloudError>> {
        Box::pin(named(&self.sessions, name))
    }

    fn newest_image<'a>(
        &'a self,
        project: &'a str,
        kind: &'a str,
    ) -> BoxFuture<'a, Result<Option<Image>, CloudError>> {
        Box::pin(async move { self.sessions.of(project)?.newest_image(kind).await })
    }
}

/// Servers of that name, and those without one, in every project.
pub(super) async fn named(sessions: &Sessions, name: &str) -> Result<Vec<Server>, CloudError> {
    let mut found = Vec::new();
    for servers in join_all(sessions.all().iter().map(|session| session.servers(Some(name)))).await {
        found.extend(servers?);
    }
    Ok(found)
}

impl Session {
    /// Every server of the project, or those that have exactly this name or none that Nova can say.
    pub(super) async fn servers(&self, name: Option<&str>) -> Result<Vec<Server>, CloudError> {
        let mut call = Call::get("servers/detail");
        if let Some(name) = name {
            call = call.query("name", pattern(name));
        }
        let mut servers = self
            .pages(Service::Nova, &call, |answer| {
                let page: ServersAnswer = answer.json()?;
                let more = page.servers_links.iter().any(|link| link.rel == "next");
                let last = page.servers.last().map(|server| server.id.clone());
                Ok((page.servers, last.filter(|_| more)))
            })
            .await?;
        servers.retain(|server| match (name, &server.name) {
            (Some(wanted), Some(name)) => name == wanted,
            _ => true,
        });
        Ok(servers.into_iter().map(|server| server.into_words(self.project())).collect())
    }

    /// One server; `None` when there is none of that id in this project.
    pub(super) async fn server(&self, id: &str) -> Result<Option<Server>, CloudError> {
        let answer = self.ask(Service::Nova, Call::get(format!("servers/{}", segment(id)))).await;
        let Some(answer) = found(answer)? else { return Ok(None) };
        let server = answer.json::<ServerAnswer>()?.server.into_words(self.project());
        // For a moment a deleted one is still shown.
        Ok((server.status != "DELETED").then_some(server))
    }

    /// What was done to a server, newest first; deleted ones keep their log. `None` when there is none.
    pub(super) async fn actions(&self, server: &str) -> Result<Option<Vec<ActionWire>>, CloudError> {
        let path = format!("servers/{}/os-instance-actions", segment(server));
        let answer = self.ask(Service::Nova, Call::get(path)).await;
        let Some(answer) = found(answer)? else { return Ok(None) };
        Ok(Some(answer.json::<ActionsAnswer>()?.actions))
    }

    /// One of these, by the id of the request that began it.
    pub(super) async fn action(&self, server: &str, request: &str) -> Result<Option<ActionWire>, CloudError> {
        let path = format!("servers/{}/os-instance-actions/{}", segment(server), segment(request));
        let answer = self.ask(Service::Nova, Call::get(path)).await;
        let Some(answer) = found(answer)? else { return Ok(None) };
        Ok(Some(answer.json::<ActionAnswer>()?.action))
    }

    /// The ids of a server's volumes.
    pub(super) async fn attachments(&self, server: &str) -> Result<Vec<String>, CloudError> {
        let path = format!("servers/{}/os-volume_attachments", segment(server));
        let answer: AttachmentsAnswer = self.ask(Service::Nova, Call::get(path)).await?.json()?;
        Ok(answer.attachments.into_iter().map(|one| one.volume).collect())
    }

    /// Every volume of the project.
    pub(super) async fn volumes(&self) -> Result<Vec<Volume>, CloudError> {
        let volumes = self
            .pages(Service::Cinder, &Call::get("volumes/detail"), |answer| {
                let page: VolumesAnswer = answer.json()?;
                let more = page.volumes_links.iter().any(|link| link.rel == "next");
                let last = page.volumes.last().map(|volume| volume.id.clone());
                Ok((page.volumes, last.filter(|_| more)))
            })
            .await?;
        Ok(volumes.into_iter().map(|volume| volume.into_words(self.project())).collect())
    }

    /// One volume; `None` when there is none of that id in this project.
    pub(super) async fn volume(&self, id: &str) -> Result<Option<Volume>, CloudError> {
        let answer = self.ask(Service::Cinder, Call::get(format!("volumes/{}", segment(id)))).await;
        let Some(answer) = found(answer)? else { return Ok(None) };
        Ok(Some(answer.json::<VolumeAnswer>()?.volume.into_words(self.project())))
    }

    /// The newest active image that has this id or exactly this name.
    pub(super) async fn image(&self, wanted: &str) -> Result<Option<Image>, CloudError> {
        let images = self.active_images().await?;
        Ok(images
            .into_iter()
            .filter(|image| image.id == wanted || image.name == wanted)
            .max_by_key(|image| (image.id == wanted, image.created)))
    }

    /// The newest active image whose name begins so. What is queued, being saved or withdrawn is none.
    pub(super) async fn newest_image(&self, kind: &str) -> Result<Option<Image>, CloudError> {
        let images = self.active_images().await?;
        // Two of one second are told apart by their names, so that the choice is the same each time.
        let of_kind = images.into_iter().filter(|image| image.name.starts_with(kind));
        Ok(of_kind.max_by_key(|image| (image.created, image.name.clone())))
    }

    async fn active_images(&self) -> Result<Vec<Image>, CloudError> {
        let call = Call::get("images").query("status", "active").query("sort", "created_at:desc");
        let images = self
            .pages(Service::Glance, &call, |answer| {
                let page: ImagesAnswer = answer.json()?;
                let last = page.images.last().map(|image| image.id.clone());
                Ok((page.images, last.filter(|_| page.next.is_some())))
            })
            .await?;
        let active = images.into_iter().filter(|image| image.status == "active");
        Ok(active.map(ImageWire::into_words).collect())
    }

    /// A list to its end. Pages are asked for by the last entry's id: an address in an answer leads anywhere.
    async fn pages<T>(
        &self,
        service: Service,
        call: &Call,
        read: impl Fn(&Answer) -> Result<(Vec<T>, Option<String>), CloudError>,
    ) -> Result<Vec<T>, CloudError> {
        let mut all = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut page = call.clone().query("limit", PAGE.to_string());
            if let Some(marker) = &marker {
                page = page.query("marker", marker);
            }
            let answer = self.ask(service, page).await?;
            let (entries, next) = read(&answer)?;
            all.extend(entries);
            match next {
                None => return Ok(all),
                Some(next) if marker.as_ref() == Some(&next) => {
                    return Err(answer.unreadable("its next page is the same again".to_owned()).into());
                }
                next => marker = next,
            }
        }
        Err(CloudError::Endless { project: self.project().to_owned(), entries: all.len() })
    }
}

/// What is not there is no failure.
pub(super) fn found(answer: Result<Answer, CloudError>) -> Result<Option<Answer>, CloudError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(why) if why.is_not_found() => Ok(None),
        Err(why) => Err(why),
    }
}

/// An id is outside data: nothing in it may become another path.
pub(super) fn segment(id: &str) -> String {
    id.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')).collect()
}

/// Nova reads names as patterns: a letter that means something there stands for any letter here.
fn pattern(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let letters: String = name.chars().map(|letter| if plain(letter) { letter } else { '.' }).collect();
    format!("^{letters}$")
}
