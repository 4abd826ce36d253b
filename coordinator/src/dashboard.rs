//! The pages: rendered here, complete without a script, refreshed in place with one.
//!
//! A page shows what the API says and nothing else: it is made from the views and from verdicts. What a form on a page
//! says, the API is told, so that there is one set of rules for both. What a newcomer gets wrong: [`crate::view`] is the
//! contract with programs, the files below are words for people; a field that people should see goes there first.

mod acts;
mod approvals;
mod assets;
mod attention;
mod audit;
mod errand;
mod facts;
mod fleet;
mod forms;
mod holds;
mod lists;
mod manual;
mod markdown;
mod node;
mod operation;
mod operations;
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
    people::Caller,
    store::AuditEntry,
    view::{FleetView, HoldView, NodeDetail, OperationSummary, OperationView},
};
use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use fleet::{FleetPage, Show};
use forms::whoever;
use manual::ManualPage;
use millwright_decision::{Action, Request, Verdict};
use millwright_protocol::NodeName;
use node::{Around, NodePage};
use render::Problem;
use serde_json::Value;
use std::{collections::BTreeMap, future::Future, sync::Arc};

/// What pages are made from.
pub trait PageData: Send + Sync + 'static {
    /// The whole fleet.
    fn fleet(&self) -> FleetView;

    /// Everything about one node, its history included; `None` for a node that nobody knows.
    fn node(&self, name: &NodeName) -> impl Future<Output = Option<NodeDetail>> + Send;

    /// The verdicts on draining, rebooting, rebuilding and deleting a node, in this order; none for a node that nobody
    /// knows.
    fn verdicts(&self, name: &NodeName) -> Vec<Verdict> {
        Action::DISRUPTIVE.into_iter().filter_map(|action| self.verdict(action, name)).collect()
    }

    /// The verdict on one action; `None` for a node that nobody knows.
    fn verdict(&self, action: Action, name: &NodeName) -> Option<Verdict>;

    /// Operations that are open or over of late, the newest first.
    fn operations(&self) -> impl Future<Output = Vec<OperationSummary>> + Send;

    /// Everything about one operation; `None` for one that nobody knows.
    fn operation(&self, id: &str) -> impl Future<Output = Option<OperationView>> + Send;

    /// Holds that stand.
    fn holds(&self) -> Vec<HoldView>;

    /// What people said, the newest first, at most `limit` entries.
    fn audit(&self, limit: usize) -> impl Future<Output = Result<Vec<AuditEntry>, Refused>> + Send;

    /// What a form of this caller must carry.
    fn form_seal(&self, caller: &Caller) -> String;

    /// Whether a form was made for this caller.
    fn is_form_of(&self, caller: &Caller, seal: &str) -> bool;

    /// Says on behalf of `caller` what a program would post to `path` of the API.
    fn say(
        self: &Arc<Self>,
        caller: &Caller,
        path: &str,
        body: &Value,
    ) -> impl Future<Output = Result<Value, Refused>> + Send;
}

/// Why something was not taken, or cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The status that goes with it.
    pub status: StatusCode,
    /// For people.
    pub message: String,
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

    fn verdict(&self, action: Action, name: &NodeName) -> Option<Verdict> {
        self.with_fleet(|fleet, now| fleet.judge(&Request::one(action, name.clone()), now).ok())
    }

    async fn operations(&self) -> Vec<OperationSummary> {
        self.with_operations(|all| all.list().map(|one| all.show_summary(one)).collect()).await
    }

    async fn operation(&self, id: &str) -> Option<OperationView> {
        self.operation_view(id).await.ok()
    }

    fn holds(&self) -> Vec<HoldView> {
        self.holds_view().holds
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, Refused> {
        App::audit(self, limit)
            .await
            .map_err(|refusal| Refused { status: refusal.code.status(), message: refusal.message })
    }

    fn form_seal(&self, caller: &Caller) -> String {
        App::form_seal(self, caller)
    }

    fn is_form_of(&self, caller: &Caller, seal: &str) -> bool {
        App::is_form_of(self, caller, seal)
    }

    async fn say(self: &Arc<Self>, caller: &Caller, path: &str, body: &Value) -> Result<Value, Refused> {
        App::say(self, caller, path, body).await.map_err(|refusal| {
            if let Some(details) = &refusal.details {
                log::error!("a form that says {path}: {details}");
            }
            Refused { status: refusal.code.status(), message: refusal.message }
        })
    }
}

/// The pages and their assets; merged with the API, whose `/api/v1/events` tells the script when to look again.
pub fn routes<D: PageData>() -> Router<Arc<D>> {
    Router::new()
        .route("/", get(fleet_page::<D>))
        .route("/nodes/{node}", get(node_page::<D>))
        .route("/operations", get(lists::operations::<D>))
        .route("/operations/{operation}", get(lists::operation::<D>))
        .route("/approvals", get(lists::approvals::<D>))
        .route("/holds", get(lists::holds::<D>))
        .route("/audit", get(lists::audit::<D>))
        .merge(forms::routes::<D>())
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

async fn node_page<D: PageData>(
    State(data): State<Arc<D>>,
    caller: Option<Extension<Caller>>,
    Path(asked): Path<String>,
) -> Response {
    let name: NodeName = match asked.parse() {
        Ok(name) => name,
        Err(error) => {
            let problem = Problem::unknown_node(format!("{error}."));
            return render::page(StatusCode::NOT_FOUND, &problem);
        }
    };
    match data.node(&name).await {
        Some(node) => {
            let (operations, holds) = (data.operations().await, data.holds());
            let around = Around { caller: &whoever(caller), operations: &operations, holds: &holds };
            let page = NodePage::new(&data.fleet(), &node, &data.verdicts(&name), &around);
            render::page(StatusCode::OK, &page)
        }
        None => {
            let fleet = data.fleet();
            let problem = match fleet.policy.unreadable {
                None => Problem::unheard_of(&asked),
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
