//! What is checked about Mesos on this node.

use super::{Fault, units};
use crate::mesos::Address;
use serde::Deserialize;
use std::time::Duration;

/// `[checks.mesos_agent]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MesosAgentConfig {
    /// Whether it runs; without it on every class but `master`.
    pub enabled: Option<bool>,
    /// How often it looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// The agent's address, with its path where it has one.
    pub url: Address,
    /// Not registered for this long is crit; after a change of leader it takes a while.
    #[serde(with = "units::duration")]
    pub registered_within: Duration,
    /// Staging is not judged for this long after the agent started.
    #[serde(with = "units::duration")]
    pub grace_after_start: Duration,
    /// Warn when more tasks are staging …
    pub staging_tasks: usize,
    /// … for longer.
    #[serde(with = "units::duration")]
    pub staging_for: Duration,
    /// Warn when any one task is staging for longer.
    #[serde(with = "units::duration")]
    pub staging_longest: Duration,
}

impl Default for MesosAgentConfig {
    fn default() -> Self {
        Self {
            enabled: None,
            every: Duration::from_secs(10),
            deadline: Duration::from_secs(5),
            url: Address::local(5051),
            registered_within: Duration::from_secs(120),
            grace_after_start: Duration::from_secs(300),
            staging_tasks: 2,
            staging_for: Duration::from_secs(300),
            staging_longest: Duration::from_secs(15 * 60),
        }
    }
}

impl MesosAgentConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        Fault::of_rhythm("checks.mesos_agent", self.every, self.deadline).into_iter().collect()
    }
}

/// `[checks.mesos_master]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MesosMasterConfig {
    /// Whether it runs; without it on class `master` only.
    pub enabled: Option<bool>,
    /// How often it looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// The master's address.
    pub url: Address,
    /// Crit when the leader has fewer agents.
    pub minimum_agents: u64,
    /// No leader, or a registrar that has not recovered, is crit after this.
    #[serde(with = "units::duration")]
    pub election_within: Duration,
    /// Agents are not counted for this long after the master started: they need time to come back.
    #[serde(with = "units::duration")]
    pub grace_after_start: Duration,
    /// Warn when it started more often within an hour: it flaps.
    pub starts_per_hour: usize,
}

impl Default for MesosMasterConfig {
    fn default() -> Self {
        Self {
            enabled: None,
            every: Duration::from_secs(10),
            deadline: Duration::from_secs(5),
            url: Address::local(5050),
            minimum_agents: 10,
            election_within: Duration::from_secs(60),
            grace_after_start: Duration::from_secs(600),
            starts_per_hour: 3,
        }
    }
}

impl MesosMasterConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        Fault::of_rhythm("checks.mesos_master", self.every, self.deadline).into_iter().collect()
    }
}
