//! A Foreman for tests. It answers in the shapes of its sources: pages, `subtotal` beside `total`, fields that a status which
//! does not concern a host lacks, and every way in which it says no.

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// A running Foreman.
#[derive(Clone, Default)]
pub struct FakeForeman(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    hosts: BTreeMap<String, Map<String, Value>>,
    /// Answers everything with this while it is set.
    broken: Option<(u16, Value)>,
    /// Lists every host whatever is searched for, as a search that matches parts of names does.
    is_loose: bool,
    /// Says that so many more match than it lists.
    hidden: usize,
}

impl FakeForeman {
    /// Listens on a free port of loopback; gives its address.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router = Router::new().route("/api/v2/hosts", get(hosts)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// It knows a host, with these fields beside its name.
    pub fn has(&self, name: &str, fields: Value) {
        let mut host = Map::new();
        host.insert("id".into(), 7.into());
        host.insert("name".into(), name.into());
        if let Value::Object(fields) = fields {
            host.extend(fields);
        }
        self.inside(|inside| inside.hosts.insert(name.to_owned(), host));
    }

    /// Somebody removes a host.
    pub fn loses(&self, name: &str) {
        self.inside(|inside| inside.hosts.remove(name));
    }

    /// It answers everything so, or is well again.
    pub fn breaks(&self, answer: Option<(u16, Value)>) {
        self.inside(|inside| inside.broken = answer);
    }

    /// Its search finds more than was asked for.
    pub fn is_loose(&self) {
        self.inside(|inside| inside.is_loose = true);
    }

    /// More match than it lists.
    pub fn hides(&self, many: usize) {
        self.inside(|inside| inside.hidden = many);
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn hosts(State(foreman): State<FakeForeman>, Query(query): Query<HashMap<String, String>>) -> Response {
    let number =
        |key: &str, default: usize| query.get(key).and_then(|value| value.parse().ok()).unwrap_or(default);
    let (page, size) = (number("page", 1), number("per_page", 20));
    let search = query.get("search").cloned().unwrap_or_default();
    foreman.inside(|inside| {
        if let Some((status, body)) = &inside.broken {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            return (status, Json(body.clone())).into_response();
        }
        let is_meant = |name: &str| inside.is_loose || search.contains(&format!("name = \"{name}\""));
        let found: Vec<&Map<String, Value>> =
            inside.hosts.iter().filter(|(name, _)| is_meant(name)).map(|(_, host)| host).collect();
        let shown: Vec<_> = found.iter().skip((page.max(1) - 1) * size).take(size).collect();
        let body = json!({ "total": 40_000, "subtotal": found.len() + inside.hidden, "page": page,
            "per_page": size, "search": search, "sort": { "by": null, "order": null }, "results": shown });
        Json(body).into_response()
    })
}
