//! Moving a task of Aurora's, whatever that makes of it.

use super::*;
use crate::{
    config::{MayMove, OutsideServers},
    fleet::Place,
    integrations::{
        aurora::fake::{FakeAurora, OnRestart},
        recorded::Recorded,
    },
};
use std::{collections::BTreeMap, time::Duration};

const HERE: (&str, &str) = ("alibuild10.cern.ch", "S-10");
const THERE: (&str, &str) = ("alibuild11.cern.ch", "S-11");
const ELSEWHERE: OnRestart = OnRestart::RunsOn("alibuild12.cern.ch", "S-12");
const JOB: &str = "mesosci/prod/web";

/// A job with an instance on the node that is emptied and one on another.
fn aurora() -> FakeAurora {
    let aurora = FakeAurora::default();
    aurora.runs("web-0", JOB, 0, THERE.0, THERE.1);
    aurora.runs("web-1", JOB, 1, HERE.0, HERE.1);
    aurora.on_restart(ELSEWHERE);
    aurora
}

fn operator_of(servers: &[String]) -> AuroraOperator {
    drop(rustls::crypto::ring::default_provider().install_default());
    let on = |(number, address): (usize, &String)| {
        (format!("alimesos0{}", number + 1).parse().unwrap(), address.clone())
    };
    let given = OutsideServers {
        servers: servers.iter().enumerate().map(on).collect::<BTreeMap<_, _>>(),
        credentials: None,
        every: Duration::from_secs(20),
        timeout: Duration::from_secs(5),
    };
    let may = MayMove { tasks: true, patience: Duration::from_millis(80), ..MayMove::default() };
    AuroraOperator::new(&OutsideScheduler { given, may }, &Tallies::default()).unwrap()
}

async fn operator(aurora: &FakeAurora) -> AuroraOperator {
    operator_of(&[aurora.start().await.unwrap()])
}

fn errand() -> Errand {
    let place = Place { agent_ids: vec![HERE.1.into()], hosts: vec![HERE.0.into()] };
    Errand { service: JOB.into(), task: "web-1".into(), place }
}

/// Why it was not done, and the word of that.
#[track_caller]
fn refusal(outcome: Outcome) -> (String, Option<String>) {
    match outcome {
        Outcome::NotDone { why, refusal } => (why, refusal),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn that_one_instance_is_restarted_by_job_key_and_number_and_seen_elsewhere() {
    let aurora = aurora();
    let operator = operator(&aurora).await;
    let outcome = operator.move_task(&errand()).await;
    let Outcome::Done { evidence, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(evidence[1].value, "2 of 2 healthy, on alibuild11.cern.ch, alibuild12.cern.ch");
    assert!(matches!(operator.move_task(&errand()).await, Outcome::Done { .. }));
    let job = json!({ "role": "mesosci", "environment": "prod", "name": "web" });
    assert_eq!(aurora.restarts(), [json!({ "job": job, "shardIds": [1] })], "once, and of one instance");
}

#[tokio::test]
async fn the_last_running_instance_and_one_that_is_pinned_are_left_where_they_are() {
    let waiting = aurora();
    waiting.is_now("web-0", "PENDING");
    let (why, word) = refusal(operator(&waiting).await.move_task(&errand()).await);
    assert!(why.contains("no other healthy instance of mesosci/prod/web"), "{why}");
    assert_eq!((word.as_deref(), waiting.restarts().len()), (Some("last_instance"), 0));
    let pinned = aurora();
    pinned.pins("web-1");
    let (why, word) = refusal(operator(&pinned).await.move_task(&errand()).await);
    assert!(why.contains("may run on alibuild10.cern.ch only"), "{why}");
    assert_eq!((word.as_deref(), pinned.restarts().len()), (Some("service_pinned"), 0));
}

#[tokio::test]
async fn a_job_that_is_changed_or_updated_waits_for_the_end_of_that() {
    let changing = aurora();
    changing.is_now("web-0", "RESTARTING");
    let (_, word) = refusal(operator(&changing).await.move_task(&errand()).await);
    assert_eq!((word.as_deref(), changing.restarts().len()), (Some("service_changing"), 0));
    for (code, expected) in [
        ("JOB_UPDATING_ERROR", Some("service_changing")),
        ("LOCK_ERROR", Some("service_changing")),
        ("AUTH_FAILED", Some("forbidden")),
        ("ERROR_TRANSIENT", Some("server_busy")),
        ("INVALID_REQUEST", None),
    ] {
        let aurora = aurora();
        aurora.on_restart(OnRestart::Says(code, "it says why"));
        let (why, word) = refusal(operator(&aurora).await.move_task(&errand()).await);
        assert!(why.contains(code) && why.contains("it says why"), "{why}");
        assert_eq!(word.as_deref(), expected, "{code}");
    }
}

#[tokio::test]
async fn an_error_in_an_answer_that_says_yes_is_read_back_and_is_a_question() {
    let aurora = aurora();
    aurora.on_restart(OnRestart::Says("ERROR", "storage is away"));
    let outcome = operator(&aurora).await.move_task(&errand()).await;
    let Outcome::Unknown { question } = outcome else { panic!("{outcome:?}") };
    assert!(
        question.contains("does Aurora take web-1 away?") && question.contains("storage is away"),
        "{question}"
    );
}

#[tokio::test]
async fn one_that_says_yes_and_does_nothing_or_starts_it_there_again_or_nowhere_is_found_out() {
    for (way, says) in [
        (OnRestart::Nothing, "it is still there"),
        (OnRestart::RunsOn(HERE.0, HERE.1), "on the same node again"),
        (OnRestart::Waits, "web-1 is gone and 1 of 2 instances are healthy"),
    ] {
        let aurora = aurora();
        aurora.on_restart(way);
        let (why, word) = refusal(operator(&aurora).await.move_task(&errand()).await);
        assert!(why.contains(says), "{why}");
        assert_eq!(word, None);
    }
}

#[tokio::test]
async fn a_scheduler_that_stands_by_is_asked_for_nothing() {
    let aurora = aurora();
    aurora.stands_by();
    let (why, _) = refusal(operator(&aurora).await.move_task(&errand()).await);
    assert!(why.contains("none of its schedulers says that it leads"), "{why}");
    let (one, other) = (aurora_that_leads(), aurora_that_leads());
    let both = operator_of(&[one.start().await.unwrap(), other.start().await.unwrap()]);
    let (_, word) = refusal(both.move_task(&errand()).await);
    assert_eq!(word.as_deref(), Some("leader_unsure"));
    assert!([aurora, one, other].iter().all(|aurora| aurora.restarts().is_empty()));
}

fn aurora_that_leads() -> FakeAurora {
    aurora()
}

#[tokio::test]
async fn without_a_job_key_that_aurora_itself_gave_nothing_is_restarted() {
    for job in ["web", "mesosci/prod", "mesosci//web", "mesosci/prod/web/x"] {
        assert_eq!(job_key(job), None, "{job}");
    }
    let nameless = Recorded::default();
    let task = |id: &str, agent: &str| {
        json!({ "status": "RUNNING", "assignedTask": { "taskId": id, "slaveHost": "h", "slaveId": agent,
            "task": { "job": { "role": "mesosci", "environment": "prod", "name": "web" } } } })
    };
    let tasks = json!({ "responseCode": "OK", "result": { "scheduleStatusResult": {
        "tasks": [task("web-1", HERE.1), task("web-0", THERE.1)] } } });
    nameless.says("/leaderhealth", 200, "OK").says("/vars.json", 200, "{}");
    nameless.says("/apibeta/getTasksWithoutConfigs", 200, tasks);
    nameless.says("/maintenance", 200, r#"{"DRAINED":[],"SCHEDULED":[],"DRAINING":{}}"#);
    let (why, _) = refusal(operator_of(&[nameless.start().await]).move_task(&errand()).await);
    assert!(why.contains("does not say which instance of which job it is"), "{why}");
}

#[tokio::test]
async fn a_host_that_maintenance_leaves_out_is_neither_known_nor_in_the_way() {
    let aurora = aurora();
    let operator = operator(&aurora).await;
    assert!(operator.client.look_once().await.unwrap().maintenance.is_empty());
    assert!(
        matches!(operator.move_task(&errand()).await, Outcome::Done { .. }),
        "what it lists as running counts"
    );
}

#[tokio::test]
async fn aurora_gives_no_lead_away() {
    let (why, _) = refusal(operator(&aurora()).await.hand_over(&"alimesos01".parse().unwrap()).await);
    assert!(why.contains("moves by itself"), "{why}");
}
