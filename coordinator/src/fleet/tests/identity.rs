//! Machines that are not who they were.

use crate::fleet::testing::{Story, name};
use jiff::SignedDuration;

fn changed(story: &Story) -> Option<&str> {
    story.node("alibuild01").identity_changed.as_ref().map(|(_, what)| what.as_str())
}

#[test]
fn another_machine_under_the_same_name_is_held_until_a_person_accepts_it() {
    let mut story = Story::new(1);
    story.rounds(2);
    story.twist("alibuild01", |report| report.machine_id = "another".into()).rounds(2);
    assert!(changed(&story).unwrap().contains("machine id"));
    story.fleet.accept(&name("alibuild01"), "reinstalled", "ann", story.now()).unwrap();
    story.rounds(2);
    assert_eq!(changed(&story), None);
}

#[test]
fn the_old_machine_coming_back_does_not_accept_itself() {
    let mut story = Story::new(1);
    story.rounds(2);
    story.twist("alibuild01", |report| report.machine_id = "another".into()).rounds(1);
    story.twist.clear();
    story.rounds(2);
    assert!(changed(&story).is_some());
}

#[test]
fn a_server_uuid_that_is_not_told_is_no_change() {
    let mut story = Story::new(1);
    story.rounds(1);
    story.twist("alibuild01", |report| report.server_uuid = None).rounds(1);
    assert_eq!(changed(&story), None);
    story.twist("alibuild01", |report| report.server_uuid = Some("other".into())).rounds(1);
    assert!(changed(&story).unwrap().contains("its server was"));
}

#[test]
fn a_machine_that_counts_from_an_earlier_point_came_back_from_a_snapshot() {
    let mut story = Story::new(1);
    story.rounds(8);
    story.twist("alibuild01", |report| report.sequence -= 5).rounds(1);
    assert!(changed(&story).unwrap().contains("snapshot"));
}

#[test]
fn a_report_that_was_overtaken_is_left_aside() {
    let mut story = Story::new(1);
    story.rounds(8);
    let before = story.node("alibuild01").clone();
    let mut late = crate::fleet::testing::report("alibuild01", 5);
    late.findings.clear();
    let now = story.now() + SignedDuration::from_secs(3);
    assert!(story.fleet.take_report(&name("alibuild01"), late, now).late);
    assert_eq!(*story.node("alibuild01"), before);
}

#[test]
fn there_is_nothing_to_accept_about_a_node_as_it_always_was() {
    let mut story = Story::new(1);
    story.rounds(3);
    let refusal = story.fleet.accept(&name("alibuild01"), "why not", "ann", story.now()).unwrap_err();
    assert!(refusal.to_string().contains("nothing to accept"), "{refusal}");
    assert!(story.fleet.accept(&name("stranger"), "", "ann", story.now()).is_err());
}

#[test]
fn a_dead_node_leaves_every_count_until_it_is_accepted() {
    let mut story = Story::new(4);
    story.rounds(8);
    story.quiet.insert(name("alibuild04"));
    story.rounds(10);
    story.fleet.dead(&name("alibuild04"), "burnt", "ann", story.now()).unwrap();
    story.rounds(1);
    let counts = story.fleet.snapshot().counts.class(millwright_decision::Class::Agent).clone();
    assert_eq!((counts.listed, counts.out.len()), (3, 0));
    assert!(story.fleet.silent_nodes(story.now()).is_empty());
    story.fleet.accept(&name("alibuild04"), "repaired", "ann", story.now()).unwrap();
    story.rounds(1);
    let counts = story.fleet.snapshot().counts.class(millwright_decision::Class::Agent);
    assert_eq!((counts.listed, counts.out.len()), (4, 1));
}

#[test]
fn a_forgotten_node_is_new_when_it_reports_again() {
    let mut story = Story::new(1);
    story.rounds(8);
    story.quiet.insert(name("alibuild01"));
    story.rounds(10);
    story.fleet.forget(&name("alibuild01"), "rebuilt by hand", "ann", story.now()).unwrap();
    story.quiet.clear();
    story.twist("alibuild01", |report| report.machine_id = "another".into()).rounds(1);
    assert_eq!(changed(&story), None);
    assert_eq!(story.node("alibuild01").agent.as_ref().unwrap().verified_at, None);
}

#[test]
fn a_node_that_reports_cannot_be_forgotten() {
    let mut story = Story::new(1);
    story.rounds(8);
    story.quiet.insert(name("alibuild01"));
    story.rounds(9);
    let now = story.now();
    let refusal = story.fleet.forget(&name("alibuild01"), "", "ann", now).unwrap_err().to_string();
    assert!(refusal.starts_with("alibuild01 reports: its last report came 90 s ago"), "{refusal}");
    assert!(refusal.contains("stop its agent") && refusal.contains("node dead alibuild01"), "{refusal}");
    assert!(story.node("alibuild01").agent.is_some(), "and it is still known");
    story.rounds(1);
    let now = story.now();
    story.fleet.forget(&name("alibuild01"), "", "ann", now).unwrap();
}

#[test]
fn a_word_without_a_reason_is_told_without_one() {
    let mut story = Story::new(1);
    let now = story.now();
    let node = name("alibuild01");
    story.fleet.dead(&node, "burnt", "ann", now).unwrap();
    let told = |transitions: Vec<crate::view::Transition>| transitions[0].sentence.clone();
    assert_eq!(
        told(story.fleet.accept(&node, "", "ann", now).unwrap()),
        "ann accepts of alibuild01: that it is alive"
    );
    assert_eq!(told(story.fleet.forget(&node, "", "ann", now).unwrap()), "ann wants alibuild01 forgotten");
    assert_eq!(
        told(story.fleet.forget(&node, "sold", "ann", now).unwrap()),
        "ann wants alibuild01 forgotten (sold)"
    );
}

#[test]
fn a_node_that_claims_another_ones_mesos_agent_is_held_and_gets_nothing() {
    let mut story = Story::new(2);
    story.rounds(2);
    let own = story.node("alibuild01").master.clone();
    story
        .twist("alibuild02", |report| {
            let facts = report.facts.mesos_agent.as_mut().unwrap();
            facts.agent_id = Some(crate::fleet::testing::mesos_id("alibuild01"));
        })
        .rounds(2);
    let (_, what) = story.node("alibuild02").identity_changed.clone().unwrap();
    assert!(what.contains("claims the Mesos agent of alibuild01"), "{what}");
    assert_eq!(story.node("alibuild01").identity_changed, None);
    assert_eq!(story.node("alibuild01").master.is_some(), own.is_some());
}
