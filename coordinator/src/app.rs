//! The composition root: builds everything and hands it down. No decision is taken here.

use crate::{api, clock::Clock, config::Config, dashboard, shutdown::Shutdown};
use axum::Router;
use std::sync::Arc;

/// What every way in may use. Built once; shared by reference.
pub struct App {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How this installation is set up.
    pub config: Config,
    /// How it stops.
    pub shutdown: Shutdown,
}

impl App {
    /// What operators reach: API and dashboard, on loopback and on the Unix socket.
    pub fn operators(self: &Arc<Self>) -> Router {
        api::operators().merge(dashboard::routes()).with_state(Arc::clone(self))
    }

    /// What agents reach.
    pub fn agents(self: &Arc<Self>) -> Router {
        api::agents().with_state(Arc::clone(self))
    }
}
