//! The storm brake.

use crate::fleet::testing::{Story, name};
use millwright_decision::Class;
use millwright_protocol::Status;

fn is_on(story: &Story) -> bool {
    story.fleet.snapshot().brakes.contains_key(&Class::Agent)
}

fn break_docker(story: &mut Story, nodes: &[&str]) {
    for node in nodes {
        story.twist(node, |report| report.findings[0].status = Status::Crit);
    }
}

#[test]
fn three_nodes_and_a_fifth_of_the_class_going_bad_trip_it_and_it_stays() {
    let mut story = Story::new(12);
    story.rounds(10);
    break_docker(&mut story, &["alibuild01", "alibuild02"]);
    story.rounds(3);
    assert!(!is_on(&story));
    break_docker(&mut story, &["alibuild03"]);
    story.rounds(1);
    assert!(is_on(&story));
    story.twist.clear();
    story.rounds(100);
    assert!(is_on(&story), "only a person resets it");
}

#[test]
fn three_nodes_of_many_are_no_storm() {
    let mut story = Story::new(16);
    story.rounds(10);
    break_docker(&mut story, &["alibuild01", "alibuild02", "alibuild03"]);
    story.rounds(3);
    assert!(!is_on(&story));
}

#[test]
fn nodes_that_went_bad_over_hours_are_no_storm() {
    let mut story = Story::new(5);
    story.rounds(10);
    for node in ["alibuild01", "alibuild02", "alibuild03"] {
        break_docker(&mut story, &[node]);
        story.rounds(61);
    }
    assert!(!is_on(&story));
}

#[test]
fn after_a_reset_the_nodes_that_are_bad_already_trip_it_no_more() {
    let mut story = Story::new(8);
    story.rounds(10);
    break_docker(&mut story, &["alibuild01", "alibuild02", "alibuild03"]);
    story.rounds(2);
    let now = story.now();
    story.fleet.reset_brake(Class::Agent, "ann", now).unwrap();
    break_docker(&mut story, &["alibuild04", "alibuild05"]);
    story.rounds(2);
    assert!(!is_on(&story));
    break_docker(&mut story, &["alibuild06"]);
    story.rounds(1);
    assert!(is_on(&story));
    assert!(story.fleet.reset_brake(Class::Master, "ann", now).is_err(), "it is not on there");
}

#[test]
fn an_outside_check_that_many_nodes_fail_is_no_storm_of_nodes() {
    let mut story = Story::new(6);
    let mut policy = story.fleet.policy().as_ref().clone();
    policy.external_checks.insert("docker".into());
    story.fleet.set_policy(std::sync::Arc::new(policy), crate::fleet::testing::at(0));
    story.rounds(10);
    break_docker(&mut story, &["alibuild01", "alibuild02", "alibuild03", "alibuild04"]);
    story.rounds(3);
    assert!(!is_on(&story));
}

#[test]
fn nodes_that_fall_silent_together_trip_it() {
    let mut story = Story::new(6);
    story.rounds(10);
    story.quiet.extend((1..=3).map(|number| name(&format!("alibuild0{number}"))));
    story.rounds(8);
    assert!(is_on(&story));
}
