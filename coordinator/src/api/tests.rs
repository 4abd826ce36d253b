//! The real routes over real HTTP on loopback and on a Unix socket, with a fleet in memory.

mod beside;
mod described;
mod errors;
mod operations;
mod orders;
mod people;
mod rig;
mod sign_in;
mod streams;
mod words;

use super::{for_agents, for_operators, openapi};
use crate::view::VerdictChange;
use rig::Rig;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_report_is_taken_in_and_its_node_is_shown() {
    let rig = Rig::start().await;
    let answer = rig.report("n01", &rig.sample_report("n01")).await;
    assert_eq!((answer.status, &answer.body["listed"]), (200, &json!(true)), "{}", answer.body);
    let cluster = rig.app.store.incarnation().cluster.to_string();
    assert_eq!((&answer.body["cluster"], &answer.body["generation"]), (&json!(cluster), &json!(1)));
    let nodes = rig.get("/api/v1/nodes").await;
    assert_eq!(nodes.status, 200);
    let node = rig.get("/api/v1/nodes/N1.cern.ch").await;
    assert_eq!((node.status, &node.body["name"]), (200, &json!("n01")), "{}", node.body);
}

#[tokio::test]
async fn a_node_tells_what_was_answered_before() {
    let rig = Rig::start().await;
    rig.app.publish_verdicts(vec![VerdictChange {
        at: "2026-01-31T02:00:00Z".parse().unwrap(),
        node: "n01".into(),
        key: "n1".into(),
        action: "reboot".into(),
        verdict: "wait".into(),
        may_start: "allowed".into(),
        codes: vec!["task_protected".into()],
        sentence: "a build runs".into(),
    }]);
    rig.app.record("ann", "note", "n01", "written after it, in this order").await.unwrap();
    let node = rig.get("/api/v1/nodes/n01").await.body;
    let earlier = json!([{ "at": "2026-01-31T02:00:00Z", "node": "n01", "key": "n1", "action": "reboot", "verdict": "wait",
        "may_start": "allowed", "codes": ["task_protected"], "sentence": "a build runs" }]);
    assert_eq!(node["verdict_history"], earlier, "{node}");
    assert_eq!(rig.get("/api/v1/nodes/n02").await.body["verdict_history"], json!([]));
}

#[tokio::test]
async fn an_unlisted_node_is_seen_and_told_so() {
    let rig = Rig::start().await;
    let answer = rig.report("stranger", &rig.sample_report("stranger")).await;
    assert_eq!((answer.status, &answer.body["listed"]), (200, &json!(false)));
    let verdict = rig.get("/api/v1/verdicts?action=reboot&node=stranger").await;
    assert_eq!(verdict.body["verdict"], "refused", "{}", verdict.body);
    assert_eq!(verdict.body["reasons"][0]["code"], "node_unlisted");
}

#[tokio::test]
async fn the_policy_in_force_is_explained() {
    let rig = Rig::start().await;
    let policy = rig.get("/api/v1/policy").await.body;
    assert_eq!((&policy["listed"], &policy["unreadable"]), (&json!(3), &Value::Null));
    assert!(policy["explanation"].as_str().unwrap().contains("n03: never_rebuild"), "{policy}");
}

#[tokio::test]
async fn a_node_that_is_to_be_created_may_be_new_and_needs_its_entry_in_the_policy() {
    let rig = Rig::start().await;
    let verdict = rig.get("/api/v1/verdicts?action=create&node=n99").await;
    assert_eq!((verdict.status, &verdict.body["verdict"]), (200, &json!("refused")), "{}", verdict.body);
    assert_eq!(verdict.body["reasons"][0]["code"], "node_unlisted");
    assert_eq!(verdict.body["reasons"][0]["unblocked_by"], "an entry for the node in policy.toml");
}

#[tokio::test]
async fn nobody_knows_what_a_policy_that_cannot_be_read_lists() {
    let rig = Rig::start().await;
    rig.app.with_fleet(|fleet, now| {
        let none = millwright_decision::Policy::unreadable("line 3: no", "mw".parse().unwrap());
        fleet.set_policy(none.into(), now)
    });
    for action in ["drain", "reboot", "rebuild", "delete", "create"] {
        let answer = rig.get(&format!("/api/v1/verdicts?action={action}&node=n042")).await;
        let reasons = answer.body["reasons"].as_array().unwrap_or_else(|| panic!("{}", answer.body));
        let codes: Vec<&Value> = reasons.iter().map(|reason| &reason["code"]).collect();
        assert_eq!(
            (&answer.body["verdict"], codes.as_slice()),
            (&json!("refused"), &[&json!("policy_unreadable")][..])
        );
    }
    let detail = rig.get("/api/v1/nodes/n042").await;
    let said = detail.body["message"].as_str().unwrap();
    assert!(said.starts_with("n042 has never been heard of, and the policy that may list it"), "{said}");
    let page = rig.get_text("/nodes/n042").await;
    assert!(page.contains("n042 has never been heard of, and the policy that may list it"), "{page}");
    assert!(!page.contains("neither in the policy"), "{page}");
}

#[tokio::test]
async fn a_verdict_has_the_shape_tools_rely_on() {
    let rig = Rig::start().await;
    rig.report("n01", &rig.sample_report("n01")).await;
    let answer = rig.get("/api/v1/verdicts?action=rebuild&node=n02&node=N01.cern.ch&node=n1").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["nodes"], json!(["n01", "n02"]), "each node once, as policy spells it");
    let keys: BTreeSet<&str> = answer.body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "action",
        "asked_at",
        "cost",
        "may_start",
        "nodes",
        "not_configured",
        "notes",
        "oldest_fact_seconds",
        "reasons",
        "verdict",
        "waits",
    ];
    assert_eq!(keys, BTreeSet::from(expected));
    for answer in [
        rig.get("/api/v1/verdicts?action=delete&node=n01&volumes=delete").await,
        rig.get("/api/v1/verdicts?action=DELETE&node=n01&volumes=keep").await,
    ] {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_node_without_orders_waits_and_gets_an_empty_list() {
    let rig = Rig::start().await;
    let answer = rig.agents_get("/v1/agents/n01/orders?wait=1ms").await;
    assert_eq!((answer.status, &answer.body["orders"]), (200, &json!([])), "{}", answer.body);
}

#[tokio::test]
async fn a_poll_for_orders_ends_when_the_coordinator_stops() {
    let rig = Rig::start().await;
    let stop = async {
        while rig.app.metrics.polls.get() == 0 {
            tokio::task::yield_now().await;
        }
        rig.stopped().await
    };
    let (answer, stopped) = tokio::join!(rig.agents_get("/v1/agents/n01/orders?wait=60s"), stop);
    assert!(stopped);
    assert_eq!((answer.status, &answer.body["orders"]), (200, &json!([])), "{}", answer.body);
}

#[tokio::test]
async fn machines_that_watch_get_their_words() {
    let rig = Rig::start().await;
    rig.report("n01", &rig.sample_report("n01")).await;
    let health = rig.get("/healthz").await.body;
    assert_eq!((&health["status"], &health["generation"]), (&json!("alive"), &json!(1)));
    let cluster = rig.app.store.incarnation().cluster.to_string();
    assert_eq!(health["cluster"], json!(cluster), "what agents may pin");
    assert_eq!(rig.get("/readyz").await.body["status"], "ready");
    let metrics = rig.get_text("/metrics").await;
    assert!(metrics.contains("millwright_reports_total 1\n"), "{metrics}");
    assert!(metrics.contains("millwright_http_answers_total{audience=\"agents\",result=\"ok\"} 1\n"));
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn every_route_is_in_the_openapi_document_and_nothing_else_is() {
    let document = openapi::build();
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone()))
        })
        .collect();
    let routed = for_operators()
        .paths()
        .iter()
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(documented, routed);
}

#[test]
fn every_route_of_agents_is_in_the_protocols_document() {
    let document = include_str!("../../protocol/README.md");
    for (method, path) in for_agents().paths() {
        let written = format!("{} {path}", method.to_uppercase());
        assert!(document.contains(&written), "{written} is missing in coordinator/protocol/README.md");
    }
}

#[test]
fn every_reference_in_the_openapi_document_resolves() {
    let document = openapi::build();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some_and(Value::is_object), "{pointer}");
    }
}
