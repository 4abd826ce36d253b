//! Drops what the store has kept for long enough.

use super::{Hub, Task};
use crate::store::Store;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// See the module.
pub struct Prune {
    /// Whose clock.
    pub hub: Arc<dyn Hub>,
    /// Which store.
    pub store: Arc<Store>,
}

impl Task for Prune {
    fn name(&self) -> &'static str {
        "prune"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        self.store.prune(self.hub.now());
        Box::pin(async { Ok(()) })
    }
}
