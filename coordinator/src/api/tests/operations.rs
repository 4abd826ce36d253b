//! Operations over the API: asked for, agreed to, called off, run by hand; and every way in which the answer is no.

use super::rig::{Answer, Rig};
use crate::clock::HandClock;
use jiff::SignedDuration;
use millwright_decision::operation::Outcome;
use serde_json::{Value, json};
use std::sync::Arc;

#[track_caller]
pub fn is(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{}", answer.body);
}

/// People with tokens at a coordinator whose operations move when they are told to.
pub struct Office {
    pub rig: Rig,
    pub clock: Arc<HandClock>,
    /// May operate.
    pub jane: String,
    /// May operate and approve.
    pub joe: String,
}

impl Office {
    pub async fn open() -> Self {
        let (rig, clock) = Rig::start_operated().await;
        let (jane, _) = rig.token("operate").await;
        let (joe, _) = rig.token_of("joe", "operate approve").await;
        Self { rig, clock, jane, joe }
    }

    pub async fn post(&self, secret: &str, path: &str, body: Value) -> Answer {
        self.rig.with_token(secret, &format!("POST /api/v1/{path}"), Some(&body)).await
    }

    pub async fn ask(&self, secret: &str, action: &str, node: &str, more: Value) -> Answer {
        let mut body = json!({ "action": action, "nodes": [node], "reason": "kernel" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post(secret, "operations", body).await
    }

    /// The id of an operation that is accepted.
    #[track_caller]
    pub fn id(answer: &Answer) -> String {
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    pub async fn view(&self, id: &str) -> Value {
        self.rig.get(&format!("/api/v1/operations/{id}")).await.body
    }

    /// Lets operations advance; whatever is to be done outside succeeds.
    pub async fn advance(&self) {
        let app = &self.rig.app;
        loop {
            let tasks = app.operate(|operations, fleet, now| operations.advance(fleet, now)).await.unwrap();
            if tasks.is_empty() {
                return;
            }
            for task in tasks {
                let done = Outcome::done(Vec::new());
                app.operate(move |operations, _, now| operations.outcome(&task, done, now))
                    .await
                    .unwrap()
                    .unwrap();
            }
        }
    }

    /// A create of n04, whose making waits for Jane.
    pub async fn create(&self) -> String {
        let id = Self::id(&self.ask(&self.jane, "create", "n04", json!({})).await);
        self.advance().await;
        let view = self.view(&id).await;
        assert_eq!(
            (&view["step"], &view["command"]),
            (&json!("create"), &json!(["ai-bs", "n04"])),
            "{view:#}"
        );
        id
    }

    pub async fn confirm(&self, id: &str, body: Value) -> Answer {
        self.post(&self.jane, &format!("operations/{id}/confirm"), body).await
    }
}

/// The state of the step an operation is at, or was at.
fn state(view: &Value, step: &str) -> String {
    let steps = view["steps"].as_array().unwrap();
    let step = steps.iter().find(|one| one["step"] == step).unwrap();
    step["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_request_without_sense_is_declined_with_its_own_code_and_nothing_is_begun() {
    let office = Office::open().await;
    let nodes = |nodes: Value| json!({ "nodes": nodes });
    for (action, node, more, status, code) in [
        ("reboot", "n99", json!({}), 404, "unknown_node"),
        ("reboot", "n 1", json!({}), 400, "bad_node_name"),
        ("explode", "n01", json!({}), 400, "unknown_action"),
        ("drain", "n01", json!({ "reason": " " }), 400, "bad_parameter"),
        ("drain", "n01", nodes(json!(["n01", "n02"])), 400, "bad_parameter"),
        ("drain", "n01", nodes(json!([])), 400, "missing_node"),
        ("drain", "n01", json!({ "let_go": ["t1"] }), 400, "bad_parameter"),
        ("drain", "n01", json!({ "confirm": ["node_protected"] }), 400, "bad_parameter"),
        ("drain", "n01", json!({ "confirm": ["no_such_code"] }), 400, "bad_parameter"),
        ("drain", "n01", json!({ "volumes": "delete" }), 400, "bad_parameter"),
        ("drain", "n01", json!({ "executor": "somebody" }), 400, "bad_json"),
        ("drain", "n01", json!({ "hurry": true }), 400, "bad_json"),
        ("delete", "n01", json!({ "typed": "n02" }), 400, "bad_parameter"),
        ("delete", "n01", json!({}), 409, "objected"),
        ("reboot", "d01", json!({}), 409, "mode_observe"),
        ("rebuild", "n03", json!({}), 409, "node_protected"),
        ("create", "n01", json!({}), 409, "objected"),
    ] {
        let answer = office.ask(&office.jane, action, node, more.clone()).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (status, &json!(code)),
            "{action} {node} {more}: {}",
            answer.body
        );
    }
    assert_eq!(office.rig.get("/api/v1/operations").await.body, json!({ "operations": [] }));
}

#[tokio::test]
async fn what_is_declined_says_what_would_help() {
    let office = Office::open().await;
    let answer = office.ask(&office.jane, "delete", "n01", json!({})).await;
    let message = answer.body["message"].as_str().unwrap();
    assert!(message.contains("(intent_missing)") && message.contains("this would help:"), "{message}");

    // It is on record, once however often it is pressed.
    office.ask(&office.jane, "delete", "n01", json!({})).await;
    let audit = office.rig.get("/api/v1/audit").await.body;
    let declined = audit["audit"].as_array().unwrap().iter().filter(|entry| entry["what"] == "declined");
    let [declined] = declined.collect::<Vec<_>>()[..] else { panic!("{audit:#}") };
    assert_eq!((&declined["by"], &declined["about"]), (&json!("jane"), &json!("n01 (delete)")));
    assert!(declined["reason"].as_str().unwrap().contains("intent_missing"), "{declined:#}");
}

#[tokio::test]
async fn whoever_may_not_begins_nothing() {
    let office = Office::open().await;
    let (masters, _) = office.rig.token_of("ann", "operate:master").await;
    let (viewer, _) = office.rig.token_of("pia", "view").await;
    let id = Office::id(&office.ask(&office.jane, "drain", "n01", json!({})).await);
    for secret in [&masters, &viewer] {
        is(&office.ask(secret, "drain", "n02", json!({})).await, 403, "not_allowed");
        for verb in ["approve", "cancel", "retry", "confirm"] {
            let word = json!({ "reason": "x", "digest": "x", "what": "done" });
            let word = if verb == "approve" { json!({ "reason": "x", "digest": "x" }) } else { word };
            is(&office.post(secret, &format!("operations/{id}/{verb}"), word).await, 403, "not_allowed");
        }
    }
    let wanted = json!({ "action": "drain", "nodes": ["n01"], "reason": "x" });
    is(&office.rig.post("/api/v1/operations", &wanted).await, 401, "not_signed_in");
    is(
        &office
            .post(&office.jane, &format!("operations/{id}/approve"), json!({ "reason": "x", "digest": "x" }))
            .await,
        403,
        "not_allowed",
    );
    assert_eq!(office.view(&id).await["state"], "running");
}

#[tokio::test]
async fn a_rehearsal_says_what_would_happen_and_writes_nothing() {
    let office = Office::open().await;
    let before = office.rig.app.with_operations(|operations| operations.position()).await;
    let answer = office.ask(&office.jane, "drain", "N1.cern.ch", json!({ "dry_run": true })).await;
    assert_eq!(
        (answer.status, &answer.body["id"], &answer.body["is_dry_run"]),
        (200, &Value::Null, &json!(true))
    );
    assert_eq!(answer.body["plan"], json!(["cordon", "move", "prove_empty"]), "{}", answer.body);
    is(&office.ask(&office.jane, "rebuild", "n03", json!({ "dry_run": true })).await, 409, "node_protected");
    assert_eq!(office.rig.app.with_operations(|operations| operations.position()).await, before);
}

#[tokio::test]
async fn who_presses_twice_means_one_thing_and_somebody_else_is_told_of_it() {
    let office = Office::open().await;
    let id = Office::id(&office.ask(&office.jane, "drain", "n01", json!({})).await);
    let again = office.ask(&office.jane, "drain", "N01", json!({})).await;
    assert_eq!((&again.body["id"], &again.body["is_known"]), (&json!(id), &json!(true)), "{}", again.body);
    let other = office.ask(&office.joe, "drain", "n01", json!({})).await;
    is(&other, 409, "operation_running");
    let listed = office.rig.get("/api/v1/operations?open=true&node=n1").await.body;
    assert_eq!(listed["operations"].as_array().unwrap().len(), 1, "{listed:#}");
    assert_eq!(office.rig.get("/api/v1/operations?node=n02").await.body, json!({ "operations": [] }));
    is(&office.rig.get("/api/v1/operations?open=perhaps").await, 400, "bad_parameter");
    let audit = office.rig.get("/api/v1/audit").await.body;
    let begun: Vec<&Value> =
        audit["audit"].as_array().unwrap().iter().filter(|entry| entry["what"] == "drain").collect();
    let [begun] = begun.as_slice() else { panic!("{audit:#}") };
    assert_eq!((&begun["by"], &begun["reason"]), (&json!("jane"), &json!("kernel")), "it was begun once");
}

#[tokio::test]
async fn an_approval_is_another_persons_and_of_what_is_planned_now() {
    let office = Office::open().await;
    // Joe may approve, so his own is refused for being his own.
    let id = Office::id(&office.ask(&office.joe, "drain", "n01", json!({})).await);
    let digest = office.view(&id).await["digest"].clone();
    let approve = |digest: Value| json!({ "digest": digest, "reason": "seen" });
    let path = format!("operations/{id}/approve");
    is(&office.post(&office.joe, &path, approve(digest.clone())).await, 409, "own_approval");
    let (ann, _) = office.rig.token_of("ann", "approve").await;
    is(&office.post(&ann, &path, approve(json!("0000"))).await, 409, "stale_approval");
    is(&office.post(&ann, &path, json!({ "reason": "seen" })).await, 400, "bad_parameter");
    is(&office.post(&ann, &path, json!({ "digest": digest.clone() })).await, 400, "bad_parameter");
    let answer = office.post(&ann, &path, approve(digest)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let grant = &answer.body["operation"]["grants"][0];
    assert_eq!((&grant["by"], &grant["counts"]), (&json!("ann"), &json!(true)), "{grant}");
}

#[tokio::test]
async fn a_word_to_an_operation_that_is_not_there_says_so() {
    let office = Office::open().await;
    for verb in ["approve", "cancel", "retry", "confirm"] {
        let word = json!({ "reason": "x" });
        is(
            &office.post(&office.joe, &format!("operations/op-9/{verb}"), word).await,
            404,
            "unknown_operation",
        );
    }
    for id in ["op-9", "nonsense", "op-", "op-99999999999999999999999"] {
        is(&office.rig.get(&format!("/api/v1/operations/{id}")).await, 404, "unknown_operation");
    }
}

#[tokio::test]
async fn an_operation_is_called_off_before_the_point_of_no_return_and_taken_over_after_it() {
    let office = Office::open().await;
    let cancel = async |id: &str, body: Value| {
        office.post(&office.jane, &format!("operations/{id}/cancel"), body).await
    };
    let drain = Office::id(&office.ask(&office.jane, "drain", "n01", json!({})).await);
    is(&cancel(&drain, json!({})).await, 400, "bad_parameter");
    let called_off = cancel(&drain, json!({ "reason": "no need" })).await;
    assert_eq!(called_off.status, 200, "{}", called_off.body);
    office.advance().await;
    assert_eq!(office.view(&drain).await["state"], "cancelled");
    is(&cancel(&drain, json!({ "reason": "again" })).await, 409, "not_that_step");

    let create = office.create().await;
    assert_eq!(office.confirm(&create, json!({ "what": "begin" })).await.status, 200);
    let late = cancel(&create, json!({ "reason": "no need" })).await;
    is(&late, 409, "past_no_return");
    assert!(late.body["message"].as_str().unwrap().contains("--abandon"), "{}", late.body);
    let taken = cancel(&create, json!({ "reason": "by hand now", "abandon": true })).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    office.advance().await;
    assert_eq!(office.view(&create).await["state"], "parked");
}

#[tokio::test]
async fn a_person_runs_the_command_and_its_exit_code_says_how_the_step_ended() {
    for (code, state_then, may) in [
        (json!(0), "done", vec![]),
        (json!(2), "not_done", vec!["begin"]),
        (json!(30), "unknown", vec!["done", "not_run"]),
        (Value::Null, "unknown", vec!["done", "not_run"]),
    ] {
        let office = Office::open().await;
        let id = office.create().await;
        let begun = office.confirm(&id, json!({ "what": "begin" })).await;
        assert_eq!(begun.body["command"], json!(["ai-bs", "n04"]), "{}", begun.body);
        assert_eq!(begun.body["operation"]["permit"]["step"], "create");
        is(&office.confirm(&id, json!({ "what": "begin" })).await, 409, "objected");
        let ended = office.confirm(&id, json!({ "what": "exit", "code": code, "said": "so\nit went" })).await;
        assert_eq!(ended.status, 200, "{}", ended.body);
        let view = &ended.body["operation"];
        assert_eq!(state(view, "create"), state_then, "{code}: {view:#}");
        for word in may {
            assert!(view["may"].as_array().unwrap().contains(&json!(word)), "{code}: {}", view["may"]);
        }
    }
}

#[tokio::test]
async fn a_command_that_was_only_shown_stays_unknown_until_somebody_says_what_became_of_it() {
    let office = Office::open().await;
    let id = office.create().await;
    is(&office.confirm(&id, json!({ "what": "printed" })).await, 400, "bad_parameter");
    let printed = office.confirm(&id, json!({ "what": "printed", "reason": "elsewhere" })).await;
    assert_eq!(printed.body["command"], json!(["ai-bs", "n04"]), "{}", printed.body);
    // An hour later nobody can say more than now.
    office.clock.advance(SignedDuration::from_hours(1));
    office.advance().await;
    let view = office.view(&id).await;
    assert_eq!(state(&view, "create"), "unknown", "{view:#}");
    is(&office.confirm(&id, json!({ "what": "not_run" })).await, 400, "bad_parameter");
    let not_run = office.confirm(&id, json!({ "what": "not_run", "reason": "thrown away" })).await;
    assert_eq!(state(&not_run.body["operation"], "create"), "not_done", "{}", not_run.body);
}

#[tokio::test]
async fn a_word_that_means_nothing_where_the_operation_is_changes_nothing() {
    let office = Office::open().await;
    let drain = Office::id(&office.ask(&office.jane, "drain", "n01", json!({})).await);
    for what in ["begin", "printed", "exit", "done", "not_run"] {
        let answer = office.confirm(&drain, json!({ "what": what, "reason": "x", "code": 0 })).await;
        is(&answer, 409, "not_that_step");
    }
    is(&office.confirm(&drain, json!({ "what": "perhaps", "reason": "x" })).await, 400, "bad_parameter");
    is(
        &office.post(&office.jane, &format!("operations/{drain}/retry"), json!({ "reason": "x" })).await,
        409,
        "not_that_step",
    );
    let create = office.create().await;
    is(&office.confirm(&create, json!({ "what": "exit", "code": 0 })).await, 409, "not_that_step");
    is(&office.confirm(&create, json!({ "what": "done", "reason": "x" })).await, 409, "not_that_step");
}
