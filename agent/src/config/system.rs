//! What is checked about the machine itself.

use super::{Fault, units};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// `[checks.system]`: memory, load, clock, reboot required.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// How often it looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// Warn when less of the memory is available, in percent.
    pub memory_available_percent: u8,
    /// Warn when the 15-minute load is above the number of processors plus this.
    pub load_above_cpus: f64,
    /// Only when it stays so for this long.
    #[serde(with = "units::duration")]
    pub load_for: Duration,
    /// Warn when the clock may be off by more.
    #[serde(with = "units::duration")]
    pub clock_offset: Duration,
    /// For how long a kill by the kernel for want of memory is told.
    #[serde(with = "units::duration")]
    pub oom_kills_told_for: Duration,
}

impl Default for SystemConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(30),
            deadline: Duration::from_secs(5),
            memory_available_percent: 10,
            load_above_cpus: 2.0,
            load_for: Duration::from_secs(30 * 60),
            clock_offset: Duration::from_secs(1),
            oom_kills_told_for: Duration::from_secs(3600),
        }
    }
}

impl SystemConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            Fault::of_rhythm("checks.system", self.every, self.deadline).into_iter().collect();
        if self.memory_available_percent > 100 {
            faults.push(Fault::new(
                "checks.system.memory_available_percent",
                "is above 100; accepted is 0 to 100",
            ));
        }
        if !self.load_above_cpus.is_finite() {
            faults.push(Fault::new("checks.system.load_above_cpus", "is no finite number; write 2.0"));
        }
        faults
    }
}

/// `[checks.processes]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessesConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// How often it looks; a look reads every process once.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// Warn above this many zombies.
    pub zombies: usize,
    /// Warn when a process is stuck in the kernel (state D) for longer.
    #[serde(with = "units::duration")]
    pub stuck_for: Duration,
}

impl Default for ProcessesConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(60),
            deadline: Duration::from_secs(10),
            zombies: 50,
            stuck_for: Duration::from_secs(600),
        }
    }
}

impl ProcessesConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        Fault::of_rhythm("checks.processes", self.every, self.deadline).into_iter().collect()
    }
}

/// `[checks.certificate]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// How often it looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// The certificates, PEM; one that does not exist is not complained about.
    pub paths: Vec<PathBuf>,
    /// Warn when one expires sooner.
    #[serde(with = "units::duration")]
    pub warn_before: Duration,
    /// Crit when one expires sooner.
    #[serde(with = "units::duration")]
    pub crit_before: Duration,
}

impl Default for CertificateConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(3600),
            deadline: Duration::from_secs(10),
            paths: vec!["/etc/grid-security/hostcert.pem".into()],
            warn_before: Duration::from_secs(14 * 86_400),
            crit_before: Duration::from_secs(3 * 86_400),
        }
    }
}

impl CertificateConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            Fault::of_rhythm("checks.certificate", self.every, self.deadline).into_iter().collect();
        if self.crit_before > self.warn_before {
            faults.push(Fault::new(
                "checks.certificate.crit_before",
                "is longer than `warn_before`; accepted is at most `warn_before`",
            ));
        }
        faults
    }
}
