//! The route table.

use crate::app::App;
use axum::Router;
use std::sync::Arc;

/// For people and programs.
pub fn operators() -> Router<Arc<App>> {
    Router::new()
}

/// For agents.
pub fn agents() -> Router<Arc<App>> {
    Router::new()
}
