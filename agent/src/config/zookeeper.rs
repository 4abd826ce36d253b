//! What is checked about the ZooKeeper member of this node.

use super::{Fault, units};
use serde::Deserialize;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// `[checks.zookeeper]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZooKeeperConfig {
    /// Whether it runs; without it on class `master` only.
    pub enabled: Option<bool>,
    /// How often it looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// How long a look may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// Its client address and port.
    pub address: SocketAddr,
    /// How many members the ensemble has; 1 means that a member on its own is right.
    pub members: u64,
}

impl Default for ZooKeeperConfig {
    fn default() -> Self {
        Self {
            enabled: None,
            every: Duration::from_secs(10),
            deadline: Duration::from_secs(5),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 2181)),
            members: 3,
        }
    }
}

impl ZooKeeperConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            Fault::of_rhythm("checks.zookeeper", self.every, self.deadline).into_iter().collect();
        if self.members == 0 {
            faults.push(Fault::new("checks.zookeeper.members", "is 0; accepted is 1 or more"));
        }
        faults
    }
}
