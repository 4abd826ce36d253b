//! Does Docker answer, list and inspect in time, and has it room? Docker can say its version while `ps` hangs, so
//! each is asked by itself and the sentence names the one that hangs.

use super::{
    Context,
    patience::Patience,
    shared::{EngineWords, Shared},
};
use crate::{
    check::{Check, Look, Looking, Observation, Rhythm},
    config::{
        DockerConfig, Paths,
        units::{spoken, spoken_size},
    },
    docker::{DockerError, Engine, Fill, Info, ThinPool, read_images, read_info, read_inspect, read_list},
};
use jiff::Timestamp;
use millwright_protocol::Status;
use std::{path::PathBuf, rc::Rc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Images are counted this seldom; Docker reads each one's record for it.
const COUNT_IMAGES_EVERY: Duration = Duration::from_secs(600);

/// The check `docker`.
pub struct DockerCheck {
    config: DockerConfig,
    paths: Paths,
    engine: Engine,
    shared: Rc<Shared>,
    patience: Patience,
    images: Option<ImagesSeen>,
}

struct ImagesSeen {
    at: Instant,
    count: usize,
    bytes: u64,
}

/// Why a look ended early.
enum Trouble {
    /// This stage did not end in time.
    Hangs(&'static str),
    Fails(&'static str, DockerError),
}

/// What a look that came through saw.
struct Seen {
    info: Info,
    containers: usize,
    took: Duration,
}

impl DockerCheck {
    /// The check, with its section, where paths are found, and where it leaves Docker's own words.
    pub fn new(config: &DockerConfig, paths: &Paths, shared: Rc<Shared>) -> Self {
        Self {
            engine: Engine::new(&config.socket),
            config: config.clone(),
            paths: paths.clone(),
            shared,
            patience: Patience::default(),
            images: None,
        }
    }

    async fn ask(&self) -> Result<Seen, Trouble> {
        let begun = Instant::now();
        // A little less than the deadline, so that there is time to say what hangs.
        let until = begun + self.config.deadline.mul_f64(0.9);
        let engine = &self.engine;
        in_time(until, "answer a ping", engine.get("/_ping")).await?;
        let info = in_time(until, "describe itself", engine.read("/info", read_info)).await?;
        let list =
            in_time(until, "list containers", engine.read("/containers/json?all=1", read_list)).await?;
        let inspected = list.iter().find(|one| one.state == "running").or_else(|| list.first());
        if let Some(one) = inspected {
            let path = format!("/containers/{}/json", one.id);
            match in_time(until, "inspect a container", engine.read(&path, read_inspect)).await {
                // It may be gone since it was listed.
                Err(Trouble::Fails(_, error)) if error.is_not_found() => {}
                other => drop(other?),
            }
        }
        Ok(Seen { info, containers: list.len(), took: begun.elapsed() })
    }

    async fn count_images(&mut self) {
        let is_fresh = self.images.as_ref().is_some_and(|seen| seen.at.elapsed() < COUNT_IMAGES_EVERY);
        if is_fresh {
            return;
        }
        let until = Instant::now() + self.config.deadline.mul_f64(0.5);
        if let Ok(images) = in_time(until, "list images", self.engine.read("/images/json", read_images)).await
        {
            let bytes = images.iter().map(|image| image.size_bytes).sum();
            self.images = Some(ImagesSeen { at: Instant::now(), count: images.len(), bytes });
        }
    }

    fn of_trouble(&mut self, trouble: Trouble, now: Timestamp) -> Observation {
        let socket = self.config.socket.display().to_string();
        match trouble {
            Trouble::Hangs(stage) => {
                let deadline = spoken(self.config.deadline);
                let sentence = match stage {
                    "answer a ping" => format!("Docker does not answer within {deadline}"),
                    _ => format!("Docker answers a ping but does not {stage} within {deadline}"),
                };
                Observation::new(self.patience.late(now), sentence)
                    .evidence("hangs_at", stage, &socket)
                    .next("look at `journalctl -u docker`; a hung daemon needs a restart, after the node is drained")
            }
            Trouble::Fails(stage, error) => {
                self.patience.answered();
                let status = match error {
                    DockerError::Unreadable(_) => Status::Unknown,
                    _ => Status::Crit,
                };
                Observation::new(status, format!("Docker does not {stage}: {error}"))
                    .evidence("error", error, &socket)
                    .next("start it: `systemctl start docker`, then look at `journalctl -u docker`")
            }
        }
        .gating()
    }

    fn of_answer(&mut self, seen: &Seen) -> Observation {
        self.patience.answered();
        *self.shared.engine.borrow_mut() =
            EngineWords { version: seen.info.version.clone(), storage_driver: seen.info.driver.clone() };
        let version = &seen.info.version;
        let took = format!("{} ms", seen.took.as_millis());
        let (status, sentence) = if seen.took > self.config.slow_after {
            (Status::Warn, format!("Docker {version} is slow: it took {took} to answer, list and inspect"))
        } else {
            (
                Status::Ok,
                format!("Docker {version} answers, lists {} containers and inspects", seen.containers),
            )
        };
        Observation::new(status, sentence.replace("  ", " "))
            .gating()
            .evidence("took", took, &self.config.socket.display().to_string())
            .evidence("storage_driver", &seen.info.driver, "/info")
    }

    fn storage(&self, info: &Info) -> Option<Observation> {
        match &info.pool {
            Some(pool) => Some(self.of_pool(pool)),
            None => self.of_folder(&info.root_dir),
        }
    }

    fn grade(&self, percent: u64) -> Status {
        if percent >= u64::from(self.config.crit_used_percent) {
            Status::Crit
        } else if percent >= u64::from(self.config.warn_used_percent) {
            Status::Warn
        } else {
            Status::Ok
        }
    }

    fn of_pool(&self, pool: &ThinPool) -> Observation {
        let (Some(data), Some(metadata)) = (pool.data, pool.metadata) else {
            return Observation::new(Status::Unknown, "Docker does not say how full its thin pool is")
                .item("storage")
                .next("look at `docker info` and `dmsetup status`");
        };
        let status = self.grade(data.percent()).max(self.grade(metadata.percent()));
        let say = |fill: Fill| format!("{} % of {}", fill.percent(), spoken_size(fill.total));
        let kind = if pool.is_loopback { "thin pool on loopback files" } else { "thin pool" };
        let sentence = format!("Docker's {kind} is used: data {}, metadata {}", say(data), say(metadata));
        let observation = Observation::new(status, sentence)
            .item("storage")
            .evidence("data_used", spoken_size(data.used), "/info")
            .evidence("metadata_used", spoken_size(metadata.used), "/info");
        if status == Status::Ok {
            return observation;
        }
        observation.next("remove containers and images nobody uses; a full pool makes Docker hang, not fail")
    }

    /// Drivers on a file system say nothing about space; the file system does.
    fn of_folder(&self, root_dir: &str) -> Option<Observation> {
        if root_dir.is_empty() {
            return None;
        }
        let folder: PathBuf = self.paths.rooted(root_dir);
        let space = nix::sys::statvfs::statvfs(&folder).ok()?;
        let unit = space.fragment_size();
        let fill = Fill {
            used: (space.blocks() - space.blocks_free()).saturating_mul(unit),
            total: (space.blocks() - space.blocks_free() + space.blocks_available()).saturating_mul(unit),
        };
        if fill.total == 0 {
            return None;
        }
        let status = self.grade(fill.percent());
        let images = self.images.as_ref().map_or(String::new(), |seen| {
            format!("; {} images of up to {} together", seen.count, spoken_size(seen.bytes))
        });
        let sentence = format!(
            "the file system Docker keeps images on ({root_dir}) is used to {} %{images}",
            fill.percent()
        );
        let observation = Observation::new(status, sentence).item("storage").evidence(
            "free",
            spoken_size(fill.total.saturating_sub(fill.used)),
            root_dir,
        );
        if status == Status::Ok {
            return Some(observation);
        }
        Some(observation.next("remove images nobody uses: `docker image prune`"))
    }
}

async fn in_time<T>(
    until: Instant,
    stage: &'static str,
    asking: impl Future<Output = Result<T, DockerError>>,
) -> Result<T, Trouble> {
    match timeout_at(until, asking).await {
        Ok(answer) => answer.map_err(|error| Trouble::Fails(stage, error)),
        Err(_) => Err(Trouble::Hangs(stage)),
    }
}

/// The check of this node's Docker.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    let config = &context.config;
    vec![Box::new(DockerCheck::new(&config.checks.docker, &config.paths, context.shared.clone()))]
}

impl Check for DockerCheck {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn is_gating(&self) -> bool {
        true
    }

    fn when_silent(&self) -> Option<&str> {
        Some("look at `journalctl -u docker`; a hung daemon needs a restart, after the node is drained")
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm { every: self.config.every, deadline: self.config.deadline }
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            let observations = match self.ask().await {
                Err(trouble) => vec![self.of_trouble(trouble, now)],
                Ok(seen) => {
                    if seen.took < self.config.deadline.mul_f64(0.3) {
                        self.count_images().await;
                    }
                    let answer = self.of_answer(&seen);
                    [Some(answer), self.storage(&seen.info)].into_iter().flatten().collect()
                }
            };
            Look { observations, facts: Vec::new() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::read_info;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn check() -> DockerCheck {
        DockerCheck::new(&DockerConfig::default(), &Paths::default(), Rc::default())
    }

    fn storage(data: &str, metadata: &str) -> Observation {
        let body = format!(
            r#"{{"Driver":"devicemapper","DriverStatus":[["Data Space Used","{data}"],["Data Space Total","100 GB"],
                ["Metadata Space Used","{metadata}"],["Metadata Space Total","1GB"]]}}"#
        );
        check().storage(&read_info(body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_thin_pool_is_as_full_as_the_fuller_of_data_and_metadata() {
        assert_eq!(storage("10 GB", "100MB").status, Status::Ok);
        assert_eq!(storage("81 GB", "100MB").status, Status::Warn);
        assert_eq!(storage("10 GB", "910.5 MB").status, Status::Crit);
        assert_eq!(storage("?", "100MB").status, Status::Unknown);
        assert!(!storage("95 GB", "100MB").gating, "fullness never keeps a node from counting as healthy");
    }

    #[test]
    fn a_docker_that_pings_but_does_not_list_is_said_to_do_just_that() {
        let mut check = check();
        let at = |second| Timestamp::from_second(second).unwrap();
        let seen = check.of_trouble(Trouble::Hangs("list containers"), at(1000));
        assert_eq!(seen.status, Status::Unknown);
        assert_eq!(seen.sentence, "Docker answers a ping but does not list containers within 10 s");
        assert!(seen.gating);
        check.of_trouble(Trouble::Hangs("list containers"), at(1030));
        assert_eq!(check.of_trouble(Trouble::Hangs("list containers"), at(1060)).status, Status::Crit);
    }

    /// A Docker that answers these paths and hangs on all others.
    async fn answer(listener: tokio::net::UnixListener, answers: &'static [(&'static str, &'static str)]) {
        let mut hung = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            match answers.iter().find(|(path, _)| head.starts_with(&format!("GET {path} "))) {
                Some((_, body)) => {
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                None => hung.push(stream),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_docker_whose_list_hangs_is_caught_within_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let config = DockerConfig { socket, ..DockerConfig::default() };
        let mut check = DockerCheck::new(&config, &Paths::default(), Rc::default());
        let answers = &[("/_ping", "OK"), ("/info", r#"{"Driver":"overlay2","ServerVersion":"1.13.1"}"#)];
        let look = tokio::select! {
            () = answer(listener, answers) => unreachable!("it serves for ever"),
            look = check.look(Timestamp::UNIX_EPOCH) => look,
        };
        let seen = &look.observations[0];
        assert_eq!(seen.sentence, "Docker answers a ping but does not list containers within 10 s");
        assert_eq!((seen.status, seen.gating), (Status::Unknown, true));
    }

    #[tokio::test]
    async fn no_socket_is_crit_at_once() {
        let config = DockerConfig { socket: "/nonexistent/docker.sock".into(), ..DockerConfig::default() };
        let look =
            DockerCheck::new(&config, &Paths::default(), Rc::default()).look(Timestamp::UNIX_EPOCH).await;
        assert_eq!(look.observations[0].status, Status::Crit);
        assert!(
            look.observations[0].sentence.contains("no such socket"),
            "{}",
            look.observations[0].sentence
        );
    }
}
