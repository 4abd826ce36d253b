//! The list of checks. A new check is a file below and one line in [`all`].

mod certificate;
mod mounts;
mod processes;
mod system;
mod volumes;

use crate::{check::Check, config::Config, probe::Probe};
use std::{path::PathBuf, rc::Rc, time::Duration};
use tokio::sync::Notify;

/// What checks share beside the configuration.
#[derive(Clone)]
pub struct Context {
    /// The whole configuration: a check takes its section, `paths` and `node.class`.
    pub config: Rc<Config>,
    /// Asks for a report at once. The board does this itself when tasks or containers in a look's facts
    /// changed; only what works between looks (a pull) needs it.
    pub report_soon: Rc<Notify>,
    /// The program that looks at what may hang in the kernel: this one, but for tests.
    pub probe_program: PathBuf,
}

impl Context {
    /// A probe whose children have this long.
    pub fn probe(&self, deadline: Duration) -> Probe {
        Probe::of(&self.probe_program, deadline)
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
    add(checks.system.enabled, system::checks);
    add(checks.processes.enabled, processes::checks);
    add(checks.certificate.enabled, certificate::checks);
    all
}
