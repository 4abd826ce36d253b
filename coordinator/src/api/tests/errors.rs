//! Everything a stranger can get wrong: one shape, the right code, a message that helps.

use super::rig::{Answer, Rig};
use serde_json::json;
use std::collections::BTreeSet;

/// The status, the code, and a part of the message; and always the one shape.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, part: &str) {
    let body = answer.body.as_object().unwrap_or_else(|| panic!("no JSON: {answer:?}"));
    let keys: BTreeSet<&str> = body.keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["code", "message", "request_id"]), "{body:?}");
    assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{body:?}");
    assert!(body["message"].as_str().unwrap().contains(part), "{part:?} is missing in {body:?}");
    assert!(!body["request_id"].as_str().unwrap().is_empty());
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
}

#[tokio::test]
async fn a_person_at_the_agents_door_is_shown_the_other_one() {
    let rig = Rig::start().await;
    let answer = rig.agents_get("/api/v1/nodes").await;
    assert_eq!(answer.status, 404);
    let message = answer.body["message"].as_str().unwrap();
    assert!(
        message.contains("agents report here") && message.contains("at http://127.0.0.1:8480"),
        "{message}"
    );
}

#[tokio::test]
async fn questions_without_sense_are_refused_with_the_accepted_form() {
    let rig = Rig::start().await;
    for (path, status, code, part) in [
        ("/api/v1/verdicts?action=explode&node=n01", 400, "unknown_action", "the actions are"),
        ("/api/v1/verdicts?node=n01", 400, "missing_action", "action="),
        ("/api/v1/verdicts?action=reboot", 400, "missing_node", "node=NAME"),
        ("/api/v1/verdicts?action=", 400, "unknown_action", "the actions are"),
        ("/api/v1/verdicts?action", 400, "unknown_action", "the actions are"),
        ("/api/v1/verdicts?", 400, "missing_action", "action="),
        ("/api/v1/verdicts?&&=&", 400, "bad_parameter", "no parameter here"),
        ("/api/v1/verdicts?action=%zz&node=n01", 400, "unknown_action", "the actions are"),
        ("/api/v1/verdicts?action=reboot&node=%", 400, "bad_node_name", "write a host name"),
        ("/api/v1/verdicts?action=reboot&n%6", 400, "bad_parameter", "no parameter here"),
        ("/api/v1/nodes/%zz", 400, "bad_node_name", "write a host name"),
        ("/api/v1/nodes/%ff", 400, "bad_request", "bad request"),
        ("/api/v1/audit?limit=%00", 400, "bad_parameter", "from 1 to"),
        ("/api/v1/verdicts?action=reboot&node=", 400, "bad_node_name", "write a host name"),
        ("/api/v1/verdicts?action=reboot&node=%ff", 400, "bad_node_name", "node name"),
        ("/api/v1/verdicts?action=reboot&node=n99", 404, "unknown_node", "millwright nodes"),
        ("/api/v1/verdicts?action=reboot&node=n01&node=n99", 404, "unknown_node", "n99"),
        (
            "/api/v1/verdicts?action=reboot&node=n01&volumes=burn",
            400,
            "bad_parameter",
            "neither keep nor delete",
        ),
        (
            "/api/v1/verdicts?action=reboot&node=n01&volumes=delete",
            400,
            "bad_parameter",
            "action=delete only",
        ),
        ("/api/v1/verdicts?action=reboot&nodes=n01", 400, "bad_parameter", "known: action, node, volumes"),
        ("/api/v1/verdicts?action=reboot&action=drain&node=n01", 400, "bad_parameter", "twice"),
        ("/api/v1/verdicts?action=reboot&node=N099.cern.ch", 404, "unknown_node", "N099.cern.ch is neither"),
        ("/api/v1/verdicts?action=create&node=n98&node=", 400, "bad_node_name", "write a host name"),
        ("/api/v1/nodes/n99", 404, "unknown_node", "n99"),
        ("/api/v1/nodes/n099", 404, "unknown_node", "n099 is neither"),
        ("/api/v1/nodes/%3Cscript%3E", 400, "bad_node_name", "write a host name"),
        ("/api/v1/audit?limit=0", 400, "bad_parameter", "from 1 to"),
        ("/api/v1/nothing", 404, "not_found", "/openapi.json"),
        ("/api/v1/nodes/n01/dead", 405, "method_not_allowed", "Allow"),
    ] {
        refused(&rig.get(path).await, status, code, part);
    }
}

#[tokio::test]
async fn a_thousand_nodes_are_enough_for_one_question() {
    let rig = Rig::start().await;
    let nodes: String = (0..1001).map(|number| format!("&node=n{number}")).collect();
    let answer = rig.get(&format!("/api/v1/verdicts?action=reboot{nodes}")).await;
    refused(&answer, 400, "bad_parameter", "1000");
}

#[tokio::test]
async fn a_report_about_another_node_is_refused() {
    let rig = Rig::start().await;
    let answer = rig.report("n01", &rig.sample_report("n02")).await;
    refused(&answer, 403, "not_your_node", "its own node only");
    let answer = rig.report("n01", &rig.sample_report("N1.cern.ch")).await;
    assert_eq!(answer.status, 200, "another spelling is the same node: {}", answer.body);
    refused(&rig.report("%20", &rig.sample_report("n01")).await, 400, "bad_node_name", "write a host name");
}

#[tokio::test]
async fn a_body_that_is_no_report_is_pointed_at() {
    let rig = Rig::start().await;
    let mut wrong = rig.sample_report("n01");
    wrong["findings"][0]["status"] = json!("splendid");
    refused(&rig.report("n01", &wrong).await, 400, "bad_json", "findings[0].status");
    for (body, code, part) in [
        (b"".as_slice(), "bad_json", "line 1 column 0"),
        (b"{", "bad_json", "line 1"),
        (b"[1,2", "bad_json", "line 1"),
        (b"null", "bad_json", "line 1"),
        (b"{\"protocol\":1,\n\"node\":3}", "bad_json", "in node"),
        (b"{\"protocol\":-1}", "bad_json", "in protocol"),
        (b"{\"protocol\":1,\"node\":\"\xc3\x28\"}", "not_utf8", "line 1 column"),
        (b"\xff\xfe{\0}\0", "not_utf8", "0xff"),
    ] {
        refused(&rig.report_bytes("n01", body).await, 400, code, part);
    }
    let mut other = rig.sample_report("n01");
    other["protocol"] = json!(7);
    refused(&rig.report("n01", &other).await, 400, "unsupported_protocol", "protocol 7");
}

#[tokio::test]
async fn a_deep_body_is_refused_and_a_deep_stranger_inside_one_is_skipped() {
    let rig = Rig::start().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&rig.report_bytes("n01", deep.as_bytes()).await, 400, "bad_json", "line 1");
    let report = rig.sample_report("n01").to_string();
    let with_more = format!("{{\"of_a_later_version\":{deep},{}", &report[1..]);
    assert_eq!(rig.report_bytes("n01", with_more.as_bytes()).await.status, 200, "unknown fields are skipped");
}

#[tokio::test]
async fn a_huge_body_is_refused_and_its_sender_hears_of_it() {
    let rig = Rig::start().await;
    let huge = vec![b' '; super::super::agents::LONGEST_REPORT + 1];
    refused(&rig.report_bytes("n01", &huge).await, 413, "body_too_large", "4194304 bytes");
    let patient =
        "POST /v1/agents/n01/report HTTP/1.1\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n";
    assert_eq!(rig.tcp(rig.agents, patient, &huge).await.status, 413);
}

#[tokio::test]
async fn a_body_that_a_web_page_could_send_unasked_is_refused() {
    let rig = Rig::start().await;
    for kind in ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"] {
        let head = format!("POST /v1/agents/n01/report HTTP/1.1\r\n{kind}");
        let body = rig.sample_report("n01").to_string();
        let answer = rig.tcp(rig.agents, &head, body.as_bytes()).await;
        refused(&answer, 415, "unsupported_media_type", "application/json");
    }
}

#[tokio::test]
async fn a_request_meant_for_another_host_is_refused_on_both_sides() {
    let rig = Rig::start().await;
    for (to, path) in [(rig.operators, "/api/v1/nodes"), (rig.agents, "/v1/agents/n01/orders?wait=1ms")] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\n");
        refused(&rig.tcp(to, &head, b"").await, 421, "host_not_allowed", "evil.example");
        for ours in ["localhost:1", "127.0.0.1", "mw.cern.ch"] {
            let head = format!("GET {path} HTTP/1.1\r\nhost: {ours}\r\n");
            assert_eq!(rig.tcp(to, &head, b"").await.status, 200, "{ours}");
        }
    }
}

#[tokio::test]
async fn every_answer_to_operators_keeps_browsers_in_their_place() {
    let rig = Rig::start().await;
    for path in ["/api/v1/nodes", "/api/v1/nothing"] {
        let answer = rig.get(path).await;
        for header in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "x-request-id: ",
        ] {
            assert!(answer.head.contains(header), "{path}: {header} is missing in {}", answer.head);
        }
    }
}
