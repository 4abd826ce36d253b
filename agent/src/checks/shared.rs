//! What one check has seen and another needs.

use jiff::Timestamp;
use std::{cell::RefCell, collections::BTreeSet};

/// Handed to every check that gives or takes; one thread uses it.
#[derive(Debug, Default)]
pub struct Shared {
    /// Containers of the Mesos agent's living executors, once it has answered.
    pub owned: RefCell<Option<Owned>>,
    /// What Docker is, once it has answered.
    pub engine: RefCell<EngineWords>,
}

/// Containers that Mesos owns.
#[derive(Debug, Clone, Default)]
pub struct Owned {
    /// Mesos' container ids.
    pub ids: BTreeSet<String>,
    /// When Mesos said so.
    pub at: Timestamp,
}

/// What Docker says about itself.
#[derive(Debug, Clone, Default)]
pub struct EngineWords {
    /// Its version.
    pub version: String,
    /// Its storage driver.
    pub storage_driver: String,
}
