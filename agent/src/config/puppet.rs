//! What is checked about Puppet's last run.

use super::{Fault, units};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// `[checks.puppet]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PuppetConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// How often it looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// Where `last_run_summary.yaml`, `last_run_report.yaml` and the lock files may be; of each file the newest counts.
    pub folders: Vec<PathBuf>,
    /// Warn when the last run is older.
    #[serde(with = "units::duration")]
    pub warn_age: Duration,
    /// Crit when the last run is older.
    #[serde(with = "units::duration")]
    pub crit_age: Duration,
    /// Failing for longer keeps the node from counting as healthy.
    #[serde(with = "units::duration")]
    pub failing_for: Duration,
    /// Warn when a run holds the lock for longer.
    #[serde(with = "units::duration")]
    pub lock_age: Duration,
}

/// Puppet 7 and 8, Puppet 4 to 6, Puppet 3, and the distributions' own packages.
const FOLDERS: [&str; 6] = [
    "/opt/puppetlabs/puppet/public",
    "/opt/puppetlabs/puppet/cache/state",
    "/var/lib/puppet/state",
    "/var/cache/puppet/public",
    "/var/cache/puppet/state",
    "/var/lib/puppet/public",
];

impl Default for PuppetConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(30),
            deadline: Duration::from_secs(5),
            folders: FOLDERS.map(PathBuf::from).to_vec(),
            warn_age: Duration::from_secs(3600),
            crit_age: Duration::from_secs(24 * 3600),
            failing_for: Duration::from_secs(24 * 3600),
            lock_age: Duration::from_secs(3600),
        }
    }
}

impl PuppetConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            Fault::of_rhythm("checks.puppet", self.every, self.deadline).into_iter().collect();
        if self.folders.is_empty() {
            faults.push(Fault::new(
                "checks.puppet.folders",
                "is empty; name a folder, or set `enabled = false`",
            ));
        }
        if self.warn_age > self.crit_age {
            faults.push(Fault::new(
                "checks.puppet.warn_age",
                "is longer than `crit_age`; accepted is at most `crit_age`",
            ));
        }
        faults
    }
}
