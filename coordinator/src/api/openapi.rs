//! `/openapi.json`: the operators' side as OpenAPI 3.1, made from one list of operations.

use super::error::ErrorCode;
use axum::Json;
use serde_json::{Map, Value, json};

/// The document.
pub async fn document() -> Json<Value> {
    Json(build())
}

/// One operation: method, path, what it does, its parameters, its body, the schema of its answer.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    parameters: Value,
    body: Option<Value>,
    answer: Value,
}

impl Operation {
    fn get(path: &'static str, summary: &'static str, answer: Value) -> Self {
        Self { method: "get", path, summary, parameters: json!([]), body: None, answer }
    }

    fn post(path: &'static str, summary: &'static str, body: Value, answer: Value) -> Self {
        Self { method: "post", body: Some(body), ..Self::get(path, summary, answer) }
    }

    fn with(self, parameters: Value) -> Self {
        Self { parameters, ..self }
    }

    fn describe(&self) -> Value {
        let mut parameters = self.parameters.as_array().cloned().unwrap_or_default();
        if self.path.contains("{node}") {
            parameters.push(
                json!({ "name": "node", "in": "path", "required": true, "schema": { "type": "string" },
                "description": "a node's name in any spelling" }),
            );
        }
        let mut operation = json!({
            "summary": self.summary,
            "parameters": parameters,
            "responses": {
                "200": { "description": "the answer", "content": self.answer },
                "default": { "description": "a refusal", "content": of("application/json", json!({ "$ref": "#/components/schemas/Error" })) },
            },
        });
        if let (Some(body), Some(operation)) = (&self.body, operation.as_object_mut()) {
            let content = of("application/json", body.clone());
            operation.insert("requestBody".to_owned(), json!({ "content": content }));
            operation.insert(
                "description".to_owned(),
                json!("Only root on the coordinator's Unix socket may change something; others get 403 root_on_socket_only."),
            );
        }
        operation
    }
}

pub(super) fn build() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_owned(), operation.describe());
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Millwright coordinator", "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" } },
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

fn operations() -> Vec<Operation> {
    let word = || {
        object(
            json!({ "reason": text("why; kept in the audit"), "by": text("who, where root speaks for somebody") }),
            &[],
        )
    };
    let done = || {
        of_json(object(
            json!({ "node": text("as policy spells it"), "transitions": list(json!({ "type": "object" })) }),
            &["node", "transitions"],
        ))
    };
    vec![
        Operation::get("/api/v1/nodes", "The whole fleet: what needs a human first, then every node by class.", of_json(json!({ "type": "object" }))),
        Operation::get("/api/v1/nodes/{node}", "Everything known about one node, and what cannot be seen.", of_json(json!({ "type": "object" }))),
        Operation::post("/api/v1/nodes/{node}/accept", "Accept a changed identity, or that the node is missing in warm-up.", word(), done()),
        Operation::post("/api/v1/nodes/{node}/forget", "Forget everything known about a node that is gone.", word(), done()),
        Operation::post("/api/v1/nodes/{node}/dead", "Say that a node is dead; it leaves every count. Takes a reason.", word(), done()),
        Operation::get("/api/v1/verdicts", "Whether an action is allowed now, and every reason why not.", of_json(json!({ "$ref": "#/components/schemas/Verdict" }))).with(json!([
            { "name": "action", "in": "query", "required": true, "schema": { "enum": ["drain", "return", "reboot", "rebuild", "delete", "create", "prepull"] } },
            { "name": "node", "in": "query", "required": true, "schema": list(json!({ "type": "string" })), "explode": true, "description": "repeat it for several nodes" },
            { "name": "volumes", "in": "query", "schema": { "enum": ["keep", "delete"], "default": "keep" }, "description": "belongs to a delete" },
        ])),
        Operation::get("/api/v1/operations", "Operations; this version has none.", of_json(object(json!({ "operations": list(json!({ "type": "object" })) }), &["operations"]))),
        Operation::post("/api/v1/operations", "Refused with 409: mode_observe, or no_operations in this version.",
            object(json!({ "action": text("as for a verdict"), "nodes": list(json!({ "type": "string" })) }), &["action", "nodes"]), of_json(json!({ "type": "object" }))),
        Operation::get("/api/v1/acknowledgements", "Acknowledgements that have not run out.", of_json(object(json!({ "acknowledgements": list(json!({ "type": "object" })) }), &["acknowledgements"]))),
        Operation::post("/api/v1/acknowledgements", "A person has seen a finding; never changes a verdict.",
            object(json!({ "finding": text("node/check[/item]"), "until": text("RFC 3339"), "reason": text("why"), "by": text("who") }), &["finding", "until"]), of_json(json!({ "type": "object" }))),
        Operation::get("/api/v1/audit", "Who said what, newest first.", of_json(object(json!({ "audit": list(json!({ "type": "object" })) }), &["audit"])))
            .with(json!([{ "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } }])),
        Operation::get("/api/v1/events", "Changes as they happen, as server-sent events: hello, reset, node, verdict.", of("text/event-stream", json!({ "type": "string" })))
            .with(json!([{ "name": "Last-Event-ID", "in": "header", "schema": { "type": "string" }, "description": "go on after this event" }])),
        Operation::get("/openapi.json", "This document.", of_json(json!({ "type": "object" }))),
        Operation::get("/metrics", "Numbers for Prometheus.", of("text/plain", json!({ "type": "string" }))),
        Operation::get("/healthz", "The process answers.", of_json(json!({ "type": "object" }))),
        Operation::get("/readyz", "Reports are taken and verdicts given.", of_json(json!({ "type": "object" }))),
    ]
}

fn schemas() -> Value {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let severity = json!({ "enum": ["allowed", "wait", "needs_people", "refused"] });
    let evidence = object(
        json!({ "fact": text("what was looked at"), "value": text("what was seen"), "source": text("who said so"),
            "age_seconds": { "type": "integer" } }),
        &["fact", "value", "source", "age_seconds"],
    );
    let reason = object(
        json!({ "code": text("from a closed list; each has a page in the manual"), "rule": maybe("string"), "node": maybe("string"),
            "severity": severity, "sentence": text("what objects"), "evidence": list(evidence), "owner": text("who can clear it"),
            "since": maybe("string"), "unblocked_by": text("what would clear it"), "expected_at": maybe("string") }),
        &["code", "severity", "sentence", "evidence", "owner", "unblocked_by"],
    );
    let note = object(
        json!({ "code": text("which"), "node": maybe("string"), "sentence": text("worth knowing") }),
        &["code", "sentence"],
    );
    json!({
        "Error": object(json!({ "code": { "enum": codes }, "message": text("what was tried, what was found, what to do next"),
            "request_id": text("names the request in the coordinator's log") }), &["code", "message", "request_id"]),
        "Verdict": object(json!({ "action": text("what was asked"), "nodes": list(text("as policy spells it")), "verdict": severity,
            "may_start": severity, "asked_at": text("RFC 3339"), "oldest_fact_seconds": { "type": "integer" }, "reasons": list(reason),
            "waits": list(text("codes that do not forbid beginning")), "notes": list(note),
            "not_configured": list(text("sources that policy marks none")), "cost": { "type": "object" } }),
            &["action", "nodes", "verdict", "may_start", "asked_at", "oldest_fact_seconds", "reasons", "waits", "notes", "not_configured", "cost"]),
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn maybe(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn of(media_type: &str, schema: Value) -> Value {
    json!({ media_type: { "schema": schema } })
}

fn of_json(schema: Value) -> Value {
    of("application/json", schema)
}
