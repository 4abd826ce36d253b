//! The agent beside a real Mesos 1.11: tasks of two frameworks in real containers, what holds tasks up, the master.

use millwright_protocol::{Container, ContainerRole, Status, TaskState};

use super::harness::{DockerDaemon, Mesos, MesosTask, Node, TEST_IMAGE, TaskSpec, find, ready};

/// A node whose Mesos agent is the one with this number.
fn node_of(docker: &DockerDaemon, mesos: &Mesos, agent: usize) -> Node {
    Node::named(&format!("alibuild1{agent}"))
        .unwrap()
        .with_docker(docker)
        .with("mesos_agent")
        .text("checks.mesos_agent.url", mesos.agent_url(agent))
}

fn running(mesos: &Mesos, task: TaskSpec) -> MesosTask {
    let mut task = mesos.run_task(task).unwrap();
    task.wait_running().unwrap();
    task
}

#[test]
fn tasks_of_two_frameworks_are_reported_with_everything_a_verdict_asks_about_them() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start_with(&docker, 2, &[("MESOS_ATTRIBUTES", "os:slc7")])) else {
        return;
    };
    let before = jiff::Timestamp::now().as_second();
    let build = TaskSpec::named("mesos-jenkins-slc7_x86-64-large").of("Jenkins Scheduler").on_agent(1);
    let mut build = running(&mesos, build.with_label("job", "daily-tags"));
    let check = TaskSpec { name: "mesosci/prod/slc7-o2".to_owned(), ..TaskSpec::named("checker") };
    let check = running(&mesos, check.of("TwitterScheduler").on_agent(1));

    let Some(agent) = ready(node_of(&docker, &mesos, 1).start()) else { return };
    let facts = agent
        .wait_for("both tasks", |view| view.facts.mesos_agent.clone().filter(|facts| facts.tasks.len() == 2))
        .unwrap();
    assert_eq!(facts.agent_id, Some(mesos.agent_id(1).unwrap()));
    assert_eq!((facts.version.as_str(), facts.registered), ("1.11.0", Some(true)));
    assert_eq!(facts.attributes["os"], "slc7");
    for (framework, name) in [
        ("Jenkins Scheduler", "mesos-jenkins-slc7_x86-64-large"),
        ("TwitterScheduler", "mesosci/prod/slc7-o2"),
    ] {
        let task = facts.tasks.iter().find(|task| task.framework == framework).unwrap();
        assert_eq!((task.name.as_str(), task.state), (name, TaskState::Running));
        assert!(!task.framework_id.is_empty() && task.started_at_secs >= Some(before), "{task:?}");
        assert_eq!((task.resources.cpus, task.resources.mem_mib), (0.1, 32.0));
    }
    let build_task = facts.tasks.iter().find(|task| task.framework == "Jenkins Scheduler").unwrap();
    assert_eq!(build_task.labels["job"], "daily-tags");
    let registered = agent.wait_finding("mesos_agent", Status::Ok).unwrap();
    assert!(
        registered.sentence.contains("is registered as") && registered.sentence.ends_with("runs 2 tasks")
    );

    // Both containers are known as work, and the other node of this machine has none.
    agent
        .wait_for("the containers of both tasks", |view| {
            (of_role(view, ContainerRole::Task).len() == 2).then_some(())
        })
        .unwrap();
    let (view, _) = node_of(&docker, &mesos, 2).check().unwrap();
    assert_eq!(view.facts.mesos_agent.unwrap().tasks, []);

    build.kill().unwrap();
    drop(check);
    agent
        .wait_for("an empty node", |view| {
            let tasks = view.facts.mesos_agent.as_ref()?.tasks.len();
            (tasks == 0 && of_role(view, ContainerRole::Task).is_empty()).then_some(())
        })
        .unwrap();
}

fn of_role(view: &millwright_agent::status::view::StatusView, role: ContainerRole) -> Vec<&Container> {
    let containers = view.facts.containers.as_ref().map(|facts| facts.containers.as_slice());
    containers.unwrap_or_default().iter().filter(|one| one.role == role && one.is_running()).collect()
}

#[test]
fn a_tasks_container_without_a_task_is_told_as_an_orphan() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let task = running(&mesos, TaskSpec::named("build").on_agent(1));
    let orphan = "mesos-6b1d4b3c-7f2a-4d0e-9d0c-0a1b2c3d4e5f";
    docker.run(orphan, TEST_IMAGE, &["sleep", "86400"]).unwrap();
    docker.run("someones-shell", TEST_IMAGE, &["sleep", "86400"]).unwrap();

    let node = node_of(&docker, &mesos, 1).text("checks.containers.orphan_after", "2s");
    let Some(agent) = ready(node.start()) else { return };
    let told = agent.wait_finding("containers/orphans", Status::Warn).unwrap();
    assert!(told.sentence.contains(orphan) && !told.gating, "{told:?}");
    assert!(told.next.is_some_and(|next| next.contains("before stopping it")));
    let view = agent.status().unwrap();
    let names = |role| of_role(&view, role).iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(ContainerRole::Orphan), [orphan]);
    assert_eq!(names(ContainerRole::Other), ["someones-shell"]);
    assert_eq!(names(ContainerRole::Task).len(), task.ids().len());
}

#[test]
fn a_task_that_does_not_get_going_because_docker_hangs_is_told() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let node = node_of(&docker, &mesos, 1)
        .text("checks.mesos_agent.staging_longest", "2s")
        .text("checks.mesos_agent.grace_after_start", "1s");
    let Some(agent) = ready(node.start()) else { return };
    let idle = agent.wait_finding("mesos_agent/staging", Status::Ok).unwrap();
    assert_eq!(idle.sentence, "no task is held up");

    docker.pause().unwrap();
    let mut task = mesos.run_task(TaskSpec::named("waits").on_agent(1)).unwrap();
    let told = agent.wait_finding("mesos_agent/staging", Status::Warn).unwrap();
    assert!(told.sentence.starts_with("task waits.0 has been staging for"), "{}", told.sentence);
    docker.resume().unwrap();
    task.wait_running().unwrap();
    agent.wait_finding("mesos_agent/staging", Status::Ok).unwrap();
}

#[test]
fn a_master_says_whether_it_leads_and_how_many_agents_are_left() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 2)) else { return };
    let master = |minimum: u64| {
        Node::named("alimesos01")
            .unwrap()
            .with("mesos_master")
            .text("checks.mesos_master.url", mesos.master_url())
            .text("checks.mesos_master.grace_after_start", "1s")
            .set("checks.mesos_master.minimum_agents", minimum)
    };
    let Some(agent) = ready(master(2).start()) else { return };
    assert_eq!(agent.wait_finding("mesos_master", Status::Ok).unwrap().sentence, "this Mesos master leads");
    assert_eq!(
        agent.wait_finding("mesos_master/agents", Status::Ok).unwrap().sentence,
        "2 Mesos agents are active"
    );
    let facts = agent.status().unwrap().facts.mesos_master.unwrap();
    assert_eq!(
        (facts.elected, facts.registrar_recovered, facts.agents_active),
        (Some(true), Some(true), Some(2))
    );

    let (view, code) = master(3).check().unwrap();
    let few = find(&view.findings, "mesos_master/agents").unwrap();
    assert_eq!((few.status, few.gating, code), (Status::Crit, false, 2));
    assert_eq!(few.sentence, "only 2 Mesos agents are active, 3 are the minimum");

    drop(mesos);
    let gone = agent.wait_finding("mesos_master", Status::Crit).unwrap();
    assert!(gone.gating && gone.sentence.contains("does not answer"), "{gone:?}");
}
