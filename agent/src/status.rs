//! The agent's own status on loopback: for people, for programs, for Prometheus. It needs no coordinator.

pub mod metrics;
pub mod page;
pub mod print;
pub mod view;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, header},
    response::{Html, IntoResponse},
    routing::get,
};
use std::{io, net::SocketAddr};
use tokio::net::TcpListener;
use view::{StatusSource, StatusView};

/// The page needs one style sheet, which is in it, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Why the status cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address}: {source}; is another agent running? else change status.listen")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// Takes the address, port 0 meaning a free one.
///
/// # Errors
/// When it is taken or not ours.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { address, source })
}

/// Answers for ever.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(listener: TcpListener, source: StatusSource) -> io::Result<()> {
    axum::serve(listener, routes(source)).await
}

fn routes(source: StatusSource) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(source)
}

async fn status(State(source): State<StatusSource>) -> Json<StatusView> {
    Json(source.view())
}

async fn page(State(source): State<StatusSource>) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::REFRESH, "10"),
    ];
    (headers, Html(page::render(&source.view())))
}

async fn metrics(State(source): State<StatusSource>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::render(&source.view()))
}
