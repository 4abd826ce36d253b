//! The policy in force, in sentences.

use crate::{app::App, policy, view::PolicyDetail};
use axum::{Json, extract::State};
use std::sync::Arc;

/// `GET /api/v1/policy`.
pub async fn show(State(app): State<Arc<App>>) -> Json<PolicyDetail> {
    let policy = app.policy();
    Json(PolicyDetail { summary: (&*policy).into(), explanation: policy::explain(&policy) })
}
