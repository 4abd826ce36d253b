//! The client beside a Foreman that answers in recorded shapes.

use super::{fake::FakeForeman, *};
use crate::integrations::hosts::testing::{hosts, place};
use millwright_protocol::NodeName;
use serde_json::json;

const NAMES: &[&str] = &["alibuild01", "alibuild02"];

async fn client(foreman: &FakeForeman) -> ForemanClient {
    let address = foreman.start().await.unwrap();
    ForemanClient::new(&place(&address), hosts(NAMES), &Tallies::default()).unwrap()
}

async fn look(client: &ForemanClient) -> Places {
    match client.look().await.unwrap() {
        Observation::Foreman(seen) => seen,
        other => panic!("{other:?}"),
    }
}

fn known<'a>(seen: &'a Places, node: &str) -> &'a Known {
    &seen.hosts[&node.parse::<NodeName>().unwrap()].known
}

fn of(fields: Value) -> HostFacts {
    let Value::Object(fields) = fields else { panic!("{fields}") };
    facts(&fields)
}

#[tokio::test]
async fn a_host_is_told_with_puppets_state_its_last_report_group_and_environment() {
    let foreman = FakeForeman::default();
    foreman.has(
        "alibuild01.example.org",
        json!({
            "configuration_status": 0, "configuration_status_label": "No changes", "global_status": 0,
            "global_status_label": "OK", "build": false, "build_status": 0, "build_status_label": "Installed",
            "last_report": "2021-03-01 10:00:00 UTC", "hostgroup_title": "alibuild/mesos/slave",
            "environment_name": "alibuild_devel", "enabled": true, "something_new": { "deep": [1, null] },
        }),
    );
    let seen = look(&client(&foreman).await).await;
    let Known::Yes(facts) = known(&seen, "alibuild01") else { panic!("{seen:?}") };
    assert_eq!((facts.state.as_str(), facts.status, facts.fails), ("Puppet: No changes", Status::Ok, false));
    assert_eq!(facts.last_report, "2021-03-01T10:00:00Z".parse().ok());
    assert_eq!(facts.more, ["host group alibuild/mesos/slave", "environment alibuild_devel"]);
    assert_eq!(known(&seen, "alibuild02"), &Known::No);
}

#[tokio::test]
async fn a_host_that_somebody_removes_is_gone_at_the_next_look() {
    let foreman = FakeForeman::default();
    for name in ["alibuild01.example.org", "alibuild02.example.org"] {
        foreman.has(name, json!({}));
    }
    let client = client(&foreman).await;
    assert!(matches!(known(&look(&client).await, "alibuild02"), Known::Yes(_)));
    foreman.loses("alibuild02.example.org");
    assert_eq!(known(&look(&client).await, "alibuild02"), &Known::No);
}

#[test]
fn puppets_state_is_read_from_its_label_and_never_from_its_bit_field() {
    // 6 bits a counter in older versions, 10 in newer: the same number means other things.
    let number = of(json!({ "configuration_status": 4096, "puppet_status": 4096 }));
    assert_eq!((number.status, number.fails), (Status::Unknown, false));
    assert!(number.state.contains("as a number only"), "{}", number.state);
    let zero = of(json!({ "configuration_status": 0 }));
    assert_eq!(zero.status, Status::Unknown, "no counter says nothing about reports");
    for (label, status) in [
        ("Error", Status::Crit),
        ("Out of sync", Status::Warn),
        ("Pending", Status::Warn),
        ("Active", Status::Ok),
        ("No changes", Status::Ok),
        ("No reports", Status::Unknown),
        ("Alerts disabled", Status::Unknown),
        ("A state of a later version", Status::Unknown),
    ] {
        let seen = of(json!({ "configuration_status": 0, "configuration_status_label": label }));
        assert_eq!((seen.status, seen.fails), (status, label == "Error"), "{label}");
    }
}

#[test]
fn a_status_that_is_absent_is_not_the_status_zero() {
    let bare = of(json!({}));
    assert_eq!((bare.status, bare.last_report, bare.more.len()), (Status::Unknown, None, 0));
    // As one answers of which nothing has been heard, and one whose fields have other types.
    let null = of(
        json!({ "configuration_status_label": null, "last_report": null, "build": "no", "hostgroup_title": 5 }),
    );
    assert_eq!(null, bare);
}

#[test]
fn a_host_that_is_to_be_built_anew_is_told() {
    let seen = of(json!({ "configuration_status_label": "No changes", "build": true,
        "build_status_label": "Pending installation" }));
    assert_eq!(seen.status, Status::Warn);
    assert_eq!(seen.more[..2], ["it is to be built anew at its next boot", "build: Pending installation"]);
}

#[tokio::test]
async fn how_many_match_is_the_subtotal_and_only_exact_names_count() {
    let foreman = FakeForeman::default();
    for name in ["alibuild01.example.org", "alibuild010.example.org", "old-alibuild02.example.org"] {
        foreman.has(name, json!({}));
    }
    foreman.is_loose();
    let client = client(&foreman).await;
    let seen = look(&client).await;
    assert!(matches!(known(&seen, "alibuild01"), Known::Yes(_)));
    assert_eq!(known(&seen, "alibuild02"), &Known::No, "there are 40000 hosts, and three match");
    // Whoever matches and is not listed may be any of them.
    foreman.hides(1);
    let why = client.look().await.unwrap_err();
    assert!(why.contains("more match"), "{why}");
}

#[tokio::test]
async fn more_hosts_than_a_page_holds_are_all_seen() {
    let foreman = FakeForeman::default();
    for number in 0..90 {
        foreman.has(&format!("a{number}.example.org"), json!({}));
    }
    foreman.has("alibuild02.example.org", json!({}));
    foreman.is_loose();
    let seen = look(&client(&foreman).await).await;
    assert!(matches!(known(&seen, "alibuild02"), Known::Yes(_)), "it is on the third page");
}

#[tokio::test]
async fn a_foreman_that_knows_none_of_our_hosts_has_not_said_that_one_is_gone() {
    let foreman = FakeForeman::default();
    foreman.has("alibuild01.elsewhere.org", json!({}));
    let why = client(&foreman).await.look().await.unwrap_err();
    assert!(why.contains("none of our 2 hosts") && why.contains("foreman.domain"), "{why}");
}

#[tokio::test]
async fn every_way_of_saying_no_is_told_in_its_own_words() {
    let foreman = FakeForeman::default();
    let client = client(&foreman).await;
    for (status, body, words) in [
        (401, json!({ "error": { "message": "Unable to authenticate user " } }), "foreman.user"),
        (
            403,
            json!({ "error": { "message": "Access denied", "missing_permissions": ["view_hosts"] } }),
            "Access denied",
        ),
        (
            422,
            json!({ "error": { "id": null, "errors": { "search": ["is bad"] }, "full_messages": ["Search is bad"] } }),
            "Search is bad",
        ),
        (400, json!({ "error": "Field 'nam' not recognized for searching!" }), "not recognized"),
        (404, json!({ "message": "no route" }), "no route"),
        (500, json!({ "error": { "message": "PG::ConnectionBad" } }), "PG::ConnectionBad"),
    ] {
        foreman.breaks(Some((status, body)));
        let why = client.look().await.unwrap_err();
        assert!(why.contains(&status.to_string()) && why.contains(words), "{why}");
    }
    for body in [json!({ "results": [] }), json!([]), json!({ "subtotal": 1, "results": "none" }), json!("")]
    {
        foreman.breaks(Some((200, body.clone())));
        let why = client.look().await.unwrap_err();
        assert!(why.contains("not what it should be"), "{body}: {why}");
    }
}
