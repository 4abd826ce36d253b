//! Real answers beside `/openapi.json`: whatever an answer holds stands in the document, and what the document promises
//! is there.

use super::{openapi, operations::Office, rig::Rig};
use crate::dashboard::{PageData, example::Example};
use serde_json::{Value, json};

/// Everything in `value` that `schema` does not say, each with its place.
fn strangers(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target =
            document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"));
        return strangers(document, target, value, at, found);
    }
    if let Some(either) = schema["anyOf"].as_array() {
        let fits = |one: &&Value| (one["type"] == "null") == value.is_null();
        return match either.iter().find(fits) {
            Some(one) => strangers(document, one, value, at, found),
            None => found.push(format!("{at} is null")),
        };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let described = schema["type"].as_str().unwrap_or("nothing");
    if described != kind && (described, kind) != ("number", "integer") {
        return found.push(format!("{at} is {kind}, described as {described}"));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        found.push(format!("{at} is {value}, which is none of its words"));
    }
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        strangers(document, &schema["items"], item, &format!("{at}[{place}]"), found);
    }
    let Some(fields) = value.as_object() else { return };
    for (name, field) in fields {
        let at = format!("{at}.{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(of_field), _) | (None, Some(of_field)) => strangers(document, of_field, field, &at, found),
            (None, None) => found.push(format!("{at} is not described")),
        }
    }
    let promised = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    found.extend(
        promised.filter(|name| !fields.contains_key(*name)).map(|name| format!("{at}.{name} is missing")),
    );
}

#[track_caller]
fn is_described(document: &Value, schema: &Value, value: &Value, at: &str) {
    let mut found = Vec::new();
    strangers(document, schema, value, at, &mut found);
    assert_eq!(found, Vec::<String>::new(), "{at}");
}

fn answer_of<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    &document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
}

#[tokio::test]
async fn real_answers_hold_what_the_document_says_and_nothing_else() {
    let rig = Rig::start().await;
    let document = openapi::build();
    let mut report = rig.sample_report("n01");
    report["findings"][0]["status"] = json!("crit");
    report["findings"][0]["evidence"] = json!([{ "fact": "ping", "value": "none", "source": "docker" }]);
    rig.report("n01", &report).await;
    rig.app.record("ann", "note", "n01", "so that there is an entry").await.unwrap();
    for (path, asked) in [
        ("/api/v1/nodes", "/api/v1/nodes"),
        ("/api/v1/nodes/{node}", "/api/v1/nodes/n01"),
        ("/api/v1/nodes/{node}", "/api/v1/nodes/n02"),
        ("/api/v1/verdicts", "/api/v1/verdicts?action=delete&node=n01"),
        ("/api/v1/verdicts", "/api/v1/verdicts?action=rebuild&node=n03"),
        ("/api/v1/policy", "/api/v1/policy"),
        ("/api/v1/operations", "/api/v1/operations"),
        ("/api/v1/acknowledgements", "/api/v1/acknowledgements"),
        ("/api/v1/audit", "/api/v1/audit"),
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
    ] {
        let answer = rig.get(asked).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.body);
        is_described(&document, answer_of(&document, "get", path), &answer.body, asked);
    }
    let refusal = rig.get("/api/v1/nodes/n99").await.body;
    is_described(&document, &document["components"]["schemas"]["Error"], &refusal, "a refusal");
}

#[tokio::test]
async fn what_operations_and_people_say_is_described_as_well() {
    let office = Office::open().await;
    let document = openapi::build();
    let post = |path: &str| answer_of(&document, "post", path).clone();
    let asked = office.ask(&office.jane, "create", "n04", json!({})).await.body;
    is_described(&document, &post("/api/v1/operations"), &asked, "accepted");
    let rehearsed = office.ask(&office.jane, "drain", "n01", json!({ "dry_run": true })).await.body;
    is_described(&document, &post("/api/v1/operations"), &rehearsed, "rehearsed");
    office.advance().await;
    let id = asked["id"].as_str().unwrap();
    for word in [json!({ "what": "begin" }), json!({ "what": "exit", "code": 30, "said": "no" })] {
        let said = office.confirm(id, word).await.body;
        is_described(&document, &post("/api/v1/operations/{operation}/confirm"), &said, "confirmed");
    }
    Office::id(&office.ask(&office.jane, "delete", "n02", json!({ "typed": "n02" })).await);
    office.advance().await;
    let held = json!({ "node": "n01", "reason": "x", "until": "2099-01-01T00:00:00Z" });
    is_described(
        &document,
        &post("/api/v1/holds"),
        &office.post(&office.jane, "holds", held).await.body,
        "held",
    );
    let attested = json!({ "node": "n01", "source": "agent", "reason": "x" });
    let attested = office.post(&office.jane, "attestations", attested).await.body;
    is_described(&document, &post("/api/v1/attestations"), &attested, "attested");
    let paused = office.post(&office.jane, "pause", json!({ "reason": "x" })).await.body;
    is_described(&document, &post("/api/v1/pause"), &paused, "paused");
    for (path, asked) in [
        ("/api/v1/operations", "/api/v1/operations"),
        ("/api/v1/operations/{operation}", "/api/v1/operations/op-1"),
        ("/api/v1/operations/{operation}", "/api/v1/operations/op-2"),
        ("/api/v1/holds", "/api/v1/holds"),
        ("/api/v1/attestations", "/api/v1/attestations"),
        ("/api/v1/pause", "/api/v1/pause"),
        ("/api/v1/brake", "/api/v1/brake"),
        ("/api/v1/nodes", "/api/v1/nodes"),
    ] {
        let answer = office.rig.get(asked).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.body);
        is_described(&document, answer_of(&document, "get", path), &answer.body, asked);
    }
}

#[test]
fn what_busy_and_troubled_nodes_show_is_described_as_well() {
    let document = openapi::build();
    let [fleet, node, verdict] =
        ["Fleet", "Node", "Verdict"].map(|name| &document["components"]["schemas"][name]);
    for (story, example) in Example::all() {
        is_described(&document, fleet, &serde_json::to_value(&example.fleet).unwrap(), story);
        for (name, detail) in &example.nodes {
            is_described(&document, node, &serde_json::to_value(detail).unwrap(), &format!("{story} {name}"));
        }
        for said in example.nodes.keys().flat_map(|name| example.verdicts(name)) {
            is_described(&document, verdict, &serde_json::to_value(said).unwrap(), story);
        }
    }
}

#[test]
fn a_field_that_nobody_described_is_noticed() {
    let document = openapi::build();
    let (_, example) = Example::all().remove(0);
    let mut fleet = serde_json::to_value(&example.fleet).unwrap();
    let schema = &document["components"]["schemas"]["Fleet"];
    fleet["classes"][0]["nodes"][0]["colour"] = json!("red");
    fleet["classes"][0]["nodes"][0]["state"] = json!("splendid");
    fleet.as_object_mut().unwrap().remove("cluster");
    let mut found = Vec::new();
    strangers(&document, schema, &fleet, "fleet", &mut found);
    for part in ["colour is not described", "\"splendid\", which is none", "fleet.cluster is missing"] {
        assert!(found.iter().any(|stranger| stranger.contains(part)), "{part}: {found:?}");
    }
    assert_eq!(found.len(), 3, "{found:?}");
}
