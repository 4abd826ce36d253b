//! What is checked about Docker and its containers.

use super::{Fault, NodeClass, units};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// `[checks.docker]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DockerConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// How often it looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long answering, listing and inspecting may take together.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// Docker's Unix socket, for every check that asks Docker.
    pub socket: PathBuf,
    /// Warn when an answer takes longer.
    #[serde(with = "units::duration")]
    pub slow_after: Duration,
    /// Warn when the space for images and containers is fuller, in percent.
    pub warn_used_percent: u8,
    /// Crit when it is fuller, in percent.
    pub crit_used_percent: u8,
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(30),
            deadline: Duration::from_secs(10),
            socket: "/var/run/docker.sock".into(),
            slow_after: Duration::from_secs(2),
            warn_used_percent: 80,
            crit_used_percent: 90,
        }
    }
}

impl DockerConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            Fault::of_rhythm("checks.docker", self.every, self.deadline).into_iter().collect();
        if self.warn_used_percent > self.crit_used_percent || self.crit_used_percent > 100 {
            faults.push(Fault::new(
                "checks.docker.crit_used_percent",
                "is below `warn_used_percent` or above 100; accepted is `warn_used_percent` to 100",
            ));
        }
        faults
    }
}

/// `[checks.containers]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContainersConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// How often it looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// Names (`*` for any run of characters) of containers that must run; without it the five of a master on class
    /// `master` (R7), none elsewhere.
    pub required: Option<Vec<String>>,
    /// A required container counts as running after this.
    #[serde(with = "units::duration")]
    pub running_for: Duration,
    /// Crit when a required container restarts more often within an hour.
    pub restarts_per_hour: usize,
    /// Names of containers that are no work: they never keep a node from counting as empty.
    pub infrastructure: Vec<String>,
    /// Warn when a task's container has had no living task for longer.
    #[serde(with = "units::duration")]
    pub orphan_after: Duration,
}

/// R7: what a master runs, at least.
const MASTER_CONTAINERS: [&str; 5] =
    ["mesos-master", "zookeeper", "marathon", "aurora-scheduler", "mesos-dns"];

impl Default for ContainersConfig {
    fn default() -> Self {
        let infrastructure = [
            "mesos-master",
            "mesos-slave",
            "mesos-agent",
            "zookeeper",
            "marathon",
            "aurora-scheduler",
            "aurora-observer",
            "thermos-observer",
            "mesos-dns",
            "vault",
            "docker-gc",
        ];
        Self {
            enabled: true,
            every: Duration::from_secs(10),
            deadline: Duration::from_secs(10),
            required: None,
            running_for: Duration::from_secs(60),
            restarts_per_hour: 3,
            infrastructure: infrastructure.map(str::to_owned).to_vec(),
            orphan_after: Duration::from_secs(30 * 60),
        }
    }
}

impl ContainersConfig {
    /// The names that must run on a node of this class.
    pub fn required(&self, class: NodeClass) -> Vec<String> {
        match (&self.required, class) {
            (Some(names), _) => names.clone(),
            (None, NodeClass::Master) => MASTER_CONTAINERS.map(str::to_owned).to_vec(),
            (None, _) => Vec::new(),
        }
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            Fault::of_rhythm("checks.containers", self.every, self.deadline).into_iter().collect();
        if self.required.iter().flatten().any(|name| name.trim().is_empty()) {
            faults.push(Fault::new("checks.containers.required", "has an empty name; write container names"));
        }
        if self.infrastructure.iter().any(|name| name.trim_matches('*').is_empty()) {
            faults.push(Fault::new(
                "checks.containers.infrastructure",
                "has an entry that means every container, so that no work would ever be seen; write names",
            ));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r7_a_master_must_run_docker_with_the_five_containers_at_least() {
        let config = ContainersConfig::default();
        assert_eq!(
            config.required(NodeClass::Master),
            ["mesos-master", "zookeeper", "marathon", "aurora-scheduler", "mesos-dns"]
        );
        assert!(config.required(NodeClass::Agent).is_empty());
    }

    #[test]
    fn an_infrastructure_list_that_means_everything_is_refused() {
        let config = ContainersConfig { infrastructure: vec!["*".to_owned()], ..ContainersConfig::default() };
        assert_eq!(config.faults()[0].key, "checks.containers.infrastructure");
    }
}
