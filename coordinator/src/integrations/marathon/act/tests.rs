//! Moving a task of Marathon's, whatever that makes of it.

use super::*;
use crate::{
    config::{MayMove, OutsideServers},
    fleet::Place,
    integrations::{
        marathon::fake::{FakeMarathon, OnKill},
        peer::Credentials,
        recorded::Recorded,
    },
};
use std::{collections::BTreeMap, time::Duration};

const HERE: (&str, &str) = ("alibuild10.cern.ch", "S-10");
const THERE: (&str, &str) = ("alibuild11.cern.ch", "S-11");
const ELSEWHERE: OnKill = OnKill::StartsOn("alibuild12.cern.ch", "S-12");

/// A service with an instance on the node that is emptied and one on another.
fn marathon() -> FakeMarathon {
    let marathon = FakeMarathon::default();
    marathon.has("/kibana", 2);
    marathon.runs("kibana.1", "/kibana", HERE.0, HERE.1);
    marathon.runs("kibana.2", "/kibana", THERE.0, THERE.1);
    marathon.on_kill(ELSEWHERE);
    marathon
}

fn operator_of(servers: &[String], credentials: Option<Credentials>) -> MarathonOperator {
    drop(rustls::crypto::ring::default_provider().install_default());
    let on = |(number, address): (usize, &String)| (node(number + 1), address.clone());
    let given = OutsideServers {
        servers: servers.iter().enumerate().map(on).collect::<BTreeMap<_, _>>(),
        credentials: None,
        every: Duration::from_secs(20),
        timeout: Duration::from_secs(2),
    };
    let may = MayMove { tasks: true, lead: true, credentials, patience: Duration::from_millis(80) };
    let system = OutsideScheduler { given, may };
    MarathonOperator::new(&system, &Tallies::default()).unwrap()
}

async fn operator(marathon: &FakeMarathon) -> MarathonOperator {
    let servers = [marathon.start().await.unwrap(), marathon.start().await.unwrap()];
    operator_of(&servers, None)
}

fn node(number: usize) -> NodeName {
    format!("alimesos0{number}").parse().unwrap()
}

fn errand() -> Errand {
    let place = Place { agent_ids: vec![HERE.1.into()], hosts: vec![HERE.0.into()] };
    Errand { service: "/kibana".into(), task: "kibana.1".into(), place }
}

/// Why it was not done, and the word of that.
#[track_caller]
fn refusal(outcome: Outcome) -> (String, Option<String>) {
    match outcome {
        Outcome::NotDone { why, refusal } => (why, refusal),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn question(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unknown { question } => question,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_task_is_killed_without_scaling_and_its_successor_is_seen_elsewhere() {
    let marathon = marathon();
    let outcome = operator(&marathon).await.move_task(&errand()).await;
    let Outcome::Done { evidence, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((evidence[0].fact.as_str(), evidence[0].value.as_str()), ("task kibana.1", "gone"));
    assert_eq!(evidence[1].value, "2 of 2 healthy, on alibuild11.cern.ch, alibuild12.cern.ch");
    assert_eq!(marathon.asked(), ["DELETE /v2/apps/kibana/tasks/kibana%2E1?scale=false"]);
    assert_eq!(marathon.wanted("/kibana"), Some(2));
}

#[tokio::test]
async fn what_has_gone_before_is_asked_for_by_nobody() {
    let marathon = marathon();
    let operator = operator(&marathon).await;
    for _ in 0..3 {
        assert!(matches!(operator.move_task(&errand()).await, Outcome::Done { .. }));
    }
    assert_eq!(marathon.asked().len(), 1, "a crash in between has it asked once more, and it is so already");
    let gone = Errand { service: "/away".into(), task: "away.1".into(), ..errand() };
    assert!(matches!(operator.move_task(&gone).await, Outcome::Done { .. }));
    let doubtful = Errand { service: "/away".into(), task: "kibana.2".into(), ..errand() };
    assert!(
        refusal(operator.move_task(&doubtful).await).0.contains("has it as one of /kibana and not of /away")
    );
}

#[tokio::test]
async fn the_last_healthy_instance_is_left_where_it_is() {
    let ill = marathon();
    ill.ails("kibana.2");
    let alone = marathon();
    alone.loses("kibana.2");
    alone.has("/kibana", 1);
    let neighbours = marathon();
    neighbours.loses("kibana.2");
    neighbours.runs("kibana.2", "/kibana", HERE.0, HERE.1);
    for marathon in [ill, alone, neighbours] {
        let (why, word) = refusal(operator(&marathon).await.move_task(&errand()).await);
        assert!(
            why.contains("no other healthy instance of /kibana") && why.contains("--let-go kibana.1"),
            "{why}"
        );
        assert_eq!((word.as_deref(), marathon.asked().len()), (Some("last_instance"), 0));
    }
}

#[tokio::test]
async fn a_service_that_lacks_an_instance_already_loses_no_other() {
    let marathon = marathon();
    marathon.has("/kibana", 3);
    let operator = operator(&marathon).await;
    let (why, word) = refusal(operator.move_task(&errand()).await);
    assert!(why.contains("1 others of /kibana are healthy and 3 are wanted"), "{why}");
    assert_eq!((word.as_deref(), marathon.asked().len()), (Some("service_short"), 0));
    // One that is ill itself is what is missing.
    marathon.has("/kibana", 2);
    marathon.ails("kibana.1");
    assert!(matches!(operator.move_task(&errand()).await, Outcome::Done { .. }));
}

#[tokio::test]
async fn an_app_that_may_run_there_only_is_not_moved() {
    let marathon = marathon();
    marathon.pins("/kibana", HERE.0);
    let (why, word) = refusal(operator(&marathon).await.move_task(&errand()).await);
    assert!(why.contains("may run on alibuild10.cern.ch only; change its constraints"), "{why}");
    assert_eq!((word.as_deref(), marathon.asked().len()), (Some("service_pinned"), 0));
}

#[tokio::test]
async fn an_app_that_a_deployment_has_locked_waits_for_its_end() {
    let marathon = marathon();
    marathon.locks("/kibana", true);
    let operator = operator(&marathon).await;
    let (why, word) = refusal(operator.move_task(&errand()).await);
    assert!(why.contains("Marathon is changing /kibana just now"), "{why}");
    assert_eq!((word.as_deref(), marathon.asked().len()), (Some("service_changing"), 0));
    // It begins between the look and the question.
    marathon.locks("/kibana", false);
    marathon.on_kill(OnKill::Refuses(409, "App is locked by one or more deployments."));
    let (why, word) = refusal(operator.move_task(&errand()).await);
    assert!(why.contains("App is locked by one or more deployments"), "{why}");
    assert_eq!(word.as_deref(), Some("service_changing"));
    marathon.on_kill(ELSEWHERE);
    assert!(matches!(operator.move_task(&errand()).await, Outcome::Done { .. }));
}

#[tokio::test]
async fn one_that_says_yes_and_does_nothing_is_found_out() {
    let marathon = marathon();
    marathon.on_kill(OnKill::Nothing);
    let (why, word) = refusal(operator(&marathon).await.move_task(&errand()).await);
    assert!(why.contains("said that it takes kibana.1 of /kibana away, and it is still there"), "{why}");
    assert_eq!(word, None, "tried a few times, and then a person hears it");
}

#[tokio::test]
async fn a_successor_on_the_same_node_is_no_move() {
    let marathon = marathon();
    marathon.on_kill(OnKill::StartsOn(HERE.0, HERE.1));
    let (why, _) = refusal(operator(&marathon).await.move_task(&errand()).await);
    assert!(why.contains("started kibana.new1 of /kibana on the same node again"), "{why}");
}

#[tokio::test]
async fn a_service_that_does_not_come_back_to_its_number_is_told() {
    for way in [OnKill::StartsNone, OnKill::Scales] {
        let marathon = marathon();
        marathon.on_kill(way.clone());
        let (why, word) = refusal(operator(&marathon).await.move_task(&errand()).await);
        assert!(why.contains("kibana.1 is gone and 1 of 2 instances are healthy"), "{way:?}: {why}");
        assert_eq!(word, None);
    }
}

#[tokio::test]
async fn a_failure_inside_says_nothing_about_what_was_done() {
    let done = marathon();
    done.on_kill(OnKill::DoesAndFails(502, "alibuild12.cern.ch", "S-12"));
    assert!(matches!(operator(&done).await.move_task(&errand()).await, Outcome::Done { .. }));
    let slow = marathon();
    slow.on_kill(OnKill::Hangs("alibuild12.cern.ch", "S-12"));
    assert!(matches!(operator(&slow).await.move_task(&errand()).await, Outcome::Done { .. }));
    assert_eq!(slow.asked().len(), 1, "what changes something is not asked for a second time");
    let open = marathon();
    open.on_kill(OnKill::Refuses(500, "oops"));
    let why = question(operator(&open).await.move_task(&errand()).await);
    assert!(
        why.contains("does Marathon take kibana.1 away? It is still there, and") && why.contains("oops"),
        "{why}"
    );
    let blind = marathon();
    blind.on_kill(OnKill::Breaks(500));
    let why = question(operator(&blind).await.move_task(&errand()).await);
    assert!(why.contains("has Marathon moved kibana.1 of /kibana?"), "{why}");
}

#[tokio::test]
async fn while_nothing_can_be_read_nothing_is_asked_for() {
    let marathon = marathon();
    let operator = operator(&marathon).await;
    marathon.breaks(Some(503));
    let (why, _) = refusal(operator.move_task(&errand()).await);
    assert!(why.contains("kibana.1 is not moved: none of its servers can be asked"), "{why}");
    assert!(marathon.asked().is_empty());
}

#[tokio::test]
async fn a_standby_that_answers_as_if_it_led_has_nothing_killed() {
    let marathon = marathon();
    // One without the header of a standby, and with the same address in its answer.
    let liar = Recorded::default();
    liar.says("/v2/leader", 200, r#"{"leader":"127.0.0.1:8080"}"#);
    let operator = operator_of(&[marathon.start().await.unwrap(), liar.start().await], None);
    let (why, word) = refusal(operator.move_task(&errand()).await);
    assert!(why.contains("which server of Marathon leads is not sure"), "{why}");
    assert_eq!((word.as_deref(), marathon.asked().len()), (Some("leader_unsure"), 0));
}

#[tokio::test]
async fn it_is_asked_in_the_name_of_whoever_may_act_and_told_when_that_is_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("secret");
    std::fs::write(&secret_file, "s3cret\n").unwrap();
    let marathon = marathon();
    marathon.on_kill(OnKill::Refuses(403, "Not Authorized to perform this action!"));
    let actor = Credentials { user: "mover".into(), secret_file };
    let operator = operator_of(&[marathon.start().await.unwrap()], Some(actor));
    let (why, word) = refusal(operator.move_task(&errand()).await);
    assert!(why.contains("see that marathon.act_user and marathon.act_secret_file"), "{why}");
    assert_eq!(
        (word.as_deref(), marathon.names()),
        (Some("forbidden"), vec!["Basic bW92ZXI6czNjcmV0".to_owned()])
    );
}

#[tokio::test]
async fn a_redirection_to_strangers_is_not_followed() {
    let server = Recorded::default();
    let task = r#"{"tasks":[{"id":"kibana.1","appId":"/kibana","slaveId":"S-10","state":"TASK_RUNNING"},
        {"id":"kibana.2","appId":"/kibana","slaveId":"S-11","state":"TASK_RUNNING"}]}"#;
    server.says("/v2/leader", 200, r#"{"leader":"127.0.0.1:8080"}"#).says("/v2/deployments", 200, "[]");
    server.says("/v2/apps", 200, r#"{"apps":[{"id":"/kibana","instances":2}]}"#).says("/v2/tasks", 200, task);
    let elsewhere = ("location", "http://elsewhere.example.org/v2/apps");
    server.says_with("/v2/apps/kibana/tasks/kibana%2E1", 307, elsewhere, "");
    let why = question(operator_of(&[server.start().await], None).move_task(&errand()).await);
    assert!(why.contains("it points at http://elsewhere.example.org/v2/apps"), "{why}");
}

#[tokio::test]
async fn names_lead_to_no_other_place_whatever_is_in_them() {
    let marathon = FakeMarathon::default();
    let (app, id) = ("/group/web", "group_web.x/../../apps?wipe=true&scale=true");
    marathon.has(app, 2);
    marathon.runs(id, app, HERE.0, HERE.1);
    marathon.runs("group_web.2", app, THERE.0, THERE.1);
    let errand = Errand { service: app.into(), task: id.into(), ..errand() };
    operator(&marathon).await.move_task(&errand).await;
    let asked = marathon.asked();
    let expected = "DELETE /v2/apps/group/web/tasks/group_web%2Ex%2F%2E%2E%2F%2E%2E%2Fapps%3Fwipe%3Dtrue%26scale%3Dtrue?scale=false";
    assert_eq!(asked, [expected]);
}

#[tokio::test]
async fn the_lead_is_given_away_once_and_seen_elsewhere() {
    let marathon = marathon();
    let servers = [marathon.start().await.unwrap(), marathon.start().await.unwrap()];
    let operator = operator_of(&servers, None);
    let outcome = operator.hand_over(&node(1)).await;
    let Outcome::Done { evidence, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((evidence[0].fact.as_str(), &evidence[0].value), ("marathon_leader", &servers[1]));
    assert!(matches!(operator.hand_over(&node(1)).await, Outcome::Done { .. }));
    assert_eq!(marathon.asked(), ["DELETE /v2/leader"], "it leads elsewhere already");
}

#[tokio::test]
async fn a_lead_is_not_given_away_to_nobody_and_one_that_stays_is_told() {
    let alone = marathon();
    let operator_alone = operator_of(&[alone.start().await.unwrap()], None);
    let (why, _) = refusal(operator_alone.hand_over(&node(1)).await);
    assert!(
        why.contains("no other server of Marathon than http://127.0.0.1:") && why.contains("stands by"),
        "{why}"
    );
    assert!(alone.asked().is_empty());
    let clinging = marathon();
    clinging.clings();
    let why = question(operator(&clinging).await.hand_over(&node(1)).await);
    assert!(why.contains("given its lead away?") && why.contains("leads as before"), "{why}");
}
