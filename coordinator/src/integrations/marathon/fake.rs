//! A Marathon for tests, since a real one is not to be had there. It answers in the shapes that real ones were recorded
//! with, from as many servers as are started: those that stand by give the leader's answers, with the header that says so.

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// A running Marathon.
#[derive(Clone, Default)]
pub struct FakeMarathon(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    apps: BTreeMap<String, App>,
    tasks: BTreeMap<String, Task>,
    /// Where each server answers; the leader is one of them.
    servers: Vec<String>,
    leader: usize,
    on_kill: OnKill,
    /// Whether it keeps the lead whatever it is told.
    clings: bool,
    /// Answers everything with this while it is set.
    broken: Option<u16>,
    /// Everything it was asked to change.
    asked: Vec<String>,
    /// In whose name that was.
    names: Vec<String>,
    started: usize,
}

struct App {
    wanted: usize,
    constraints: Value,
    is_locked: bool,
}

#[derive(Clone)]
struct Task {
    app: String,
    host: String,
    agent: String,
    is_well: bool,
}

/// What comes of a kill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OnKill {
    /// It says yes, and nothing happens by itself.
    #[default]
    Nothing,
    /// The task ends, and another one is healthy on this host and agent at once.
    StartsOn(&'static str, &'static str),
    /// The task ends, and none is started.
    StartsNone,
    /// The task ends, and there is to be one less from now on.
    Scales,
    /// This status and message, and nothing happens.
    Refuses(u16, &'static str),
    /// The task ends, and from then on everything is answered with this status.
    Breaks(u16),
    /// The task ends, another one is healthy on this host and agent, and no answer ever comes.
    Hangs(&'static str, &'static str),
    /// This status, and it was done all the same.
    DoesAndFails(u16, &'static str, &'static str),
}

impl FakeMarathon {
    /// Listens on a free port of loopback; gives its address. The first one leads.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own = listener.local_addr()?.to_string();
        self.inside(|inside| inside.servers.push(own.clone()));
        let server = Server { marathon: self.clone(), own: own.clone() };
        let router = Router::new()
            .route("/v2/leader", get(leader).delete(abdicate))
            .route("/v2/info", get(info))
            .route("/v2/apps", get(apps))
            .route("/v2/tasks", get(tasks))
            .route("/v2/deployments", get(deployments))
            .route("/v2/apps/{*rest}", delete(kill))
            .layer(from_fn_with_state(server, serve))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(format!("http://{own}"))
    }

    /// It keeps so many instances of an app running.
    pub fn has(&self, app: &str, wanted: usize) {
        let new = App { wanted, constraints: json!([]), is_locked: false };
        self.inside(|inside| inside.apps.insert(app.to_owned(), new));
    }

    /// The app may run on this host only.
    pub fn pins(&self, app: &str, host: &str) {
        self.change(app, |app| app.constraints = json!([["hostname", "CLUSTER", host]]));
    }

    /// A deployment of the app begins, or ends.
    pub fn locks(&self, app: &str, is_locked: bool) {
        self.change(app, |app| app.is_locked = is_locked);
    }

    /// A task of an app runs on this host and agent.
    pub fn runs(&self, id: &str, app: &str, host: &str, agent: &str) {
        let task =
            Task { app: app.to_owned(), host: host.to_owned(), agent: agent.to_owned(), is_well: true };
        self.inside(|inside| inside.tasks.insert(id.to_owned(), task));
    }

    /// Its health check fails.
    pub fn ails(&self, id: &str) {
        self.inside(|inside| {
            if let Some(task) = inside.tasks.get_mut(id) {
                task.is_well = false;
            }
        });
    }

    /// That task is gone.
    pub fn loses(&self, id: &str) {
        self.inside(|inside| inside.tasks.remove(id));
    }

    /// What comes of a kill from here on.
    pub fn on_kill(&self, what: OnKill) {
        self.inside(|inside| inside.on_kill = what);
    }

    /// It keeps its lead whatever it is told.
    pub fn clings(&self) {
        self.inside(|inside| inside.clings = true);
    }

    /// It answers everything with this status, or is well again.
    pub fn breaks(&self, status: Option<u16>) {
        self.inside(|inside| inside.broken = status);
    }

    /// Everything it was asked to change, such as `DELETE /v2/apps/kibana/tasks/kibana.1?scale=false`.
    pub fn asked(&self) -> Vec<String> {
        self.inside(|inside| inside.asked.clone())
    }

    /// In whose name that was: what stood in the header.
    pub fn names(&self) -> Vec<String> {
        self.inside(|inside| inside.names.clone())
    }

    /// How many instances of an app there are to be.
    pub fn wanted(&self, app: &str) -> Option<usize> {
        self.inside(|inside| inside.apps.get(app).map(|app| app.wanted))
    }

    fn change(&self, app: &str, how: impl FnOnce(&mut App)) {
        self.inside(|inside| inside.apps.get_mut(app).map(how));
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One server of it.
#[derive(Clone)]
struct Server {
    marathon: FakeMarathon,
    own: String,
}

/// What all answers have in common.
async fn serve(State(server): State<Server>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let is_change = request.method() != axum::http::Method::GET;
    let asked = format!("{} {}", request.method(), request.uri());
    let name = headers.get(header::AUTHORIZATION).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let (broken, leader) = server.marathon.inside(|inside| {
        if is_change {
            inside.asked.push(asked);
            inside.names.push(name.to_owned());
        }
        (inside.broken, inside.servers.get(inside.leader).cloned().unwrap_or_default())
    });
    let mut answer = match broken.and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(status) => said(status, "it is broken"),
        None => next.run(request).await,
    };
    if leader != server.own
        && let Ok(leader) = format!("http://{leader}").parse()
    {
        answer.headers_mut().insert("x-marathon-leader", leader);
    }
    answer
}

fn said(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({ "message": message }))).into_response()
}

async fn leader(State(marathon): State<FakeMarathon>) -> Response {
    let leader = marathon.inside(|inside| inside.servers.get(inside.leader).cloned());
    axum::Json(json!({ "leader": leader })).into_response()
}

async fn abdicate(State(marathon): State<FakeMarathon>) -> Response {
    marathon.inside(|inside| {
        if !inside.clings {
            inside.leader = (inside.leader + 1) % inside.servers.len().max(1);
        }
    });
    said(StatusCode::OK, "Leadership abdicated")
}

async fn info() -> Response {
    axum::Json(json!({ "name": "marathon", "version": "1.3.5", "elected": true })).into_response()
}

async fn apps(State(marathon): State<FakeMarathon>) -> Response {
    let one = |(id, app): (&String, &App)| {
        let locks = if app.is_locked { json!([{ "id": "97c136bf" }]) } else { json!([]) };
        json!({ "id": id, "cmd": "run", "instances": app.wanted, "cpus": 0.1, "constraints": app.constraints,
            "deployments": locks, "labels": {}, "container": null })
    };
    let apps: Vec<Value> = marathon.inside(|inside| inside.apps.iter().map(one).collect());
    axum::Json(json!({ "apps": apps })).into_response()
}

async fn tasks(State(marathon): State<FakeMarathon>) -> Response {
    let tasks: Vec<Value> = marathon.inside(|inside| inside.tasks.iter().map(of_list).collect());
    axum::Json(json!({ "tasks": tasks })).into_response()
}

fn of_list((id, task): (&String, &Task)) -> Value {
    json!({ "id": id, "appId": task.app, "host": task.host, "slaveId": task.agent, "ports": [31292],
        "state": "TASK_RUNNING", "startedAt": "2026-01-17T09:32:42.598Z", "version": "2026-01-17T09:32:36.583Z",
        "healthCheckResults": [{ "alive": task.is_well, "consecutiveFailures": 0 }] })
}

async fn deployments(State(marathon): State<FakeMarathon>) -> Response {
    let locked = |(id, app): (&String, &App)| {
        let one = json!({ "id": "97c136bf", "affectedApps": [id], "currentStep": 1, "totalSteps": 2,
            "currentActions": [{ "action": "ScaleApplication", "app": id }] });
        app.is_locked.then_some(one)
    };
    let all: Vec<Value> = marathon.inside(|inside| inside.apps.iter().filter_map(locked).collect());
    axum::Json(all).into_response()
}

/// `APP/tasks/ID`, where an app may have slashes in it.
async fn kill(State(marathon): State<FakeMarathon>, Path(rest): Path<String>) -> Response {
    let Some((app, id)) = rest.rsplit_once("/tasks/") else {
        return said(StatusCode::NOT_FOUND, "App does not exist");
    };
    let app = format!("/{app}");
    let hangs = marathon.inside(|inside| matches!(inside.on_kill, OnKill::Hangs(..)));
    let answer = kill_one(&marathon, &app, id);
    if hangs {
        std::future::pending::<()>().await;
    }
    answer
}

fn kill_one(marathon: &FakeMarathon, app: &str, id: &str) -> Response {
    marathon.inside(|inside| {
        let Some(task) = inside.tasks.get(id).filter(|task| task.app == app).cloned() else {
            return said(StatusCode::NOT_FOUND, &format!("Task '{id}' does not exist"));
        };
        let answer = axum::Json(json!({ "task": of_list((&id.to_owned(), &task)) })).into_response();
        match inside.on_kill.clone() {
            OnKill::Nothing => {}
            OnKill::Refuses(status, message) => {
                return said(StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT), message);
            }
            OnKill::StartsNone => drop(inside.tasks.remove(id)),
            OnKill::Breaks(status) => {
                inside.tasks.remove(id);
                inside.broken = Some(status);
            }
            OnKill::Scales => {
                inside.tasks.remove(id);
                if let Some(app) = inside.apps.get_mut(app) {
                    app.wanted = app.wanted.saturating_sub(1);
                }
            }
            OnKill::StartsOn(host, agent) | OnKill::Hangs(host, agent) => {
                replace(inside, id, &task, host, agent)
            }
            OnKill::DoesAndFails(status, host, agent) => {
                replace(inside, id, &task, host, agent);
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                return said(status, "Connection to leader refused.");
            }
        }
        answer
    })
}

fn replace(inside: &mut Inside, id: &str, task: &Task, host: &str, agent: &str) {
    inside.tasks.remove(id);
    inside.started += 1;
    let new = Task { host: host.to_owned(), agent: agent.to_owned(), is_well: true, ..task.clone() };
    inside.tasks.insert(format!("{}.new{}", task.app.replace('/', ""), inside.started), new);
}
