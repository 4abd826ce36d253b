//! An operator beside masters that say yes, say no, say nothing, or hang up.

use super::{
    super::testing::{Script, install_tls, ok, pointing_at_each_other, points_at, refusal, script, text},
    *,
};
use std::sync::{Arc, Mutex};

const FLOWING: &str =
    r#"{"slaves":[{"id":"S0","hostname":"n1","active":true,"deactivated":false},{"id":"S1"}]}"#;
const STOPPED: &str = r#"{"slaves":[{"id":"S0","hostname":"n1","active":false,"deactivated":true}]}"#;
const OLD: &str = r#"{"slaves":[{"id":"S0","hostname":"n1","active":true}]}"#;
const AWAY: &str = r#"{"slaves":[],"recovered_slaves":[{"id":"S0","hostname":"n1"}]}"#;
const NOWHERE: &str = r#"{"slaves":[]}"#;

type Asked = Arc<Mutex<Vec<String>>>;

/// A master that says this, one answer for each request.
async fn saying(answers: &[Option<&'static str>]) -> (String, Asked) {
    script(Script { answers: answers.iter().copied().collect(), ..Script::default() }).await
}

fn operator(masters: &[&String]) -> MesosOperator {
    install_tls();
    let masters: Vec<String> = masters.iter().map(|master| (*master).clone()).collect();
    MesosOperator::new(&masters, Duration::from_millis(500)).unwrap()
}

fn said(status: &str, body: &str) -> Option<&'static str> {
    Some(text(&refusal(status, body)))
}

/// How many calls were sent that change something.
fn calls(asked: &Asked) -> usize {
    asked.lock().unwrap().iter().filter(|request| request.starts_with("POST")).count()
}

#[tokio::test]
async fn it_is_asked_first_then_done_then_read_back() {
    let (master, asked) = saying(&[Some(ok(FLOWING)), Some(ok("")), Some(ok(STOPPED))]).await;
    let Outcome::Done(evidence) = operator(&[&master]).deactivate("S0").await else { panic!("not done") };
    let said: Vec<(&str, &str)> =
        evidence.iter().map(|fact| (fact.fact.as_str(), fact.value.as_str())).collect();
    assert_eq!(said, [("mesos_agent_id", "S0"), ("deactivated", "true"), ("mesos_hostname", "n1")]);
    assert!(evidence[0].source.starts_with("mesos_master 127.0.0.1:"), "{evidence:?}");

    let asked = asked.lock().unwrap();
    let first_lines: Vec<&str> = asked.iter().filter_map(|request| request.lines().next()).collect();
    assert_eq!(
        first_lines,
        ["GET /slaves?slave_id=S0 HTTP/1.1", "POST /api/v1 HTTP/1.1", "GET /slaves?slave_id=S0 HTTP/1.1"]
    );
    let body: serde_json::Value = serde_json::from_str(asked[1].split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body, json!({"type": "DEACTIVATE_AGENT", "deactivate_agent": {"agent_id": {"value": "S0"}}}));
    assert!(asked[1].to_ascii_lowercase().contains("content-type: application/json\r\n"));
}

#[tokio::test]
async fn what_is_so_already_is_not_done_again() {
    let (master, asked) = saying(&[Some(ok(STOPPED)), Some(ok(FLOWING))]).await;
    let operator = operator(&[&master]);
    assert!(matches!(operator.deactivate("S0").await, Outcome::Done(_)));
    assert!(matches!(operator.reactivate("S0").await, Outcome::Done(_)));
    assert_eq!(calls(&asked), 0);
}

#[tokio::test]
async fn a_refusal_is_not_done_with_the_masters_sentence() {
    for (status, sentence) in [
        (
            "400 Bad Request",
            "Failed to convert JSON into Call protobuf: Failed to find enum for 'DEACTIVATE_AGENT'",
        ),
        ("400 Bad Request", "Unknown agent"),
        ("403 Forbidden", ""),
        ("401 Unauthorized", ""),
        ("409 Conflict", "Agent is currently being marked gone"),
        ("415 Unsupported Media Type", ""),
    ] {
        let (master, _) = saying(&[Some(ok(OLD)), said(status, sentence), Some(ok(OLD))]).await;
        let Outcome::NotDone(why) = operator(&[&master]).deactivate("S0").await else { panic!("{status}") };
        assert!(why.contains(sentence) && why.contains(&status[..3]), "{why}");
    }
}

#[tokio::test]
async fn a_refusal_of_what_has_become_so_meanwhile_is_done() {
    let (master, _) =
        saying(&[Some(ok(STOPPED)), said("400 Bad Request", "Agent is not deactivated"), Some(ok(FLOWING))])
            .await;
    assert!(matches!(operator(&[&master]).reactivate("S0").await, Outcome::Done(_)));
}

#[tokio::test]
async fn accepted_is_not_done_until_the_leader_says_so() {
    for (after, question) in [
        (FLOWING, "lists it as not deactivated"),
        (OLD, "does not say whether it is deactivated"),
        (AWAY, "until it has registered again"),
        (NOWHERE, "does not list it"),
    ] {
        let (master, _) = saying(&[Some(ok(FLOWING)), Some(ok("")), Some(ok(after))]).await;
        let Outcome::Unknown(why) = operator(&[&master]).deactivate("S0").await else { panic!("{after}") };
        assert!(why.contains(question) && why.ends_with('?'), "{why}");
    }
}

#[tokio::test]
async fn a_call_that_breaks_off_is_unknown_unless_the_leader_says_it_is_so() {
    // An empty answer is none: the connection stays open and silent.
    for broken in [None, Some(""), said("500 Internal Server Error", "x"), said("502 Bad Gateway", "")] {
        let (master, _) = saying(&[Some(ok(FLOWING)), broken, Some(ok(FLOWING))]).await;
        let outcome = operator(&[&master]).deactivate("S0").await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{broken:?}: {outcome:?}");

        let (master, _) = saying(&[Some(ok(FLOWING)), broken, Some(ok(STOPPED))]).await;
        let outcome = operator(&[&master]).deactivate("S0").await;
        assert!(matches!(outcome, Outcome::Done(_)), "{broken:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn masters_that_do_not_tell_leave_it_unknown_and_nothing_is_sent() {
    // An earlier try may have come through: that nobody tells does not make it undone.
    for answer in [None, Some(""), said("503 Service Unavailable", "No leader elected"), Some(ok("{}"))] {
        let (master, asked) = script(Script { then: answer, ..Script::default() }).await;
        let outcome = operator(&[&master]).deactivate("S0").await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{answer:?}: {outcome:?}");
        assert_eq!(calls(&asked), 0);
    }
}

#[tokio::test]
async fn a_call_that_nobody_takes_is_not_done_and_one_that_may_be_taken_is_sent_to_nobody_else() {
    let (follower, asked_follower) = saying(&[]).await;
    for (answer, is_done) in [("No leader elected", false), ("Something else", true)] {
        let (master, asked) =
            saying(&[Some(ok(FLOWING)), said("503 Service Unavailable", answer), Some(ok(FLOWING))]).await;
        let outcome = operator(&[&master, &follower]).deactivate("S0").await;
        assert_eq!(calls(&asked), 1);
        // The follower hangs up on whatever it is asked: whether it took the call is not known either.
        assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
        assert_eq!(calls(&asked_follower) == 0, is_done, "{answer}");
        asked_follower.lock().unwrap().clear();
    }
    let (master, _) =
        saying(&[Some(ok(FLOWING)), said("503 Service Unavailable", "No leader elected"), Some(ok(FLOWING))])
            .await;
    let outcome = operator(&[&master]).deactivate("S0").await;
    assert!(matches!(&outcome, Outcome::NotDone(why) if why.contains("No leader elected")), "{outcome:?}");
}

#[tokio::test]
async fn a_follower_sends_the_call_on_to_the_leader_with_its_body() {
    let (leader, asked) = saying(&[Some(ok(FLOWING)), Some(ok("")), Some(ok(STOPPED))]).await;
    let to_leader = points_at(leader.trim_start_matches("http:"));
    let (follower, asked_follower) = script(Script { then: Some(to_leader), ..Script::default() }).await;
    let outcome = operator(&[&follower, &leader]).deactivate("S0").await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_eq!((calls(&asked), calls(&asked_follower)), (1, 0), "who led a moment ago is called first");
}

#[tokio::test]
async fn a_call_that_is_pointed_on_is_repeated_with_method_and_body_and_no_secret_can_be_lost() {
    // The lead changes between the look and the call. As Mesos writes it: an address without a scheme.
    let (next, asked_next) = saying(&[Some(ok("")), Some(ok(STOPPED))]).await;
    let to_next = points_at(&format!("{}/api/v1", next.trim_start_matches("http:")));
    let (before, asked_before) =
        script(Script { answers: [Some(ok(FLOWING))].into(), then: Some(to_next), ..Script::default() })
            .await;
    let outcome = operator(&[&before, &next]).deactivate("S0").await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let (asked_before, asked_next) = (asked_before.lock().unwrap(), asked_next.lock().unwrap());
    let body = |request: &str| request.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
    assert!(asked_next[0].starts_with("POST /api/v1 HTTP/1.1\r\n"), "{asked_next:?}");
    assert!(body(&asked_next[0]).contains("DEACTIVATE_AGENT"), "{asked_next:?}");
    assert_eq!(body(&asked_next[0]), body(&asked_before[1]));
    let all = asked_before.iter().chain(asked_next.iter());
    assert!(
        all.clone().count() == 5
            && all.clone().all(|one| !one.to_ascii_lowercase().contains("authorization"))
    );
}

#[tokio::test]
async fn masters_that_point_at_each_other_during_an_election_are_asked_a_few_times_and_nothing_is_done() {
    let masters = pointing_at_each_other([Some(ok(FLOWING)), None]).await;
    let [(one, asked_one), (two, asked_two)] = &masters;
    let outcome = operator(&[one, two]).deactivate("S0").await;
    assert!(matches!(&outcome, Outcome::NotDone(why) if why.contains("points on more than")), "{outcome:?}");
    // Either of the two is begun with once, and followed three times.
    assert_eq!(calls(asked_one) + calls(asked_two), 8);
}

#[test]
fn what_is_sent_names_one_agent_and_no_grace_period_no_schedule_and_no_machine() {
    for (act, kind, part) in [
        (Act::Deactivate, "DEACTIVATE_AGENT", "deactivate_agent"),
        (Act::Reactivate, "REACTIVATE_AGENT", "reactivate_agent"),
    ] {
        let body: serde_json::Value = serde_json::from_str(&act.body("S0")).unwrap();
        assert_eq!(body, json!({ "type": kind, part: { "agent_id": { "value": "S0" } } }));
    }
}

#[tokio::test]
async fn a_call_is_not_carried_to_a_stranger() {
    let (stranger, asked_stranger) = saying(&[]).await;
    let to_stranger = points_at(stranger.trim_start_matches("http:"));
    let (master, _) = saying(&[Some(ok(FLOWING)), Some(to_stranger), Some(ok(FLOWING))]).await;
    let outcome = operator(&[&master]).deactivate("S0").await;
    assert!(
        matches!(&outcome, Outcome::NotDone(why) if why.contains("none of the configured")),
        "{outcome:?}"
    );
    assert!(asked_stranger.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_id_is_one_value_whatever_stands_in_it() {
    let (master, asked) = saying(&[]).await;
    drop(operator(&[&master]).deactivate("S0&x=1#y z").await);
    let asked = asked.lock().unwrap();
    assert!(asked[0].starts_with("GET /slaves?slave_id=S0%26x%3D1%23y+z HTTP/1.1\r\n"), "{asked:?}");
}
