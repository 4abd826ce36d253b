//! `/openapi.json`: the operators' side as OpenAPI 3.1, made from one list of operations.

mod people;
mod schemas;

use super::error::ErrorCode;
use axum::Json;
use millwright_decision::Action;
use schemas::shape;
use serde_json::{Map, Value, json};

/// The document.
pub async fn document() -> Json<Value> {
    Json(build())
}

/// What a path can name.
const IN_PATHS: [(&str, &str); 3] = [
    ("node", "a node's name in any spelling"),
    ("operation", "the operation, such as op-17"),
    ("hold", "the hold's id, such as hold-3; that of a drain is the operation's"),
];

/// One route: method, path, what it does, its parameters, its body, the schema of its answer.
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
        for (name, description) in IN_PATHS {
            if self.path.contains(&format!("{{{name}}}")) {
                parameters.push(
                    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" },
                    "description": description }),
                );
            }
        }
        let mut operation = json!({
            "summary": self.summary,
            "parameters": parameters,
            "responses": {
                "200": { "description": "the answer", "content": self.answer },
                "default": { "description": "a refusal", "content": of("application/json", schemas::of("Error")) },
            },
        });
        if let (Some(body), Some(operation)) = (&self.body, operation.as_object_mut()) {
            let content = of("application/json", body.clone());
            operation.insert("requestBody".to_owned(), json!({ "content": content }));
            operation.insert(
                "description".to_owned(),
                json!("Takes somebody with a name and the role: a token, a proxy that vouches for them, or root on the Unix socket. \
                       Others get 401 not_signed_in or 403 not_allowed."),
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
        "components": { "schemas": schemas::all() },
    })
}

fn operations() -> Vec<Operation> {
    let word = || {
        shape(
            json!({ "reason?": text("why; kept in the audit"), "by?": text("who, where root speaks for somebody") }),
        )
    };
    let done = || {
        of_json(shape(
            json!({ "node": text("as policy spells it"), "transitions": list(schemas::of("Transition")),
                "note?": text("worth a second thought") }),
        ))
    };
    let answer = |name: &str| of_json(schemas::of(name));
    let tokens = || of_json(shape(json!({ "tokens": list(schemas::of("Token")) })));
    let actions: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
    let mut all = vec![
        Operation::get("/api/v1/nodes", "The whole fleet: what needs a human first, then every node by class.", answer("Fleet")),
        Operation::get("/api/v1/nodes/{node}", "Everything known about one node, what cannot be seen, and what was answered before.", answer("Node")),
        Operation::post("/api/v1/nodes/{node}/accept", "Accept a changed identity, or that the node is missing in warm-up.", word(), done()),
        Operation::post("/api/v1/nodes/{node}/forget", "Forget everything known about a node that is gone.", word(), done()),
        Operation::post("/api/v1/nodes/{node}/dead", "Say that a node is dead; it leaves every count until it is accepted. Takes a reason.", word(), done()),
        Operation::get("/api/v1/verdicts", "Whether an action is allowed now, and every reason why not.", answer("Verdict")).with(json!([
            { "name": "action", "in": "query", "required": true, "schema": { "enum": actions } },
            { "name": "node", "in": "query", "required": true, "schema": list(json!({ "type": "string" })), "explode": true, "description": "repeat it for several nodes" },
            { "name": "volumes", "in": "query", "schema": { "enum": ["keep", "delete"], "default": "keep" }, "description": "belongs to a delete" },
        ])),
        Operation::get("/api/v1/policy", "The policy in force, in sentences.", answer("Policy")),
        Operation::get("/api/v1/acknowledgements", "Acknowledgements that have not run out.",
            of_json(shape(json!({ "acknowledgements": list(schemas::of("Acknowledgement")) })))),
        Operation::post("/api/v1/acknowledgements", "A person has seen a finding; never changes a verdict.",
            shape(json!({ "finding": text("node/check[/item]"), "until": text("RFC 3339"), "reason?": text("why"), "by?": text("who") })), answer("Acknowledgement")),
        Operation::get("/api/v1/audit", "Who said what, newest first.", of_json(shape(json!({ "audit": list(schemas::of("AuditEntry")) }))))
            .with(json!([{ "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } }])),
        Operation::get("/api/v1/me", "Who you are taken for, and what you may do.", answer("Me")),
        Operation::get("/api/v1/tokens", "Your tokens; an administrator's answer has everybody's.", tokens()),
        Operation::post("/api/v1/tokens", "Make a token. Its secret is in this answer only.",
            shape(json!({ "person?": text("whose; without it your own"), "label?": text("what it is for"),
                "may": list(json!({ "type": "string", "description": "view, operate, approve, admin, or one of them with a class such as operate:agent" })),
                "expires_at?": text("RFC 3339; 90 days without it"), "by?": text("who, where root speaks for somebody") })),
            of_json(shape(json!({ "secret": text("to be sent as Authorization: Bearer"), "token": schemas::of("Token") })))),
        Operation::post("/api/v1/tokens/revoke", "Withdraw one token, or all of somebody's. Their sessions end as well.",
            shape(json!({ "id?": text("one token"), "person?": text("all of theirs"), "reason?": text("why; kept in the audit"),
                "by?": text("who, where root speaks for somebody") })), tokens()),
        Operation::get("/api/v1/events", "Changes as they happen, as server-sent events: hello, reset, node (a Transition), verdict (a VerdictChange), operation (an OperationSummary).", of("text/event-stream", json!({ "type": "string" })))
            .with(json!([{ "name": "Last-Event-ID", "in": "header", "schema": { "type": "string" }, "description": "go on after this event" }])),
        Operation::get("/openapi.json", "This document.", of_json(json!({ "type": "object" }))),
        Operation::get("/metrics", "Numbers for Prometheus.", of("text/plain", json!({ "type": "string" }))),
        Operation::get("/healthz", "The process answers.", answer("Health")),
        Operation::get("/readyz", "Reports are taken and verdicts given.", answer("Health")),
    ];
    all.extend(people::routes());
    all
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn of(media_type: &str, schema: Value) -> Value {
    json!({ media_type: { "schema": schema } })
}

fn of_json(schema: Value) -> Value {
    of("application/json", schema)
}
