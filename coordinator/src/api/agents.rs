//! The agents' side: reports in, orders out. `coordinator/protocol/README.md` is the contract.

use super::{
    body,
    error::{ErrorCode, Refusal},
    parameters::{self, Parameters},
};
use crate::{
    app::App,
    config::parse_length,
    operations::OrderAnswer,
    serve::{Peer, peer_of, tls},
};
use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
};
use millwright_protocol::{NodeName, Order, OrderEvent, Orders, PROTOCOL_VERSION, Report, ReportAnswer};
use std::{sync::Arc, time::Duration};

/// The longest report that is taken, in bytes: some 10,000 tasks.
pub const LONGEST_REPORT: usize = 4 * 1024 * 1024;
/// The longest an agent's word about an order may be, in bytes: a bundle of diagnostics.
const LONGEST_EVENT: usize = 512 * 1024;
/// The longest a poll for orders is kept.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long it is kept when the agent does not say.
const USUAL_WAIT: Duration = Duration::from_secs(30);

/// `POST /v1/agents/{node}/report`.
pub async fn report(
    State(app): State<Arc<App>>,
    Path(node): Path<String>,
    request: Request,
) -> Result<Json<ReportAnswer>, Refusal> {
    one_host(request.headers())?;
    let name = parameters::node_name(&node)?;
    speaks_for(&app, peer_of(&request), &name)?;
    let report: Report = body::json(request, LONGEST_REPORT).await?;
    if !(PROTOCOL_VERSION.saturating_sub(1)..=PROTOCOL_VERSION).contains(&report.protocol) {
        return Err(Refusal::new(
            ErrorCode::UnsupportedProtocol,
            format!(
                "the report speaks protocol {}, and this coordinator {PROTOCOL_VERSION} and the one before; install an agent \
                 of the coordinator's version",
                report.protocol
            ),
        ));
    }
    if report.node.parse().ok().as_ref() != Some(&name) {
        let found: String = report.node.chars().take(80).collect();
        return Err(Refusal::new(
            ErrorCode::NotYourNode,
            format!(
                "the path names {name} and the report {found:?}; an agent speaks about its own node only"
            ),
        ));
    }
    let taken = app.take_report(&name, report);
    let ours = app.store.incarnation();
    Ok(Json(ReportAnswer {
        protocol: PROTOCOL_VERSION,
        received_at: app.clock.now(),
        listed: taken.listed,
        cluster: Some(ours.cluster.to_string()),
        generation: Some(ours.generation),
        epoch: Some(app.epoch),
    }))
}

/// `GET /v1/agents/{node}/orders?wait=30s`: what the agent is to do, as soon as there is something, or an empty list when the
/// wait is over or the coordinator stops.
pub async fn orders(
    State(app): State<Arc<App>>,
    Path(node): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Json<Orders>, Refusal> {
    one_host(&headers)?;
    let name = parameters::node_name(&node)?;
    speaks_for(&app, peer.map(|Extension(peer)| peer), &name)?;
    parameters.only(&["wait"])?;
    let wait = match parameters.one("wait")? {
        None => USUAL_WAIT,
        Some(text) => parse_length(text)
            .map_err(|error| Refusal::new(ErrorCode::BadParameter, format!("wait: {error}")))?
            .min(LONGEST_WAIT),
    };
    app.metrics.polls.increment();
    // Either end of the wait is an answer: what there is, perhaps nothing.
    let found = tokio::time::timeout(wait, until_there_are_orders(&app, &name)).await;
    let orders =
        found.unwrap_or_default().iter().filter_map(|order| serde_json::to_value(order).ok()).collect();
    Ok(Json(Orders { orders, at: Some(app.clock.now()) }))
}

async fn until_there_are_orders(app: &App, name: &NodeName) -> Vec<Order> {
    let mut changed = app.orders_changed.subscribe();
    loop {
        changed.mark_unchanged();
        let orders = app.orders(name).await;
        if !orders.is_empty() {
            return orders;
        }
        tokio::select! {
            changed = changed.changed() => if changed.is_err() { return Vec::new() },
            () = app.shutdown.asked() => return Vec::new(),
        }
    }
}

/// `POST /v1/agents/{node}/orders/{order}/events`: what became of an order. Answered once it is on the disk.
pub async fn order_event(
    State(app): State<Arc<App>>,
    Path((node, order)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    one_host(request.headers())?;
    let name = parameters::node_name(&node)?;
    speaks_for(&app, peer_of(&request), &name)?;
    let event: OrderEvent = body::json(request, LONGEST_EVENT).await?;
    match app.order_event(name, order.clone(), event.state).await? {
        OrderAnswer::Taken => Ok(StatusCode::NO_CONTENT),
        OrderAnswer::Gone => Err(Refusal::new(
            ErrorCode::UnknownOrder,
            format!(
                "no order {} is open for {node}; there is nothing more to say about it",
                order.chars().take(80).collect::<String>()
            ),
        )),
    }
}

/// A request that is meant for two hosts is meant for somebody else.
fn one_host(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get_all(header::HOST).iter().count() {
        0 | 1 => Ok(()),
        count => Err(Refusal::new(
            ErrorCode::BadRequest,
            format!("the request has {count} Host headers; send one"),
        )),
    }
}

/// A host speaks about the node it is and about no other (X2). Over loopback and the Unix socket anybody on this
/// machine may speak for any.
fn speaks_for(app: &App, peer: Option<Peer>, name: &NodeName) -> Result<(), Refusal> {
    let Some(Peer::Host { certname }) = peer else { return Ok(()) };
    let domains = app.config.tls.as_ref().map_or(&[][..], |tls| &tls.domains);
    let why = match tls::node_of(&certname, domains) {
        Ok(own) if own == *name => return Ok(()),
        Ok(own) => format!("the certificate is that of {own}, the request is about {name}"),
        Err(why) => why,
    };
    if app.is_news(&format!("{certname} as {name}"), &why) {
        log::warn!("refused {certname} as {name}: {why}");
    }
    Err(Refusal::new(ErrorCode::NotYourNode, format!("{why}; an agent speaks about its own node only")))
}
