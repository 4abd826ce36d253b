//! Foreman's, PuppetDB's and Roger's account of nodes as hosts.

use crate::fleet::{
    HostAlarms, HostFacts, HostSeen, Known, Observation, Places, RogerSet,
    testing::{Story, name},
};
use jiff::SignedDuration;
use millwright_decision::{Alarms, Source};
use millwright_protocol::Status;
use std::collections::BTreeMap;

fn facts(state: &str, status: Status) -> HostFacts {
    HostFacts {
        state: state.to_owned(),
        status,
        fails: status == Status::Crit,
        last_report: None,
        more: vec!["host group alibuild/mesos/slave".to_owned()],
    }
}

/// Foreman says this of these nodes.
fn say(story: &mut Story, said: Vec<(&str, Known)>) {
    let host =
        |(node, known): (&str, Known)| (name(node), HostSeen { host: format!("{node}.example.org"), known });
    let seen = Places { source: Source::Foreman, hosts: said.into_iter().map(host).collect() };
    let now = story.now();
    story.fleet.take_observation(Source::Foreman, Ok(Observation::Foreman(seen)), now);
}

fn line(story: &mut Story, source: Source) -> (Status, String) {
    let now = story.now();
    let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
    let seen = detail.outside.into_iter().find(|seen| seen.source == source).unwrap();
    (seen.status, seen.sentence)
}

#[test]
fn puppets_state_as_foreman_sees_it_stands_on_the_nodes_page_and_in_its_checklist() {
    let mut story = Story::new(2);
    story.rounds(20);
    let now = story.now();
    let fresh = now - SignedDuration::from_mins(12);
    let known = HostFacts { last_report: Some(fresh), ..facts("Puppet: No changes", Status::Ok) };
    say(&mut story, vec![("alibuild01", Known::Yes(known))]);
    let told = "Puppet: No changes, last report 12 min ago, host group alibuild/mesos/slave";
    assert_eq!(line(&mut story, Source::Foreman), (Status::Ok, told.to_owned()));
    let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
    let item = detail.checklist.iter().find(|item| item.step == "foreman").unwrap();
    assert_eq!(item.sentence, told);
}

#[test]
fn a_host_of_which_nothing_was_heard_for_long_is_stale_however_good_it_was() {
    let mut story = Story::new(2);
    story.rounds(20);
    let old = story.now() - SignedDuration::from_hours(5);
    let known = HostFacts { last_report: Some(old), ..facts("Puppet: No changes", Status::Ok) };
    say(&mut story, vec![("alibuild01", Known::Yes(known))]);
    let (status, sentence) = line(&mut story, Source::Foreman);
    assert_eq!(status, Status::Warn);
    assert!(sentence.contains("stale: its last report is 5 h"), "{sentence}");
    say(&mut story, vec![("alibuild01", Known::Yes(facts("Puppet: Error", Status::Crit)))]);
    let (status, sentence) = line(&mut story, Source::Foreman);
    assert_eq!(status, Status::Crit);
    assert!(sentence.contains("it has never reported"), "{sentence}");
    // Nothing said is neither good nor bad.
    say(&mut story, Vec::new());
    assert_eq!(line(&mut story, Source::Foreman).0, Status::Unknown);
}

#[test]
fn an_answer_that_is_old_is_shown_and_says_nothing_any_more() {
    let mut story = Story::new(2);
    story.rounds(20);
    say(&mut story, vec![("alibuild01", Known::Yes(facts("Puppet: No changes", Status::Ok)))]);
    story.rounds(31);
    assert_eq!(line(&mut story, Source::Foreman).0, Status::Unknown);
    let now = story.now();
    let view = story.fleet.fleet_view(now, Vec::new());
    let source = view.sources.iter().find(|source| source.source == Source::Foreman).unwrap();
    assert!(source.sentence.contains("Foreman"), "{}", source.sentence);
}

#[test]
fn three_nodes_on_which_foreman_sees_puppet_fail_at_once_blame_the_outside() {
    let mut story = Story::new(6);
    story.rounds(20);
    let failing = |count: usize| {
        let names = ["alibuild01", "alibuild02", "alibuild03"];
        let one = |node: &&'static str| (*node, Known::Yes(facts("Puppet: Error", Status::Crit)));
        names[..count].iter().map(one).collect::<Vec<_>>()
    };
    let blamed = |story: &mut Story| {
        let now = story.now();
        story.fleet.fleet_view(now, Vec::new()).outside_blamed
    };
    say(&mut story, failing(2));
    assert!(blamed(&mut story).is_empty(), "{:?}", blamed(&mut story));
    say(&mut story, failing(3));
    assert_eq!(blamed(&mut story), ["foreman"]);
    // What a node that policy does not list has is nobody's trouble.
    say(&mut story, vec![("elsewhere", Known::Yes(facts("Puppet: Error", Status::Crit)))]);
    assert!(!story.fleet.snapshot().nodes.contains_key(&name("elsewhere")));
}

#[test]
fn alarms_that_are_off_are_told_with_who_turned_them_off() {
    let mut story = Story::new(2);
    story.rounds(20);
    let set = RogerSet {
        set: Alarms {
            appstate: "production".into(),
            on: ["os".to_owned()].into(),
            message: "disk is watched".into(),
        },
        off: vec!["nc".into(), "app".into()],
        by: Some("bob".into()),
    };
    let host = |set| HostAlarms { host: "alibuild01.example.org".into(), set };
    let now = story.now();
    let mut say = |set| {
        let seen = BTreeMap::from([(name("alibuild01"), host(set))]);
        story.fleet.take_observation(Source::Roger, Ok(Observation::Roger(seen)), now);
        line(&mut story, Source::Roger)
    };
    let told = "production, os on (disk is watched); off: nc, app, by bob";
    assert_eq!(say(Some(set)), (Status::Warn, told.to_owned()));
    assert_eq!(say(None), (Status::Warn, "there is no alibuild01.example.org".to_owned()));
}
