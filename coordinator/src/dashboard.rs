//! The pages: rendered here, complete without a script, refreshed in place with one.
//!
//! A page shows what the API says and nothing else: it is made from the views and from verdicts, and it can change
//! nothing. What a newcomer gets wrong: [`crate::view`] is the contract with programs, the files below are words for
//! people; a field that people should see goes there first.

mod assets;
mod attention;
mod facts;
mod fleet;
mod manual;
mod markdown;
mod node;
pub mod people;
mod render;
mod shell;
mod verdict;
mod words;

#[cfg(any(test, feature = "testing"))]
pub mod example;
#[cfg(test)]
mod tests;

use crate::{
    app::App,
    view::{FleetView, NodeDetail},
};
use axum::{
    Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use fleet::{FleetPage, Show};
use manual::ManualPage;
use millwright_decision::{Action, Request, Verdict};
use millwright_protocol::NodeName;
use node::NodePage;
use render::Problem;
use std::{collections::BTreeMap, future::Future, sync::Arc};

/// What pages are made from.
pub trait PageData: Send + Sync + 'static {
    /// The whole fleet.
    fn fleet(&self) -> FleetView;

    /// Everything about one node, its history included; `None` for a node that nobody knows.
    fn node(&self, name: &NodeName) -> impl Future<Output = Option<NodeDetail>> + Send;

    /// The verdicts on draining, rebooting, rebuilding and deleting a node, in this order; none for a node that nobody
    /// knows.
    fn verdicts(&self, name: &NodeName) -> Vec<Verdict>;
}

impl PageData for App {
    fn fleet(&self) -> FleetView {
        self.fleet_view()
    }

    async fn node(&self, name: &NodeName) -> Option<NodeDetail> {
        self.node_detail(name).await
    }

    fn verdicts(&self, name: &NodeName) -> Vec<Verdict> {
        self.with_fleet(|fleet, now| {
            Action::DISRUPTIVE
                .into_iter()
                .filter_map(|action| fleet.judge(&Request::one(action, name.clone()), now).ok())
                .collect()
        })
    }
}

/// The pages and their assets; merged with the API, whose `/api/v1/events` tells the script when to look again.
pub fn routes<D: PageData>() -> Router<Arc<D>> {
    Router::new()
        .route("/", get(fleet_page::<D>))
        .route("/nodes/{node}", get(node_page::<D>))
        .route("/manual", get(manual_index))
        .route("/manual/", get(manual_index))
        .route("/manual/{page}", get(manual_chapter))
        .route("/manual/reasons/{code}", get(manual_page))
        .route("/assets/style.css", get(|asked: HeaderMap| async move { assets::STYLE.answer(&asked) }))
        .route("/assets/live.js", get(|asked: HeaderMap| async move { assets::LIVE.answer(&asked) }))
        .route("/assets/icon.svg", get(|asked: HeaderMap| async move { assets::ICON.answer(&asked) }))
        .fallback(nothing_here)
}

async fn fleet_page<D: PageData>(
    State(data): State<Arc<D>>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Response {
    let fleet = data.fleet();
    let show = Show::asked(asked.get("show").map(String::as_str), &fleet);
    let verdicts = fleet
        .nodes()
        .filter(|node| show.includes(node))
        .filter_map(|node| Some((node.key.clone(), data.verdicts(&node.key.parse().ok()?))))
        .collect();
    render::page(StatusCode::OK, &FleetPage::new(&fleet, &verdicts, show))
}

async fn node_page<D: PageData>(State(data): State<Arc<D>>, Path(asked): Path<String>) -> Response {
    let name: NodeName = match asked.parse() {
        Ok(name) => name,
        Err(error) => {
            let problem = Problem::unknown_node(format!("{error}."));
            return render::page(StatusCode::NOT_FOUND, &problem);
        }
    };
    match data.node(&name).await {
        Some(node) => {
            let page = NodePage::new(&data.fleet(), &node, &data.verdicts(&name));
            render::page(StatusCode::OK, &page)
        }
        None => {
            let fleet = data.fleet();
            let problem = match fleet.policy.unreadable {
                None => Problem::unknown_node(format!(
                    "{asked} is neither in the policy nor has it ever been heard of."
                )),
                Some(_) => Problem::unread_policy(&fleet, &asked),
            };
            render::page(StatusCode::NOT_FOUND, &problem)
        }
    }
}

async fn manual_index() -> Response {
    render::page(StatusCode::OK, &ManualPage::index())
}

async fn manual_chapter(Path(name): Path<String>) -> Response {
    match ManualPage::chapter(&name) {
        Some(page) => render::page(StatusCode::OK, &page),
        None => render::page(StatusCode::NOT_FOUND, &Problem::unknown_code(&name)),
    }
}

/// A page for a browser; anybody else gets the API's refusal from the guard.
async fn nothing_here(uri: Uri, asked: HeaderMap) -> Response {
    let wants_page = asked
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page && !uri.path().starts_with("/api/") {
        return render::page(StatusCode::NOT_FOUND, &Problem::nothing_here(uri.path()));
    }
    StatusCode::NOT_FOUND.into_response()
}

async fn manual_page(Path(code): Path<String>) -> Response {
    match ManualPage::of(&code) {
        Some(page) => render::page(StatusCode::OK, &page),
        None => render::page(StatusCode::NOT_FOUND, &Problem::unknown_code(&code)),
    }
}
