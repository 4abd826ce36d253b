//! Lets the fleet grow older, each second.

use super::{Hub, Task};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// See the module.
pub struct Tick {
    /// Whose fleet.
    pub hub: Arc<dyn Hub>,
}

impl Task for Tick {
    fn name(&self) -> &'static str {
        "tick"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        let transitions = self.hub.ask(|fleet, now| fleet.tick(now)).unwrap_or_default();
        self.hub.publish(transitions);
        Box::pin(async { Ok(()) })
    }
}
