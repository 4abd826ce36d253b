//! Jenkins' account: which node each build is on, and since when none is.

use crate::fleet::{
    Computer, Jenkins, Observation, RunningBuild,
    testing::{Story, at, name, task},
};
use millwright_decision::Source;
use millwright_protocol::Report;
use std::sync::Arc;

fn run(report: &mut Report) {
    report.facts.mesos_agent.as_mut().unwrap().tasks.push(task("mesos-jenkins-1"));
}

fn spare(report: &mut Report) {
    report.facts.mesos_agent.as_mut().unwrap().tasks.push(task("spare-1"));
}

/// Jenkins says which computers run something.
fn says(story: &mut Story, busy: &[&str], idle: &[&str]) {
    let computer = |name: &&str, builds: Vec<RunningBuild>| Computer {
        name: (*name).to_owned(),
        builds,
        ..Computer::default()
    };
    let build = || RunningBuild { name: "daily-tags #123".into(), expected_end: Some(at(4000)), since: None };
    let busy = busy.iter().map(|name| computer(name, vec![build()]));
    let computers = busy.chain(idle.iter().map(|name| computer(name, Vec::new()))).collect();
    let seen = Jenkins { version: "2.176.2".into(), computers, ..Jenkins::default() };
    let now = story.now();
    let told = story.fleet.take_observation(Source::Jenkins, Ok(Observation::Jenkins(seen)), now);
    story.transitions.extend(told);
}

fn builds(story: &Story, node: &str) -> Vec<String> {
    let view = story.node(node).jenkins.as_ref().unwrap();
    view.builds.iter().map(|build| build.computer.clone()).collect()
}

fn empty_seconds(story: &Story, node: &str) -> Option<i64> {
    let span = story.node(node).jenkins.as_ref()?.empty?;
    Some(span.last.duration_since(span.first).as_secs())
}

#[test]
fn a_build_is_where_the_task_of_its_name_is_and_its_end_is_told_with_the_task() {
    let mut story = Story::new(2);
    story.twist("alibuild02", run).rounds(3);
    says(&mut story, &["mesos-jenkins-1"], &[]);
    assert_eq!(builds(&story, "alibuild02"), ["mesos-jenkins-1"]);
    assert!(builds(&story, "alibuild01").is_empty());
    let now = story.now();
    let detail = story.fleet.node_detail(&name("alibuild02"), now).unwrap();
    let shown = &detail.living_tasks.tasks[0];
    assert_eq!((shown.build.as_deref(), shown.expected_end), (Some("daily-tags #123"), Some(at(4000))));
    assert_eq!(detail.living_tasks.builds[0].task.as_deref(), Some("mesos-jenkins-1"));
    assert_eq!(story.fleet.computers_on(&name("alibuild02")), ["mesos-jenkins-1"]);
}

#[test]
fn a_build_whose_task_has_gone_from_every_list_keeps_its_place() {
    let mut story = Story::new(2);
    story.twist("alibuild02", run).rounds(3);
    says(&mut story, &["mesos-jenkins-1"], &[]);
    story.twist("alibuild02", |_| {}).rounds(3);
    says(&mut story, &["mesos-jenkins-1"], &[]);
    assert_eq!(builds(&story, "alibuild02"), ["mesos-jenkins-1"]);
    // Gone from Jenkins for a look, it is forgotten: another one of that name may be anywhere.
    says(&mut story, &[], &[]);
    says(&mut story, &["mesos-jenkins-1"], &[]);
    assert!(builds(&story, "alibuild02").is_empty());
}

#[test]
fn a_computer_that_stands_for_a_machine_is_that_machine() {
    let mut story = Story::new(2);
    story.rounds(3);
    says(&mut story, &["ALIBUILD01.cern.ch", "built-in"], &["alibuild02"]);
    assert_eq!(builds(&story, "alibuild01"), ["ALIBUILD01.cern.ch"]);
    assert!(builds(&story, "alibuild02").is_empty());
    assert_eq!(story.fleet.computers_on(&name("alibuild02")), ["alibuild02"]);
    let now = story.now();
    let sources = story.fleet.fleet_view(now, Vec::new()).sources;
    let sentence = &sources.iter().find(|source| source.source == Source::Jenkins).unwrap().sentence;
    assert!(sentence.contains("runs 2 builds, 1 of them on none of our nodes"), "{sentence}");
}

#[test]
fn empty_is_what_has_been_seen_so_without_a_break() {
    let mut story = Story::new(1);
    story.rounds(3);
    says(&mut story, &[], &[]);
    story.rounds(3);
    says(&mut story, &[], &[]);
    assert_eq!(empty_seconds(&story, "alibuild01"), Some(30));
    says(&mut story, &["alibuild01"], &[]);
    assert_eq!(empty_seconds(&story, "alibuild01"), None);
    // A minute without an answer is a break as well.
    says(&mut story, &[], &[]);
    story.rounds(7);
    assert_eq!(empty_seconds(&story, "alibuild01"), None);
    says(&mut story, &[], &[]);
    assert_eq!(empty_seconds(&story, "alibuild01"), Some(0));
}

#[test]
fn a_build_of_a_task_that_may_be_killed_keeps_nobody_waiting() {
    let mut story = Story::new(1);
    story.twist("alibuild01", spare).rounds(3);
    says(&mut story, &["spare-1"], &[]);
    assert_eq!(empty_seconds(&story, "alibuild01"), Some(0));
}

#[test]
fn a_jenkins_that_does_not_answer_is_unknown_after_a_minute_and_comes_back() {
    let mut story = Story::new(1);
    let mut policy = (**story.fleet.policy()).clone();
    for class in policy.classes.values_mut() {
        class.required.insert(Source::Jenkins);
    }
    let now = story.now();
    story.fleet.set_policy(Arc::new(policy), now);
    story.rounds(3);
    let unknown_since = |story: &Story| story.fleet.snapshot().sources[&Source::Jenkins].unknown_since;
    assert_eq!(unknown_since(&story), Some(at(0)), "it has never answered");
    says(&mut story, &[], &[]);
    assert_eq!(unknown_since(&story), None);
    let answered = story.now();
    let now = story.now();
    story.fleet.take_observation(Source::Jenkins, Err("ask jenkins: no answer".into()), now);
    assert_eq!(unknown_since(&story), None, "once is no silence");
    story.rounds(7);
    assert_eq!(unknown_since(&story), answered.checked_add(jiff::SignedDuration::from_secs(60)).ok());
    says(&mut story, &[], &[]);
    let told: Vec<&str> = story
        .transitions
        .iter()
        .filter(|told| told.what == "source jenkins")
        .map(|told| told.sentence.as_str())
        .collect();
    assert_eq!(told, ["Jenkins does not answer: ask jenkins: no answer", "Jenkins answers again"]);
}
