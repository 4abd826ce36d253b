//! A Jenkins for tests, since a real one is not to be had there. It answers in the shapes that real ones were recorded
//! with: whole computers whatever tree is asked for, a toggle that toggles, `302` after it, pages for people as refusals.

use axum::{
    Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// A running Jenkins.
#[derive(Clone, Default)]
pub struct FakeJenkins(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    computers: BTreeMap<String, Value>,
    /// `name:token` of the one user who may ask; anybody while it is empty.
    user: String,
    /// Answers everything with this while it is set.
    broken: Option<u16>,
    toggles: usize,
    /// Somebody else presses the switch right after us.
    has_a_rival: bool,
    /// Mesos takes the computer away right before we press its switch.
    is_too_late: bool,
    /// Whoever changes something without a crumb is refused with this.
    wants_a_crumb: Option<&'static str>,
}

/// As Jenkins on a Jetty of the time before 2019 says it, and as one of today does.
pub const NO_CRUMB: [&str; 2] = [
    "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=utf-8\"/>\n\
     <title>Error 403 No valid crumb was included in the request</title>\n</head>\n<body><h2>HTTP ERROR 403</h2></body></html>",
    r#"{"servlet":"Stapler","message":"No valid crumb was included in the request","url":"/x","status":"403"}"#,
];

impl FakeJenkins {
    /// Listens on a free port of loopback; gives its address.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/api/json", get(front))
            .route("/queue/api/json", get(queue))
            .route("/computer/api/json", get(computers))
            .route("/computer/{name}/api/json", get(computer))
            .route("/computer/{name}/toggleOffline", post(toggle))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// It has a computer that runs this build, or nothing.
    pub fn has(&self, name: &str, build: Option<Value>) {
        let executor = match build {
            Some(build) => json!({ "idle": false, "currentExecutable": build }),
            None => json!({ "idle": true, "currentExecutable": null }),
        };
        let computer = json!({
            "_class": "hudson.slaves.SlaveComputer", "displayName": name, "executors": [executor],
            "icon": "computer.png", "idle": false, "jnlpAgent": true, "numExecutors": 1, "offline": false,
            "offlineCause": null, "offlineCauseReason": "", "oneOffExecutors": [], "temporarilyOffline": false,
        });
        self.inside(|inside| inside.computers.insert(name.to_owned(), computer));
    }

    /// That computer is gone, as those that Mesos made go.
    pub fn loses(&self, name: &str) {
        self.inside(|inside| inside.computers.remove(name));
    }

    /// Somebody takes a computer out.
    pub fn somebody_takes_out(&self, name: &str, why: &str) {
        self.inside(|inside| set(inside, name, Some(why)));
    }

    /// Only this user with this token may ask.
    pub fn wants(&self, user: &str, token: &str) {
        let user = if user.is_empty() { String::new() } else { format!("{user}:{token}") };
        self.inside(|inside| inside.user = user);
    }

    /// It answers everything with this status, or is well again.
    pub fn breaks(&self, status: Option<u16>) {
        self.inside(|inside| inside.broken = status);
    }

    /// Somebody else presses the switch right after us.
    pub fn has_a_rival(&self) {
        self.inside(|inside| inside.has_a_rival = true);
    }

    /// Mesos takes a computer away right before we press its switch.
    pub fn is_too_late(&self) {
        self.inside(|inside| inside.is_too_late = true);
    }

    /// Whoever changes something without a crumb is refused with these words.
    pub fn wants_a_crumb(&self, refusal: &'static str) {
        self.inside(|inside| inside.wants_a_crumb = Some(refusal));
    }

    /// Why a computer is out; `None` while it takes builds.
    pub fn why_out(&self, name: &str) -> Option<String> {
        self.inside(|inside| {
            let computer = inside.computers.get(name)?;
            let is_out = computer.get("temporarilyOffline")?.as_bool()?;
            is_out
                .then(|| computer.get("offlineCauseReason").and_then(Value::as_str).unwrap_or("").to_owned())
        })
    }

    /// How often a switch was pressed.
    pub fn toggles(&self) -> usize {
        self.inside(|inside| inside.toggles)
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer to whoever may not ask, or while nothing works.
    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        let page = "<html><head><title>Jenkins</title></head><body>no</body></html>";
        let (user, broken) = self.inside(|inside| (inside.user.clone(), inside.broken));
        if let Some(status) = broken.and_then(|status| StatusCode::from_u16(status).ok()) {
            return Some((status, page).into_response());
        }
        let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
        let is_known = user.is_empty() || given == Some(&format!("Basic {}", base64(user.as_bytes())));
        (!is_known).then(|| {
            (StatusCode::FORBIDDEN, [("X-You-Are-Authenticated-As", "anonymous")], page).into_response()
        })
    }
}

fn set(inside: &mut Inside, name: &str, out: Option<&str>) {
    if let Some(Value::Object(computer)) = inside.computers.get_mut(name) {
        for key in ["offline", "temporarilyOffline"] {
            computer.insert(key.to_owned(), out.is_some().into());
        }
        computer.insert("offlineCauseReason".to_owned(), out.unwrap_or_default().into());
    }
}

fn answer(body: Value) -> Response {
    ([("X-Jenkins", "2.176.2")], axum::Json(body)).into_response()
}

async fn front(State(jenkins): State<FakeJenkins>, headers: HeaderMap) -> Response {
    jenkins.refusal(&headers).unwrap_or_else(|| answer(json!({ "mode": "NORMAL", "quietingDown": false })))
}

async fn queue(State(jenkins): State<FakeJenkins>, headers: HeaderMap) -> Response {
    let item =
        json!({ "id": 7, "blocked": false, "buildable": true, "stuck": false, "why": "no computer is free" });
    jenkins.refusal(&headers).unwrap_or_else(|| answer(json!({ "discoverableItems": [], "items": [item] })))
}

async fn computers(State(jenkins): State<FakeJenkins>, headers: HeaderMap) -> Response {
    let all: Vec<Value> = jenkins.inside(|inside| inside.computers.values().cloned().collect());
    let body = json!({ "busyExecutors": 0, "computer": all, "displayName": "Nodes", "totalExecutors": 1 });
    jenkins.refusal(&headers).unwrap_or_else(|| answer(body))
}

async fn computer(
    State(jenkins): State<FakeJenkins>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let found = jenkins.inside(|inside| inside.computers.get(&name).cloned());
    let body = found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), answer);
    jenkins.refusal(&headers).unwrap_or(body)
}

async fn toggle(
    State(jenkins): State<FakeJenkins>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = jenkins.refusal(&headers) {
        return refusal;
    }
    if let Some(refusal) = jenkins.inside(|inside| inside.wants_a_crumb) {
        return (StatusCode::FORBIDDEN, refusal).into_response();
    }
    if jenkins.inside(|inside| inside.is_too_late) {
        jenkins.loses(&name);
    }
    if !jenkins.inside(|inside| inside.computers.contains_key(&name)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let is_out = jenkins.why_out(&name).is_some();
    jenkins.inside(|inside| {
        inside.toggles += 1;
        let message = query.get("offlineMessage").map_or("", String::as_str);
        set(inside, &name, (!is_out).then_some(message));
        if inside.has_a_rival {
            set(inside, &name, is_out.then_some("mine"));
        }
    });
    (StatusCode::FOUND, [(header::LOCATION, ".")]).into_response()
}

/// As RFC 4648 has it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS.get((group >> (18 - 6 * place) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}
