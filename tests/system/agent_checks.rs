//! The agent's checks beside the real Docker, Mesos, ZooKeeper, Puppet and a registry: what they see and say.

use super::harness::{
    DockerDaemon, Mesos, Puppet, Registry, TEST_IMAGE, TaskSpec, ZooKeeperEnsemble, ready, wait_for,
};
use jiff::Timestamp;
use millwright_agent::{
    check::{Check, FactPart, Look, Observation},
    checks::{self, Context},
    clock::{Clock, Moment},
    config::{Config, Fragment},
    docker::Engine,
    prepull,
};
use millwright_protocol::{ContainerRole, MesosAgentFacts, PullState, Status};
use std::{path::Path, rc::Rc, time::Duration};
use tokio::{runtime::Runtime, sync::Notify, task::LocalSet};

const SOON: Duration = Duration::from_secs(60);

/// The checks of one node, looked with on this thread.
struct Node {
    context: Context,
    checks: Vec<Box<dyn Check>>,
    runtime: Runtime,
}

impl Node {
    /// A node configured by this text.
    fn of(agent_toml: &str) -> Self {
        let config = Config::of(&[Fragment::new("agent.toml", agent_toml)]).unwrap();
        let context = Context::new(Rc::new(config), Rc::new(Notify::new()), "/bin/false".into());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { checks: checks::all(&context), context, runtime }
    }

    /// One look with the check of this name.
    fn look(&mut self, name: &str) -> Look {
        let check = self.checks.iter_mut().find(|check| check.name() == name).unwrap();
        LocalSet::new().block_on(&self.runtime, check.look(Timestamp::now()))
    }

    /// What one look saw about one item.
    fn see(&mut self, name: &str, item: Option<&str>) -> Observation {
        let look = self.look(name);
        let found = look.observations.iter().find(|seen| seen.item.as_deref() == item);
        found.unwrap_or_else(|| panic!("nothing about {item:?} in {look:?}")).clone()
    }

    /// Looks until an item has this status, and gives back its sentence.
    fn wait_for(&mut self, name: &str, item: Option<&str>, status: Status) -> String {
        let what = format!("{name} {item:?} to be {}", status.as_str());
        wait_for(&what, SOON, || {
            let seen = self.see(name, item);
            Ok((seen.status == status).then_some(seen.sentence))
        })
        .unwrap()
    }

    fn mesos_agent(&mut self) -> MesosAgentFacts {
        match self.look("mesos_agent").facts.remove(0) {
            FactPart::MesosAgent(Some(facts)) => facts,
            other => panic!("{other:?}"),
        }
    }
}

fn docker_keys(docker: &DockerDaemon) -> String {
    format!(
        "[checks.docker]\nsocket = \"{}\"\ndeadline = \"2s\"\nslow_after = \"1500ms\"\n",
        docker.socket().display()
    )
}

#[test]
fn a_docker_that_answers_hangs_and_is_gone_is_told_apart() {
    let Some(mut docker) = ready(DockerDaemon::start()) else { return };
    docker.run("sleeper", TEST_IMAGE, &["sleep", "1000"]).unwrap();
    let mut node = Node::of(&docker_keys(&docker));
    let sentence = node.wait_for("docker", None, Status::Ok);
    assert!(sentence.contains("lists 1 containers and inspects"), "{sentence}");
    assert_eq!(node.see("docker", Some("storage")).item.as_deref(), Some("storage"));

    docker.pause().unwrap();
    let hung = node.see("docker", None);
    assert_eq!(hung.status, Status::Unknown, "{hung:?}");
    assert!(
        hung.sentence.starts_with("Docker ") && hung.sentence.ends_with(" within 2 s"),
        "{}",
        hung.sentence
    );
    docker.resume().unwrap();
    node.wait_for("docker", None, Status::Ok);

    docker.stop();
    let gone = node.see("docker", None);
    assert_eq!(gone.status, Status::Crit, "{gone:?}");
}

#[test]
fn r7_required_containers_are_followed_from_start_to_storm() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let keys = "[checks.containers]\nrequired = [\"zookeeper\", \"mesos-*\"]\nrunning_for = \"1s\"\n";
    let mut node = Node::of(&format!("{}{keys}", docker_keys(&docker)));
    assert_eq!(node.see("containers", Some("zookeeper")).status, Status::Crit);

    docker.run("zookeeper", TEST_IMAGE, &["sleep", "1000"]).unwrap();
    docker.run("mesos-master", TEST_IMAGE, &["sleep", "1000"]).unwrap();
    node.wait_for("containers", Some("zookeeper"), Status::Ok);
    node.wait_for("containers", Some("mesos-*"), Status::Ok);

    docker.stop_container("zookeeper").unwrap();
    let stopped = node.see("containers", Some("zookeeper"));
    assert_eq!(stopped.status, Status::Crit);
    assert!(stopped.sentence.contains("is exited"), "{}", stopped.sentence);

    docker.remove_container("zookeeper").unwrap();
    docker
        .cli(&["run", "--detach", "--name", "zookeeper", "--restart", "always", TEST_IMAGE, "sleep", "0.3"])
        .unwrap();
    let what = "the storm of restarts to be told";
    let storm = wait_for(what, SOON, || {
        let seen = node.see("containers", Some("zookeeper"));
        Ok(seen.sentence.contains("within an hour").then_some(seen))
    });
    assert_eq!(storm.unwrap().status, Status::Crit);
}

#[test]
fn a_task_is_seen_by_its_agent_and_its_container_is_known_as_work() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 2)) else { return };
    let mut task = mesos
        .run_task(
            TaskSpec::named("mesos-jenkins-slc7").of("Jenkins Scheduler").on_agent(1).with_label("who", "me"),
        )
        .unwrap();
    task.wait_running().unwrap();
    let node = |agent: usize| {
        Node::of(&format!(
            "{}[checks.mesos_agent]\nurl = \"{}\"\n",
            docker_keys(&docker),
            mesos.agent_url(agent)
        ))
    };
    let (mut busy, mut empty) = (node(1), node(2));
    let sentence = busy.wait_for("mesos_agent", None, Status::Ok);
    assert!(sentence.contains("is registered as") && sentence.contains("runs 1 task"), "{sentence}");
    let facts = busy.mesos_agent();
    assert_eq!(facts.agent_id, Some(mesos.agent_id(1).unwrap()));
    assert_eq!(facts.registered, Some(true));
    assert_eq!(facts.tasks[0].name, "mesos-jenkins-slc7");
    assert_eq!(facts.tasks[0].framework, "Jenkins Scheduler");
    assert_eq!(facts.tasks[0].labels["who"], "me");
    assert!(facts.tasks[0].started_at_secs.is_some(), "{facts:?}");
    assert_eq!(empty.mesos_agent().tasks, []);

    let roles = |node: &mut Node| match node.look("containers").facts.remove(0) {
        FactPart::Containers(Some(facts)) => {
            facts.containers.into_iter().map(|one| one.role).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(roles(&mut busy), [ContainerRole::Task]);

    task.kill().unwrap();
    let what = "the agent to be empty";
    wait_for(what, SOON, || Ok(busy.mesos_agent().tasks.is_empty().then_some(()))).unwrap();
}

#[test]
fn a_master_says_that_it_leads_and_a_missing_one_is_crit() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let keys = format!(
        "[node]\nclass = \"master\"\n[checks.mesos_master]\nminimum_agents = 1\nurl = \"{}\"\n",
        mesos.master_url()
    );
    let mut node = Node::of(&keys);
    assert_eq!(node.wait_for("mesos_master", None, Status::Ok), "this Mesos master leads");
    let facts =
        wait_for("the agent to be counted", SOON, || match node.look("mesos_master").facts.remove(0) {
            FactPart::MesosMaster(Some(facts)) => Ok((facts.agents_active == Some(1)).then_some(facts)),
            other => panic!("{other:?}"),
        })
        .unwrap();
    assert!(facts.leader.is_some() && facts.elected == Some(true), "{facts:?}");
    drop(mesos);
    let gone = node.see("mesos_master", None);
    assert_eq!(gone.status, Status::Crit);
    assert!(gone.sentence.contains("does not answer"), "{}", gone.sentence);
}

#[test]
fn an_ensemble_that_loses_members_is_told_by_those_left() {
    let Some(mut zookeeper) = ready(ZooKeeperEnsemble::start()) else { return };
    let mut nodes: Vec<Node> = (1..=3)
        .map(|member| {
            let address = zookeeper.address(member).unwrap();
            Node::of(&format!("[node]\nclass = \"master\"\n[checks.zookeeper]\naddress = \"{address}\"\n"))
        })
        .collect();
    for node in &mut nodes {
        node.wait_for("zookeeper", None, Status::Ok);
    }
    let is_leader = |node: &mut Node| node.see("zookeeper", None).sentence.contains("leads");
    let leader = nodes.iter_mut().position(is_leader).unwrap();
    let followers: Vec<usize> = (0..3).filter(|index| *index != leader).collect();

    zookeeper.stop(followers[0] + 1).unwrap();
    let sentence = nodes[leader].wait_for("zookeeper", None, Status::Warn);
    assert!(sentence.contains("1 of 2 followers"), "{sentence}");
    assert_eq!(nodes[followers[0]].see("zookeeper", None).status, Status::Crit);

    zookeeper.stop(followers[1] + 1).unwrap();
    nodes[leader].wait_for("zookeeper", None, Status::Crit);
    wait_for("the last member to know that it is alone", SOON, || {
        let sentence = nodes[leader].see("zookeeper", None).sentence;
        Ok(sentence.contains("runs but is in no quorum").then_some(()))
    })
    .unwrap();
}

fn puppet_keys(puppet: &Puppet) -> String {
    let folder = |path: &Path| path.display().to_string();
    let (state, public) = (puppet.state_folder(), puppet.summary());
    format!("[checks.puppet]\nfolders = [\"{}\", \"{}\"]\n", folder(&state), folder(public.parent().unwrap()))
}

#[test]
fn puppet_runs_are_told_as_they_ended() {
    let Some(puppet) = ready(Puppet::new()) else { return };
    let mut node = Node::of(&puppet_keys(&puppet));
    assert_eq!(node.see("puppet", None).status, Status::Unknown);

    puppet.run_clean().unwrap();
    let clean = node.see("puppet", None);
    assert_eq!(clean.status, Status::Ok, "{clean:?}");
    assert!(clean.sentence.ends_with("and was clean"), "{}", clean.sentence);
    assert_eq!(node.see("puppet", Some("failing")).status, Status::Ok);

    puppet.run_failing().unwrap();
    let failed = node.see("puppet", None);
    assert_eq!(failed.status, Status::Warn, "{failed:?}");
    assert!(failed.sentence.contains("1 resource failed: "), "{}", failed.sentence);

    puppet.disable("disk swap").unwrap();
    let disabled = node.see("puppet", Some("disabled"));
    assert_eq!(disabled.sentence, "Puppet is disabled: \"disk swap\"");
    puppet.enable().unwrap();
    assert!(node.look("puppet").observations.iter().all(|seen| seen.item.as_deref() != Some("disabled")));
}

#[test]
fn r16_a_missing_image_is_pulled_and_one_that_is_not_offered_is_tried_again_later() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(registry) = ready(Registry::start()) else { return };
    docker.make_image("builder", 1).unwrap();
    let offered = registry.offer(&docker, "builder", "alisw/slc7-builder:latest").unwrap();
    let missing = registry.name("alisw/none:latest");
    let keys = format!(
        "{}[prepull]\nimages = [\"{missing}\", \"{offered}\"]\nstart_jitter = \"1ms\"\nroom = \"1MiB\"\n",
        docker_keys(&docker)
    );
    let mut node = Node::of(&keys);
    assert_eq!(node.see("images", Some(&offered)).status, Status::Warn);

    let clock: Clock = Rc::new(Moment::now);
    let paths = node.context.config.paths.clone();
    let driving = prepull::drive(node.context.images.clone(), Engine::new(docker.socket()), paths, clock);
    let images = node.context.images.clone();
    let is_over = async {
        while !images.borrow().facts().iter().all(|fact| {
            let state = fact.pull.as_ref().map(|pull| pull.state);
            matches!(state, Some(PullState::Done | PullState::Failed))
        }) {
            tokio::task::yield_now().await;
        }
    };
    let limited = async {
        tokio::select! {
            () = driving => unreachable!("it pulls for ever"),
            result = tokio::time::timeout(SOON, is_over) => result.unwrap(),
        }
    };
    node.runtime.block_on(limited);

    let here = node.see("images", Some(&offered));
    assert_eq!(here.status, Status::Ok, "{here:?}");
    let failed = node.see("images", Some(&missing));
    assert_eq!(failed.status, Status::Warn);
    assert!(failed.sentence.contains("try 1 failed"), "{}", failed.sentence);
    assert!(docker.cli(&["images", &offered]).unwrap().contains("latest"));
}
