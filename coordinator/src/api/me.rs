//! `GET /api/v1/me`: who the coordinator takes the asker for, and what they may do.

use crate::{
    app::App,
    people::Caller,
    view::{self, MeView},
};
use axum::{Extension, Json, extract::State};
use std::sync::Arc;

/// The answer.
pub async fn show(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>) -> Json<MeView> {
    let id = view::token_of(&caller);
    let token = app.token_views(&caller).into_iter().find(|token| Some(token.id.as_str()) == id);
    Json(MeView::of(&caller, token))
}
