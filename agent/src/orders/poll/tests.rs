//! The agent's side of the wire against a coordinator that is made of answers.

use super::*;
use crate::{
    board::SharedBoard,
    clock::Moment,
    config::{Config, Endpoint},
    identity::Identity,
    memory::FileDisk,
    orders::{check::Rules, machine::Machine},
    prepull::PrePull,
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::mpsc, task::LocalSet};

/// What the coordinator answers, one after the other and then for ever the last; and what it hears.
struct Coordinator {
    orders: Mutex<Vec<(StatusCode, Value)>>,
    events: Mutex<Vec<StatusCode>>,
    hears: mpsc::UnboundedSender<(String, Value)>,
}

impl Coordinator {
    async fn serve(
        orders: Vec<(StatusCode, Value)>,
        events: Vec<StatusCode>,
    ) -> (Endpoint, mpsc::UnboundedReceiver<(String, Value)>) {
        let (hears, heard) = mpsc::unbounded_channel();
        let state = Arc::new(Self { orders: Mutex::new(orders), events: Mutex::new(events), hears });
        let routes = Router::new()
            .route("/v1/agents/{node}/orders", get(give))
            .route("/v1/agents/{node}/orders/{id}/events", post(hear))
            .with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (url.parse().unwrap(), heard)
    }
}

fn next<T: Clone>(answers: &Mutex<Vec<T>>) -> T {
    let mut answers = answers.lock().unwrap();
    if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
}

async fn give(
    State(state): State<Arc<Coordinator>>,
    Path(node): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let asked = json!({ "node": node, "wait": query["wait"] });
    let _ = state.hears.send(("asked".to_owned(), asked));
    let (status, mut answer) = next(&state.orders);
    answer["at"] = json!(Timestamp::now());
    (status, Json(answer))
}

async fn hear(
    State(state): State<Arc<Coordinator>>,
    Path((_, id)): Path<(String, String)>,
    Json(event): Json<Value>,
) -> StatusCode {
    let _ = state.hears.send((id, event));
    next(&state.events)
}

/// An agent with its own folders that speaks to this coordinator.
struct Agent {
    _root: tempfile::TempDir,
    driver: Driver,
    client: Rc<CoordinatorClient>,
    contact: SharedContact,
}

impl Agent {
    fn new(endpoint: &Endpoint) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.root = root.path().into();
        config.paths.state = root.path().join("state");
        std::fs::create_dir_all(root.path().join("etc/puppetlabs")).unwrap();
        let identity = Identity {
            name: "alibuild10".into(),
            boot_id: "b1".into(),
            machine_id: "m1".into(),
            ..Identity::default()
        };
        let rules = Rules { identity: identity.clone(), enabled: true, ..Rules::default() };
        // The memory is as old as the machine that runs this test.
        let begun = Moment { uptime: Duration::ZERO, ..Moment::now() };
        let machine = Machine::open(FileDisk::new(config.paths.state.join("memory")), rules, begun);
        let node = "alibuild10".parse().unwrap();
        let client = CoordinatorClient::new(endpoint, &node, &config.coordinator, &config.tls).unwrap();
        let contact = SharedContact::default();
        contact.lock().accepted = Some(Moment::now());
        let images = Rc::new(RefCell::new(PrePull::new(&config.prepull)));
        let driver = Driver {
            machine: SharedMachine::new(machine),
            config: Rc::new(config),
            identity,
            board: SharedBoard::default(),
            images,
            clock: Rc::new(Moment::now),
            tell: Rc::default(),
        };
        Self { _root: root, driver, client: Rc::new(client), contact }
    }

    fn start(&self) {
        let (machine, client) = (self.driver.machine.clone(), self.client.clone());
        let teller = Teller { machine, client: client.clone(), tell: self.driver.tell.clone() };
        let poller = Poller { driver: self.driver.clone(), client, contact: self.contact.clone() };
        tokio::task::spawn_local(poller.poll());
        tokio::task::spawn_local(teller.tell());
    }
}

fn fact(id: &str) -> Value {
    json!({
        "id": id, "operation": "op", "generation": 1, "epoch": 1, "position": 1,
        "target": { "node": "alibuild10", "machine_id": "m1", "boot_id": "b1" },
        "issued_at": Timestamp::now(), "ttl_seconds": 300, "reason": "a test",
        "verb": "set_fact", "name": "millwright_start", "value": "yes",
    })
}

#[tokio::test]
async fn orders_of_one_answer_are_carried_out_one_after_the_other() {
    let mut second = fact("second");
    second["value"] = json!("no");
    let answers = vec![orders(json!([fact("first"), second])), orders(json!([]))];
    let (endpoint, mut heard) = Coordinator::serve(answers, vec![StatusCode::OK]).await;
    let agent = Agent::new(&endpoint);
    LocalSet::new()
        .run_until(async {
            agent.start();
            for id in ["first", "second"] {
                assert_eq!(end(&mut heard, id).await["state"], "done");
            }
        })
        .await;
    let fact = agent.driver.config.paths.rooted("/etc/puppetlabs/facter/facts.d/millwright_start.txt");
    assert_eq!(std::fs::read_to_string(fact).unwrap(), "millwright_start=no\n");
}

fn orders(orders: Value) -> (StatusCode, Value) {
    (StatusCode::OK, json!({ "orders": orders }))
}

/// What the coordinator hears next; longer than the longest wait is never.
async fn heard_next(heard: &mut mpsc::UnboundedReceiver<(String, Value)>) -> (String, Value) {
    timeout(Duration::from_secs(90), heard.recv()).await.unwrap().unwrap()
}

/// Waits until the agent has told everything.
async fn until_told(agent: &Agent) {
    let told = async {
        while agent.driver.machine.lock().untold().is_some() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(90), told).await.unwrap();
}

/// What is heard of an order, until it is the last word about it.
async fn end(heard: &mut mpsc::UnboundedReceiver<(String, Value)>, id: &str) -> Value {
    let last_word = async {
        loop {
            let (of, event) = heard.recv().await.unwrap();
            if of == id && event["state"] != "starting" {
                return event;
            }
        }
    };
    timeout(Duration::from_secs(90), last_word).await.unwrap()
}

#[tokio::test]
async fn an_order_is_fetched_carried_out_and_told() {
    let good = vec![orders(json!([fact("op-1.1")])), orders(json!([]))];
    let (endpoint, mut heard) = Coordinator::serve(good, vec![StatusCode::OK]).await;
    let agent = Agent::new(&endpoint);
    LocalSet::new()
        .run_until(async {
            agent.start();
            let (asked, how) = heard_next(&mut heard).await;
            assert_eq!((asked.as_str(), how), ("asked", json!({ "node": "alibuild10", "wait": "30s" })));
            let event = end(&mut heard, "op-1.1").await;
            assert_eq!((&event["state"], &event["boot_id"]), (&json!("done"), &json!("b1")), "{event}");
        })
        .await;
    let fact = agent.driver.config.paths.rooted("/etc/puppetlabs/facter/facts.d/millwright_start.txt");
    assert_eq!(std::fs::read_to_string(fact).unwrap(), "millwright_start=yes\n");
}

#[tokio::test]
async fn each_order_is_read_for_itself_and_a_strange_one_is_refused_by_its_id() {
    let strange = json!([7, { "id": "strange", "verb": "shell" }, fact("good")]);
    let (endpoint, mut heard) =
        Coordinator::serve(vec![orders(strange), orders(json!([]))], vec![StatusCode::OK]).await;
    let agent = Agent::new(&endpoint);
    LocalSet::new()
        .run_until(async {
            agent.start();
            let event = end(&mut heard, "strange").await;
            assert_eq!((&event["state"], &event["code"]), (&json!("refused"), &json!("malformed")));
            assert_eq!(end(&mut heard, "good").await["state"], "done");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_became_of_an_order_is_told_until_it_is_heard() {
    let refusals =
        [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
    let answers = refusals.into_iter().chain([StatusCode::NO_CONTENT]).collect();
    let (endpoint, mut heard) = Coordinator::serve(vec![orders(json!([]))], answers).await;
    let agent = Agent::new(&endpoint);
    let malformed = json!({ "id": "o" });
    agent.driver.machine.lock().order(&malformed, &agent.driver.look(), "n", Moment::now());
    LocalSet::new()
        .run_until(async {
            agent.start();
            for _ in 0..4 {
                assert_eq!(end(&mut heard, "o").await["code"], "malformed");
            }
            until_told(&agent).await;
        })
        .await;
    assert!(agent.driver.machine.lock().memory().order("o").unwrap().told);
}

#[tokio::test]
async fn what_the_coordinator_will_never_have_is_told_once() {
    let (endpoint, mut heard) =
        Coordinator::serve(vec![orders(json!([]))], vec![StatusCode::NOT_FOUND]).await;
    let agent = Agent::new(&endpoint);
    agent.driver.machine.lock().order(&json!({ "id": "o" }), &agent.driver.look(), "n", Moment::now());
    LocalSet::new()
        .run_until(async {
            agent.start();
            end(&mut heard, "o").await;
            until_told(&agent).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_without_orders_is_asked_ever_more_rarely() {
    let missing = json!({ "code": "not_found", "message": "no such page", "request_id": "r" });
    let (endpoint, mut heard) =
        Coordinator::serve(vec![(StatusCode::NOT_FOUND, missing)], vec![StatusCode::OK]).await;
    let agent = Agent::new(&endpoint);
    LocalSet::new()
        .run_until(async {
            agent.start();
            let mut asked = Vec::new();
            for _ in 0..12 {
                heard_next(&mut heard).await;
                asked.push(Instant::now());
            }
            let waits: Vec<u64> = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
            assert!(waits[10] >= 30 && waits.iter().all(|wait| *wait <= 61), "{waits:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_a_coordinator_that_does_not_take_reports() {
    let (endpoint, mut heard) = Coordinator::serve(vec![orders(json!([]))], vec![StatusCode::OK]).await;
    let agent = Agent::new(&endpoint);
    agent.contact.lock().problem = Some(("it is of another cluster".into(), Moment::now()));
    LocalSet::new()
        .run_until(async {
            agent.start();
            let asked = timeout(Duration::from_secs(120), heard.recv()).await;
            assert!(asked.is_err(), "{asked:?}");
            agent.contact.lock().problem = None;
            heard_next(&mut heard).await;
        })
        .await;
}

#[test]
fn no_nonce_comes_twice() {
    let nonces: std::collections::BTreeSet<String> = (0..100).map(|_| nonce()).collect();
    assert!(nonces.len() == 100 && nonces.iter().all(|nonce| nonce.len() == 32));
}
