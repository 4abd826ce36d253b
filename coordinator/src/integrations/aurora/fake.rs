//! An Aurora for tests, since a real one is not to be had there. It answers in the shapes of the real one's readable API:
//! errors inside of answers that say 200, and nothing about hosts that it does not know.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// A running scheduler.
#[derive(Clone, Default)]
pub struct FakeAurora(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    tasks: Vec<Task>,
    on_restart: OnRestart,
    stands_by: bool,
    /// What it was asked to restart.
    restarts: Vec<Value>,
    started: usize,
}

#[derive(Clone)]
struct Task {
    /// Role, environment, name.
    job: [String; 3],
    number: u32,
    id: String,
    host: String,
    agent: String,
    status: &'static str,
    /// A host that it must run on.
    pin: Option<String>,
}

/// What comes of a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OnRestart {
    /// It says yes, and nothing happens by itself.
    #[default]
    Nothing,
    /// The instance runs on this host and agent at once, as another task.
    RunsOn(&'static str, &'static str),
    /// The task goes, and its successor finds no place.
    Waits,
    /// This code and message inside of an answer that says 200, and nothing happens.
    Says(&'static str, &'static str),
}

impl FakeAurora {
    /// Listens on a free port of loopback; gives its address.
    pub async fn start(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/leaderhealth", get(leads))
            .route("/vars.json", get(vars))
            .route("/maintenance", get(maintenance))
            .route("/apibeta/{method}", post(method))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// An instance of a job such as `root/prod/ci` runs on this host and agent.
    pub fn runs(&self, id: &str, job: &str, number: u32, host: &str, agent: &str) {
        let mut words = job.splitn(3, '/').map(str::to_owned);
        let job = std::array::from_fn(|_| words.next().unwrap_or_default());
        let (id, host, agent) = (id.to_owned(), host.to_owned(), agent.to_owned());
        let task = Task { job, number, id, host, agent, status: "RUNNING", pin: None };
        self.inside(|inside| inside.tasks.push(task));
    }

    /// That task must run on its host.
    pub fn pins(&self, id: &str) {
        self.change(id, |task| task.pin = Some(task.host.clone()));
    }

    /// That task is in this state by now.
    pub fn is_now(&self, id: &str, status: &'static str) {
        self.change(id, |task| task.status = status);
    }

    /// What comes of a restart from here on.
    pub fn on_restart(&self, what: OnRestart) {
        self.inside(|inside| inside.on_restart = what);
    }

    /// Another scheduler leads.
    pub fn stands_by(&self) {
        self.inside(|inside| inside.stands_by = true);
    }

    /// What it was asked to restart, as it was written.
    pub fn restarts(&self) -> Vec<Value> {
        self.inside(|inside| inside.restarts.clone())
    }

    fn change(&self, id: &str, how: impl FnOnce(&mut Task)) {
        self.inside(|inside| inside.tasks.iter_mut().find(|task| task.id == id).map(how));
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn leads(State(aurora): State<FakeAurora>) -> StatusCode {
    if aurora.inside(|inside| inside.stands_by) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

async fn vars() -> Json<Value> {
    Json(json!({ "framework_registered": 1, "jvm_uptime_secs": 5 }))
}

/// Hosts in service are in none of the lists, and neither are those that it has never heard of.
async fn maintenance() -> Json<Value> {
    Json(json!({ "DRAINED": [], "SCHEDULED": [], "DRAINING": {} }))
}

fn reply(code: &str, message: &str, result: Value) -> Response {
    let details = if message.is_empty() { json!([]) } else { json!([{ "message": message }]) };
    let info = json!({ "clusterName": "build", "statsUrlPrefix": "" });
    Json(json!({ "responseCode": code, "serverInfo": info, "result": result, "details": details }))
        .into_response()
}

async fn method(State(aurora): State<FakeAurora>, Path(method): Path<String>, body: Json<Value>) -> Response {
    match method.as_str() {
        "getTasksWithoutConfigs" => {
            let tasks: Vec<Value> = aurora.inside(|inside| inside.tasks.iter().map(of_list).collect());
            reply("OK", "", json!({ "scheduleStatusResult": { "tasks": tasks } }))
        }
        "restartShards" => aurora.inside(|inside| restart(inside, &body)),
        other => {
            let said = json!({ "responseCode": "ERROR", "details": [{ "message": format!("Method {other} does not exist.") }] });
            (StatusCode::NOT_FOUND, Json(said)).into_response()
        }
    }
}

fn of_list(task: &Task) -> Value {
    let [role, environment, name] = &task.job;
    let constraints = match &task.pin {
        Some(host) => {
            json!([{ "name": "host", "constraint": { "value": { "negated": false, "values": [host] } } }])
        }
        None => json!([{ "name": "host", "constraint": { "limit": { "limit": 1 } } }]),
    };
    let has_place = !task.host.is_empty();
    json!({ "assignedTask": { "taskId": task.id, "slaveId": has_place.then_some(&task.agent),
            "slaveHost": has_place.then_some(&task.host), "instanceId": task.number, "assignedPorts": {},
            "task": { "job": { "role": role, "environment": environment, "name": name }, "isService": true,
                "numCpus": 2.0, "constraints": constraints } },
        "status": task.status, "failureCount": 0, "taskEvents": [], "ancestorId": null })
}

/// Parameters by name; all numbers that are asked for must be active.
fn restart(inside: &mut Inside, body: &Value) -> Response {
    inside.restarts.push(body.clone());
    if let OnRestart::Says(code, message) = inside.on_restart {
        return reply(code, message, Value::Null);
    }
    let word =
        |key: &str| body.get("job").and_then(|job| job.get(key)).and_then(Value::as_str).unwrap_or_default();
    let job = [word("role"), word("environment"), word("name")].map(str::to_owned);
    let numbers: Vec<u64> = body
        .get("shardIds")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect();
    let is_meant = |task: &Task| task.job == job && numbers.contains(&u64::from(task.number));
    if inside.tasks.iter().filter(|task| is_meant(task)).count() != numbers.len() {
        return reply("INVALID_REQUEST", "Not all requested shards are active.", Value::Null);
    }
    let (on_restart, mut started) = (inside.on_restart.clone(), inside.started);
    for task in inside.tasks.iter_mut().filter(|task| is_meant(task)) {
        started += 1;
        let id = format!("{}-new{started}", task.job.join("-"));
        match on_restart {
            OnRestart::RunsOn(host, agent) => {
                (task.id, task.host, task.agent) = (id, host.to_owned(), agent.to_owned());
            }
            OnRestart::Waits => {
                (task.id, task.status) = (id, "PENDING");
                task.host.clear();
            }
            OnRestart::Nothing | OnRestart::Says(..) => {}
        }
    }
    inside.started = started;
    reply("OK", "", Value::Null)
}
