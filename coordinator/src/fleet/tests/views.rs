//! What people are shown.

use crate::{
    fleet::{
        Knock,
        testing::{Story, name, task},
    },
    view::{ChecklistState, Diagnosis, NodeState},
};
use jiff::SignedDuration;
use millwright_decision::TaskClass;
use millwright_protocol::{Report, Status};

#[test]
fn the_fleet_page_shows_every_listed_node_and_strangers_apart() {
    let mut story = Story::new(3);
    story.quiet.insert(name("alibuild03"));
    story.rounds(10);
    let now = story.now();
    story.fleet.take_report(&name("stranger"), crate::fleet::testing::report("stranger", 1), now);
    let view = story.fleet.fleet_view(now, Vec::new());
    let agents = &view.classes[1];
    assert_eq!((agents.listed, agents.in_service, agents.out, agents.may_be_out), (3, 2, 1, 1));
    let states: Vec<NodeState> = agents.nodes.iter().map(|node| node.state).collect();
    assert_eq!(states, [NodeState::Healthy, NodeState::Healthy, NodeState::NeverHeard]);
    assert_eq!(agents.nodes[0].name, "alibuild01");
    assert_eq!(view.unlisted[0].name, "stranger");
    assert!(view.not_configured.iter().any(|source| source.as_str() == "jenkins"));
    let json = serde_json::to_string(&view).unwrap();
    assert_eq!(serde_json::from_str::<crate::view::FleetView>(&json).unwrap(), view);
}

#[test]
fn what_needs_a_human_comes_worst_first_and_what_was_seen_by_one_is_left_out() {
    let mut story = Story::new(6);
    story.twist("alibuild01", |report| report.findings[0].status = Status::Crit);
    story.twist("alibuild02", |report| report.findings[3].status = Status::Crit);
    story.quiet.insert(name("alibuild03"));
    story.rounds(10);
    let now = story.now();
    let lines = |story: &mut Story| -> Vec<String> {
        let view = story.fleet.fleet_view(now, Vec::new());
        view.attention.into_iter().filter_map(|line| line.node).collect()
    };
    assert_eq!(lines(&mut story), ["alibuild01", "alibuild02", "alibuild03"]);
    let until = now + SignedDuration::from_hours(1);
    let given = story.fleet.acknowledge("ALIBUILD1/docker", until, "ann", now).unwrap();
    assert_eq!(given.finding, "alibuild1/docker");
    assert_eq!(lines(&mut story), ["alibuild02", "alibuild03"]);
    let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
    let first = &detail.all_findings[0];
    assert_eq!((first.id.as_str(), first.status), ("alibuild01/docker", Status::Crit));
    assert_eq!(first.acknowledged.as_ref().unwrap().by, "ann");
    assert_eq!(detail.summary.state, NodeState::Sick, "an acknowledgement changes no gate");
}

#[test]
fn a_policy_that_cannot_be_read_is_named_with_its_file_and_says_nothing_of_sources() {
    let mut story = Story::new(1);
    let now = story.now();
    let unreadable = millwright_decision::Unreadable {
        why: "line 3: no; line 8: no".to_owned(),
        path: Some("/srv/policy.toml".to_owned()),
        since: Some(now - SignedDuration::from_mins(5)),
    };
    story.fleet = crate::fleet::Fleet::new(
        millwright_decision::Policy::unreadable(unreadable, name("coordinator")).into(),
        now,
    )
    .with_policy_path("/srv/policy.toml".as_ref());
    story.fleet.take_report(&name("alibuild01"), crate::fleet::testing::report("alibuild01", 1), now);
    let view = story.fleet.fleet_view(now, Vec::new());
    assert_eq!((view.not_configured, view.sources), (vec![], vec![]));
    assert_eq!(view.attention.len(), 1, "{:#?}", view.attention);
    assert_eq!(
        view.attention[0].sentence,
        "everything is protected, because the policy /srv/policy.toml cannot be read: line 3: no; line 8: no"
    );
    assert_eq!(view.attention[0].since, Some(now - SignedDuration::from_mins(5)));
    let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
    let sources = detail.cannot_see.iter().find(|line| line.what == "sources").unwrap();
    assert!(sources.sentence.starts_with("which sources are required is not known"));
    assert_eq!(view.attention[0].next.as_deref(), Some("see `millwright policy check /srv/policy.toml`"));
}

#[test]
fn a_delete_forgets_no_volume_that_is_not_mounted() {
    let mut story = Story::new(1);
    story.twist("alibuild01", |report| report.facts.volumes[0].mounted = false).rounds(2);
    let now = story.now();
    let request = millwright_decision::Request::one(millwright_decision::Action::Delete, name("alibuild01"));
    let notes = story.fleet.judge(&request, now).unwrap().notes;
    let left = notes.iter().find(|note| note.code.as_str() == "volumes_left").unwrap();
    assert_eq!(
        left.sentence,
        "the volumes of alibuild01 stay behind: /build (not mounted; its disk may be attached)"
    );
}

#[test]
fn a_source_that_is_not_heard_is_named_in_what_to_do() {
    let mut story = Story::new(1);
    let now = story.now();
    let view = story.fleet.fleet_view(now, Vec::new());
    let next: Vec<&str> = view.attention.iter().filter_map(|line| line.next.as_deref()).take(2).collect();
    assert_eq!(
        next,
        [
            "see that millwright-agent runs on the nodes and reaches the coordinator",
            "see that the Mesos masters run and that the coordinator reaches them"
        ]
    );
}

#[test]
fn only_a_finding_that_is_there_and_not_ok_can_be_acknowledged() {
    let mut story = Story::new(1);
    story.twist("alibuild01", |report| report.findings[0].status = Status::Crit).rounds(2);
    let now = story.now();
    let until = now + SignedDuration::from_hours(1);
    for (finding, until) in [
        ("alibuild01", until),
        ("alibuild01/nothing", until),
        ("stranger/docker", until),
        ("alibuild01/mesos_agent", until),
        ("alibuild01/docker", now),
    ] {
        assert!(story.fleet.acknowledge(finding, until, "ann", now).is_err(), "{finding}");
    }
    story.fleet.acknowledge("alibuild01/docker", until, "ann", now).unwrap();
    assert_eq!(story.fleet.acknowledgements(now).len(), 1);
    story.fleet.tick(until);
    assert_eq!(story.fleet.acknowledgements(now).len(), 0, "it has run out");
}

#[test]
fn the_checklist_names_the_layers_in_the_order_of_the_runbook() {
    let mut story = Story::new(1);
    story.rounds(10);
    let now = story.now();
    let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
    let steps: Vec<&str> = detail.checklist.iter().map(|item| item.step.as_str()).collect();
    assert_eq!(
        steps,
        [
            "report",
            "ssh",
            "puppet",
            "docker",
            "container",
            "volume",
            "mesos",
            "mesos_master",
            "image",
            "verified"
        ]
    );
    let docker = &detail.checklist[3];
    assert_eq!((docker.state, docker.evidence.is_empty()), (ChecklistState::Done, false));
    assert_eq!(detail.checklist[2].state, ChecklistState::NotConfigured);
    let puppet = detail.cannot_see.iter().find(|line| line.what == "puppet").unwrap();
    assert!(puppet.not_configured, "nobody asks, which is no trouble: {}", puppet.sentence);
}

/// The diagnosis of the first node after three rounds in which it reports so, or not at all.
fn diagnosed(twist: Option<fn(&mut Report)>, ssh: Option<bool>) -> Diagnosis {
    let mut story = Story::new(1);
    story.rounds(10);
    let first = name("alibuild01");
    match twist {
        Some(twist) => {
            story.twist("alibuild01", twist);
            story.rounds(3);
        }
        None => {
            story.quiet.insert(first.clone());
            story.rounds(40);
        }
    }
    let now = story.now();
    if let Some(answered) = ssh {
        let knock = Knock { answered: Some(answered), story: "knocked on port 22".into(), ping: None };
        story.fleet.take_ssh(&first, knock, now);
    }
    story.fleet.node_detail(&first, now).unwrap().diagnosis
}

#[test]
fn a_diagnosis_stops_at_the_first_layer_that_is_broken_and_leaves_out_what_rests_on_it() {
    let sick = |report: &mut Report| {
        for check in ["docker", "container", "volume"] {
            let mut finding = crate::fleet::testing::finding(check, None, Status::Crit, true);
            finding.next = Some(format!("mend {check}"));
            report.findings.push(finding);
        }
        report.findings.retain(|finding| finding.check != "docker" || finding.status == Status::Crit);
    };
    let diagnosis = diagnosed(Some(sick), None);
    assert_eq!((diagnosis.layer.as_deref(), diagnosis.state), (Some("docker"), Some(ChecklistState::Failed)));
    assert_eq!(diagnosis.next, ["mend docker"]);
    assert!(diagnosis.untold.contains(&"Required containers run".to_owned()), "{diagnosis:?}");
    assert!(!diagnosis.untold.iter().any(|title| title.contains("Volumes")), "{diagnosis:?}");

    let worth_a_look = diagnosed(Some(|_| {}), None);
    assert_eq!(worth_a_look.state, Some(ChecklistState::Warn), "{worth_a_look:?}");
    let well = diagnosed(Some(|report| report.findings.retain(|finding| finding.check != "volume")), None);
    assert_eq!(well.layer, None, "{well:?}");
}

#[test]
fn a_node_that_is_slow_while_its_layers_are_well_is_told_with_what_slows_it() {
    fn busy(report: &mut Report) {
        report.findings.retain(|finding| finding.check != "volume");
        for (item, next) in [("load", "see what takes the time"), ("oom", "see what was killed")] {
            let mut finding = crate::fleet::testing::finding("system", Some(item), Status::Warn, false);
            finding.sentence = format!("its {item} is high");
            finding.next = Some(next.to_owned());
            report.findings.push(finding);
        }
    }
    let slow = diagnosed(Some(busy), None);
    assert_eq!((slow.layer.as_deref(), slow.state), (None, Some(ChecklistState::Warn)));
    let told =
        "every layer of alibuild01 is as it should be; worth a look beside them: its load is high (for 2 h)";
    assert_eq!(slow.sentence, told);
    assert_eq!(slow.next, ["see what takes the time"]);
    assert_eq!(slow.also, ["its oom is high (for 2 h)"]);

    let broken = diagnosed(
        Some(|report| {
            busy(report);
            let crit = |check| crate::fleet::testing::finding(check, None, Status::Crit, true);
            report.findings.retain(|finding| finding.check != "docker");
            report.findings.extend([crit("docker"), crit("container")]);
        }),
        None,
    );
    assert_eq!(broken.layer.as_deref(), Some("docker"));
    assert_eq!(
        broken.also,
        ["its load is high (for 2 h)", "its oom is high (for 2 h)"],
        "containers rest on it"
    );
}

#[test]
fn a_node_that_is_not_heard_is_told_apart_from_one_whose_agent_died() {
    let dead_agent = diagnosed(None, Some(true));
    assert_eq!(dead_agent.layer.as_deref(), Some("report"));
    assert!(dead_agent.next[0].contains("systemctl status millwright-agent"), "{dead_agent:?}");
    let frozen = diagnosed(None, Some(false));
    assert_eq!((frozen.layer.as_deref(), frozen.state), (Some("ssh"), Some(ChecklistState::Failed)));
    assert!(frozen.next.iter().any(|next| next.contains("millwright may reboot alibuild01")), "{frozen:?}");
    assert!(frozen.untold.contains(&"Docker answers".to_owned()), "{frozen:?}");
}

#[test]
fn required_containers_run_only_where_some_are_required() {
    let mut story = Story::new(2);
    for node in ["alibuild01", "alibuild02"] {
        story.twist(node, |report| {
            let finding =
                |item, gating| crate::fleet::testing::finding("containers", item, Status::Ok, gating);
            report.findings.push(finding(None, false));
            if report.node == "alibuild02" {
                report.findings.push(finding(Some("mesos-slave"), true));
            }
        });
    }
    story.rounds(1);
    let now = story.now();
    let mut said = |node| {
        let detail = story.fleet.node_detail(&name(node), now).unwrap();
        detail.checklist.into_iter().find(|item| item.step == "container").unwrap().sentence
    };
    assert_eq!(
        said("alibuild01"),
        "none is required here; containers is ok as far as this test is concerned"
    );
    assert_eq!(said("alibuild02"), "2 looked at, all well");
}

#[test]
fn a_task_is_shown_with_its_class_its_rule_and_what_killing_it_costs() {
    let mut story = Story::new(1);
    story.twist("alibuild01", |report| {
        report.facts.mesos_agent.as_mut().unwrap().tasks.push(task("mesos-jenkins-1"));
    });
    story.rounds(3);
    let now = story.now();
    let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
    let shown = &detail.living_tasks.tasks[0];
    assert_eq!((shown.class, shown.rule.as_deref()), (TaskClass::Protected, Some("builds must finish")));
    assert_eq!(shown.kill_cost_seconds, Some(630));
    assert_eq!(shown.named_by, [millwright_decision::Source::Agent]);
    assert!(detail.living_tasks.disagree_since.is_some());
    assert_eq!(detail.summary.tasks.unwrap()[&TaskClass::Protected], 1);
}

#[test]
fn a_node_that_nobody_has_heard_of_has_a_page_that_says_so() {
    let mut story = Story::new(1);
    let now = story.now();
    let detail = story.fleet.node_detail(&name("alibuild01"), now).unwrap();
    assert_eq!(detail.summary.state, NodeState::NeverHeard);
    assert!(detail.cannot_see.iter().any(|line| line.what == "agent"));
    assert!(story.fleet.node_detail(&name("stranger"), now).is_none());
}
