//! Looks at one outside system at its rhythm, and hands what it says to the fleet.

use super::{Hub, Task};
use crate::integrations::Observe;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// See the module.
pub struct ObserveTask {
    hub: Arc<dyn Hub>,
    system: Arc<dyn Observe>,
    name: &'static str,
}

impl ObserveTask {
    /// Looks at `system` for the fleet of `hub`.
    pub fn new(hub: Arc<dyn Hub>, system: Arc<dyn Observe>) -> Self {
        let name = system.source().as_str();
        Self { hub, system, name }
    }

    async fn look(&self) -> Result<(), String> {
        // An answer is as old as its question: what happened meanwhile may be missing from it.
        let asked_at = self.hub.now();
        let answer = self.system.look().await;
        let failure = answer.as_ref().err().cloned();
        let mut answer = Some(answer);
        let transitions = self.hub.ask(|fleet, _| {
            let Some(answer) = answer.take() else { return Vec::new() };
            fleet.take_observation(self.system.source(), answer, asked_at)
        });
        self.hub.publish(transitions.unwrap_or_default());
        failure.map_or(Ok(()), Err)
    }
}

impl Task for ObserveTask {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.look())
    }
}
