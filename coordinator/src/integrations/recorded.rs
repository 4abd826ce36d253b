//! A server for tests that answers each path as it was told to, since the real ones are not to be had there.

use axum::{
    Router,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// A running server.
#[derive(Clone, Default)]
pub struct Recorded(Arc<Mutex<BTreeMap<String, Said>>>);

#[derive(Clone)]
struct Said {
    status: u16,
    header: Option<(&'static str, String)>,
    body: String,
}

impl Recorded {
    /// Listens on a free port of loopback; gives its address.
    pub async fn start(&self) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// From here on it answers this path so.
    pub fn says(&self, path: &str, status: u16, body: impl ToString) -> &Self {
        self.keep(path, Said { status, header: None, body: body.to_string() })
    }

    /// The same with a header.
    pub fn says_with(&self, path: &str, status: u16, header: (&'static str, &str), body: &str) -> &Self {
        let header = Some((header.0, header.1.to_owned()));
        self.keep(path, Said { status, header, body: body.to_owned() })
    }

    fn keep(&self, path: &str, said: Said) -> &Self {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), said);
        self
    }
}

async fn answer(State(server): State<Recorded>, uri: Uri) -> Response {
    let said = server.0.lock().unwrap_or_else(PoisonError::into_inner).get(uri.path()).cloned();
    let Some(said) = said else { return StatusCode::NOT_FOUND.into_response() };
    let mut response = (StatusCode::from_u16(said.status).unwrap(), said.body).into_response();
    if let Some((name, value)) = said.header {
        let value = HeaderValue::from_str(&value).unwrap();
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}
