//! What people say beside operations: holds, attestations, the off switch, the brake.

use super::operations::{Office, is};
use serde_json::{Value, json};

#[tokio::test]
async fn a_hold_stands_until_its_author_or_somebody_who_may_approve_lifts_it() {
    let office = Office::open().await;
    let (ann, _) = office.rig.token_of("ann", "operate").await;
    let made = office.post(&office.jane, "holds", json!({ "node": "N1", "reason": "looking" })).await;
    let id = made.body["id"].as_str().unwrap_or_else(|| panic!("{}", made.body)).to_owned();
    let listed = office.rig.get("/api/v1/holds").await.body;
    assert_eq!(
        (&listed["holds"][0]["node"], &listed["holds"][0]["by"], &listed["holds"][0]["is_local"]),
        (&json!("n01"), &json!("jane"), &json!(false))
    );
    let verdict = office.rig.get("/api/v1/verdicts?action=reboot&node=n01").await.body;
    let objects = |verdict: &Value| {
        let reasons = verdict["reasons"].as_array().unwrap();
        reasons.iter().any(|reason| reason["code"] == "hold_present" && reason["owner"] == "jane")
    };
    assert!(objects(&verdict), "{verdict:#}");
    let lift = format!("holds/{id}/lift");
    is(&office.post(&ann, &lift, json!({ "reason": "x" })).await, 403, "not_allowed");
    is(&office.post(&office.jane, &lift, json!({})).await, 400, "bad_parameter");
    let lifted = office.post(&office.joe, &lift, json!({ "reason": "seen" })).await;
    assert_eq!((lifted.status, &lifted.body), (200, &json!({ "holds": [] })));
    assert!(!objects(&office.rig.get("/api/v1/verdicts?action=reboot&node=n01").await.body));
    is(&office.post(&office.jane, &lift, json!({ "reason": "again" })).await, 409, "not_that_step");
}

#[tokio::test]
async fn a_word_without_sense_is_refused() {
    let office = Office::open().await;
    let long_ago = "2020-01-01T00:00:00Z";
    for (path, body, status, code) in [
        ("holds", json!({ "reason": "x" }), 400, "bad_parameter"),
        ("holds", json!({ "node": "n01" }), 400, "bad_parameter"),
        ("holds", json!({ "node": "n99", "reason": "x" }), 404, "unknown_node"),
        ("holds", json!({ "node": "n01", "reason": "x", "until": long_ago }), 400, "bad_parameter"),
        ("attestations", json!({ "node": "n01", "reason": "x" }), 400, "bad_parameter"),
        ("attestations", json!({ "source": "agent", "reason": "x" }), 400, "bad_parameter"),
        ("attestations", json!({ "node": "n01", "source": "agent" }), 400, "bad_parameter"),
        ("attestations", json!({ "node": "n01", "source": "weather", "reason": "x" }), 400, "bad_json"),
        ("attestations", json!({ "node": "n99", "source": "agent", "reason": "x" }), 404, "unknown_node"),
        (
            "attestations",
            json!({ "node": "n01", "source": "mesos_master", "reason": "x" }),
            409,
            "not_that_step",
        ),
        ("pause", json!({}), 400, "bad_parameter"),
        ("pause", json!({ "on": false, "reason": "x" }), 409, "not_that_step"),
        ("brake", json!({ "reason": "x" }), 400, "bad_parameter"),
        ("brake", json!({ "class": "agents", "reason": "x" }), 400, "bad_json"),
        ("brake", json!({ "class": "agent", "reason": "x" }), 409, "nothing_to_do"),
    ] {
        let answer = office.post(&office.jane, path, body.clone()).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (status, &json!(code)),
            "{path} {body}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn whoever_may_only_look_says_nothing() {
    let office = Office::open().await;
    let (viewer, _) = office.rig.token_of("pia", "view").await;
    for (path, body) in [
        ("holds", json!({ "node": "n01", "reason": "x" })),
        ("holds/hold-1/lift", json!({ "reason": "x" })),
        ("attestations", json!({ "node": "n01", "source": "agent", "reason": "x" })),
        ("pause", json!({ "reason": "x" })),
        ("brake", json!({ "class": "agent", "reason": "x" })),
    ] {
        is(&office.post(&viewer, path, body.clone()).await, 403, "not_allowed");
        is(&office.rig.post(&format!("/api/v1/{path}"), &body).await, 401, "not_signed_in");
    }
}

#[tokio::test]
async fn an_attestation_holds_for_a_quarter_of_an_hour() {
    let office = Office::open().await;
    let word = json!({ "node": "n01", "source": "agent", "reason": "looked" });
    let given = office.post(&office.jane, "attestations", word).await;
    let one = &given.body["attestations"][0];
    assert_eq!((&one["node"], &one["source"], &one["by"]), (&json!("n01"), &json!("agent"), &json!("jane")));
    office.clock.advance(jiff::SignedDuration::from_mins(16));
    assert_eq!(office.rig.get("/api/v1/attestations").await.body, json!({ "attestations": [] }));
}

#[tokio::test]
async fn the_off_switch_keeps_everything_from_beginning_until_it_is_released() {
    let office = Office::open().await;
    assert_eq!(office.rig.get("/api/v1/pause").await.body, json!({ "paused": null }));
    let paused = office.post(&office.jane, "pause", json!({ "reason": "network" })).await;
    assert_eq!(
        (&paused.body["paused"]["by"], &paused.body["paused"]["reason"]),
        (&json!("jane"), &json!("network"))
    );
    is(&office.post(&office.joe, "pause", json!({ "reason": "me too" })).await, 409, "not_that_step");
    let declined = office.ask(&office.joe, "drain", "n01", json!({})).await;
    is(&declined, 409, "objected");
    assert!(declined.body["message"].as_str().unwrap().contains("jane has paused"), "{}", declined.body);
    let resumed = office.post(&office.joe, "pause", json!({ "on": false, "reason": "over" })).await;
    assert_eq!((resumed.status, &resumed.body["paused"]), (200, &Value::Null));
    Office::id(&office.ask(&office.joe, "drain", "n01", json!({})).await);
}

#[tokio::test]
async fn every_word_is_in_the_audit_with_its_author_and_its_reason() {
    let office = Office::open().await;
    office.post(&office.jane, "holds", json!({ "node": "n01", "reason": "one" })).await;
    office
        .post(&office.jane, "attestations", json!({ "node": "n01", "source": "agent", "reason": "two" }))
        .await;
    office.post(&office.jane, "pause", json!({ "reason": "three" })).await;
    let audit = office.rig.get("/api/v1/audit?limit=3").await.body;
    let words: Vec<String> = audit["audit"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| ["by", "what", "about", "reason"].map(|key| entry[key].as_str().unwrap()).join(" "))
        .collect();
    assert_eq!(words, ["jane pause everything three", "jane attest n01/agent two", "jane hold n01 one"]);
}
