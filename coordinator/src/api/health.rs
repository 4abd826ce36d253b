//! For machines that watch the coordinator.

use super::error::{ErrorCode, Refusal};
use crate::{app::App, store::Incarnation};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::sync::Arc;

/// A word that all is well, and which cluster's coordinator says it.
#[derive(Debug, Serialize)]
pub struct Health {
    status: &'static str,
    version: &'static str,
    /// What agents may pin as `coordinator.cluster`.
    cluster: String,
    generation: u64,
}

impl Health {
    fn new(status: &'static str, app: &App) -> Json<Self> {
        let Incarnation { cluster, generation } = app.store.incarnation();
        Json(Self { status, version: env!("CARGO_PKG_VERSION"), cluster: cluster.to_string(), generation })
    }
}

/// `GET /healthz`: the process answers.
pub async fn healthz(State(app): State<Arc<App>>) -> Json<Health> {
    Health::new("alive", &app)
}

/// `GET /readyz`: it takes reports and gives verdicts. Warming up is ready: a verdict then says `warming_up`.
pub async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Health>, Refusal> {
    if app.shutdown.is_asked() {
        return Err(Refusal::new(ErrorCode::Stopping, "the coordinator is about to stop"));
    }
    Ok(Health::new("ready", &app))
}

/// `GET /metrics`.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let page =
        app.metrics.render(&app.fleet_view(), app.store.incarnation().generation, app.events.listeners());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}
