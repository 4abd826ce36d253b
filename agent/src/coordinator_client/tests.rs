//! The client and the heartbeat against a small coordinator of their own.

use super::*;
use crate::{
    board::SharedBoard,
    clock::{Clock, Moment},
    heartbeat::{Heartbeat, SharedContact},
    identity::Identity,
    memory::FileDisk,
    orders::{SharedMachine, check::Rules, machine::Machine},
    sequence::Sequence,
};
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::post,
};
use std::{path::PathBuf, rc::Rc};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{Notify, mpsc},
    task::LocalSet,
};

/// Tells the node and sequence number of every report, and answers always the same.
#[derive(Clone)]
struct Coordinator {
    told: mpsc::UnboundedSender<(String, u64)>,
    status: StatusCode,
    body: String,
}

const ACCEPTED: &str = r#"{"protocol":1,"received_at":"2026-01-31T10:00:00Z","listed":true,"later":1}"#;

impl Coordinator {
    fn new(status: u16, body: impl Into<String>) -> (Self, mpsc::UnboundedReceiver<(String, u64)>) {
        let (told, heard) = mpsc::unbounded_channel();
        (Self { told, status: StatusCode::from_u16(status).unwrap(), body: body.into() }, heard)
    }

    fn routes(self) -> Router {
        async fn report(
            State(coordinator): State<Coordinator>,
            Path(node): Path<String>,
            headers: HeaderMap,
            body: Bytes,
        ) -> impl IntoResponse {
            assert_eq!(headers.get("content-type").unwrap(), "application/json");
            let report: Report = serde_json::from_slice(&body).unwrap();
            let _ = coordinator.told.send((node, report.sequence));
            (coordinator.status, [("retry-after", "7")], coordinator.body)
        }
        Router::new().route("/v1/agents/{node}/report", post(report)).with_state(self)
    }

    async fn on_tcp(self) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async { axum::serve(listener, self.routes()).await });
        endpoint
    }

    fn on_unix(self, path: &std::path::Path) {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async { axum::serve(listener, self.routes()).await });
    }
}

fn client(endpoint: &Endpoint) -> CoordinatorClient {
    client_of(endpoint, &CoordinatorConfig::default())
}

fn client_of(endpoint: &Endpoint, config: &CoordinatorConfig) -> CoordinatorClient {
    let node: NodeName = "ALIBUILD03.cern.ch".parse().unwrap();
    CoordinatorClient::new(endpoint, &node, config, &TlsConfig::default()).unwrap()
}

fn report() -> Report {
    SharedBoard::default().lock().report(&Identity::default(), 42, Moment::now())
}

async fn answer(status: u16, body: impl Into<String>) -> Result<ReportAnswer, ReportError> {
    let (coordinator, _heard) = Coordinator::new(status, body);
    client(&coordinator.on_tcp().await).report(&report()).await
}

fn heartbeat(endpoint: &Endpoint, report_every: Duration) -> Heartbeat {
    let clock: Clock = Rc::new(Moment::now);
    Heartbeat {
        board: SharedBoard::default(),
        identity: Identity::default(),
        config: CoordinatorConfig { report_every, ..CoordinatorConfig::default() },
        client: Rc::new(client(endpoint)),
        machine: SharedMachine::new(Machine::open(
            FileDisk::new("/proc/nowhere/memory"),
            Rules::default(),
            Moment::now(),
        )),
        state: "/proc/nowhere".into(),
        whitelist: None,
        sequence: Sequence::open(std::path::Path::new("/nowhere/to/be/written"), Moment::now().wall),
        contact: SharedContact::default(),
        clock,
        report_soon: Rc::new(Notify::new()),
    }
}

#[tokio::test]
async fn a_report_goes_to_the_nodes_own_address_and_is_accepted() {
    let (coordinator, mut heard) = Coordinator::new(200, ACCEPTED);
    let accepted = client(&coordinator.on_tcp().await).report(&report()).await.unwrap();
    assert!(accepted.listed);
    assert_eq!(heard.recv().await, Some(("alibuild3".to_owned(), 42)));
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("agents.sock");
    let (coordinator, mut heard) = Coordinator::new(200, ACCEPTED);
    coordinator.on_unix(&path);
    client(&Endpoint::Unix(path)).report(&report()).await.unwrap();
    assert_eq!(heard.recv().await, Some(("alibuild3".to_owned(), 42)));
}

#[tokio::test]
async fn a_refusal_brings_the_coordinators_reason_and_when_to_come_back() {
    let refused =
        answer(409, r#"{"code":"sequence_behind","message":"41 is not newer than 42","request_id":"r1"}"#)
            .await;
    let error = refused.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the coordinator refuses the report: 41 is not newer than 42 (sequence_behind)"
    );
    assert!(matches!(error, ReportError::Refused { retry_after: Some(after), .. } if after.as_secs() == 7));
}

#[tokio::test]
async fn whatever_else_answers_is_told_as_what_it_is() {
    for (status, body, words) in [
        (200, "hello", "is this the port for agents"),
        (404, "<html>", "is this the port for agents"),
        (301, "", "is this the port for agents"),
        (502, "Bad Gateway", "answers 502 Bad Gateway"),
        (200, &"[".repeat(1 << 20), "is this the port for agents"),
    ] {
        let error = answer(status, body).await.unwrap_err().to_string();
        assert!(error.contains(words), "{status}: {error}");
    }
}

/// What an agent with this `coordinator.cluster` makes of an answer that names that one.
async fn pinned(pinned: Option<&str>, answered: Option<&str>) -> Result<ReportAnswer, ReportError> {
    let cluster = answered.map(|cluster| format!(",\"cluster\":{cluster:?}")).unwrap_or_default();
    let (coordinator, _heard) = Coordinator::new(200, ACCEPTED.replace(",\"later\":1", &cluster));
    let config = CoordinatorConfig { cluster: pinned.map(str::to_owned), ..CoordinatorConfig::default() };
    client_of(&coordinator.on_tcp().await, &config).report(&report()).await
}

#[tokio::test]
async fn an_answer_of_another_cluster_or_of_none_does_not_count_where_one_is_pinned() {
    let (ours, other) = ("9b2f6c1e-4a57-4d38-8f10-2b3c4d5e6f70", "00000000-4a57-4d38-8f10-2b3c4d5e6f70");
    pinned(Some(ours), Some(&ours.to_uppercase())).await.unwrap();
    pinned(None, Some(other)).await.unwrap();
    pinned(None, None).await.unwrap();
    for (answered, found) in
        [(Some(other), "is of cluster \"00000000-"), (None, "does not say of which cluster")]
    {
        let error = pinned(Some(ours), answered).await.unwrap_err().to_string();
        for part in [found, ours, "nothing of its answer is used", "coordinator.cluster"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    let huge = pinned(Some(ours), Some(&"x".repeat(60_000))).await.unwrap_err().to_string();
    assert!(huge.len() < 1000, "{}", huge.len());
}

#[tokio::test]
async fn a_coordinator_that_is_away_is_told_with_address_and_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = client(&endpoint).report(&report()).await.unwrap_err().to_string();
    assert!(error.contains(&endpoint.to_string()) && error.contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn changed_work_is_reported_long_before_the_rhythm_says_so() {
    let (coordinator, mut heard) = Coordinator::new(200, ACCEPTED);
    let heartbeat = heartbeat(&coordinator.on_tcp().await, Duration::from_secs(3600));
    let (report_soon, contact) = (heartbeat.report_soon.clone(), heartbeat.contact.clone());
    LocalSet::new()
        .run_until(async {
            tokio::task::spawn_local(heartbeat.beat());
            let (_, first) = heard.recv().await.unwrap();
            report_soon.notify_one();
            let (_, second) = heard.recv().await.unwrap();
            assert!(second > first);
            assert_eq!(contact.lock().listed, Some(true));
        })
        .await;
}

#[tokio::test]
async fn reports_go_on_when_the_coordinator_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agents.sock");
    let heartbeat = heartbeat(&Endpoint::Unix(path.clone()), Duration::from_secs(3600));
    let contact = heartbeat.contact.clone();
    LocalSet::new()
        .run_until(async {
            tokio::task::spawn_local(heartbeat.beat());
            while contact.lock().problem.is_none() {
                tokio::task::yield_now().await;
            }
            let (coordinator, mut heard) = Coordinator::new(200, ACCEPTED);
            coordinator.on_unix(&path);
            heard.recv().await.unwrap();
            while contact.lock().problem.is_some() {
                tokio::task::yield_now().await;
            }
            assert!(contact.lock().accepted.is_some());
        })
        .await;
}
