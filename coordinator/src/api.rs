//! The route table: every path with its method, by audience.
//!
//! The table is also data, so that a test can compare it with `/openapi.json` and with the protocol's document.

pub mod error;
pub mod inside;

mod acknowledgements;
mod agents;
mod audit;
mod body;
mod events;
mod guard;
mod health;
mod identify;
mod me;
mod nodes;
mod openapi;
mod operations;
mod parameters;
mod person;
mod policy;
mod tokens;
mod verdicts;
mod words;

#[cfg(test)]
mod tests;

use crate::app::App;
use axum::{
    Router,
    handler::Handler,
    middleware,
    routing::{MethodRouter, get, post},
};
use std::sync::Arc;

/// A router and what is in it.
#[derive(Default)]
pub struct Routes {
    router: Router<Arc<App>>,
    paths: Vec<(&'static str, &'static str)>,
}

impl Routes {
    fn get<H: Handler<T, Arc<App>>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.add("get", path, get(handler))
    }

    fn post<H: Handler<T, Arc<App>>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.add("post", path, post(handler))
    }

    fn add(mut self, method: &'static str, path: &'static str, handler: MethodRouter<Arc<App>>) -> Self {
        self.paths.push((method, path));
        self.router = self.router.route(path, handler);
        self
    }

    /// Method and path of every route.
    pub fn paths(&self) -> &[(&'static str, &'static str)] {
        &self.paths
    }
}

/// What people and their programs use.
pub fn for_operators() -> Routes {
    Routes::default()
        .get("/api/v1/nodes", nodes::list)
        .get("/api/v1/nodes/{node}", nodes::one)
        .post("/api/v1/nodes/{node}/accept", nodes::accept)
        .post("/api/v1/nodes/{node}/forget", nodes::forget)
        .post("/api/v1/nodes/{node}/dead", nodes::dead)
        .get("/api/v1/verdicts", verdicts::ask)
        .get("/api/v1/policy", policy::show)
        .get("/api/v1/operations", operations::list)
        .post("/api/v1/operations", operations::start)
        .get("/api/v1/operations/{operation}", operations::one)
        .post("/api/v1/operations/{operation}/approve", operations::approve)
        .post("/api/v1/operations/{operation}/cancel", operations::cancel)
        .post("/api/v1/operations/{operation}/retry", operations::retry)
        .post("/api/v1/operations/{operation}/confirm", operations::confirm)
        .get("/api/v1/holds", words::holds)
        .post("/api/v1/holds", words::hold)
        .post("/api/v1/holds/{hold}/lift", words::lift)
        .get("/api/v1/attestations", words::attestations)
        .post("/api/v1/attestations", words::attest)
        .get("/api/v1/pause", words::paused)
        .post("/api/v1/pause", words::pause)
        .get("/api/v1/brake", words::brakes)
        .post("/api/v1/brake", words::reset_brake)
        .get("/api/v1/acknowledgements", acknowledgements::list)
        .post("/api/v1/acknowledgements", acknowledgements::add)
        .get("/api/v1/audit", audit::list)
        .get("/api/v1/me", me::show)
        .get("/api/v1/tokens", tokens::list)
        .post("/api/v1/tokens", tokens::make)
        .post("/api/v1/tokens/revoke", tokens::revoke)
        .get("/api/v1/events", events::stream)
        .get("/openapi.json", openapi::document)
        .get("/metrics", health::metrics)
        .get("/healthz", health::healthz)
        .get("/readyz", health::readyz)
}

/// What agents use.
pub fn for_agents() -> Routes {
    Routes::default()
        .post("/v1/agents/{node}/report", agents::report)
        .get("/v1/agents/{node}/orders", agents::orders)
        .post("/v1/agents/{node}/orders/{id}/events", agents::order_event)
        .get("/healthz", health::healthz)
}

/// The operators' side, with the pages under the same guard.
pub fn operators(app: &Arc<App>, pages: Router<Arc<App>>) -> Router {
    let guard = middleware::from_fn_with_state(Arc::clone(app), guard::operators);
    for_operators().router.merge(pages).layer(guard).with_state(Arc::clone(app))
}

/// The agents' side.
pub fn agents(app: &Arc<App>) -> Router {
    let guard = middleware::from_fn_with_state(Arc::clone(app), guard::agents);
    for_agents().router.layer(guard).with_state(Arc::clone(app))
}
