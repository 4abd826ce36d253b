//! What a form on a page says goes the way of a program's request: the same handlers, the same roles, the same audit.
//!
//! The guard has let the form in already, and [`crate::dashboard`] has seen that it is one of ours.

use super::{error::Refusal, for_operators};
use crate::{app::App, people::Caller};
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use std::sync::Arc;

/// Says `body` to `POST path` of the API as `caller`, and returns what was answered.
///
/// # Errors
/// The API's refusal.
pub async fn post(app: &Arc<App>, caller: &Caller, path: &str, body: &Value) -> Result<Value, Refusal> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .map_err(Refusal::internal)?;
    request.extensions_mut().insert(caller.clone());
    let routes = TowerToHyperService::new(for_operators().router.with_state(Arc::clone(app)));
    let Ok(mut answer) = routes.call(request).await;
    if let Some(refusal) = answer.extensions_mut().remove::<Refusal>() {
        return Err(refusal);
    }
    let status = answer.status();
    let bytes = answer.into_body().collect().await.map_err(Refusal::internal)?.to_bytes();
    if !status.is_success() {
        return Err(Refusal::internal(format!("{path} answered {status} to a form")));
    }
    serde_json::from_slice(&bytes).map_err(Refusal::internal)
}
