//! The pages.

use crate::app::App;
use axum::Router;
use std::sync::Arc;

/// The pages and their assets; merged with the API under the same security headers.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
}
