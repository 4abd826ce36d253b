//! The cloud's account of nodes: by their exact names, with what is wrong and what is not known.

use crate::fleet::{
    Computer, Jenkins, Knock, Observation, RunningBuild,
    outside::openstack::{Attachment, OpenStackSeen, Power, Server, Volume},
    testing::{Story, name, task},
};
use millwright_decision::Source;
use millwright_protocol::Status;
use std::sync::Arc;

fn server(named: &str) -> Server {
    Server {
        project: "ALICE CI".into(),
        id: format!("id-of-{named}"),
        name: Some(named.into()),
        status: "ACTIVE".into(),
        task_state: None,
        power: Power::On,
        zone: Some("cern-geneva-a".into()),
        flavor: Some("m2.2xlarge".into()),
        image: None,
        locked: false,
        locked_reason: None,
        volumes: vec![Attachment { volume: "v1".into(), goes_with_server: false }],
        metadata: Vec::new(),
        created: None,
        fault: None,
    }
}

/// A fleet whose nodes are in a project, and what the cloud says.
fn story(servers: Vec<Server>, unseen: &[&str]) -> Story {
    let mut story = Story::new(2);
    let mut policy = (**story.fleet.policy()).clone();
    for node in policy.nodes.values_mut() {
        node.project = Some("ALICE CI".into());
    }
    let now = story.now();
    story.fleet.set_policy(Arc::new(policy), now);
    story.rounds(3);
    let volume = Volume {
        project: "ALICE CI".into(),
        id: "v1".into(),
        name: "alibuild01_vol_001".into(),
        status: "in-use".into(),
        size_gib: 500,
        attached_to: vec!["id-of-alibuild01".into()],
        metadata: Vec::new(),
    };
    let seen = OpenStackSeen {
        servers,
        volumes: vec![volume],
        unseen: unseen.iter().map(|project| ((*project).to_owned(), "it answers 503".to_owned())).collect(),
    };
    let now = story.now();
    story.fleet.take_observation(Source::OpenStack, Ok(Observation::OpenStack(seen)), now);
    story
}

fn said(story: &mut Story, node: &str) -> (Status, String) {
    let now = story.now();
    let detail = story.fleet.node_detail(&name(node), now).unwrap();
    let seen = detail.outside.iter().find(|seen| seen.source == Source::OpenStack).unwrap();
    (seen.status, seen.sentence.clone())
}

#[test]
fn a_server_is_told_with_its_zone_volumes_and_lock() {
    let mut locked = server("ALIBUILD01.cern.ch");
    (locked.locked, locked.locked_reason) = (true, Some("quarantine".into()));
    let mut story = story(vec![locked], &[]);
    let (status, sentence) = said(&mut story, "alibuild01");
    assert_eq!(status, Status::Ok);
    assert_eq!(
        sentence,
        "its server is ACTIVE in ALICE CI, cern-geneva-a, m2.2xlarge, locked: quarantine, volume \
         alibuild01_vol_001, 500 GiB"
    );
}

#[test]
fn two_servers_of_one_name_none_at_all_and_one_that_nobody_can_see_are_told_apart() {
    let mut doubtful =
        story(vec![server("alibuild01"), Server { id: "other".into(), ..server("alibuild01") }], &[]);
    let (status, sentence) = said(&mut doubtful, "alibuild01");
    assert!(
        status == Status::Crit && sentence.starts_with("2 servers have its name: id-of-alibuild01, other")
    );
    let view = doubtful.node("alibuild01").cloud.clone().unwrap();
    assert_eq!(
        (view.servers.len(), view.servers[0].volumes[0].as_str()),
        (2, "v1"),
        "decisions see the same"
    );
    assert!(doubtful.node("alibuild02").cloud.is_none());
    let (status, sentence) = said(&mut doubtful, "alibuild02");
    assert!(status == Status::Crit && sentence.starts_with("no server of its name"), "{sentence}");
    let mut hidden = story(Vec::new(), &["ALICE CI"]);
    assert_eq!(said(&mut hidden, "alibuild02").0, Status::Unknown);
    let mut nameless = story(vec![Server { name: None, status: "UNKNOWN".into(), ..server("x") }], &[]);
    assert_eq!(said(&mut nameless, "alibuild02").0, Status::Unknown, "it may be that one");
}

#[test]
fn a_node_that_is_silent_because_its_server_is_off_is_diagnosed_as_that() {
    let off = Server { status: "SHUTOFF".into(), power: Power::Off, ..server("alibuild01") };
    let mut story = story(vec![off, server("alibuild02")], &[]);
    story.quiet.extend([name("alibuild01"), name("alibuild02")]);
    story.rounds(8);
    let now = story.now();
    let off = story.fleet.node_detail(&name("alibuild01"), now).unwrap().diagnosis;
    assert_eq!(off.layer.as_deref(), Some("server"));
    assert!(off.sentence.contains("its server is SHUTOFF in ALICE CI, powered off"), "{}", off.sentence);
    let running = story.fleet.node_detail(&name("alibuild02"), now).unwrap().diagnosis;
    assert_eq!(running.layer.as_deref(), Some("report"), "the cloud runs it: {}", running.sentence);
}

#[test]
fn people_are_told_of_a_frozen_node_with_what_a_reset_ends_and_the_line_that_begins_it() {
    let mut story = story(vec![server("alibuild01")], &[]);
    story.twist("alibuild01", |report| {
        report.facts.mesos_agent.as_mut().unwrap().tasks.push(task("mesos-jenkins-1"));
    });
    story.rounds(1);
    let build = RunningBuild { name: "daily-tags #123".into(), ..RunningBuild::default() };
    let computer = Computer { name: "mesos-jenkins-1".into(), builds: vec![build], ..Computer::default() };
    let seen = Jenkins { computers: vec![computer], ..Jenkins::default() };
    let now = story.now();
    story.fleet.take_observation(Source::Jenkins, Ok(Observation::Jenkins(seen)), now);
    story.quiet.insert(name("alibuild01"));
    story.rounds(15);
    let knock =
        Knock { answered: Some(false), story: "alibuild01:22 refused the connection".into(), ping: None };
    let now = story.now();
    story.fleet.take_ssh(&name("alibuild01"), knock, now);
    story.rounds(15);
    let conditions = story.fleet.conditions(story.now());
    let told = &conditions.iter().find(|one| one.subject == "alibuild01/silent").unwrap().sentence;
    for part in [
        "silent for 5 min; ssh: alibuild01:22 refused the connection; its server is ACTIVE in ALICE CI",
        "a reset would end 1 task: mesos-jenkins-1 (building daily-tags #123)",
        "millwright reboot alibuild01 --reason",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told:?}");
    }
}

#[test]
fn an_answer_of_minutes_ago_still_counts_and_one_of_longer_ago_is_unknown() {
    let mut story = story(vec![server("alibuild01")], &[]);
    let unknown = |story: &Story| story.fleet.snapshot().sources[&Source::OpenStack].unknown_since.is_some();
    story.rounds(29);
    assert!(!unknown(&story), "290 s");
    story.rounds(2);
    assert!(unknown(&story));
}
