//! Emptiness and the two views.

use crate::fleet::testing::{Story, at, name, task};
use millwright_decision::{
    TaskClass,
    fleet::{Listing, View},
};
use millwright_protocol::{Container, ContainerRole, Report, TaskState};

fn run(report: &mut Report, id: &str) {
    report.facts.mesos_agent.as_mut().unwrap().tasks.push(task(id));
}

fn contain(report: &mut Report, name: &str, role: ContainerRole) {
    report.facts.containers.as_mut().unwrap().containers.push(Container {
        name: name.into(),
        image: "image".into(),
        state: "running".into(),
        role,
        started_at: None,
        restarts: 0,
    });
}

fn agent_empty_seconds(story: &Story) -> Option<i64> {
    story.node("alibuild01").agent_empty.map(|span| span.last.duration_since(span.first).as_secs())
}

fn list(story: &mut Story, id: &str) {
    let agents = &mut story.master.as_mut().unwrap().agents;
    agents.iter_mut().find(|agent| agent.id == "S-alibuild01").unwrap().tasks.push(task(id));
}

#[test]
fn an_idle_node_is_empty_for_as_long_as_it_has_been_seen_so() {
    let mut story = Story::new(1);
    story.rounds(7);
    assert_eq!(agent_empty_seconds(&story), Some(60));
    let master = story.node("alibuild01").master_empty.unwrap();
    assert_eq!((master.first, master.last), (at(10), at(70)));
}

#[test]
fn a_task_a_stray_or_an_unknown_ends_emptiness_and_spare_work_does_not() {
    type Twist = fn(&mut Report);
    let ends: [(&str, Twist); 6] = [
        ("a build", |report| run(report, "mesos-jenkins-1")),
        ("a task no rule knows", |report| run(report, "what-is-this")),
        ("a container of a task", |report| contain(report, "mesos-1", ContainerRole::Task)),
        ("an orphan", |report| contain(report, "mesos-2", ContainerRole::Orphan)),
        ("no word from Mesos", |report| report.facts.mesos_agent = None),
        ("no list from Docker", |report| report.facts.containers = None),
    ];
    for (what, twist) in ends {
        let mut story = Story::new(1);
        story.rounds(5);
        story.twist("alibuild01", twist).rounds(1);
        assert_eq!(agent_empty_seconds(&story), None, "{what}");
        story.twist.clear();
        story.rounds(1);
        assert_eq!(agent_empty_seconds(&story), Some(0), "{what}");
    }
    let leaves: [(&str, Twist); 3] = [
        ("infrastructure", |report| contain(report, "mesos-slave", ContainerRole::Infrastructure)),
        ("spare work", |report| run(report, "spare-1")),
        ("spare work in a container", |report| {
            run(report, "spare-1");
            contain(report, "mesos-1", ContainerRole::Task);
        }),
    ];
    for (what, twist) in leaves {
        let mut story = Story::new(1);
        story.rounds(5);
        story.twist("alibuild01", twist).rounds(1);
        assert_eq!(agent_empty_seconds(&story), Some(50), "{what}");
    }
}

#[test]
fn an_agent_that_looks_at_nothing_has_seen_nothing_empty() {
    let mut policy = crate::fleet::testing::policy(1);
    for class in policy.classes.values_mut() {
        class.required.remove(&millwright_decision::Source::MesosMaster);
    }
    let mut story = Story::new(1);
    story.master = None;
    story.fleet = crate::fleet::Fleet::new(policy.into(), at(0));
    story.twist("alibuild01", |report| {
        (report.facts.mesos_agent, report.facts.containers) = (None, None);
        report.findings.retain(|finding| finding.check == "load");
    });
    story.rounds(10);
    assert_eq!(agent_empty_seconds(&story), None);
    let reboot = millwright_decision::Request::one(millwright_decision::Action::Reboot, name("alibuild01"));
    let verdict = story.fleet.judge(&reboot, story.now()).unwrap();
    let reason = &verdict.reasons[0];
    assert_eq!(reason.severity, millwright_decision::Severity::NeedsPeople, "{reason:?}");
    assert!(reason.sentence.contains("looks at neither Docker nor a Mesos agent"), "{}", reason.sentence);
    story.twist("alibuild01", |report| report.facts.mesos_agent = None).rounds(7);
    assert_eq!(agent_empty_seconds(&story), Some(60), "Docker alone can tell where no Mesos is");
}

#[test]
fn facts_that_were_old_when_they_were_reported_are_unknown() {
    let mut story = Story::new(1);
    story.twist("alibuild01", |report| {
        report.facts.mesos_agent.as_mut().unwrap().age_seconds = 61;
    });
    story.rounds(3);
    assert_eq!(story.node("alibuild01").agent.as_ref().unwrap().tasks, View::Unknown);
    assert_eq!(agent_empty_seconds(&story), None);
}

#[test]
fn emptiness_is_dated_by_the_look_and_not_by_the_report() {
    let mut story = Story::new(1);
    story.twist("alibuild01", |report| {
        report.facts.mesos_agent.as_mut().unwrap().age_seconds = 10 * (report.sequence - 1);
    });
    story.rounds(5);
    assert_eq!(agent_empty_seconds(&story), Some(0), "the same look, reported five times");
}

#[test]
fn a_minute_without_reports_ends_emptiness() {
    let mut story = Story::new(1);
    story.rounds(5);
    story.quiet.insert("alibuild01".parse().unwrap());
    story.rounds(7);
    story.quiet.clear();
    story.rounds(1);
    assert_eq!(agent_empty_seconds(&story), Some(0));
}

#[test]
fn views_that_name_different_tasks_disagree_until_they_name_the_same() {
    let mut story = Story::new(1);
    story.rounds(2);
    list(&mut story, "mesos-jenkins-1");
    story.rounds(3);
    assert_eq!(story.node("alibuild01").views_disagree_since, Some(at(30)));
    assert_eq!(story.node("alibuild01").master_empty, None);
    story.twist("alibuild01", |report| run(report, "mesos-jenkins-1")).rounds(1);
    assert_eq!(story.node("alibuild01").views_disagree_since, None);
}

#[test]
fn a_master_that_is_silent_for_long_proves_nothing() {
    let mut story = Story::new(1);
    story.rounds(3);
    let answer = story.master.take();
    story.rounds(2);
    assert!(story.node("alibuild01").master_empty.is_some(), "20 s");
    story.rounds(1);
    assert!(story.node("alibuild01").master_empty.is_none());
    assert_eq!(story.fleet.snapshot().sources.values().next().unwrap().unknown_since, Some(at(55)));
    story.master = answer;
    story.rounds(1);
    assert_eq!(story.fleet.snapshot().sources.values().next().unwrap().unknown_since, None);
    assert_eq!(story.node("alibuild01").master_empty.unwrap().first, at(70));
}

#[test]
fn the_id_that_the_nodes_own_agent_reads_counts_and_not_the_host_name() {
    let mut story = Story::new(2);
    story.rounds(1);
    for agent in &mut story.master.as_mut().unwrap().agents {
        agent.hostname = "alibuild01.example.org".into();
    }
    list(&mut story, "mesos-jenkins-1");
    story.rounds(1);
    assert_eq!(story.node("alibuild01").master.as_ref().unwrap().tasks.len(), 1);
    assert_eq!(story.node("alibuild02").master.as_ref().unwrap().tasks.len(), 0);
}

#[test]
fn a_node_that_never_told_an_id_is_found_by_its_host_name() {
    let mut story = Story::new(2);
    story.quiet.insert("alibuild01".parse().unwrap());
    list(&mut story, "mesos-jenkins-1");
    story.rounds(1);
    assert_eq!(story.node("alibuild01").master.as_ref().unwrap().tasks.len(), 1);
}

/// Both Mesos agents announce the host name of the machine that they share.
fn on_one_host(agents: usize) -> Story {
    let mut story = Story::new(agents);
    for agent in &mut story.master.as_mut().unwrap().agents {
        agent.hostname = "localhost".into();
    }
    story
}

#[test]
fn a_mesos_agent_is_no_node_of_its_own_before_ours_had_time_to_claim_it() {
    let mut story = on_one_host(2);
    let answer = story.master.clone().unwrap();
    for second in [1, 6] {
        story.fleet.take_master_state(Ok(&answer), at(second));
        story.fleet.tick(at(second));
        assert!(!story.fleet.knows(&name("localhost")));
    }
    story.rounds(3);
    assert!(!story.fleet.knows(&name("localhost")));
    assert_eq!(story.node("alibuild01").master.as_ref().unwrap().listing, Listing::Active);
}

#[test]
fn a_node_that_only_mesos_knew_goes_when_another_turns_out_to_be_it() {
    let mut story = on_one_host(2);
    story.master.as_mut().unwrap().agents.retain(|agent| agent.id.starts_with("S-alibuild"));
    list(&mut story, "mesos-jenkins-1");
    story.quiet.insert(name("alibuild01"));
    story.rounds(4);
    let detail = story.fleet.node_detail(&name("localhost"), story.now()).unwrap();
    assert_eq!(detail.living_tasks.tasks[0].state, Some(TaskState::Running), "the master says so");
    story.quiet.clear();
    story.rounds(1);
    assert!(!story.fleet.knows(&name("localhost")));
    assert!(story.fleet.fleet_view(story.now(), Vec::new()).unlisted.is_empty());
    assert_eq!(story.node("alibuild01").master.as_ref().unwrap().tasks.len(), 1);
}

#[test]
fn a_listed_node_and_one_that_reports_stay_when_mesos_no_longer_has_them() {
    let mut story = Story::new(1);
    story.rounds(3);
    let now = story.now();
    let mut stranger = crate::fleet::testing::report("stranger", 1);
    stranger.facts.mesos_agent = None;
    story.fleet.take_report(&name("stranger"), stranger, now);
    let mut agent = story.master.as_ref().unwrap().agents[0].clone();
    (agent.id, agent.hostname) = ("S-stranger".into(), "stranger".into());
    story.master.as_mut().unwrap().agents.push(agent);
    story.rounds(1);
    assert_eq!(story.node("stranger").master.as_ref().unwrap().listing, Listing::Active);
    story.master.as_mut().unwrap().agents.clear();
    story.rounds(1);
    for node in ["stranger", "alibuild01"] {
        assert_eq!(story.node(node).master.as_ref().unwrap().listing, Listing::Absent, "{node}");
    }
}

#[test]
fn a_task_that_only_the_master_names_is_in_the_state_that_it_says() {
    let mut story = Story::new(1);
    list(&mut story, "mesos-jenkins-1");
    list(&mut story, "mesos-jenkins-2");
    let agents = &mut story.master.as_mut().unwrap().agents;
    agents.iter_mut().find(|agent| agent.id == "S-alibuild01").unwrap().tasks[1].state = TaskState::Staging;
    story.rounds(1);
    let detail = story.fleet.node_detail(&name("alibuild01"), story.now()).unwrap();
    let states: Vec<_> = detail.living_tasks.tasks.iter().map(|task| task.state).collect();
    assert_eq!(states, [Some(TaskState::Running), Some(TaskState::Staging)]);
}

#[test]
fn another_policy_tells_the_same_tasks_apart_anew() {
    let mut story = Story::new(1);
    list(&mut story, "spare-1");
    story.twist("alibuild01", |report| run(report, "spare-1")).rounds(3);
    assert_eq!(agent_empty_seconds(&story), Some(20));
    let mut policy = story.fleet.policy().as_ref().clone();
    policy.tasks.rules.clear();
    let now = story.now();
    story.fleet.set_policy(std::sync::Arc::new(policy), now);
    let classes = |story: &Story| {
        let node = story.node("alibuild01");
        let own = node.agent.as_ref().unwrap().tasks.known().unwrap()[0].class;
        (own, node.master.as_ref().unwrap().tasks[0].class)
    };
    assert_eq!(classes(&story), (TaskClass::Protected, TaskClass::Protected));
    assert_eq!(agent_empty_seconds(&story), None);
    story.rounds(1);
    assert_eq!(classes(&story), (TaskClass::Protected, TaskClass::Protected));
}
