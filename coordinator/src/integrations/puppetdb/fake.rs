//! A PuppetDB for tests. It answers in the shapes of its documentation: a list without nodes that are inactive, one node
//! whatever it is, 404 with its own sentence, bad queries as text.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
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

/// A running PuppetDB.
#[derive(Clone, Default)]
pub struct FakePuppetDb(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    nodes: BTreeMap<String, Map<String, Value>>,
    broken: Option<u16>,
    /// Questions about one node are answered by something in front, which knows no such page.
    has_front: bool,
}

impl FakePuppetDb {
    /// Listens on a free port of loopback; gives its address.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/pdb/query/v4/nodes", get(nodes))
            .route("/pdb/query/v4/nodes/{certname}", get(node))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// It knows a node, with these fields beside its name.
    pub fn has(&self, name: &str, fields: Value) {
        let mut node = Map::new();
        node.insert("certname".into(), name.into());
        if let Value::Object(fields) = fields {
            node.extend(fields);
        }
        self.inside(|inside| inside.nodes.insert(name.to_owned(), node));
    }

    /// It forgets a node.
    pub fn loses(&self, name: &str) {
        self.inside(|inside| inside.nodes.remove(name));
    }

    /// It answers everything with this status, or is well again.
    pub fn breaks(&self, status: Option<u16>) {
        self.inside(|inside| inside.broken = status);
    }

    /// Something in front answers questions about one node.
    pub fn has_front(&self) {
        self.inside(|inside| inside.has_front = true);
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The names in `["or",["=","certname","a"],…]`; nothing where it is no such query.
fn wanted(query: &str) -> Option<Vec<String>> {
    let query: Vec<Value> = serde_json::from_str(query).ok()?;
    query.first().filter(|word| *word == "or")?;
    let name = |part: &Value| {
        (part.get(0)? == "=" && part.get(1)? == "certname")
            .then(|| part.get(2)?.as_str().map(str::to_owned))?
    };
    query.iter().skip(1).map(name).collect()
}

fn is_active(node: &Map<String, Value>) -> bool {
    ["deactivated", "expired"].iter().all(|key| node.get(*key).is_none_or(Value::is_null))
}

async fn nodes(State(db): State<FakePuppetDb>, Query(query): Query<HashMap<String, String>>) -> Response {
    let Some(wanted) = query.get("query").and_then(|query| wanted(query)) else {
        return (StatusCode::BAD_REQUEST, "PQL parse error at line 1").into_response();
    };
    db.inside(|inside| {
        if let Some(status) = inside.broken.and_then(|status| StatusCode::from_u16(status).ok()) {
            return (status, "no").into_response();
        }
        let found: Vec<_> =
            wanted.iter().filter_map(|name| inside.nodes.get(name)).filter(|node| is_active(node)).collect();
        Json(json!(found)).into_response()
    })
}

async fn node(State(db): State<FakePuppetDb>, Path(certname): Path<String>) -> Response {
    db.inside(|inside| {
        if inside.has_front {
            return (StatusCode::NOT_FOUND, "404 page not found").into_response();
        }
        match inside.nodes.get(&certname) {
            Some(node) => Json(json!(node)).into_response(),
            None => {
                let error = format!("No information is known about node {certname}");
                (StatusCode::NOT_FOUND, Json(json!({ "error": error }))).into_response()
            }
        }
    })
}
