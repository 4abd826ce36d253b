//! Which volumes and mounts are expected, and when they are too full.

use super::{Fault, NodeClass, units};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// `[checks.volumes]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumesConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// How often it looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look at one volume may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// The volumes this node must have; without it `/build` for classes `agent` and `dedicated`.
    pub expected: Option<Vec<ExpectedVolume>>,
    /// Whether the root file system is looked at too.
    pub root: bool,
    /// Warn when more is used, in percent.
    pub warn_used_percent: u8,
    /// Crit when more is used, in percent.
    pub crit_used_percent: u8,
    /// Warn when less is free, on volumes at least one and a half times this large: below, percent say more.
    #[serde(with = "units::size")]
    pub warn_free: u64,
    /// Crit when less is free, on the same volumes.
    #[serde(with = "units::size")]
    pub crit_free: u64,
    /// Warn when the volume will be full sooner at the slope of the last hours.
    #[serde(with = "units::duration")]
    pub warn_full_within: Duration,
    /// How far back the slope looks.
    #[serde(with = "units::duration")]
    pub slope_over: Duration,
    /// How much smaller than expected a volume may be, in percent.
    pub size_tolerance_percent: u8,
}

impl Default for VolumesConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(60),
            deadline: Duration::from_secs(10),
            expected: None,
            root: true,
            warn_used_percent: 50,
            crit_used_percent: 80,
            warn_free: 240 << 30,
            crit_free: 100 << 30,
            warn_full_within: Duration::from_secs(24 * 3600),
            slope_over: Duration::from_secs(6 * 3600),
            size_tolerance_percent: 10,
        }
    }
}

impl VolumesConfig {
    /// The volumes a node of this class must have.
    pub fn expected_of(&self, class: NodeClass) -> Vec<ExpectedVolume> {
        match (&self.expected, class) {
            (Some(expected), _) => expected.clone(),
            (None, NodeClass::Agent | NodeClass::Dedicated) => vec![ExpectedVolume::at("/build")],
            (None, NodeClass::Master | NodeClass::AgentNoVolume) => Vec::new(),
        }
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            Fault::of_rhythm("checks.volumes", self.every, self.deadline).into_iter().collect();
        let mut fault = |key: &str, why: &str| faults.push(Fault::new(format!("checks.volumes.{key}"), why));
        if self.crit_used_percent > 100 || self.warn_used_percent > self.crit_used_percent {
            fault("warn_used_percent", "and `crit_used_percent` must rise and end at 100; write 50 and 80");
        }
        if self.crit_free > self.warn_free {
            fault("crit_free", "is larger than `warn_free`; accepted is at most `warn_free`");
        }
        if self.size_tolerance_percent > 100 {
            fault("size_tolerance_percent", "is above 100; accepted is 0 to 100");
        }
        for volume in self.expected.iter().flatten() {
            if !volume.mount.is_absolute() {
                fault("expected", "has a `mount` that does not start with `/`; write mount = \"/build\"");
            }
        }
        faults
    }
}

/// One volume a node must have.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedVolume {
    /// Where it must be mounted.
    pub mount: PathBuf,
    /// Its file-system UUID, when exactly this one is expected.
    #[serde(default)]
    pub uuid: Option<String>,
    /// Its file system, such as `xfs`.
    #[serde(default)]
    pub file_system: Option<String>,
    /// Its size; smaller by more than the tolerance is a fault.
    #[serde(default, with = "units::optional_size")]
    pub size: Option<u64>,
}

impl ExpectedVolume {
    /// Any volume, as long as it is mounted there.
    pub fn at(mount: impl Into<PathBuf>) -> Self {
        Self { mount: mount.into(), ..Self::default() }
    }
}

/// `[checks.mounts]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MountsConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// How often each path is looked at.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look at one path may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// Mount points that must answer, such as `/cvmfs/alice.cern.ch`.
    pub paths: Vec<PathBuf>,
}

impl Default for MountsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(60),
            deadline: Duration::from_secs(10),
            paths: Vec::new(),
        }
    }
}

impl MountsConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            Fault::of_rhythm("checks.mounts", self.every, self.deadline).into_iter().collect();
        if self.paths.iter().any(|path| !path.is_absolute()) {
            faults.push(Fault::new(
                "checks.mounts.paths",
                "has a path that does not start with `/`; write paths = [\"/cvmfs/alice.cern.ch\"]",
            ));
        }
        faults
    }
}
