//! What leaves the agent: a report at once when work changes, none piled up while the coordinator is away.

use jiff::{SignedDuration, Timestamp};
use millwright_protocol::{Report, Status};

use super::harness::{
    DockerDaemon, FileSystem, LoopVolume, Mesos, Node, Received, Receiver, TEST_IMAGE, TaskSpec, free_port,
    ready,
};

/// A node that reports there; only something that happened makes it report again within ten minutes.
fn rarely_reporting(coordinator: &str) -> Node {
    Node::named("alibuild10")
        .unwrap()
        .text("coordinator.url", coordinator)
        .text("coordinator.report_every", "10m")
        .text("coordinator.retry_at_most", "10m")
}

fn report(received: &Received) -> Report {
    serde_json::from_value(received.body.clone()).unwrap()
}

fn reports(coordinator: &Receiver) -> Vec<Report> {
    coordinator.received().iter().map(report).collect()
}

#[test]
fn a_task_that_starts_or_ends_is_reported_at_once() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let coordinator = Receiver::start().unwrap();
    let node = rarely_reporting(&coordinator.url())
        .with_docker(&docker)
        .with("mesos_agent")
        .text("checks.mesos_agent.url", mesos.agent_url(1));
    let Some(agent) = ready(node.start()) else { return };
    let first = coordinator.wait_for("the first report", |received| Some(received.clone())).unwrap();
    assert_eq!(first.path, "/v1/agents/alibuild10/report");
    let first = report(&first);
    assert_eq!((first.protocol, first.node.as_str()), (1, "alibuild10"));
    assert_eq!(
        (first.boot_id.as_str(), first.machine_id.as_str()),
        ("alibuild10-boot", "alibuild10-machine")
    );
    assert!(first.findings.iter().any(|finding| finding.check == "docker" && finding.status == Status::Ok));

    let with_tasks = |count: usize| {
        move |received: &Received| {
            let report = report(received);
            (report.facts.mesos_agent.as_ref()?.tasks.len() == count).then_some(report)
        }
    };
    coordinator.wait_for("an empty node", with_tasks(0)).unwrap();
    let mut task = mesos.run_task(TaskSpec::named("build").of("Jenkins").on_agent(1)).unwrap();
    task.wait_running().unwrap();
    coordinator.wait_for("the task", with_tasks(1)).unwrap();
    task.kill().unwrap();
    let seen = reports(&coordinator).len();
    coordinator
        .wait_for("the end of the task", |_| {
            let later = coordinator.received().split_off(seen);
            later.iter().any(|received| with_tasks(0)(received).is_some()).then_some(())
        })
        .unwrap();
    assert!(agent.status().unwrap().coordinator.problem.is_none());
}

#[test]
fn however_much_happens_reports_are_a_second_apart_and_numbered() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let coordinator = Receiver::start().unwrap();
    let node =
        rarely_reporting(&coordinator.url()).with_docker(&docker).text("checks.containers.every", "100ms");
    let node = node.text("checks.containers.deadline", "100ms");
    let Some(_agent) = ready(node.start()) else { return };
    for number in 1..=6 {
        docker.run(&format!("shell-{number}"), TEST_IMAGE, &["sleep", "86400"]).unwrap();
    }
    coordinator
        .wait_for("all six containers", |received| {
            (report(received).facts.containers?.containers.len() == 6).then_some(())
        })
        .unwrap();
    let reports = reports(&coordinator);
    assert!(reports.len() > 1, "{reports:?}");
    for pair in reports.windows(2) {
        // By the agent's own clock, which is read a moment after it began to send.
        let apart = pair[1].sent_at.duration_since(pair[0].sent_at);
        assert!(apart > SignedDuration::from_millis(900), "{apart:?}");
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
    }
}

#[test]
fn while_the_coordinator_is_away_the_agent_says_so_and_afterwards_sends_the_newest_report_alone() {
    let port = free_port().unwrap();
    let node = Node::named("alibuild10")
        .unwrap()
        .with("system")
        .text("coordinator.url", format!("http://127.0.0.1:{port}"))
        .text("coordinator.report_every", "1s")
        .text("coordinator.retry_at_most", "2s");
    let Some(agent) = ready(node.start()) else { return };
    let in_vain = |at_least: u64| {
        agent.wait_for("reports in vain", |view| {
            let contact = &view.coordinator;
            (contact.problem.is_some() && contact.sequence >= at_least).then(|| contact.clone())
        })
    };
    let first = in_vain(0).unwrap();
    let contact = in_vain(first.sequence + 2).unwrap();
    assert!(contact.accepted_at.is_none() && contact.problem_since.is_some());
    let sentence = contact.sentence();
    assert!(sentence.contains("is away") && sentence.contains("no report was accepted"), "{sentence}");
    assert!(agent.page().unwrap().contains("is away"));
    agent.wait_finding("system/memory", Status::Ok).unwrap();

    let back_since = Timestamp::now();
    let coordinator = Receiver::start_on(port).unwrap();
    coordinator.wait_for("the first report", |received| Some(received.clone())).unwrap();
    agent
        .wait_for("no problem", |view| {
            view.coordinator.accepted_at.filter(|_| view.coordinator.problem.is_none())
        })
        .unwrap();
    for report in reports(&coordinator) {
        assert!(report.sent_at > back_since, "a report from before was kept: {}", report.sent_at);
    }
    // One line when it went and one when it came back, none a try.
    let told = |words: &str| agent.log().lines().filter(|line| line.contains(words)).count();
    assert_eq!((told("is away"), told("the coordinator takes reports")), (1, 1), "{}", agent.log());
}

#[test]
fn a_coordinator_that_refuses_is_quoted_and_asked_again_later() {
    let coordinator = Receiver::start().unwrap();
    coordinator.answer(429);
    let node = Node::named("alibuild10").unwrap().text("coordinator.url", coordinator.url());
    let Some(agent) = ready(node.start()) else { return };
    let problem = agent.wait_for("the refusal", |view| view.coordinator.problem.clone()).unwrap();
    assert_eq!(problem, "the coordinator refuses the report: told to refuse (not_now)");
    coordinator.answer(200);
    agent.wait_for("a report that is taken", |view| view.coordinator.accepted_at).unwrap();
}

#[test]
fn a_full_disk_under_the_agents_state_stops_neither_reports_nor_checks() {
    let Some(volume) = ready(LoopVolume::create(FileSystem::Ext4, 8)) else { return };
    volume.fill().unwrap();
    let coordinator = Receiver::start().unwrap();
    let node = Node::named("alibuild10")
        .unwrap()
        .with("system")
        .text("coordinator.url", coordinator.url())
        .text("coordinator.report_every", "1s")
        .text("paths.state", volume.mount_point().display());
    let Some(agent) = ready(node.start()) else { return };
    coordinator.wait_for("three reports", |_| (coordinator.received().len() >= 3).then_some(())).unwrap();
    let numbers: Vec<u64> = reports(&coordinator).iter().map(|report| report.sequence).collect();
    assert!(numbers.is_sorted() && numbers[0] < numbers[2], "{numbers:?}");
    agent.wait_finding("system/memory", Status::Ok).unwrap();
    let log = agent.log();
    assert!(log.contains("reports go on") && log.contains("paths.state"), "{log}");

    // With room again the count outlives the agent.
    let last = *numbers.last().unwrap();
    volume.clear().unwrap();
    let seen = coordinator.received().len();
    let Some(_agent) = ready(agent.stop().start()) else { return };
    coordinator
        .wait_for("reports after the restart", |received| {
            (coordinator.received().len() > seen && report(received).sequence > last).then_some(())
        })
        .unwrap();
}
