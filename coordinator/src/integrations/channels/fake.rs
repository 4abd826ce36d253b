//! A chat for tests, since a real one is not to be had there: the parts of Mattermost, Slack and of their webhooks that we
//! use, with their ways of saying no. Slack's comes with the status 200.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// A running chat.
#[derive(Clone, Default)]
pub struct FakeChat(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    messages: Vec<Message>,
    /// The one bot that may speak through the API; anybody while it is empty.
    token: String,
    /// Answers everything with this while it is set.
    broken: Option<u16>,
}

/// One message that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name in the chat.
    pub id: String,
    /// Into which channel, or the name of the webhook.
    pub channel: String,
    /// Below which message.
    pub root: Option<String>,
    /// Its text as it came.
    pub text: String,
}

impl FakeChat {
    /// Listens on a free port of loopback; gives its address.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/hooks/{name}", post(hook))
            .route("/api/v4/posts", post(mattermost))
            .route("/api/chat.postMessage", post(slack))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// Everything that it took, in its order.
    pub fn messages(&self) -> Vec<Message> {
        self.inside(|inside| inside.messages.clone())
    }

    /// From now on only a bot with this token may speak.
    pub fn wants(&self, token: &str) {
        self.inside(|inside| inside.token = token.to_owned());
    }

    /// Answers everything with this from now on, or works again.
    pub fn breaks(&self, status: Option<u16>) {
        self.inside(|inside| inside.broken = status);
    }

    /// Somebody removes every message.
    pub fn is_wiped(&self) {
        self.inside(|inside| inside.messages.clear());
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why nobody is heard now.
    fn refusal(&self, headers: Option<&HeaderMap>) -> Option<u16> {
        self.inside(|inside| {
            let given = headers.and_then(|headers| headers.get("authorization")?.to_str().ok());
            let is_wanted = headers.is_none()
                || inside.token.is_empty()
                || given == Some(format!("Bearer {}", inside.token).as_str());
            inside.broken.or((!is_wanted).then_some(401))
        })
    }

    /// Takes one, unless what it is to stand below is gone.
    fn take(&self, channel: &str, root: &str, text: &str) -> Option<Message> {
        self.inside(|inside| {
            let root = Some(root).filter(|root| !root.is_empty()).map(str::to_owned);
            let is_there = |root: &String| inside.messages.iter().any(|one| one.id == *root);
            if root.as_ref().is_some_and(|root| !is_there(root)) {
                return None;
            }
            let message = Message {
                id: format!("m{}", inside.messages.len() + 1),
                channel: channel.to_owned(),
                root,
                text: text.to_owned(),
            };
            inside.messages.push(message.clone());
            Some(message)
        })
    }
}

/// A text of an object; empty where there is none.
fn word<'body>(body: &'body Value, key: &str) -> &'body str {
    body.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn no(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn hook(State(chat): State<FakeChat>, Path(name): Path<String>, Json(body): Json<Value>) -> Response {
    match chat.refusal(None) {
        Some(status @ 300..400) => {
            (no(status), [(header::LOCATION, format!("/hooks/{name}"))]).into_response()
        }
        Some(status) => (no(status), "no_service").into_response(),
        None => {
            chat.take(&name, "", word(&body, "text"));
            "ok".into_response()
        }
    }
}

async fn mattermost(State(chat): State<FakeChat>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let refuse = |status: u16, id: &str, message: &str| {
        let body = json!({ "id": id, "message": message, "request_id": "r", "status_code": status });
        (no(status), Json(body)).into_response()
    };
    if let Some(status) = chat.refusal(Some(&headers)) {
        return refuse(status, "api.context.session_expired.app_error", "Invalid or expired session");
    }
    match chat.take(word(&body, "channel_id"), word(&body, "root_id"), word(&body, "message")) {
        Some(message) => {
            (StatusCode::CREATED, Json(json!({ "id": message.id, "message": message.text }))).into_response()
        }
        None => refuse(400, "api.post.create_post.root_id.app_error", "Invalid RootId parameter."),
    }
}

async fn slack(State(chat): State<FakeChat>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    match chat.refusal(Some(&headers)) {
        Some(401) => return Json(json!({ "ok": false, "error": "invalid_auth" })).into_response(),
        Some(status) => return no(status).into_response(),
        None => {}
    }
    let taken = chat.take(word(&body, "channel"), word(&body, "thread_ts"), word(&body, "text"));
    let answer = match taken {
        Some(message) => json!({ "ok": true, "channel": message.channel, "ts": message.id }),
        None => json!({ "ok": false, "error": "thread_not_found" }),
    };
    Json(answer).into_response()
}
