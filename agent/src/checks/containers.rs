//! Which containers run, for what, and are the required ones well? (R7)

use super::{
    Context,
    shared::{Owned, Shared},
};
use crate::{
    check::{Check, FactPart, Look, Looking, Observation, Rhythm},
    config::{ContainersConfig, DockerConfig, NodeClass, units::spoken},
    docker::{DockerError, Engine, Inspected, Listed, read_inspect, read_list},
    pattern,
};
use jiff::Timestamp;
use millwright_protocol::{Container, ContainerFacts, ContainerRole, Status};
use std::{collections::BTreeMap, rc::Rc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Containers looked at closely in one look, beside the required ones.
const MOST_INSPECTIONS: usize = 20;
/// A view of Mesos older than this says nothing about who owns a container.
const VIEW_LASTS: i64 = 60;
/// A required container that does not run may be between two runs of its keeper for so long.
const BETWEEN_RUNS: Duration = Duration::from_secs(30);
const HOUR: i64 = 3600;

/// The check `containers`.
pub struct ContainersCheck {
    config: ContainersConfig,
    required: Vec<String>,
    engine: Engine,
    shared: Rc<Shared>,
    /// By Docker's id: what a closer look saw, good while the state stays.
    known: BTreeMap<String, Inspected>,
    /// By required name: when it restarted within the last hour.
    restarts: BTreeMap<String, Restarts>,
    /// By container name: since when no living task owns it.
    ownerless: BTreeMap<String, Timestamp>,
}

/// The recent restarts of one required container.
#[derive(Debug, Clone, Default)]
struct Restarts {
    last: Option<Inspected>,
    at: Vec<Timestamp>,
}

impl Restarts {
    /// Takes in a look; counts restarts by Docker and by whoever starts a new container of the same name.
    fn saw(&mut self, seen: &Inspected, now: Timestamp) {
        if let Some(last) = &self.last {
            let restarted = if last.id != seen.id {
                1
            } else if seen.restarts > last.restarts {
                seen.restarts - last.restarts
            } else {
                u64::from(seen.started_at != last.started_at && seen.started_at.is_some())
            };
            for _ in 0..restarted.min(100) {
                self.at.push(now);
            }
        }
        self.last = Some(seen.clone());
        self.at.retain(|at| now.as_second() - at.as_second() < HOUR);
    }
}

impl ContainersCheck {
    /// The check, with its section, Docker's, and the node's class.
    pub fn new(
        config: &ContainersConfig,
        docker: &DockerConfig,
        class: NodeClass,
        shared: Rc<Shared>,
    ) -> Self {
        Self {
            required: config.required(class),
            config: config.clone(),
            engine: Engine::new(&docker.socket),
            shared,
            known: BTreeMap::new(),
            restarts: BTreeMap::new(),
            ownerless: BTreeMap::new(),
        }
    }

    async fn ask(&mut self) -> Result<Vec<Listed>, DockerError> {
        let list = self.engine.read("/containers/json?all=1", read_list).await?;
        self.known.retain(|id, seen| list.iter().any(|one| one.id == *id && one.state == seen.state));
        let mut others = 0;
        for one in &list {
            let is_required = self.is_required(&one.name);
            if !is_required && (self.known.contains_key(&one.id) || others >= MOST_INSPECTIONS) {
                continue;
            }
            others += usize::from(!is_required);
            match self.engine.read(&format!("/containers/{}/json", one.id), read_inspect).await {
                Ok(seen) => {
                    self.known.insert(one.id.clone(), seen);
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(list)
    }

    fn is_required(&self, name: &str) -> bool {
        self.required.iter().any(|pattern| pattern::matches(pattern, name))
    }

    /// A look that came home.
    fn saw(&mut self, list: &[Listed], now: Timestamp) -> Look {
        let mut observations: Vec<Observation> =
            self.required.clone().iter().map(|pattern| self.of_required(pattern, list, now)).collect();
        let (containers, orphans) = self.classify(list, now);
        let tasks =
            containers.iter().filter(|one| one.role == ContainerRole::Task && one.is_running()).count();
        observations.push(of_all(list, tasks, &orphans));
        let engine = self.shared.engine.borrow().clone();
        let facts = ContainerFacts {
            containers,
            version: engine.version,
            storage_driver: engine.storage_driver,
            age_seconds: 0,
        };
        Look { observations, facts: vec![FactPart::Containers(Some(facts))] }
    }

    fn of_required(&mut self, pattern: &str, list: &[Listed], now: Timestamp) -> Observation {
        let meant: Vec<&Listed> = list.iter().filter(|one| pattern::matches(pattern, &one.name)).collect();
        let running = meant.iter().find(|one| one.state == "running").or_else(|| meant.first());
        let Some(one) = running else {
            return Observation::new(Status::Crit, format!("there is no container {pattern}"))
                .item(pattern)
                .gating()
                .debounce(BETWEEN_RUNS)
                .warning_meanwhile()
                .next(format!(
                    "start it; Puppet usually does: `puppet agent -t`, then `docker ps -a | grep {pattern}`"
                ));
        };
        let closer = self.known.get(&one.id).cloned();
        if let Some(closer) = &closer {
            self.restarts.entry(pattern.to_owned()).or_default().saw(closer, now);
        }
        let restarted = self.restarts.get(pattern).map_or(0, |restarts| restarts.at.len());
        self.judge(pattern, one, closer.as_ref(), restarted, now).item(pattern).gating()
    }

    fn judge(
        &self,
        pattern: &str,
        one: &Listed,
        closer: Option<&Inspected>,
        restarted: usize,
        now: Timestamp,
    ) -> Observation {
        let name = &one.name;
        let logs = format!("look at `docker logs --tail 50 {name}`");
        let state = closer.map_or(one.state.as_str(), |closer| closer.state.as_str());
        if restarted > self.config.restarts_per_hour {
            let sentence = format!("container {pattern} restarted {restarted} times within an hour");
            return Observation::new(Status::Crit, sentence)
                .evidence("restarts_per_hour", restarted, "docker")
                .next(logs);
        }
        if state != "running" {
            let code = closer.and_then(|closer| closer.exit_code);
            let how =
                code.filter(|_| state == "exited").map_or(String::new(), |code| format!(" with code {code}"));
            return Observation::new(Status::Crit, format!("container {name} is {state}{how}, not running"))
                .debounce(BETWEEN_RUNS)
                .warning_meanwhile()
                .evidence("state", state, "docker")
                .next(logs);
        }
        let is_unhealthy = closer.is_some_and(|closer| closer.health.as_deref() == Some("unhealthy"))
            || one.status.contains("(unhealthy)");
        if is_unhealthy {
            return Observation::new(
                Status::Crit,
                format!("container {name} runs but its health check fails"),
            )
            .evidence("health", "unhealthy", "docker")
            .next(logs);
        }
        let Some(started_at) = closer.and_then(|closer| closer.started_at) else {
            return Observation::new(
                Status::Unknown,
                format!("container {name} runs; Docker does not say since when"),
            );
        };
        let seconds = u64::try_from(now.as_second() - started_at.as_second()).unwrap_or_default();
        let since = Duration::from_secs(seconds);
        if since < self.config.running_for {
            let after = spoken(self.config.running_for);
            let sentence = format!("container {name} started {} ago; it counts after {after}", spoken(since));
            return Observation::new(Status::Unknown, sentence).evidence("started_at", started_at, "docker");
        }
        Observation::new(Status::Ok, format!("container {name} has been running for {}", spoken(since)))
            .evidence("started_at", started_at, "docker")
            .evidence("restarts_per_hour", restarted, "docker")
    }

    /// Says what every container is for, and which have been orphans for long enough to be told.
    fn classify(&mut self, list: &[Listed], now: Timestamp) -> (Vec<Container>, Vec<String>) {
        let owned = self.shared.owned.borrow().clone();
        let owned = owned.filter(|owned| now.as_second() - owned.at.as_second() <= VIEW_LASTS);
        let mut orphans = Vec::new();
        let mut ownerless = BTreeMap::new();
        let containers = list
            .iter()
            .map(|one| {
                let closer = self.known.get(&one.id);
                let mut role = self.role_of(&one.name, owned.as_ref());
                if role == ContainerRole::Orphan {
                    let since = self.ownerless.get(&one.name).copied().unwrap_or(now);
                    ownerless.insert(one.name.clone(), since);
                    let lasted = now.as_second() - since.as_second();
                    if lasted < i64::try_from(self.config.orphan_after.as_secs()).unwrap_or(i64::MAX) {
                        role = ContainerRole::Task;
                    } else if one.state == "running" {
                        orphans.push(one.name.clone());
                    }
                } else if owned.is_none()
                    && let Some(since) = self.ownerless.get(&one.name)
                {
                    ownerless.insert(one.name.clone(), *since);
                }
                Container {
                    name: if one.name.is_empty() { one.id.clone() } else { one.name.clone() },
                    image: one.image.clone(),
                    state: one.state.clone(),
                    role,
                    started_at: closer.and_then(|closer| closer.started_at),
                    restarts: closer.map_or(0, |closer| closer.restarts),
                }
            })
            .collect();
        self.ownerless = ownerless;
        (containers, orphans)
    }

    fn role_of(&self, name: &str, owned: Option<&Owned>) -> ContainerRole {
        match (mesos_id(name), owned) {
            (Some(_), None) => ContainerRole::Task,
            (Some(id), Some(owned)) if owned.ids.contains(id) => ContainerRole::Task,
            (Some(_), Some(_)) => ContainerRole::Orphan,
            (None, _) => {
                let is_listed =
                    self.config.infrastructure.iter().any(|pattern| pattern::matches(pattern, name));
                if is_listed || self.is_required(name) {
                    ContainerRole::Infrastructure
                } else {
                    ContainerRole::Other
                }
            }
        }
    }
}

/// The Mesos container id in a name such as `mesos-<id>`, `mesos-<agent id>.<id>` or `mesos-<agent id>.<id>.executor`.
fn mesos_id(name: &str) -> Option<&str> {
    name.strip_prefix("mesos-")?.split('.').rfind(|part| is_uuid(part))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The finding about the containers as a whole; it never gates.
fn of_all(list: &[Listed], tasks: usize, orphans: &[String]) -> Observation {
    let running = list.iter().filter(|one| one.state == "running").count();
    if let Some(first) = orphans.first() {
        let more = orphans.len() - 1;
        let others = if more > 0 { format!(" and {more} more") } else { String::new() };
        return Observation::new(
            Status::Warn,
            format!(
                "container {first}{others} is a task's, but no living task of this node's Mesos agent owns it"
            ),
        )
        .item("orphans")
        .evidence("orphans", orphans.join(", "), "docker")
        .next("find out what it does before stopping it: `docker top`, `docker logs`");
    }
    Observation::new(Status::Ok, format!("{running} containers run, {tasks} of them for tasks"))
        .item("orphans")
        .evidence("containers", list.len(), "docker")
}

/// The check of this node's containers.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    let config = &context.config;
    let (containers, docker) = (&config.checks.containers, &config.checks.docker);
    vec![Box::new(ContainersCheck::new(containers, docker, config.node.class, context.shared.clone()))]
}

impl Check for ContainersCheck {
    fn name(&self) -> &'static str {
        "containers"
    }

    fn is_gating(&self) -> bool {
        !self.required.is_empty()
    }

    fn when_silent(&self) -> Option<&str> {
        Some("see the finding `docker`")
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm { every: self.config.every, deadline: self.config.deadline }
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            let until = Instant::now() + self.config.deadline.mul_f64(0.9);
            let problem = match timeout_at(until, self.ask()).await {
                Ok(Ok(list)) => return self.saw(&list, now),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {}", spoken(self.config.deadline)),
            };
            let unknown = |item: &str| {
                Observation::new(
                    Status::Unknown,
                    format!("Docker cannot be asked about containers: {problem}"),
                )
                .item(item)
                .next("see the finding `docker`")
            };
            let mut observations: Vec<Observation> =
                self.required.iter().map(|pattern| unknown(pattern).gating()).collect();
            observations.push(unknown("orphans"));
            Look { observations, facts: vec![FactPart::Containers(None)] }
        })
    }
}

#[cfg(test)]
mod tests;
