//! Orders as agents fetch and answer them, and everything that is no answer to one.

use super::operations::{Office, is};
use super::rig::Answer;
use crate::serve::Peer;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

async fn orders(office: &Office, node: &str) -> Vec<Value> {
    let answer = office.rig.agents_get(&format!("/v1/agents/{node}/orders?wait=1ms")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["orders"].as_array().unwrap().clone()
}

async fn say(office: &Office, node: &str, order: &str, state: Value) -> Answer {
    let mut event = json!({ "at": "2026-01-31T10:01:00Z", "boot_id": "b1" });
    event.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
    let head = format!(
        "POST /v1/agents/{node}/orders/{order}/events HTTP/1.1\r\ncontent-type: application/json\r\n"
    );
    office.rig.tcp(office.rig.agents, &head, event.to_string().as_bytes()).await
}

async fn prepull(office: &Office) -> (String, Value) {
    let id = Office::id(&office.ask(&office.jane, "prepull", "n01", json!({})).await);
    office.advance().await;
    let [order] = orders(office, "n01").await.try_into().unwrap();
    (id, order)
}

#[tokio::test]
async fn an_order_is_given_until_it_is_answered_and_its_answer_ends_the_step() {
    let office = Office::open().await;
    let (id, order) = prepull(&office).await;
    assert_eq!((&order["operation"], &order["target"]["node"]), (&json!(id), &json!("n1")), "{order:#}");
    assert_eq!(orders(&office, "n01").await, std::slice::from_ref(&order), "asked again it is the same");
    assert!(orders(&office, "n02").await.is_empty());
    let name = order["id"].as_str().unwrap();
    for _ in 0..2 {
        let done = say(&office, "n01", name, json!({ "state": "done", "evidence": [] })).await;
        assert!(matches!(done.status, 204 | 404), "said again it changes nothing: {}", done.body);
    }
    office.advance().await;
    assert_eq!(office.view(&id).await["state"], "succeeded");
    assert!(orders(&office, "n01").await.is_empty());
}

#[tokio::test]
async fn an_answer_to_no_order_of_that_node_is_told_so_and_changes_nothing() {
    let office = Office::open().await;
    let (id, order) = prepull(&office).await;
    let name = order["id"].as_str().unwrap();
    let done = json!({ "state": "done" });
    is(&say(&office, "n02", name, done.clone()).await, 404, "unknown_order");
    for other in ["op-9.0.1", "op-1.0.9", "op-1.7.1", "op-1", "nonsense", "op-1.0.1.1"] {
        is(&say(&office, "n01", other, done.clone()).await, 404, "unknown_order");
    }
    assert_eq!(say(&office, "n01", name, json!({ "state": "marvellous" })).await.status, 400);
    let huge = json!({ "state": "unknown", "sentence": "x".repeat(600_000) });
    is(&say(&office, "n01", name, huge).await, 413, "body_too_large");
    assert_eq!(office.view(&id).await["state"], "running");
}

#[tokio::test]
async fn a_host_speaks_about_its_own_orders_only() {
    let office = Office::open().await;
    let (_, order) = prepull(&office).await;
    let service = TowerToHyperService::new(office.rig.app.agents());
    let event = json!({ "at": "2026-01-31T10:01:00Z", "boot_id": "b1", "state": "done" });
    for (method, path) in [
        ("GET", "/v1/agents/n01/orders?wait=1ms".to_owned()),
        ("POST", format!("/v1/agents/n01/orders/{}/events", order["id"].as_str().unwrap())),
    ] {
        let request = Request::builder().method(method).uri(path).header("host", "mw.cern.ch");
        let request = request.header("content-type", "application/json");
        let request = request.extension(Peer::Host { certname: "n02.cern.ch".into() });
        let request = request.body(Body::from(event.to_string())).unwrap();
        let answer = hyper::service::Service::call(&service, request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method}");
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("not_your_node"), "{body:?}");
    }
}
