//! Stopping the offers of a node and letting them flow again, on a real Mesos of today and one of the past, with tasks
//! that run meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use millwright_coordinator::fleet::{CordonWay, MasterAnswer, SeenAgent};
use millwright_coordinator::integrations::mesos::{
    ForeignKind, Intent, MesosAct, MesosMasters, MesosOperator, ObserveMesos, Outcome, content,
    foreign_changes, whitelist,
};
use millwright_protocol::NodeName;
use serde_json::{Value, json};

use super::harness::{
    Coordinator, DockerDaemon, Gate, Mesos, MesosTask, Setup, TaskSpec, post, ready, wait_for,
};

const TIMEOUT: Duration = Duration::from_secs(2);

fn run<T>(future: impl Future<Output = T>) -> T {
    // Reqwest wants a TLS provider even for plain HTTP. A second installation is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn deactivate(master: &str, agent_id: &str) -> Outcome {
    run(async { MesosOperator::new(&[master.to_owned()], TIMEOUT).unwrap().deactivate(agent_id).await })
}

fn reactivate(master: &str, agent_id: &str) -> Outcome {
    run(async { MesosOperator::new(&[master.to_owned()], TIMEOUT).unwrap().reactivate(agent_id).await })
}

fn observe(mesos: &Mesos) -> MasterAnswer {
    run(async { MesosMasters::new(&[mesos.master_url()], TIMEOUT).unwrap().state().await.unwrap() })
}

#[track_caller]
fn done(outcome: Outcome) {
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
}

fn running(mesos: &Mesos, name: &str, agent: usize) -> MesosTask {
    let mut task = mesos.run_task(TaskSpec::named(name).on_agent(agent)).unwrap();
    task.wait_running().unwrap();
    task
}

/// Whether the master says so about the agent.
fn is_deactivated(mesos: &Mesos, agent_id: &str) -> bool {
    observe(mesos).agents.iter().any(|agent| agent.id == agent_id && agent.deactivated)
}

fn tasks_of(mesos: &Mesos, agent_id: &str) -> Vec<String> {
    let answer = observe(mesos);
    let agent = answer.agents.iter().find(|agent| agent.id == agent_id).unwrap();
    let mut ids: Vec<String> = agent.tasks.iter().map(|task| task.id.clone()).collect();
    ids.sort();
    ids
}

/// What others do: the call, sent by somebody who is not us.
fn somebody(mesos: &Mesos, call: &str, field: &str, agent_id: &str) {
    let body = json!({"type": call, field: {"agent_id": {"value": agent_id}}});
    let (status, said) = post(&format!("{}/api/v1", mesos.master_url()), &body).unwrap();
    assert_eq!(status, 200, "{said}");
}

fn differences(mesos: &Mesos, held: &[&str]) -> Vec<(String, ForeignKind)> {
    let node: NodeName = "alibuild10".parse().unwrap();
    let agent_ids: BTreeSet<String> = held.iter().map(|id| (*id).to_owned()).collect();
    let intents = match held {
        [] => BTreeMap::new(),
        _ => BTreeMap::from([(node.clone(), Intent::Held { agent_ids })]),
    };
    let seen: Vec<SeenAgent> = observe(mesos).agents.iter().map(SeenAgent::from).collect();
    let found = foreign_changes(&intents, [(&node, seen.as_slice())], &[], jiff::Timestamp::now());
    found.into_iter().map(|change| (change.agent_id, change.what)).collect()
}

#[test]
fn a_deactivated_agent_gets_no_offers_while_its_task_goes_on_until_it_is_reactivated() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 2)) else { return };
    let _task = running(&mesos, "build", 1);
    let (master, agent_id) = (mesos.master_url(), mesos.agent_id(1).unwrap());
    assert_eq!(observe(&mesos).cordon_way(), CordonWay::Deactivate);

    let Outcome::Done(evidence) = deactivate(&master, &agent_id) else { panic!("not done") };
    let said: Vec<(&str, &str)> =
        evidence.iter().map(|fact| (fact.fact.as_str(), fact.value.as_str())).collect();
    assert!(said.contains(&("deactivated", "true")) && said.contains(&("mesos_hostname", "localhost")));
    assert!(is_deactivated(&mesos, &agent_id));
    done(deactivate(&master, &agent_id));

    // Both agents would be offered in one go; the other one is.
    let mut next = mesos.run_task(TaskSpec::named("next").on_agent(1)).unwrap();
    next.wait_offered(2).unwrap();
    assert_eq!(next.offered_agents(), [2]);
    assert_eq!(tasks_of(&mesos, &agent_id), ["build.0"]);

    done(reactivate(&master, &agent_id));
    next.wait_running().unwrap();
    assert_eq!(tasks_of(&mesos, &agent_id), ["build.0", "next.0"]);
    done(reactivate(&master, &agent_id));
}

#[test]
fn an_agent_that_does_not_exist_is_not_deactivated() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let Outcome::NotDone(why) = deactivate(&mesos.master_url(), "no-such-agent") else {
        panic!("not refused")
    };
    assert!(why.contains("no-such-agent") && why.contains("400") && why.contains("Unknown agent"), "{why}");
}

#[test]
fn a_held_node_that_comes_back_under_a_new_id_gets_offers_and_is_told() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mut mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let held = mesos.agent_id(1).unwrap();
    done(deactivate(&mesos.master_url(), &held));
    assert_eq!(differences(&mesos, &[&held]), []);

    mesos.start_again_with_new_ids().unwrap();
    let new = mesos.agent_id(1).unwrap();
    assert_ne!(new, held);
    let answer = observe(&mesos);
    let ids = answer.ids_by_host()["localhost"].iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(ids, BTreeSet::from([held.as_str(), new.as_str()]), "the one it has left behind is known");
    assert_eq!(differences(&mesos, &[&held]), [(new.clone(), ForeignKind::NewId)]);
    let mut task = mesos.run_task(TaskSpec::named("instant")).unwrap();
    task.wait_running().unwrap();

    done(deactivate(&mesos.master_url(), &new));
    assert_eq!(differences(&mesos, &[&held, &new]), []);
    // Of the one that has not come back nobody can read what was recorded.
    let outcome = deactivate(&mesos.master_url(), &held);
    assert!(matches!(&outcome, Outcome::Unknown(why) if why.contains("registered again")), "{outcome:?}");
}

#[test]
fn what_others_do_to_the_offers_of_a_node_is_noticed_and_left_as_it_is() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let agent_id = mesos.agent_id(1).unwrap();
    somebody(&mesos, "DEACTIVATE_AGENT", "deactivate_agent", &agent_id);
    assert_eq!(differences(&mesos, &[]), [(agent_id.clone(), ForeignKind::Deactivated)]);
    assert_eq!(differences(&mesos, &[&agent_id]), []);

    somebody(&mesos, "REACTIVATE_AGENT", "reactivate_agent", &agent_id);
    assert_eq!(differences(&mesos, &[]), []);
    assert_eq!(differences(&mesos, &[&agent_id]), [(agent_id.clone(), ForeignKind::Reactivated)]);
    assert!(!is_deactivated(&mesos, &agent_id), "noticing undoes nothing");

    // Somebody drains: with nothing running it is over at once, and stays deactivated.
    somebody(&mesos, "DRAIN_AGENT", "drain_agent", &agent_id);
    let kinds: Vec<ForeignKind> = differences(&mesos, &[]).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [ForeignKind::Deactivated, ForeignKind::Draining]);
}

/// How many bytes the master answers to this question.
fn length_of_answer(mesos: &Mesos, path: &str) -> u64 {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, mesos.port())).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer.len() as u64
}

#[test]
fn a_call_whose_answer_does_not_come_is_unknown_and_turns_out_to_be_done() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let agent_id = mesos.agent_id(1).unwrap();
    // Enough for the first look, and too little for the answer to the call.
    let enough = length_of_answer(&mesos, &format!("/slaves?slave_id={agent_id}")) + 40;
    let gate = Gate::before(mesos.port(), enough).unwrap();
    let master = format!("http://127.0.0.1:{}", gate.port());
    let outcome = deactivate(&master, &agent_id);
    assert!(matches!(&outcome, Outcome::Unknown(why) if why.ends_with('?')), "{outcome:?}");
    assert!(is_deactivated(&mesos, &agent_id), "it was done all the same: {outcome:?}");
    gate.open();
    done(deactivate(&master, &agent_id));
}

#[test]
fn a_master_that_hangs_leaves_it_unknown_and_nothing_is_done_when_it_wakes_up() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let agent_id = mesos.agent_id(1).unwrap();
    mesos.pause().unwrap();
    let outcome = deactivate(&mesos.master_url(), &agent_id);
    mesos.resume().unwrap();
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert!(!is_deactivated(&mesos, &agent_id), "nothing was sent but the first question");
    done(deactivate(&mesos.master_url(), &agent_id));
}

#[test]
fn a_mesos_of_the_past_says_no_and_its_whitelist_stops_offers_while_a_task_goes_on() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let known = BTreeSet::from(["localhost".to_owned(), "other".to_owned()]);
    let everybody = content(&whitelist(&known, &BTreeSet::new(), 0).unwrap());
    let Some(mut mesos) = ready(Mesos::start_old(&docker, 1, &everybody)) else { return };
    let _task = running(&mesos, "build", 1);
    let agent_id = mesos.agent_id(1).unwrap();
    let answer = observe(&mesos);
    assert_eq!((answer.version.as_str(), answer.cordon_way()), ("1.4.3", CordonWay::Whitelist));
    let Outcome::NotDone(why) = deactivate(&mesos.master_url(), &agent_id) else { panic!("not refused") };
    assert!(why.contains("400") && why.contains("DEACTIVATE_AGENT"), "{why}");

    let cordoned = BTreeSet::from(["localhost".to_owned()]);
    mesos.replace_whitelist(&content(&whitelist(&known, &cordoned, 1).unwrap())).unwrap();
    let mut next = mesos.run_task(TaskSpec::named("next")).unwrap();
    next.wait_subscribed().unwrap();
    mesos.wait_allocations().unwrap();
    assert!(next.offered_agents().is_empty(), "nothing is offered");
    assert_eq!(tasks_of(&mesos, &agent_id), ["build.0"]);

    mesos.replace_whitelist(&everybody).unwrap();
    next.wait_running().unwrap();
    assert_eq!(tasks_of(&mesos, &agent_id), ["build.0", "next.0"]);
}

/// A framework that has been offered the first agent and keeps the offer.
fn holder(mesos: &Mesos) -> MesosTask {
    let mut holder =
        mesos.run_task(TaskSpec { holds_offers: true, ..TaskSpec::named("never-started") }).unwrap();
    holder.wait_offered(1).unwrap();
    holder
}

fn is_offered(mesos: &Mesos) -> bool {
    observe(mesos).agents.iter().any(|agent| agent.offered)
}

#[test]
fn an_offer_that_a_framework_holds_is_taken_back_by_a_deactivation_and_not_by_a_whitelist() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(today) = ready(Mesos::start(&docker, 1)) else { return };
    let _holder = holder(&today);
    assert!(is_offered(&today));
    done(deactivate(&today.master_url(), &today.agent_id(1).unwrap()));
    assert!(!is_offered(&today));

    // A task may still start there, so a node that is cordoned this way is not safe for as long as that is so.
    let Some(mut past) = ready(Mesos::start_old(&docker, 1, "localhost\nother\n")) else { return };
    let _holder = holder(&past);
    past.replace_whitelist("other\n").unwrap();
    past.wait_allocations().unwrap();
    assert!(is_offered(&past));
}

/// A coordinator of one node, which is this machine, beside this Mesos.
fn coordinator(mesos: &Mesos, every: &str) -> Coordinator {
    let policy = super::coordinator::policy_with("required", &["localhost"]);
    let section = format!("[mesos]\nmasters = [\"{}\"]\nevery = \"{every}\"", mesos.master_url());
    Setup::new(&policy).unwrap().with(&section).start().unwrap()
}

fn shown_tasks(detail: &Value) -> Option<usize> {
    // Before the first answer there is no listing, and no tasks does not mean that there are none.
    detail.get("mesos_listing").filter(|listing| !listing.is_null())?;
    detail["living_tasks"]["tasks"].as_array().map(Vec::len)
}

#[test]
fn the_end_of_a_task_is_known_at_once_where_there_are_events() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let mut task = running(&mesos, "build", 1);
    // Nobody asks again by the clock.
    let coordinator = coordinator(&mesos, "1h");
    let seen = |count: usize| {
        coordinator.wait_for(&format!("{count} tasks"), "nodes/localhost", |detail| {
            (shown_tasks(detail)? == count).then_some(())
        })
    };
    seen(1).unwrap();
    subscribed(&mesos);
    task.kill().unwrap();
    seen(0).unwrap();
}

/// Waits until somebody follows the master's events.
fn subscribed(mesos: &Mesos) {
    let metrics = format!("{}/metrics/snapshot", mesos.master_url());
    let found = wait_for("a subscriber", Duration::from_secs(60), || {
        let metrics = super::harness::get_json(&metrics)?;
        Ok((metrics["master/operator_event_stream_subscribers"].as_f64() > Some(0.0)).then_some(()))
    });
    found.unwrap();
}

#[test]
fn a_mesos_of_the_past_is_asked_again_and_again() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start_old(&docker, 1, "localhost\nother\n")) else { return };
    let mut task = running(&mesos, "build", 1);
    let coordinator = coordinator(&mesos, "1s");
    let seen = |count: usize| {
        coordinator.wait_for(&format!("{count} tasks"), "nodes/localhost", |detail| {
            (shown_tasks(detail)? == count).then_some(())
        })
    };
    seen(1).unwrap();
    task.kill().unwrap();
    seen(0).unwrap();
    let subscriptions = coordinator.log().matches("follow_mesos").count();
    assert_eq!(subscriptions, 0, "nobody tries to follow events there: {}", coordinator.log());
}
