//! Marathon and Aurora: what stands on a node, and whether it is the last of its kind.

use crate::fleet::{
    Instance, Observation, Part, Place, Scheduler, Service,
    testing::{Story, mesos_id, name, policy, task},
};
use millwright_decision::{Mode, Source, fleet::Move};
use millwright_protocol::Status;
use std::{collections::BTreeMap, sync::Arc};

fn instance(host: &str, is_well: bool) -> Instance {
    Instance { host: host.into(), is_well, ..Instance::default() }
}

fn service(name: &str, instances: Vec<Instance>) -> Service {
    Service { name: name.into(), wanted: instances.len(), instances, ..Service::default() }
}

fn scheduler(services: Vec<Service>) -> Scheduler {
    let standby = Part::StandsBy(Some("http://alimesos01.example.org:8080".into()));
    let servers = BTreeMap::from([
        (name("alimesos01"), Ok(Part::Leads)),
        (name("alimesos02"), Ok(standby)),
        (name("alimesos03"), Err("http://alimesos03:8080: nobody answers".into())),
    ]);
    Scheduler { version: "1.3.5".into(), servers, services, ..Scheduler::default() }
}

fn story(seen: Scheduler) -> Story {
    let mut story = Story::new(3);
    story.rounds(2);
    let now = story.now();
    story.fleet.take_observation(Source::Marathon, Ok(Observation::Marathon(seen)), now);
    story
}

fn lines(story: &mut Story, node: &str) -> Vec<(Status, String)> {
    let now = story.now();
    let detail = story.fleet.node_detail(&name(node), now).unwrap();
    let of_marathon = detail.outside.into_iter().filter(|seen| seen.source == Source::Marathon);
    of_marathon.map(|seen| (seen.status, seen.sentence)).collect()
}

/// The only line of a node.
fn line(story: &mut Story, node: &str) -> (Status, String) {
    let lines = lines(story, node);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].clone()
}

#[test]
fn the_last_healthy_instance_is_told_from_one_of_many() {
    let two = || vec![instance("alibuild01", true), instance("alibuild02.example.org", true)];
    let story_of = |instances| story(scheduler(vec![service("/kibana", instances)]));
    let mut both = story_of(two());
    assert_eq!(
        line(&mut both, "alibuild01"),
        (Status::Ok, "/kibana: 1 of the 2 wanted run here, 1 elsewhere are healthy".into())
    );
    assert!(lines(&mut both, "alibuild03").is_empty());
    let mut ill = two();
    ill[1].is_well = false;
    let mut ill = story_of(ill);
    let (status, sentence) = line(&mut ill, "alibuild01");
    assert_eq!(status, Status::Warn);
    assert!(sentence.ends_with("the last healthy instance, without this node it stops"), "{sentence}");
    assert!(line(&mut ill, "alibuild02").1.contains("not healthy; 1 elsewhere are"));
    // Two on one node are no two when that node goes.
    let mut same = story_of(vec![instance("alibuild01", true), instance("alibuild01", true)]);
    assert!(line(&mut same, "alibuild01").1.contains("2 of the 2 wanted run here: the last healthy"));
}

#[test]
fn what_may_run_on_one_host_only_is_worth_a_warning_and_what_changes_is_told() {
    let mut repo = service("/repo", vec![instance("alibuild03", true)]);
    repo.pinned_to = Some("alibuild03".into());
    repo.is_changing = true;
    let (status, sentence) = line(&mut story(scheduler(vec![repo])), "alibuild03");
    assert_eq!(status, Status::Warn);
    assert!(sentence.contains("it may run on alibuild03 only, so it cannot be moved"), "{sentence}");
    assert!(sentence.ends_with("it is being changed just now, wait for that to end"), "{sentence}");
}

#[test]
fn an_instance_is_where_its_mesos_agent_is_however_that_calls_itself() {
    let by_id = Instance { host: "10.1.2.3".into(), agent_id: mesos_id("alibuild02"), ..instance("", true) };
    let mut away = scheduler(vec![service("/x", vec![by_id])]);
    assert_eq!(lines(&mut story(away.clone()), "alibuild02").len(), 1);
    away.services[0].instances[0].agent_id.clear();
    let mut story = story(away);
    assert!(lines(&mut story, "alibuild02").is_empty());
    let now = story.now();
    let view = story.fleet.fleet_view(now, Vec::new());
    let source = view.sources.iter().find(|source| source.source == Source::Marathon).unwrap();
    assert!(source.details.contains(&"/x: 1 of 1 healthy, on 10.1.2.3".to_owned()), "{:?}", source.details);
}

#[test]
fn a_task_is_moved_only_where_policy_says_so_at_that_moment_and_the_cordon_stands() {
    let policy = |mode: Mode| {
        let mut policy = policy(3);
        policy.classes.values_mut().for_each(|class| class.mode = mode);
        policy
    };
    let mut story = Story::new(3);
    story.rounds(15);
    story.fleet.set_policy(Arc::new(policy(Mode::Act)), story.now());
    let says = |story: &Story, task: &str| {
        let place = story.fleet.may_move(&name("alibuild01"), task, story.now());
        place.map_or_else(|why| why, |place| format!("it stands on {}", place.agent_ids.join(", ")))
    };
    assert!(says(&story, "t").contains("not known to be stopped just now"));
    story.master.as_mut().unwrap().agents.iter_mut().for_each(|agent| agent.deactivated = true);
    story.rounds(1);
    assert_eq!(says(&story, "t"), "it stands on S-alibuild01");
    story.twist("alibuild01", |report| {
        report.facts.mesos_agent.as_mut().unwrap().tasks = vec![task("mesos-jenkins-1"), task("service-1")];
    });
    story.rounds(1);
    assert!(says(&story, "mesos-jenkins-1").contains("policy takes mesos-jenkins-1 for protected by now"));
    assert_eq!(says(&story, "service-1"), "it stands on S-alibuild01");
    story.master = None;
    story.rounds(7);
    assert!(says(&story, "t").contains("not known to be stopped just now"), "what was read is too old");
    let now = story.now();
    story.fleet.set_policy(Arc::new(policy(Mode::Advise)), now);
    assert!(says(&story, "t").contains("alibuild01 is in no class that is acted on by now"));
}

#[test]
fn what_could_be_moved_is_known_by_node_and_by_nobody_who_may_not_be_asked() {
    let mut one = instance("alibuild01", true);
    one.task = "web.1".into();
    let mut strange = instance("elsewhere", true);
    strange.task = "web.2".into();
    let seen = scheduler(vec![service("/web", vec![one, strange, instance("alibuild02", true)])]);
    let told = story(seen.clone());
    assert!(told.fleet.snapshot().movable.is_empty());
    let movable = |tasks: bool, lead: bool| {
        let mut story = Story::new(3);
        story.fleet.may_ask_to_move(Source::Marathon, tasks, lead);
        let now = story.now();
        story.fleet.take_observation(Source::Marathon, Ok(Observation::Marathon(seen.clone())), now);
        let known = story.fleet.snapshot().movable[&Source::Marathon].clone();
        assert_eq!(known.at, Some(now));
        known.on
    };
    let by = Source::Marathon;
    let task = Move::Task { by, service: "/web".into(), task: "web.1".into() };
    assert_eq!(movable(true, false), BTreeMap::from([(name("alibuild01"), vec![task])]));
    assert_eq!(movable(false, true), BTreeMap::from([(name("alimesos01"), vec![Move::Lead { by }])]));
}

#[test]
fn several_agents_of_one_host_name_are_told_apart_by_their_ids() {
    let place = Place { agent_ids: vec!["S-1".into()], hosts: vec!["localhost".into()] };
    assert!(place.has("S-1", "localhost") && place.has("", "localhost"));
    assert!(!place.has("S-2", "localhost") && !place.has("", "elsewhere"));
}

#[test]
fn the_fleet_page_tells_who_leads_what_is_not_in_full_and_what_changes() {
    let mut seen = scheduler(vec![
        service("/a", vec![instance("alibuild01", true)]),
        service("/b", vec![instance("alibuild02", false)]),
    ]);
    seen.changes = vec!["deployment 97c1 of /b: step 1 of 3".into()];
    let mut story = story(seen);
    let now = story.now();
    let view = story.fleet.fleet_view(now, Vec::new());
    let source = view.sources.iter().find(|source| source.source == Source::Marathon).unwrap();
    assert_eq!(
        source.sentence,
        "Marathon 1.3.5 answers, alimesos01 leads; it keeps 2 apps running, 1 of them not in full; 1 deployment runs"
    );
    assert_eq!(
        source.details,
        [
            "alimesos01: it leads",
            "alimesos02: it stands by, http://alimesos01.example.org:8080 leads",
            "alimesos03: http://alimesos03:8080: nobody answers",
            "deployment 97c1 of /b: step 1 of 3",
            "/b: 0 of 1 healthy, on alibuild02",
            "/a: 1 of 1 healthy, on alibuild01",
        ]
    );
}

#[test]
fn a_server_is_told_on_its_own_node_and_one_with_another_leader_is_a_warning() {
    let mut seen = scheduler(Vec::new());
    let mut told = story(seen.clone());
    assert_eq!(line(&mut told, "alimesos01"), (Status::Ok, "its server: it leads".into()));
    assert_eq!(line(&mut told, "alimesos02").0, Status::Ok);
    assert_eq!(line(&mut told, "alimesos03").0, Status::Warn);
    seen.servers.insert(name("alimesos02"), Ok(Part::StandsBy(Some("alimesos03.example.org:8080".into()))));
    let (status, sentence) = line(&mut story(seen), "alimesos02");
    assert_eq!(status, Status::Warn);
    assert!(sentence.contains("alimesos01 says that it leads itself"), "{sentence}");
}

#[test]
fn what_was_said_before_a_minute_of_silence_is_no_more_than_that() {
    let mut story = story(scheduler(vec![service("/a", vec![instance("alibuild01", true)])]));
    story.rounds(7);
    assert_eq!(line(&mut story, "alibuild01").0, Status::Unknown);
}

#[test]
fn a_scheduler_that_floods_a_node_with_services_fills_no_page() {
    let many = (0..100).map(|n| service(&format!("/s{n}"), vec![instance("alibuild01", true)])).collect();
    let mut story = story(scheduler(many));
    let lines = lines(&mut story, "alibuild01");
    assert_eq!((lines.len(), lines[20].1.as_str()), (21, "and 80 more have instances here"));
    let now = story.now();
    let view = story.fleet.fleet_view(now, Vec::new());
    let source = view.sources.iter().find(|source| source.source == Source::Marathon).unwrap();
    assert_eq!(source.details.last().map(String::as_str), Some("and 80 more"));
}
