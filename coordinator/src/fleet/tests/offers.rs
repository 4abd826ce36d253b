//! Offers that are stopped by the whitelists of the masters.

use crate::fleet::{
    ForeignNote, Held, Holding, OperationsSaid,
    testing::{Story, at, mesos_id, name},
};
use jiff::Timestamp;
use millwright_decision::{
    Action,
    fleet::{Operation, Progress},
};
use millwright_protocol::Report;
use std::collections::{BTreeMap, BTreeSet};

fn list(hosts: &[&str]) -> Option<Vec<String>> {
    Some(hosts.iter().map(|host| format!("{host}.example.org")).collect())
}

fn everybody(report: &mut Report) {
    report.whitelist = list(&["alibuild01", "alibuild02"]);
}

fn without_first(report: &mut Report) {
    report.whitelist = list(&["alibuild02"]);
}

const MASTERS: [&str; 3] = ["alimesos01", "alimesos02", "alimesos03"];

/// Two nodes of a Mesos that knows whitelists only; nobody is cordoned.
fn past() -> Story {
    let mut story = Story::new(2);
    story.master.as_mut().unwrap().version = "1.4.3".to_owned();
    for master in MASTERS {
        story.twist(master, everybody);
    }
    story.rounds(2);
    story
}

/// Every master's list lacks the first node from the next round on.
fn cordon(story: &mut Story) {
    for master in MASTERS {
        story.twist(master, without_first);
    }
}

fn offers(story: &Story, node: &str) -> (bool, bool, bool) {
    let view = story.node(node).master.as_ref().unwrap();
    (view.deactivated, view.undecided, view.gets_offers())
}

const STOPPED: (bool, bool, bool) = (true, false, false);
const UNDECIDED: (bool, bool, bool) = (false, true, false);
const FLOW: (bool, bool, bool) = (false, false, true);

#[test]
fn a_node_that_no_masters_list_holds_is_cordoned_and_its_neighbour_is_not() {
    let mut story = past();
    assert_eq!(offers(&story, "alibuild01"), FLOW);
    cordon(&mut story);
    story.rounds(1);
    assert_eq!(offers(&story, "alibuild01"), UNDECIDED, "the masters have not read it yet");
    story.rounds(1);
    assert_eq!((offers(&story, "alibuild01"), offers(&story, "alibuild02")), (STOPPED, FLOW));
    let seen = story.fleet.mesos_agents(&name("alibuild01"));
    assert!(seen[0].registered && seen[0].deactivated, "{seen:?}");
}

#[test]
fn a_master_that_is_silent_or_has_another_list_leaves_it_undecided() {
    let mut story = past();
    cordon(&mut story);
    story.twist("alimesos03", everybody);
    story.rounds(3);
    assert_eq!((offers(&story, "alibuild01"), offers(&story, "alibuild02")), (UNDECIDED, FLOW));
    cordon(&mut story);
    story.rounds(2);
    assert_eq!(offers(&story, "alibuild01"), STOPPED);
    story.quiet.insert(name("alimesos02"));
    story.rounds(8);
    assert_eq!((offers(&story, "alibuild01"), offers(&story, "alibuild02")), (UNDECIDED, UNDECIDED));
}

#[test]
fn where_agents_are_deactivated_a_list_means_nothing() {
    let mut story = past();
    cordon(&mut story);
    story.master.as_mut().unwrap().version = "1.11.0".to_owned();
    story.rounds(3);
    assert_eq!(offers(&story, "alibuild01"), FLOW);
}

#[test]
fn a_node_is_not_empty_while_somebody_holds_an_offer_that_no_list_takes_back() {
    let mut story = past();
    let hold = |story: &mut Story, offered: bool| {
        let agents = &mut story.master.as_mut().unwrap().agents;
        let held = agents.iter_mut().filter(|agent| agent.id.starts_with("S-alibuild"));
        held.for_each(|agent| agent.offered = offered);
    };
    hold(&mut story, true);
    cordon(&mut story);
    story.rounds(3);
    assert_eq!(story.node("alibuild01").master_empty, None);
    assert!(
        story.node("alibuild02").master_empty.is_some(),
        "offers of a node in service are its everyday life"
    );
    hold(&mut story, false);
    story.rounds(1);
    assert_eq!(story.node("alibuild01").master_empty.unwrap().first, story.now());
}

/// The open operation on the first node, as decisions see it, once its cordon was read back.
fn seen_cordon(story: &mut Story, cordoned_at: Timestamp) -> Option<Timestamp> {
    let operation = Operation {
        id: "op-1".into(),
        action: Action::Reboot,
        nodes: [name("alibuild01")].into(),
        requester: "ann".into(),
        progress: Progress::Draining,
        since: at(0),
        cordoned_at: Some(cordoned_at),
        announced_at: None,
        is_silent_repair: false,
        is_parked: false,
        grants: Vec::new(),
    };
    story.fleet.take_operations(OperationsSaid { operations: vec![operation], ..OperationsSaid::default() });
    story.fleet.snapshot().operations.iter().next().unwrap().cordoned_at
}

#[test]
fn a_cordon_that_somebody_lifted_is_none_and_begins_anew_when_it_is_set_again() {
    let mut story = past();
    cordon(&mut story);
    story.rounds(2);
    let cordoned_at = story.now();
    story.rounds(3);
    assert_eq!(seen_cordon(&mut story, cordoned_at), Some(cordoned_at));
    for master in MASTERS {
        story.twist(master, everybody);
    }
    story.rounds(1);
    assert_eq!(seen_cordon(&mut story, cordoned_at), None);
    cordon(&mut story);
    story.rounds(2);
    assert_eq!(seen_cordon(&mut story, cordoned_at), Some(story.now()));
    // What the master said before the cordon was read back is no word on it.
    let now = story.now();
    assert_eq!(seen_cordon(&mut story, now), Some(now));
}

#[test]
fn what_an_operation_has_just_done_is_compared_with_the_second_answer_after_it() {
    let mut story = past();
    let since = story.now() + jiff::SignedDuration::from_secs(1);
    let held = Held { what: Holding::Stopped, since, agent_ids: BTreeSet::from([mesos_id("alibuild01")]) };
    story.fleet.take_held(BTreeMap::from([(name("alibuild01"), held)]));
    let what = |story: &Story| story.fleet.held(&name("alibuild01")).unwrap().what;
    story.rounds(1);
    assert_eq!(what(&story), Holding::Changing);
    story.rounds(1);
    assert_eq!(what(&story), Holding::Stopped);
    assert_eq!(story.fleet.held(&name("alibuild02")), None);
}

#[test]
fn what_others_did_is_told_once_and_shown_until_it_is_over() {
    let mut story = past();
    let note = ForeignNote {
        node: name("alibuild01"),
        what: "deactivated".into(),
        sentence: "somebody has stopped the offers of alibuild01".into(),
        since: story.now(),
    };
    let now = story.now();
    let told = story.fleet.note_foreign(vec![note.clone()], now);
    assert!(told.len() == 1 && told[0].key == name("alibuild01").as_str(), "{told:?}");
    assert_eq!(story.fleet.note_foreign(vec![note], now), []);
    let is_shown = |story: &mut Story| {
        let view = story.fleet.fleet_view(now, Vec::new());
        view.attention.iter().any(|line| line.sentence.contains("somebody has stopped"))
    };
    assert!(is_shown(&mut story));
    story.fleet.note_foreign(Vec::new(), now);
    assert!(!is_shown(&mut story));
}
