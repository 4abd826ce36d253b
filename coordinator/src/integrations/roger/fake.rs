//! A Roger for tests: one state a host, of which a PUT changes the fields it names.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// A running Roger.
#[derive(Clone, Default)]
pub struct FakeRoger(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    hosts: BTreeMap<String, Map<String, Value>>,
    writes: usize,
    /// Answers with this: everything, or only what writes.
    broken: Option<(u16, bool)>,
    /// Does what it is told and says that it failed.
    is_lying: bool,
    /// Takes a call and does nothing.
    is_deaf: bool,
}

impl FakeRoger {
    /// Listens on a free port of loopback; gives its address.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router =
            Router::new().route("/roger/v1/state/{host}/", get(state).put(put)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// It knows a host in production, with every alarm on but `hw`.
    pub fn has(&self, host: &str) {
        let state = json!({ "hostname": host, "appstate": "production", "nc_alarmed": true, "hw_alarmed": false,
            "os_alarmed": true, "app_alarmed": true, "message": "", "expires": "", "expires_dt": null,
            "update_time": "1600000000", "updated_by": "alice", "updated_by_puppet": false });
        let Value::Object(state) = state else { return };
        self.inside(|inside| inside.hosts.insert(host.to_owned(), state));
    }

    /// Somebody sets fields of a host.
    pub fn somebody_sets(&self, host: &str, fields: Value) {
        self.inside(|inside| {
            if let (Some(state), Value::Object(fields)) = (inside.hosts.get_mut(host), fields) {
                state.extend(fields);
                state.insert("updated_by".into(), "bob".into());
            }
        });
    }

    /// Everything (or only what writes) is answered with this status, or it is well again.
    pub fn breaks(&self, status: Option<(u16, bool)>) {
        self.inside(|inside| inside.broken = status);
    }

    /// It does what it is told and says that it failed.
    pub fn lies(&self) {
        self.inside(|inside| inside.is_lying = true);
    }

    /// It takes calls and does nothing.
    pub fn is_deaf(&self) {
        self.inside(|inside| inside.is_deaf = true);
    }

    /// The alarms of a host that are on, with its message.
    pub fn on(&self, host: &str) -> (Vec<String>, String) {
        self.inside(|inside| {
            let Some(state) = inside.hosts.get(host) else { return (Vec::new(), String::new()) };
            let on = ["nc", "hw", "os", "app"].into_iter();
            let on = on.filter(|alarm| state.get(&format!("{alarm}_alarmed")) == Some(&Value::Bool(true)));
            let message = state.get("message").and_then(Value::as_str).unwrap_or_default();
            (on.map(str::to_owned).collect(), message.to_owned())
        })
    }

    /// How often somebody has asked it to change something.
    pub fn writes(&self) -> usize {
        self.inside(|inside| inside.writes)
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn broken(inside: &Inside, writes: bool) -> Option<Response> {
    let (status, only_writes) = inside.broken?;
    let status = StatusCode::from_u16(status).ok()?;
    (writes || !only_writes).then(|| (status, "no").into_response())
}

async fn state(State(roger): State<FakeRoger>, Path(host): Path<String>) -> Response {
    roger.inside(|inside| {
        if let Some(answer) = broken(inside, false) {
            return answer;
        }
        match inside.hosts.get(&host) {
            Some(state) => Json(Value::Object(state.clone())).into_response(),
            None => (StatusCode::NOT_FOUND, "not found").into_response(),
        }
    })
}

async fn put(State(roger): State<FakeRoger>, Path(host): Path<String>, body: Bytes) -> Response {
    let fields: Option<Map<String, Value>> = serde_json::from_slice(&body).ok();
    roger.inside(|inside| {
        inside.writes += 1;
        if let Some(answer) = broken(inside, true) {
            return answer;
        }
        let (is_deaf, is_lying) = (inside.is_deaf, inside.is_lying);
        let (Some(state), Some(fields)) = (inside.hosts.get_mut(&host), fields) else {
            return (StatusCode::NOT_FOUND, "not found").into_response();
        };
        if !is_deaf {
            state.extend(fields);
            state.insert("updated_by".into(), "millwright".into());
        }
        if is_lying {
            return (StatusCode::INTERNAL_SERVER_ERROR, "no").into_response();
        }
        Json(Value::Object(state.clone())).into_response()
    })
}
