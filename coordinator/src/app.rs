//! The composition root: builds everything and hands it down. No decision is taken here.

use crate::{api, clock::Clock, config::Config, dashboard, fleet::Fleet, shutdown::Shutdown};
use axum::Router;
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};

/// What every way in may use. Built once; shared by reference.
pub struct App {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How this installation is set up.
    pub config: Config,
    /// How it stops.
    pub shutdown: Shutdown,
    fleet: Mutex<Fleet>,
}

impl App {
    /// Looks at the fleet, or changes it, at this moment. The closure must be quick: everybody else waits.
    pub fn with_fleet<T>(&self, look: impl FnOnce(&mut Fleet, Timestamp) -> T) -> T {
        let mut fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut fleet, self.clock.now())
    }

    /// What operators reach: API and dashboard, on loopback and on the Unix socket.
    pub fn operators(self: &Arc<Self>) -> Router {
        api::operators().merge(dashboard::routes()).with_state(Arc::clone(self))
    }

    /// What agents reach.
    pub fn agents(self: &Arc<Self>) -> Router {
        api::agents().with_state(Arc::clone(self))
    }
}
