//! The pages about operations, approvals, holds and what people said: what each is made from.

use super::{
    PageData,
    approvals::{self, ApprovalsPage},
    audit::{AuditPage, Filter, LOOKED_THROUGH},
    forms::whoever,
    holds::HoldsPage,
    operation::OperationPage,
    operations::OperationsPage,
    render::{self, Problem},
};
use crate::people::Caller;
use axum::{
    Extension,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use millwright_protocol::NodeName;
use std::{collections::BTreeMap, sync::Arc};

type Asked = Query<BTreeMap<String, String>>;

pub async fn operations<D: PageData>(State(data): State<Arc<D>>, Query(asked): Asked) -> Response {
    let mut operations = data.operations().await;
    let node = asked.get("node").map(String::as_str).filter(|node| !node.is_empty());
    if let Some(node) = node {
        let wanted: Option<NodeName> = node.parse().ok();
        operations.retain(|one| wanted.as_ref().is_some_and(|wanted| one.key == wanted.as_str()));
    }
    render::page(StatusCode::OK, &OperationsPage::new(&data.fleet(), &operations, node))
}

pub async fn operation<D: PageData>(
    State(data): State<Arc<D>>,
    caller: Option<Extension<Caller>>,
    Path(id): Path<String>,
) -> Response {
    match data.operation(&id).await {
        Some(operation) => {
            render::page(StatusCode::OK, &OperationPage::new(&data.fleet(), &operation, &whoever(caller)))
        }
        None => render::page(StatusCode::NOT_FOUND, &Problem::unknown_operation(&id)),
    }
}

pub async fn approvals<D: PageData>(
    State(data): State<Arc<D>>,
    caller: Option<Extension<Caller>>,
) -> Response {
    let mut waiting = Vec::new();
    for summary in data.operations().await.iter().filter(|summary| approvals::is_for_second(summary)) {
        waiting.extend(data.operation(&summary.id).await);
    }
    render::page(StatusCode::OK, &ApprovalsPage::new(&data.fleet(), &waiting, &whoever(caller)))
}

pub async fn holds<D: PageData>(State(data): State<Arc<D>>, caller: Option<Extension<Caller>>) -> Response {
    render::page(StatusCode::OK, &HoldsPage::new(&data.fleet(), &data.holds(), &whoever(caller)))
}

pub async fn audit<D: PageData>(State(data): State<Arc<D>>, Query(asked): Asked) -> Response {
    let typed = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let filter = Filter { node: typed("node"), person: typed("person") };
    match data.audit(LOOKED_THROUGH).await {
        Ok(entries) => {
            let page = AuditPage::new(&data.fleet(), &entries, &data.operations().await, &filter);
            render::page(StatusCode::OK, &page)
        }
        Err(refused) => render::page(refused.status, &Problem::not_read(refused.message)),
    }
}
