//! The agent's configuration: what is written ([`Fragment`]s), laid over each other, checked, and handed on
//! as [`Config`].
//!
//! Each concern is a file below with one section type: its fields are the keys, its `Default` the documented
//! defaults. A new section is one field here or in [`Checks`], its keys in `packaging/agent/…/agent.toml`
//! (a test compares), and, where keys depend on each other, one line in [`Config::faults`].

mod coordinator;
mod docker;
mod fragment;
mod mesos;
mod node;
mod orders;
mod paths;
mod prepull;
mod puppet;
mod status;
mod system;
mod tls;
mod trusted;
pub mod units;
mod volumes;
mod zookeeper;

pub use coordinator::{CoordinatorConfig, Endpoint};
pub use docker::{ContainersConfig, DockerConfig};
pub use fragment::{ConfigError, Fragment};
pub use mesos::{MesosAgentConfig, MesosMasterConfig};
pub use node::{NodeClass, NodeConfig, Protections};
pub use orders::{CleanupConfig, OrdersConfig, WhitelistConfig};
pub use paths::Paths;
pub use prepull::PrePullConfig;
pub use puppet::PuppetConfig;
pub use status::StatusConfig;
pub use system::{CertificateConfig, ProcessesConfig, SystemConfig};
pub use tls::{TlsConfig, TlsFiles};
pub use volumes::{ExpectedVolume, MountsConfig, VolumesConfig};
pub use zookeeper::ZooKeeperConfig;

use serde::Deserialize;
use std::{path::Path, time::Duration};

/// Where the configuration is looked for.
pub const DEFAULT_PATH: &str = "/etc/millwright/agent.toml";

/// Everything that can be set, complete and checked.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who this node is.
    pub node: NodeConfig,
    /// What must never be done to it.
    pub protections: Protections,
    /// Whom it reports to.
    pub coordinator: CoordinatorConfig,
    /// How this host proves who it is.
    pub tls: TlsConfig,
    /// Where its own status is shown.
    pub status: StatusConfig,
    /// Where facts are read and state is kept.
    pub paths: Paths,
    /// What is checked.
    pub checks: Checks,
    /// Which images are kept on the node.
    pub prepull: PrePullConfig,
    /// Whether and how orders are carried out.
    pub orders: OrdersConfig,
    /// What orders may write on a master.
    pub mesos_master: WhitelistConfig,
    /// What orders may remove.
    pub cleanup: CleanupConfig,
}

/// One section a check, `[checks.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checks {
    /// Memory, load, clock, reboot required.
    pub system: SystemConfig,
    /// Zombies and processes stuck in the kernel.
    pub processes: ProcessesConfig,
    /// The host certificate.
    pub certificate: CertificateConfig,
    /// Expected volumes and the root file system.
    pub volumes: VolumesConfig,
    /// Mounts that are known to hang: cvmfs, NFS.
    pub mounts: MountsConfig,
    /// Docker itself.
    pub docker: DockerConfig,
    /// Required containers, containers of tasks, orphans.
    pub containers: ContainersConfig,
    /// The Mesos agent of this node.
    pub mesos_agent: MesosAgentConfig,
    /// The Mesos master of this node.
    pub mesos_master: MesosMasterConfig,
    /// The ZooKeeper member of this node.
    pub zookeeper: ZooKeeperConfig,
    /// Puppet's last run.
    pub puppet: PuppetConfig,
}

/// A key whose value is well formed but makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key with its section, such as `checks.volumes.crit_used_percent`.
    pub key: String,
    /// What is wrong and what is accepted.
    pub why: String,
}

impl Fault {
    /// A fault of one key.
    pub fn new(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self { key: key.into(), why: why.into() }
    }

    /// Every check needs a rhythm its looks fit into.
    pub fn of_rhythm(section: &str, every: Duration, deadline: Duration) -> Option<Self> {
        (deadline > every).then(|| {
            Self::new(
                format!("{section}.deadline"),
                format!("is longer than `every` ({every:?}); accepted is at most `every`"),
            )
        })
    }
}

impl Config {
    /// Reads the file at `path` and lays `settings` (`KEY=VALUE`, as given on the command line) over it.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line, key and the accepted form.
    pub fn read(path: &Path, settings: &[String]) -> Result<Self, ConfigError> {
        Self::of(&fragments([Fragment::read(path)?].into(), settings)?)
    }

    /// The defaults with `settings` over them.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn of_settings(settings: &[String]) -> Result<Self, ConfigError> {
        Self::of(&fragments(Vec::new(), settings)?)
    }

    /// Lays fragments over each other, the last on top, and checks the whole.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn of(fragments: &[Fragment]) -> Result<Self, ConfigError> {
        let config: Self = fragment::merged(fragments)?;
        match config.faults().into_iter().next() {
            None => Ok(config),
            Some(fault) => Err(fragment::located(fragments, &fault)),
        }
    }

    /// What the sections object to, taken together.
    fn faults(&self) -> Vec<Fault> {
        let checks = &self.checks;
        [
            self.node.faults(),
            self.coordinator.faults(),
            self.status.faults(),
            checks.system.faults(),
            checks.processes.faults(),
            checks.certificate.faults(),
            checks.volumes.faults(),
            checks.mounts.faults(),
            checks.docker.faults(),
            checks.containers.faults(),
            checks.mesos_agent.faults(),
            checks.mesos_master.faults(),
            checks.zookeeper.faults(),
            checks.puppet.faults(),
            self.prepull.faults(),
            self.orders.faults(),
            self.mesos_master.faults(),
            self.cleanup.faults(),
        ]
        .concat()
    }
}

fn fragments(mut below: Vec<Fragment>, settings: &[String]) -> Result<Vec<Fragment>, ConfigError> {
    for setting in settings {
        below.push(Fragment::of_setting(setting)?);
    }
    Ok(below)
}

#[cfg(test)]
mod tests;
