//! A Mesos-DNS for tests, since a real one is not to be had there: what it does not know is a record of empty words.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// A running server.
#[derive(Clone, Default)]
pub struct FakeMesosDns(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl FakeMesosDns {
    /// Listens on a free port of loopback; gives its address.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/v1/version", get(version))
            .route("/v1/hosts/{name}", get(host))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// A name such as `leader.mesos` leads to these addresses; to none, and it is not known any more.
    pub fn leads(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), addresses);
    }
}

async fn version() -> Json<Value> {
    Json(
        json!({ "Service": "Mesos-DNS", "Version": "v0.6.0", "URL": "https://github.com/mesosphere/mesos-dns" }),
    )
}

async fn host(State(dns): State<FakeMesosDns>, Path(name): Path<String>) -> Json<Value> {
    let name = name.to_ascii_lowercase();
    let known = dns.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned().unwrap_or_default();
    let record = |ip: &String| json!({ "host": format!("{name}."), "ip": ip });
    let records: Vec<Value> = known.iter().map(record).collect();
    Json(if records.is_empty() { json!([{ "host": "", "ip": "" }]) } else { Value::Array(records) })
}
