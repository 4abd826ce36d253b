//! The client beside a Roger of our own making.

use super::{fake::FakeRoger, *};
use crate::integrations::hosts::testing::{hosts, place};
use millwright_decision::operation::Outcome;
use millwright_protocol::NodeName;
use serde_json::json;

const NAMES: &[&str] = &["alibuild01", "alibuild02"];
const HOST: &str = "alibuild01.example.org";

async fn client(roger: &FakeRoger) -> RogerClient {
    let address = roger.start().await.unwrap();
    RogerClient::new(&place(&address), hosts(NAMES), &Tallies::default()).unwrap()
}

async fn before(client: &RogerClient) -> Alarms {
    client.state(HOST).await.unwrap().unwrap().set
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { evidence, .. } => evidence.last().unwrap().value.clone(),
        Outcome::NotDone { why, .. } => format!("not done: {why}"),
        Outcome::Unknown { question } => format!("unknown: {question}"),
    }
}

fn on(roger: &FakeRoger) -> (Vec<String>, String) {
    roger.on(HOST)
}

#[tokio::test]
async fn what_is_set_is_told_and_looking_writes_nothing() {
    let roger = FakeRoger::default();
    roger.has(HOST);
    let Observation::Roger(seen) = client(&roger).await.look().await.unwrap() else { panic!("another") };
    let set = seen[&"alibuild01".parse::<NodeName>().unwrap()].set.as_ref().unwrap();
    assert_eq!(
        (set.set.story().as_str(), set.off.as_slice()),
        ("production, app, nc, os on", &["hw".to_owned()][..])
    );
    assert_eq!(seen[&"alibuild02".parse::<NodeName>().unwrap()].set, None);
    // ai-kill's rehearsal writes here; whoever only looks must not.
    assert_eq!(roger.writes(), 0);
}

#[test]
fn truth_is_read_as_any_of_its_users_writes_it() {
    for (written, read) in [
        (json!(true), Some(true)),
        (json!(1), Some(true)),
        (json!("False"), Some(false)),
        (json!(0), Some(false)),
        (json!(2), None),
        (json!("perhaps"), None),
        (json!(null), None),
        (json!([]), None),
    ] {
        assert_eq!(truth(&written), read, "{written}");
    }
}

#[tokio::test]
async fn alarms_are_masked_once_and_put_back_as_they_were() {
    let roger = FakeRoger::default();
    roger.has(HOST);
    roger.somebody_sets(HOST, json!({ "message": "disk is watched" }));
    let client = client(&roger).await;
    let before = before(&client).await;
    for _ in 0..2 {
        let outcome = client.mask(HOST, &before, "op-1", "it goes").await;
        assert_eq!(told(&outcome), "production, no alarm on (Millwright op-1: it goes)");
    }
    assert_eq!(roger.writes(), 1, "the second time it is so already");
    let outcome = client.restore(HOST, &before, "op-1").await;
    assert_eq!(told(&outcome), "production, app, nc, os on (disk is watched)");
    assert_eq!(on(&roger), (["nc", "os", "app"].map(str::to_owned).to_vec(), "disk is watched".to_owned()));
    client.restore(HOST, &before, "op-1").await;
    assert_eq!(roger.writes(), 2, "what is back is left alone");
}

#[tokio::test]
async fn what_somebody_else_has_set_since_is_left_as_it_is() {
    let roger = FakeRoger::default();
    roger.has(HOST);
    let client = client(&roger).await;
    let before = before(&client).await;
    client.mask(HOST, &before, "op-1", "it goes").await;
    roger.somebody_sets(HOST, json!({ "message": "bob works on it", "appstate": "intervention" }));
    let outcome = client.restore(HOST, &before, "op-1").await;
    let left = "left as bob has set it: intervention, no alarm on (bob works on it)";
    assert_eq!((told(&outcome).as_str(), roger.writes()), (left, 1));
    // Another operation's mark is not this one's, however alike they are.
    roger.somebody_sets(HOST, json!({ "message": "Millwright op-11: it goes" }));
    assert!(told(&client.restore(HOST, &before, "op-1").await).starts_with("left as"));
    // One alarm and the state were changed under our message: the others come back, the state stays.
    roger.somebody_sets(HOST, json!({ "message": "Millwright op-1: it goes", "nc_alarmed": true }));
    let outcome = client.restore(HOST, &before, "op-1").await;
    assert_eq!(told(&outcome), "intervention since, left so; it was production");
    assert_eq!(on(&roger).0, ["nc", "os", "app"]);
}

#[tokio::test]
async fn what_is_not_as_it_was_read_is_not_masked() {
    let roger = FakeRoger::default();
    roger.has(HOST);
    let client = client(&roger).await;
    let before = before(&client).await;
    roger.somebody_sets(HOST, json!({ "app_alarmed": false }));
    let outcome = client.mask(HOST, &before, "op-1", "it goes").await;
    let Outcome::NotDone { why, refusal } = &outcome else { panic!("{outcome:?}") };
    assert!(why.starts_with("bob has set something else"), "{why}");
    assert_eq!((refusal.as_deref(), roger.writes()), (Some("alarms_changed"), 0));
}

#[tokio::test]
async fn one_that_does_it_and_says_no_is_believed_by_what_is_seen() {
    let roger = FakeRoger::default();
    roger.has(HOST);
    roger.lies();
    let client = client(&roger).await;
    let before = before(&client).await;
    let outcome = client.mask(HOST, &before, "op-1", "it goes").await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert!(matches!(client.restore(HOST, &before, "op-1").await, Outcome::Done { .. }));
    assert_eq!(on(&roger).0, ["nc", "os", "app"]);
}

#[tokio::test]
async fn one_that_says_yes_and_does_nothing_is_not_believed() {
    let roger = FakeRoger::default();
    roger.has(HOST);
    roger.is_deaf();
    let client = client(&roger).await;
    let before = before(&client).await;
    let outcome = client.mask(HOST, &before, "op-1", "it goes").await;
    assert!(told(&outcome).starts_with("not done: Roger took the call"), "{outcome:?}");
}

#[tokio::test]
async fn one_that_is_away_or_refuses_has_changed_nothing() {
    let roger = FakeRoger::default();
    roger.has(HOST);
    let client = client(&roger).await;
    let before = before(&client).await;
    roger.breaks(Some((503, false)));
    let outcome = client.mask(HOST, &before, "op-1", "it goes").await;
    assert!(
        matches!(&outcome, Outcome::NotDone { refusal: Some(word), .. } if word == "roger_silent"),
        "{outcome:?}"
    );
    roger.breaks(Some((403, true)));
    let outcome = client.mask(HOST, &before, "op-1", "it goes").await;
    assert!(told(&outcome).contains("roger.user"), "{outcome:?}");
    assert_eq!(on(&roger).0, ["nc", "os", "app"]);
}

#[tokio::test]
async fn what_it_says_of_another_host_or_not_at_all_is_not_taken() {
    let roger = FakeRoger::default();
    roger.has(HOST);
    roger.has("alibuild02.example.org");
    let client = client(&roger).await;
    for (fields, words) in [
        (json!({ "hostname": "alibuild02.example.org" }), "another host"),
        (json!({ "hostname": HOST, "appstate": null }), "no appstate"),
        (
            json!({ "appstate": "production", "nc_alarmed": null, "hw_alarmed": null, "os_alarmed": "x", "app_alarmed": {} }),
            "no alarm",
        ),
    ] {
        roger.somebody_sets(HOST, fields);
        let why = client.state(HOST).await.unwrap_err().to_string();
        assert!(why.contains(words), "{why}");
        assert!(client.look().await.is_ok(), "the other host has nothing to do with it: {why}");
    }
}
