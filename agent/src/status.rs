//! The agent's own status on loopback: for people, for programs, for Prometheus. It needs no coordinator.

pub mod ask;
pub mod metrics;
pub mod page;
pub mod print;
pub mod view;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
};
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
        .layer(middleware::from_fn(only_for_this_host))
}

/// A page of another site can make a browser on this machine ask us under that site's name (DNS rebinding); it then
/// says that name in `Host`.
async fn only_for_this_host(request: Request, next: Next) -> Response {
    if is_local(request.headers()) {
        return next.run(request).await;
    }
    let says = "this status is for this machine only; ask http://127.0.0.1:8481\n";
    (StatusCode::MISDIRECTED_REQUEST, says).into_response()
}

fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let address = host.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| host.parse::<IpAddr>());
    let name = host.split(':').next().unwrap_or_default();
    address.is_ok_and(|address| address.is_loopback()) || name == "localhost" || host.starts_with("[::1]")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        board::SharedBoard, config::NodeClass, config::Protections, heartbeat::SharedContact,
        identity::Identity,
    };
    use std::net::Ipv4Addr;

    async fn server() -> String {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let source = StatusSource {
            identity: Identity { name: "alibuild10".into(), ..Identity::default() },
            class: NodeClass::Agent,
            protections: Protections::default(),
            coordinator: None,
            board: SharedBoard::default(),
            contact: SharedContact::default(),
            machine: None,
            state: "/none/such".into(),
        };
        tokio::spawn(serve(listener, source));
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_page_under_another_name_gets_nothing() {
        let (server, client) =
            (server().await, crate::http::client(std::time::Duration::from_secs(60)).build().unwrap());
        let asked_as = |host: &'static str| {
            let request = client.get(format!("{server}/status")).header(header::HOST, host);
            async { request.send().await.unwrap().status() }
        };
        assert_eq!(asked_as("evil.example").await, StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(asked_as("localhost:8481").await, StatusCode::OK);
    }

    #[tokio::test]
    async fn status_is_what_the_command_line_reads() {
        let view = ask::ask(&server().await).await.unwrap();
        assert_eq!((view.node.as_str(), view.findings.len()), ("alibuild10", 0));
    }

    #[tokio::test]
    async fn every_page_answers_and_the_one_for_people_may_load_nothing() {
        let (server, client) =
            (server().await, crate::http::client(std::time::Duration::from_secs(60)).build().unwrap());
        for (path, begins) in
            [("/", "<!doctype html>"), ("/status", "{"), ("/metrics", "# HELP"), ("/healthz", "ok")]
        {
            let response = client.get(format!("{server}{path}")).send().await.unwrap();
            assert!(response.status().is_success());
            if path == "/" {
                let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap();
                assert!(policy.starts_with("default-src 'none'"), "{policy}");
            }
            assert!(response.text().await.unwrap().starts_with(begins), "{path}");
        }
    }

    #[tokio::test]
    async fn where_no_agent_answers_the_next_steps_are_named() {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(bind(address).await.unwrap_err().to_string().contains("is another agent running?"));
        drop(listener);
        let error = ask::ask(&format!("http://{address}")).await.unwrap_err().to_string();
        assert!(
            error.contains("Connection refused") && error.contains("systemctl start millwright-agent"),
            "{error}"
        );
        assert_eq!(ask::ask(&address.to_string()).await.unwrap_err().to_string(), error);
    }
}
