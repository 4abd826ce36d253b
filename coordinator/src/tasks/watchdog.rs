//! Tells systemd that the coordinator still answers; without that it is killed and started again.

use super::{Hub, Task};
use futures_util::future::BoxFuture;
use sd_notify::NotifyState;
use std::{sync::Arc, time::Duration};

/// See the module.
pub struct Watchdog {
    /// Whose life is told.
    pub hub: Arc<dyn Hub>,
}

impl Watchdog {
    /// How often it has to run; `None` where nobody watches.
    pub fn period() -> Option<Duration> {
        sd_notify::watchdog_enabled().map(|limit| limit / 3)
    }
}

impl Task for Watchdog {
    fn name(&self) -> &'static str {
        "watchdog"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        // Whoever gets hold of the fleet can answer anybody. A fleet that is never let go is what a restart cures.
        self.hub.with_fleet(&mut |_, _| {});
        let told = sd_notify::notify(&[NotifyState::Watchdog]);
        Box::pin(async { told.map_err(|error| format!("tell systemd: {error}")) })
    }
}
