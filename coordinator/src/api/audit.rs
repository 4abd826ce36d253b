//! `GET /api/v1/audit`: who said what about which node, newest first.

use super::{error::Refusal, parameters::Parameters};
use crate::{app::App, store::AuditEntry};
use axum::{Json, extract::State};
use serde::Serialize;
use std::sync::Arc;

/// Entries given without a `limit`, and the most that are given.
const USUAL: usize = 100;
const MOST: usize = 1000;

/// The newest entries.
#[derive(Debug, Serialize)]
pub struct Audit {
    audit: Vec<AuditEntry>,
}

/// The list.
pub async fn list(State(app): State<Arc<App>>, parameters: Parameters) -> Result<Json<Audit>, Refusal> {
    parameters.only(&["limit"])?;
    let limit = parameters.limit(USUAL, MOST)?;
    Ok(Json(Audit { audit: app.audit(limit).await? }))
}
