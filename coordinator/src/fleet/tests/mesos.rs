//! What the Mesos master says about the offers of nodes.

use crate::fleet::{
    CordonWay, MasterAgent,
    testing::{Story, mesos_id, name, task},
};
use millwright_decision::{Action, Request, fleet::Listing};

/// The node's agent in the master's next answers.
fn agent<'a>(story: &'a mut Story, node: &str) -> &'a mut MasterAgent {
    let agents = &mut story.master.as_mut().unwrap().agents;
    agents.iter_mut().find(|agent| agent.id == mesos_id(node)).unwrap()
}

#[test]
fn a_node_whose_offers_are_stopped_is_listed_all_the_same() {
    let mut story = Story::new(2);
    let held = agent(&mut story, "alibuild01");
    // As Mesos says it: a deactivated agent is not active.
    (held.active, held.deactivated) = (false, true);
    agent(&mut story, "alibuild02").active = false;
    story.rounds(2);
    let view = |node: &str| story.node(node).master.as_ref().unwrap();
    assert_eq!((view("alibuild01").listing, view("alibuild01").deactivated), (Listing::Active, true));
    assert_eq!((view("alibuild02").listing, view("alibuild02").deactivated), (Listing::Inactive, false));
    let seen = story.fleet.mesos_agents(&name("alibuild01"));
    assert!(seen.len() == 1 && seen[0].registered && seen[0].deactivated, "{seen:?}");
    assert!(!story.fleet.mesos_agents(&name("alibuild02"))[0].registered);
}

#[test]
fn the_way_to_stop_offers_is_known_once_mesos_has_answered() {
    let mut story = Story::new(1);
    assert_eq!(story.fleet.cordon_way(), None);
    story.rounds(1);
    assert_eq!(story.fleet.cordon_way(), Some(CordonWay::Deactivate));
    story.master.as_mut().unwrap().version = "1.4.3".to_owned();
    story.rounds(1);
    assert_eq!(story.fleet.cordon_way(), Some(CordonWay::Whitelist));
}

#[test]
fn every_id_of_a_node_is_seen_and_the_one_at_work_speaks_for_it() {
    let mut story = Story::new(1);
    story.quiet.insert(name("alibuild01"));
    let old = agent(&mut story, "alibuild01");
    (old.active, old.recovered) = (false, true);
    let new = MasterAgent { id: "S-new".into(), active: true, recovered: false, ..old.clone() };
    story.master.as_mut().unwrap().agents.push(new);
    story.rounds(2);
    let seen = story.fleet.mesos_agents(&name("alibuild01"));
    let seen: Vec<(&str, bool)> = seen.iter().map(|agent| (&*agent.id, agent.registered)).collect();
    assert_eq!(seen, [("S-alibuild01", false), ("S-new", true)]);
    assert_eq!(story.node("alibuild01").master.as_ref().unwrap().listing, Listing::Active);
    assert_eq!(story.fleet.all_mesos_agents().count(), 4);
}

#[test]
fn a_node_that_is_listed_no_more_and_has_tasks_out_of_reach_is_neither_idle_nor_gone() {
    let mut story = Story::new(1);
    story.rounds(7);
    assert!(story.node("alibuild01").master_empty.is_some());
    // As it is read from the state of a master: only its id and what was started there.
    let agents = &mut story.master.as_mut().unwrap().agents;
    agents.retain(|agent| agent.id != mesos_id("alibuild01"));
    agents.push(MasterAgent {
        id: mesos_id("alibuild01"),
        unreachable: true,
        tasks: vec![task("mesos-jenkins-1")],
        ..MasterAgent::default()
    });
    story.rounds(1);
    let node = story.node("alibuild01");
    assert_eq!((node.master.as_ref().unwrap().listing, node.master_empty), (Listing::Unreachable, None));
    let reboot = Request::one(Action::Reboot, name("alibuild01"));
    let verdict = story.fleet.judge(&reboot, story.now()).unwrap();
    let codes: Vec<&str> = verdict.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert!(codes.contains(&"task_protected"), "{codes:?}");
}

#[test]
fn a_host_that_is_away_for_a_moment_stays_known() {
    let mut story = Story::new(1);
    story.rounds(1);
    story.master.as_mut().unwrap().agents.retain(|agent| agent.id != mesos_id("alibuild01"));
    story.rounds(1);
    assert!(story.fleet.mesos_hosts().any(|host| host == "alibuild01.example.org"));
    assert_eq!(story.fleet.mesos_agents(&name("alibuild01")), []);
    let hosts = story.fleet.mesos_hosts_of(&name("alibuild01"));
    assert_eq!(hosts.into_iter().collect::<Vec<_>>(), ["alibuild01.example.org"]);
}

#[test]
fn a_node_has_the_host_names_its_agents_announce_whatever_it_is_called() {
    let mut story = Story::new(2);
    agent(&mut story, "alibuild01").hostname = "localhost".to_owned();
    story.rounds(2);
    let hosts = |node: &str| story.fleet.mesos_hosts_of(&name(node)).into_iter().collect::<Vec<_>>();
    assert_eq!(hosts("alibuild01"), ["localhost"]);
    assert_eq!(hosts("alibuild02"), ["alibuild02.example.org"]);
    assert_eq!(story.fleet.mesos_answers(), 2);
}
