//! The client beside a PuppetDB that answers in documented shapes.

use super::{fake::FakePuppetDb, *};
use crate::integrations::hosts::testing::{hosts, place};
use millwright_protocol::NodeName;

const NAMES: &[&str] = &["alibuild01", "alibuild02", "alibuild03", "alibuild04"];

async fn client(db: &FakePuppetDb) -> PuppetDbClient {
    let address = db.start().await.unwrap();
    PuppetDbClient::new(&place(&address), hosts(NAMES), &Tallies::default()).unwrap()
}

async fn look(client: &PuppetDbClient) -> Places {
    match client.look().await.unwrap() {
        Observation::PuppetDb(seen) => seen,
        other => panic!("{other:?}"),
    }
}

fn of<'a>(seen: &'a Places, node: &str) -> &'a Known {
    &seen.hosts[&node.parse::<NodeName>().unwrap()].known
}

fn state(fields: Value) -> HostFacts {
    let Value::Object(fields) = fields else { panic!("{fields}") };
    match known(&fields) {
        Known::Yes(facts) => facts,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn those_that_are_missing_in_the_list_are_asked_for_by_name() {
    let db = FakePuppetDb::default();
    db.has(
        "alibuild01.example.org",
        json!({ "latest_report_status": "changed",
        "report_timestamp": "2021-03-01T10:00:00.000Z", "report_environment": "production" }),
    );
    db.has("alibuild02.example.org", json!({ "deactivated": "2021-03-02T10:00:00.000Z", "expired": null }));
    db.has("alibuild03.example.org", json!({ "expired": "2021-03-03T10:00:00.000Z" }));
    let client = client(&db).await;
    let seen = look(&client).await;
    let Known::Yes(facts) = of(&seen, "alibuild01") else { panic!("{seen:?}") };
    assert_eq!((facts.state.as_str(), facts.status), ("its last run ended as changed", Status::Ok));
    assert_eq!(facts.last_report, "2021-03-01T10:00:00Z".parse().ok());
    assert_eq!(of(&seen, "alibuild02"), &Known::Retired("deactivated at 2021-03-02T10:00:00.000Z".into()));
    assert!(matches!(of(&seen, "alibuild03"), Known::Retired(story) if story.starts_with("expired")));
    assert_eq!(of(&seen, "alibuild04"), &Known::No, "PuppetDB itself says that it knows nothing");
    db.loses("alibuild02.example.org");
    assert_eq!(of(&look(&client).await, "alibuild02"), &Known::No);
}

#[test]
fn every_field_is_optional_and_of_any_type() {
    let bare = state(json!({}));
    assert_eq!((bare.status, bare.last_report, bare.fails), (Status::Unknown, None, false));
    let odd = json!({ "latest_report_status": null, "report_timestamp": 5, "latest_report_noop": "yes",
        "cached_catalog_status": null, "deactivated": null, "expired": null, "a_later_field": {} });
    assert_eq!(state(odd), bare);
    assert_eq!(state(json!({ "latest_report_status": "skipped" })).status, Status::Unknown);
}

#[test]
fn a_run_that_failed_or_had_no_new_catalogue_is_told() {
    let failed = state(json!({ "latest_report_status": "failed" }));
    assert_eq!((failed.status, failed.fails), (Status::Crit, true));
    let cached = state(json!({ "latest_report_status": "unchanged", "cached_catalog_status": "on_failure" }));
    assert_eq!((cached.status, cached.fails), (Status::Warn, false));
    assert!(cached.more[0].contains("an old catalogue"));
}

#[tokio::test]
async fn a_404_of_something_in_front_does_not_mean_that_a_node_is_gone() {
    let db = FakePuppetDb::default();
    for name in ["alibuild01.example.org", "alibuild02.example.org", "alibuild03.example.org"] {
        db.has(name, json!({}));
    }
    db.has_front();
    let seen = look(&client(&db).await).await;
    assert!(!seen.hosts.contains_key(&"alibuild04".parse::<NodeName>().unwrap()), "nothing is known of it");
}

#[tokio::test]
async fn one_that_fails_on_many_at_once_is_to_blame_itself() {
    let db = FakePuppetDb::default();
    db.has("alibuild01.example.org", json!({}));
    db.has_front();
    let why = client(&db).await.look().await.unwrap_err();
    assert!(why.contains("of 3 of 4 hosts it does not say anything"), "{why}");
}

#[tokio::test]
async fn one_that_knows_none_of_ours_or_does_not_answer_says_nothing() {
    let db = FakePuppetDb::default();
    let client = client(&db).await;
    assert!(client.look().await.unwrap_err().contains("none of our 4 hosts"));
    db.breaks(Some(503));
    assert!(client.look().await.unwrap_err().contains("503"));
}
