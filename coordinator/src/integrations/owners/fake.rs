//! Owners for tests: they answer as they are told, and remember what they were asked.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// Running owners.
#[derive(Clone)]
pub struct FakeOwners(Arc<Mutex<Inside>>);

struct Inside {
    answer: (u16, Value),
    asked: Vec<(String, Value)>,
}

impl Default for FakeOwners {
    fn default() -> Self {
        let inside = Inside { answer: (200, json!({ "may": false, "why": "busy" })), asked: Vec::new() };
        Self(Arc::new(Mutex::new(inside)))
    }
}

impl FakeOwners {
    /// Listens on a free port of loopback; gives its address.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}/may-i", listener.local_addr()?);
        let router = Router::new().route("/may-i/{owner}", post(may)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// From now on the answer is this.
    pub fn answer(&self, status: u16, body: Value) {
        self.inside(|inside| inside.answer = (status, body));
    }

    /// Who was asked what, in order.
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.inside(|inside| inside.asked.clone())
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn may(
    State(owners): State<FakeOwners>,
    Path(owner): Path<String>,
    Json(question): Json<Value>,
) -> Response {
    let (status, body) = owners.inside(|inside| {
        inside.asked.push((owner, question));
        inside.answer.clone()
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}
