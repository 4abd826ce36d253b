//! Starts and restarts: warm-up, and what is remembered.

use crate::{
    fleet::{
        Fleet, Remembered,
        testing::{Story, at, master, name, report},
    },
    view::NodeState,
};
use jiff::SignedDuration;
use millwright_protocol::Status;

fn restarted(story: &mut Story, after: i64) -> Story {
    let now = story.now();
    let start = now + SignedDuration::from_secs(after);
    let nodes = story.fleet.unsaved(1000, now);
    let policy = story.fleet.policy().clone();
    let mut fleet = Fleet::new(policy.clone(), start);
    fleet.restore(Remembered { nodes, ..Remembered::default() }, start);
    Story {
        fleet,
        master: Some(master(&policy)),
        quiet: Default::default(),
        twist: Default::default(),
        round: story.round + u64::try_from(after).unwrap() / 10,
        transitions: Vec::new(),
    }
}

fn rounds(story: &Story) -> Option<u8> {
    story.fleet.snapshot().warm_up.as_ref().map(|warm_up| warm_up.rounds)
}

#[test]
fn with_nothing_known_before_two_rounds_of_ten_seconds_are_enough() {
    let mut story = Story::new(3);
    assert_eq!(rounds(&story), Some(0));
    story.rounds(1);
    assert_eq!(rounds(&story), Some(1));
    story.rounds(1);
    assert_eq!(rounds(&story), None);
}

#[test]
fn a_restart_shows_the_last_known_state_as_stale_however_short_it_was() {
    let mut story = Story::new(3);
    story.rounds(10);
    let mut story = restarted(&mut story, 1);
    let now = story.fleet.snapshot().started_at;
    let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
    assert_eq!(detail.summary.state, NodeState::Stale);
    assert!(detail.is_stale && detail.mesos_agent.is_some() && detail.all_findings.len() == 4);
    story.rounds(1);
    let now = story.now();
    let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
    assert_eq!(detail.summary.state, NodeState::Healthy, "it was verified in this boot");
    assert_eq!(story.transitions, [], "being restarted is no news about the nodes");
}

#[test]
fn the_warm_up_waits_for_nodes_that_were_healthy_but_for_a_few() {
    let mut story = Story::new(30);
    story.rounds(10);
    let mut story = restarted(&mut story, 30);
    story.quiet.extend([name("alibuild01"), name("alibuild02")]);
    story.rounds(5);
    assert_eq!(rounds(&story), Some(0));
    let missing = &story.fleet.snapshot().warm_up.as_ref().unwrap().missing;
    assert_eq!(*missing, [name("alibuild1"), name("alibuild2")], "5 % of 33 is one");
    story.fleet.accept(&name("alibuild01"), "in repair", "ann", story.now()).unwrap();
    story.rounds(1);
    assert_eq!(rounds(&story), None);
    assert!(!story.node("alibuild01").is_fresh(story.now()));
}

#[test]
fn a_node_that_was_sick_before_is_not_waited_for() {
    let mut story = Story::new(3);
    for node in ["alibuild01", "alibuild02"] {
        story.twist(node, |report| report.findings[0].status = Status::Crit);
    }
    story.rounds(10);
    let mut story = restarted(&mut story, 30);
    story.quiet.extend([name("alibuild01"), name("alibuild02")]);
    story.rounds(3);
    assert_eq!(rounds(&story), None);
}

#[test]
fn the_warm_up_waits_until_mesos_has_been_asked_twice_whatever_it_said() {
    let policy = std::sync::Arc::new(crate::fleet::testing::policy(1));
    let mut fleet = Fleet::new(policy, at(0));
    fleet.tick(at(60));
    assert!(fleet.snapshot().warm_up.is_some());
    for second in [61, 66] {
        fleet.take_master_state(Err("connection refused"), at(second));
        fleet.tick(at(second));
    }
    assert!(fleet.snapshot().warm_up.is_none());
}

#[test]
fn a_restart_keeps_what_people_said_and_who_machines_are() {
    let mut story = Story::new(3);
    story.rounds(8);
    story.fleet.dead(&name("alibuild02"), "burnt", "ann", story.now()).unwrap();
    let mut story = restarted(&mut story, 30);
    assert_eq!(story.node("alibuild02").known_dead.as_deref(), Some("burnt"));
    story.twist("alibuild01", |report| report.machine_id = "another".into()).rounds(1);
    assert!(story.node("alibuild01").identity_changed.is_some());
}

#[test]
fn a_restart_does_not_make_a_healthy_master_young() {
    let mut story = Story::new(1);
    story.rounds(8);
    let mut story = restarted(&mut story, 300);
    story.rounds(2);
    let since = story.node("alimesos01").agent.as_ref().unwrap().healthy_since.unwrap();
    assert!(story.now().duration_since(since) > SignedDuration::from_mins(10));
}

#[test]
fn what_has_been_handed_out_for_storing_is_not_handed_out_again_until_there_is_news() {
    let mut story = Story::new(2);
    story.rounds(8);
    let now = story.now();
    assert_eq!(story.fleet.unsaved(1000, now).len(), 5);
    story.rounds(1);
    assert_eq!(story.fleet.unsaved(1000, story.now()).len(), 0);
    story.twist("alibuild01", |report| report.findings[0].status = Status::Crit).rounds(1);
    let now = story.now();
    let due = story.fleet.unsaved(1000, now);
    assert_eq!(due.iter().map(|record| &record.node).collect::<Vec<_>>(), [&name("alibuild01")]);
    let text = serde_json::to_string(&due[0]).unwrap();
    assert_eq!(serde_json::from_str::<crate::fleet::NodeRecord>(&text).unwrap(), due[0]);
}

#[test]
fn a_change_of_leader_is_noted_and_the_first_leader_is_none() {
    let mut story = Story::new(1);
    story.rounds(2);
    assert_eq!(story.fleet.snapshot().leader_changed_at, None);
    story.master.as_mut().unwrap().leader = "alimesos02".into();
    story.rounds(1);
    assert_eq!(story.fleet.snapshot().leader_changed_at, Some(at(30)));
}

#[test]
fn strangers_are_kept_up_to_a_number() {
    let mut story = Story::new(1);
    for number in 0..1_005 {
        let node = format!("stranger{number}");
        story.fleet.take_report(&name(&node), report(&node, 1), at(10));
    }
    assert_eq!(story.fleet.snapshot().nodes.len(), 1_000);
    assert!(!story.fleet.knows(&name("stranger1004")));
}

#[test]
fn a_claim_to_another_ones_mesos_agent_is_believed_after_a_restart_as_little_as_before() {
    let claims_another = |report: &mut millwright_protocol::Report| {
        let facts = report.facts.mesos_agent.as_mut().unwrap();
        facts.agent_id = Some(crate::fleet::testing::mesos_id("alibuild01"));
    };
    let mut story = Story::new(2);
    story.rounds(2);
    story.twist("alibuild02", claims_another).rounds(2);
    let mut story = restarted(&mut story, 10);
    story.twist("alibuild02", claims_another).quiet.insert(name("alibuild01"));
    story.rounds(1);
    assert!(story.node("alibuild02").identity_changed.is_some());
    let ids = ["alibuild01", "alibuild02"].map(|node| story.fleet.mesos_id(&name(node)));
    assert_eq!(ids, [Some("S-alibuild01".to_owned()), Some("S-alibuild02".to_owned())]);
}
