//! What people say: root on the socket and nobody without a name, recorded, and refused with the reason otherwise.

use super::rig::Rig;
use serde_json::json;

/// Whether this test may write; the kernel tells the coordinator who it is.
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[tokio::test]
async fn nobody_writes_over_tcp() {
    let rig = Rig::start().await;
    for path in [
        "/api/v1/nodes/n01/accept",
        "/api/v1/nodes/n01/forget",
        "/api/v1/nodes/n01/dead",
        "/api/v1/acknowledgements",
    ] {
        let answer = rig.post(path, &json!({ "reason": "x" })).await;
        assert_eq!((answer.status, &answer.body["code"]), (401, &json!("not_signed_in")), "{path}");
        assert!(answer.body["message"].as_str().unwrap().contains("sudo"));
    }
}

#[tokio::test]
async fn on_the_socket_root_writes_and_nobody_else() {
    let rig = Rig::start().await;
    rig.report("n01", &rig.sample_report("n01")).await;
    let said = json!({ "reason": "its disk controller burned", "by": "jane" });
    let answer = rig.post_on_socket("/api/v1/nodes/N1.cern.ch/dead", &said).await;
    if !is_root() {
        assert_eq!(answer.body["code"], "not_signed_in", "{}", answer.body);
        return;
    }
    assert_eq!((answer.status, &answer.body["node"]), (200, &json!("n01")), "{}", answer.body);
    let note = answer.body["note"].as_str().unwrap();
    assert!(note.starts_with("n01 reported ") && note.contains("millwright node accept n01"), "{note}");
    let silent = rig.post_on_socket("/api/v1/nodes/n02/dead", &said).await;
    assert!(silent.body.get("note").is_none(), "{}", silent.body);
    let audit = rig.get("/api/v1/audit?limit=2").await.body["audit"][1].clone();
    assert_eq!(audit["by"], "jane (as root)", "{audit}");
    assert_eq!(audit["reason"], "its disk controller burned", "{audit}");
}

#[tokio::test]
async fn words_without_sense_are_refused() {
    if !is_root() {
        return;
    }
    let rig = Rig::start().await;
    rig.report("n01", &rig.sample_report("n01")).await;
    for (path, body, status, code) in [
        ("/api/v1/nodes/n01/dead", json!({}), 400, "bad_parameter"),
        ("/api/v1/nodes/n01/dead", json!({ "why": "x" }), 400, "bad_json"),
        ("/api/v1/nodes/n99/dead", json!({ "reason": "x" }), 404, "unknown_node"),
        ("/api/v1/nodes/n01/accept", json!({ "reason": "x" }), 409, "nothing_to_do"),
        ("/api/v1/nodes/n01/forget", json!({ "reason": "x" }), 409, "still_reports"),
        ("/api/v1/acknowledgements", json!({ "finding": "n01/docker" }), 400, "bad_json"),
        ("/api/v1/acknowledgements", json!({ "finding": "n01/docker", "until": "soon" }), 400, "bad_json"),
        (
            "/api/v1/acknowledgements",
            json!({ "finding": "n01/flux", "until": "2099-01-01T00:00:00Z" }),
            404,
            "unknown_finding",
        ),
    ] {
        let answer = rig.post_on_socket(path, &body).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (status, &json!(code)),
            "{path} {body}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn a_finding_can_be_acknowledged_until_a_date() {
    if !is_root() {
        return;
    }
    let rig = Rig::start().await;
    let mut report = rig.sample_report("n01");
    report["findings"][0]["status"] = json!("warn");
    rig.report("n01", &report).await;
    let given = json!({ "finding": "n01/docker", "until": "2099-01-01T00:00:00Z", "reason": "known" });
    let answer = rig.post_on_socket("/api/v1/acknowledgements", &given).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let listed = rig.get("/api/v1/acknowledgements").await.body;
    assert_eq!(listed["acknowledgements"][0]["by"], "root", "{listed}");
}

#[tokio::test]
async fn in_mode_observe_nothing_is_started() {
    let rig = Rig::start().await;
    assert_eq!(rig.get("/api/v1/operations").await.body, json!({ "operations": [] }));
    let wanted = json!({ "action": "reboot", "nodes": ["n01"] });
    let answer = rig.post("/api/v1/operations", &wanted).await;
    assert_eq!((answer.status, &answer.body["code"]), (409, &json!("mode_observe")), "{}", answer.body);
    for (wanted, status, code) in [
        (json!({ "nodes": ["n01"] }), 400, "missing_action"),
        (json!({ "action": "reboot" }), 400, "missing_node"),
        (json!({ "action": "reboot", "nodes": ["n99"] }), 404, "unknown_node"),
    ] {
        let answer = rig.post("/api/v1/operations", &wanted).await;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{}", answer.body);
    }
}
