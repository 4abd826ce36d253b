//! The list of checks. A new check is a file below and one line in [`all`].

mod certificate;
mod containers;
mod docker;
mod images;
mod mesos_agent;
mod mesos_master;
mod mounts;
mod patience;
mod processes;
mod puppet;
mod shared;
mod system;
mod volumes;
mod zookeeper;

pub use shared::Shared;

use crate::{
    check::Check,
    config::{Config, NodeClass},
    prepull::{Images, PrePull},
    probe::{Eye, Probe},
};
use std::{cell::RefCell, rc::Rc, time::Duration};
use tokio::sync::Notify;

/// What checks share beside the configuration.
#[derive(Clone)]
pub struct Context {
    /// The whole configuration: a check takes its section, `paths` and `node.class`.
    pub config: Rc<Config>,
    /// Asks for a report at once. The board does this itself when tasks or containers in a look's facts
    /// changed; only what works between looks (a pull) needs it.
    pub report_soon: Rc<Notify>,
    /// How children look at what may hang in the kernel.
    pub eye: Eye,
    /// What one check has seen and another needs.
    pub shared: Rc<Shared>,
    /// The wanted images, which pre-pull works on.
    pub images: Images,
}

impl Context {
    /// A context of this configuration, in which nothing has been seen yet.
    pub fn new(config: Rc<Config>, report_soon: Rc<Notify>, eye: Eye) -> Self {
        let images = Rc::new(RefCell::new(PrePull::new(&config.prepull)));
        Self { config, report_soon, eye, shared: Rc::default(), images }
    }

    /// A probe whose children have this long.
    pub fn probe(&self, deadline: Duration) -> Probe {
        Probe::of(self.eye.clone(), deadline)
    }
}

/// All checks that are enabled.
pub fn all(context: &Context) -> Vec<Box<dyn Check>> {
    let checks = &context.config.checks;
    let mut all: Vec<Box<dyn Check>> = Vec::new();
    let mut add = |enabled: bool, new: fn(&Context) -> Vec<Box<dyn Check>>| {
        if enabled {
            all.extend(new(context));
        }
    };
    add(checks.volumes.enabled, volumes::checks);
    add(checks.mounts.enabled, mounts::checks);
    let is_master = context.config.node.class == NodeClass::Master;
    add(checks.docker.enabled, docker::checks);
    add(checks.containers.enabled, containers::checks);
    add(checks.mesos_agent.enabled.unwrap_or(!is_master), mesos_agent::checks);
    add(checks.mesos_master.enabled.unwrap_or(is_master), mesos_master::checks);
    add(checks.zookeeper.enabled.unwrap_or(is_master), zookeeper::checks);
    add(checks.puppet.enabled, puppet::checks);
    add(checks.docker.enabled && !context.config.prepull.images.is_empty(), images::checks);
    add(checks.system.enabled, system::checks);
    add(checks.processes.enabled, processes::checks);
    add(checks.certificate.enabled, certificate::checks);
    all
}
