//! Serves the pages of example fleets, to look at them in a browser:
//! `cargo run -p millwright-coordinator --example dashboard --features testing`.
#![allow(clippy::print_stdout, reason = "a tool for people who work on the pages")]

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
};
use millwright_coordinator::dashboard::{
    self,
    example::{Example, jane},
};
use std::{convert::Infallible, sync::Arc};

/// As strict as the real server, so that what a page must not do fails here too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let first: u16 = std::env::args().nth(1).map_or(Ok(8490), |port| port.parse())?;
    let mut servers = tokio::task::JoinSet::new();
    for (port, (name, example)) in (first..).zip(Example::all()) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        println!("{name:<12} http://127.0.0.1:{port}/");
        servers.spawn(async move { axum::serve(listener, pages(example)).await });
    }
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    Ok(())
}

fn pages(example: Example) -> Router {
    dashboard::routes::<Example>()
        .route("/api/v1/events", get(|| async { Sse::new(greeting()).keep_alive(KeepAlive::default()) }))
        .layer(middleware::from_fn(guard))
        .with_state(Arc::new(example))
}

/// One greeting, and then nothing ever happens.
fn greeting() -> impl futures_util::Stream<Item = Result<Event, Infallible>> {
    use futures_util::StreamExt;
    futures_util::stream::iter([Ok(Event::default().event("hello").data("{}"))])
        .chain(futures_util::stream::pending())
}

async fn guard(mut request: Request, next: Next) -> axum::response::Response {
    request.extensions_mut().insert(jane("operate approve"));
    let mut answer = next.run(request).await;
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}
