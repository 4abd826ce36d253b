//! Around every route: whom the request was meant for, how long it may take, what every answer carries.
//!
//! Refusals get their body here, so that each one has the one shape and the id under which the log knows it.

use super::{
    error::{ErrorCode, Refusal},
    identify, person,
};
use crate::{
    app::App,
    people::Caller,
    serve::{Peer, peer_of},
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use futures_util::FutureExt;
use millwright_protocol::ErrorBody;
use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// An answer must have begun after this; a long poll takes at most a minute.
const ANSWER: Duration = Duration::from_secs(75);

/// The header that names a request in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What browsers must keep to. Nothing is loaded from elsewhere, nothing is inline, nobody may frame a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The guard of the agents' side. It is the hot path: ids are made for refusals only.
pub async fn agents(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let what = What::of(&request);
    let mut response = match meant_for_us(&request, &app.config.listen.host_names) {
        Ok(()) => run(next, request).await,
        Err(refusal) => refusal.into_response(),
    };
    app.metrics.to_agents.count(response.status().as_u16());
    if is_error(response.status()) {
        let elsewhere = elsewhere(app.config.listen.operators);
        response = explained(response, &what, &new_id(), &elsewhere);
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The guard of the operators' side.
pub async fn operators(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let what = What::of(&request);
    let id = new_id();
    let mut response = match admit(&app, request) {
        Ok(request) => run_for_people(next, request).await,
        Err(response) => *response,
    };
    app.metrics.to_operators.count(response.status().as_u16());
    if is_error(response.status()) {
        response = explained(response, &what, &id, "/openapi.json lists every path");
    }
    decorate(response.headers_mut(), &id);
    response
}

/// Lets a request in with its caller, or answers it.
fn admit(app: &App, mut request: Request) -> Result<Request, Box<Response>> {
    let peer = peer_of(&request);
    let refused = |refusal: Refusal| Box::new(refusal.into_response());
    meant_for_us(&request, &app.config.listen.host_names).map_err(refused)?;
    let caller = identify::caller(app, peer.as_ref(), &request).map_err(refused)?;
    if let Some(of) = identify::counted(&caller, peer.as_ref()) {
        app.count_request(&of).map_err(refused)?;
    }
    identify::ours(&request, &caller, &app.config.listen.host_names).map_err(refused)?;
    person::may_change_now(app, &request, &caller).map_err(refused)?;
    if !caller.rights.may_look() && !is_for_everybody(request.uri().path()) {
        return Err(Box::new(unseen(app, &request, peer.as_ref(), &caller)));
    }
    request.extensions_mut().insert(caller);
    Ok(request)
}

/// What may be seen by somebody who has not said who they are: whether we live, where to say it, and how things are done.
fn is_for_everybody(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/sign-in" | "/sign-out" | "/manual")
        || ["/assets/", "/manual/"].iter().any(|folder| path.starts_with(folder))
}

/// Sends a person to where they can sign in, and tells a program what it lacks.
fn unseen(app: &App, request: &Request, peer: Option<&Peer>, caller: &Caller) -> Response {
    if caller.is_somebody() {
        let message = format!(
            "{} may do nothing here; an administrator gives roles in [people.roles] of coordinator.toml, or a token",
            caller.name
        );
        return Refusal::new(ErrorCode::NotAllowed, message).into_response();
    }
    let headers = request.headers();
    let says = |name: HeaderName, what: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains(what))
    };
    let is_page = request.method() == Method::GET && says(header::ACCEPT, "text/html");
    if !is_page || request.uri().path().starts_with("/api/") {
        return person::nobody(peer, &app.config.listen.socket).into_response();
    }
    // A link from elsewhere comes without our cookie, which is for our own pages only. The same page asked for by a page
    // of ours has it.
    let is_followed = says(HeaderName::from_static("sec-fetch-site"), "cross-site");
    if is_followed {
        return Html("<!doctype html><meta http-equiv=\"refresh\" content=\"0\"><title>Millwright</title>")
            .into_response();
    }
    let asked = request.uri().path_and_query().map_or("/", |asked| asked.as_str());
    let place = form_urlencoded(asked);
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/sign-in?next={place}"))]).into_response()
}

/// A path as the value of a parameter.
fn form_urlencoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// What was asked, for the log.
struct What(String);

impl What {
    fn of(request: &Request) -> Self {
        Self(format!("{} {}", request.method(), request.uri().path()))
    }
}

/// Runs the handler within its time; one that panics costs its own request and nothing else.
async fn run(next: Next, request: Request) -> Response {
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    let refusal = match tokio::time::timeout(ANSWER, handler).await {
        Ok(Ok(response)) => return response,
        Ok(Err(_)) => Refusal::internal("the handler panicked"),
        Err(_) => Refusal::internal(format!("no answer within {ANSWER:?}")),
    };
    refusal.into_response()
}

/// The same for people: what changes something is carried through also when whoever asked hangs up, since an effect without
/// its entry in the audit must not be.
async fn run_for_people(next: Next, request: Request) -> Response {
    let is_carried_through = !request.method().is_safe();
    let running = run(next, request);
    if !is_carried_through {
        return running.await;
    }
    let ended = tokio::spawn(running).await;
    ended.unwrap_or_else(|error| Refusal::internal(error).into_response())
}

/// Refuses what a foreign web page could have a browser send here under a name of its own (DNS rebinding).
fn meant_for_us(request: &Request, host_names: &[String]) -> Result<(), Refusal> {
    // No page can have a browser show a certificate of a node, nor have ours be good for a name of its own.
    if matches!(peer_of(request), Some(Peer::Unix { .. } | Peer::Host { .. } | Peer::Remote(_))) {
        return Ok(());
    }
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    let Some(host) = host else {
        return Err(Refusal::new(
            ErrorCode::HostNotAllowed,
            "the request has no Host header; HTTP/1.1 wants one",
        ));
    };
    if is_ours(host, host_names) {
        return Ok(());
    }
    let host: String = host.chars().take(100).collect();
    Err(Refusal::new(
        ErrorCode::HostNotAllowed,
        format!(
            "the request was meant for {host:?}; this coordinator answers as localhost, as a loopback address, and under \
             the names in listen.host_names of coordinator.toml"
        ),
    ))
}

fn is_ours(host: &str, host_names: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        || host_names.contains(&name)
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Gives a refusal its body. Pages for people stay as they are.
fn explained(response: Response, what: &What, id: &str, elsewhere: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let is_page =
        parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let refusal = match parts.extensions.remove::<Refusal>() {
        Some(refusal) => refusal,
        None if is_page => return Response::from_parts(parts, body),
        None => by_status(parts.status, what, elsewhere),
    };
    match &refusal.details {
        Some(details) => log::error!("request.id" = id; "answer {}: {details}", what.0),
        None => log::debug!("request.id" = id; "refused {}: {}", what.0, refusal.message),
    }
    if refusal.code.status() == StatusCode::UNAUTHORIZED {
        parts
            .headers
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"millwright\""));
    }
    if let Some(wait) = refusal.retry_after {
        parts.headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(0).unsigned_abs()));
    }
    let body = ErrorBody {
        code: refusal.code.as_str().to_owned(),
        message: refusal.message,
        request_id: id.to_owned(),
    };
    let json = serde_json::to_vec(&body).unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(json))
}

/// What to say to a person who has come to the agents' door.
fn elsewhere(operators: SocketAddr) -> String {
    let door = match operators.port() {
        0 => "the address in listen.operators of coordinator.toml".to_owned(),
        _ => format!("http://{operators}"),
    };
    format!("agents report here; operators, `millwright` and browsers ask at {door}")
}

/// The refusal for an answer that no handler of ours made.
fn by_status(status: StatusCode, what: &What, elsewhere: &str) -> Refusal {
    let code = ErrorCode::of_status(status);
    let message = match code {
        ErrorCode::NotFound => format!("{} is nothing here; {elsewhere}", what.0),
        ErrorCode::MethodNotAllowed => {
            format!("{} does not go with this method; the Allow header lists those that do", what.0)
        }
        _ => format!("{}: {}", what.0, status.canonical_reason().unwrap_or("refused").to_ascii_lowercase()),
    };
    Refusal::new(code, message)
}

/// What every answer carries. No Strict-Transport-Security: it would hold for every port of the host, and on a master
/// Mesos and the others speak plain HTTP.
fn decorate(headers: &mut HeaderMap, id: &str) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

/// Sorts by time, so that ids in a log read in order.
fn new_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, middleware};

    /// Whether a handler that has begun comes to its end though whoever asked hangs up.
    async fn is_carried_through(method: Method) -> bool {
        use hyper::service::Service;
        let [begun, go_on, done] = [(); 3].map(|()| Arc::new(tokio::sync::Semaphore::new(0)));
        let steps = (Arc::clone(&begun), Arc::clone(&go_on), Arc::clone(&done));
        let handler = move || async move {
            let (begun, go_on, done) = steps;
            begun.add_permits(1);
            go_on.acquire().await.unwrap().forget();
            done.add_permits(1);
        };
        let router = Router::new()
            .fallback(handler)
            .layer(middleware::from_fn(|request: Request, next: Next| run_for_people(next, request)));
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        let asked = hyper_util::service::TowerToHyperService::new(router).call(request);
        tokio::select! {
            _ = asked => panic!("it waits for us"),
            permit = begun.acquire() => permit.unwrap().forget(),
        }
        go_on.add_permits(1);
        for _ in 0..100 {
            if done.available_permits() > 0 {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }

    #[tokio::test]
    async fn what_changes_something_is_carried_through_when_whoever_asked_hangs_up() {
        assert!(is_carried_through(Method::POST).await);
        assert!(!is_carried_through(Method::GET).await, "an answer that nobody reads is not worked out");
    }

    #[test]
    fn only_loopback_and_configured_names_are_ours() {
        let names = ["mw.cern.ch".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:8480",
            "127.0.0.1:8480",
            "[::1]:8480",
            "[::1]",
            "127.8.8.8",
            "mw.cern.ch:443",
            "localhost.",
        ] {
            assert!(is_ours(host, &names), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8480",
            "10.0.0.1",
            "",
            ":80",
            "localhost.evil.example",
            "[::2]",
            "::1.evil",
        ] {
            assert!(!is_ours(host, &names), "{host}");
        }
    }
}
