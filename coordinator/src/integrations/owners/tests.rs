//! The client beside owners of our own making.

use super::{fake::FakeOwners, *};
use millwright_decision::Action;
use serde_json::{Value, json};

fn question() -> OwnerQuestion {
    OwnerQuestion {
        owner: "release managers".into(),
        operation: "op-7".into(),
        requested_by: "ann".into(),
        action: Action::Reboot,
        node: "alibuild10".into(),
        task: "x.1".into(),
        name: "x".into(),
        framework: "Aurora".into(),
        started_at: None,
    }
}

fn client(address: &str) -> Owners {
    drop(rustls::crypto::ring::default_provider().install_default());
    Owners::new(address, None, Duration::from_secs(5), &Tallies::default()).unwrap()
}

async fn said(status: u16, body: Value) -> OwnerSaid {
    let owners = FakeOwners::default();
    owners.answer(status, body);
    let client = client(&owners.start().await.unwrap());
    client.may(&question()).await
}

#[tokio::test]
async fn the_owner_is_named_and_hears_what_is_meant() {
    let owners = FakeOwners::default();
    let client = client(&owners.start().await.unwrap());
    assert_eq!(client.may(&question()).await, OwnerSaid::No("busy".into()));
    let asked = owners.asked();
    assert_eq!(asked.len(), 1);
    let (owner, body) = &asked[0];
    assert_eq!(owner, "release managers");
    let wanted = json!({ "owner": "release managers", "operation": "op-7", "requested_by": "ann", "action": "reboot", "node": "alibuild10",
        "task": "x.1", "name": "x", "framework": "Aurora", "started_at": null });
    assert_eq!(*body, wanted);
}

#[tokio::test]
async fn only_a_plain_yes_is_one() {
    assert_eq!(said(200, json!({ "may": true, "since": 3 })).await, OwnerSaid::Yes);
    assert_eq!(said(200, json!({ "may": false })).await, OwnerSaid::No("without saying why".into()));
    let long = said(200, json!({ "may": false, "why": format!("a\nb{}", "x".repeat(400)) })).await;
    let OwnerSaid::No(why) = long else { panic!("{long:?}") };
    assert!(why.starts_with("a bx") && why.chars().count() == TOLD, "{why}");
    for (status, body) in [
        (200, json!({})),
        (200, json!({ "may": "true" })),
        (200, json!({ "may": 1 })),
        (200, json!({ "may": null })),
        (200, json!(true)),
        (200, json!([{ "may": true }])),
        (302, json!({ "may": true })),
        (404, json!({ "may": true })),
        (500, json!({ "may": true })),
    ] {
        let answer = said(status, body.clone()).await;
        assert!(matches!(answer, OwnerSaid::Nothing(_)), "{status} {body}: {answer:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_no_answer_that_says_who_was_asked_where() {
    let client = client("http://127.0.0.1:1/may-i");
    let OwnerSaid::Nothing(why) = client.may(&question()).await else { panic!("an answer") };
    assert!(why.contains("owners") && why.contains("release%20managers"), "{why}");
}
