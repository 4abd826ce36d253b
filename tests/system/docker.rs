//! The agent beside a real Docker: what a master must run, and a daemon that hangs, goes and comes back.

use std::time::Duration;

use millwright_protocol::Status;

use super::harness::{
    Agent, DeafSocket, DockerDaemon, Node, TEST_IMAGE, find, finding, get, ready, wait_for,
};

const MASTER_CONTAINERS: [&str; 5] =
    ["mesos-master", "zookeeper", "marathon", "aurora-scheduler", "mesos-dns"];

fn start_containers(docker: &DockerDaemon) {
    for name in MASTER_CONTAINERS {
        docker.run(name, TEST_IMAGE, &["sleep", "86400"]).unwrap();
    }
}

fn master(docker: &DockerDaemon) -> Node {
    Node::named("alimesos01").unwrap().text("node.class", "master").with_docker(docker)
}

/// Starts a container with further flags of `docker run`.
fn run_with(docker: &DockerDaemon, name: &str, flags: &[&str], command: &[&str]) {
    let mut arguments = vec!["run", "--detach", "--init", "--network", "host", "--name", name];
    arguments.extend(flags);
    arguments.push(TEST_IMAGE);
    arguments.extend(command);
    docker.cli(&arguments).unwrap();
}

#[test]
fn each_trouble_of_a_masters_containers_is_named_with_what_to_do_about_it() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    start_containers(&docker);
    let node = master(&docker).text("checks.containers.running_for", "1s");
    let Some(agent) = ready(node.start()) else { return };
    for name in MASTER_CONTAINERS {
        let well = agent.wait_finding(&format!("containers/{name}"), Status::Ok).unwrap();
        assert!(well.gating && well.sentence.contains("has been running for"), "{well:?}");
    }
    assert_eq!(agent.status().unwrap().worst, Status::Ok);

    docker.stop_container("marathon").unwrap();
    for name in ["aurora-scheduler", "zookeeper", "mesos-dns"] {
        docker.remove_container(name).unwrap();
    }
    run_with(&docker, "aurora-scheduler", &["--restart", "always"], &["false"]);
    let failing = ["--health-cmd", "false", "--health-interval", "1s", "--health-retries", "1"];
    run_with(&docker, "zookeeper", &failing, &["sleep", "86400"]);

    let troubles = [
        ("marathon", "container marathon is exited with code", "`docker logs --tail 50 marathon`"),
        ("aurora-scheduler", "container aurora-scheduler restarted", "`docker logs --tail 50"),
        ("zookeeper", "container zookeeper runs but its health check fails", "`docker logs --tail 50"),
        ("mesos-dns", "there is no container mesos-dns", "`puppet agent -t`"),
    ];
    for (name, sentence, next) in troubles {
        let found = agent.wait_finding(&format!("containers/{name}"), Status::Crit).unwrap();
        assert!(found.gating && found.sentence.contains(sentence), "{found:?}");
        assert!(found.next.as_ref().is_some_and(|found| found.contains(next)), "{found:?}");
    }
    let still_well = agent.status().unwrap();
    assert_eq!(finding(&still_well, "containers/mesos-master").unwrap().status, Status::Ok);

    docker.cli(&["start", "marathon"]).unwrap();
    agent.wait_finding("containers/marathon", Status::Ok).unwrap();
}

#[test]
fn a_required_container_counts_only_after_a_minute_and_check_says_so_at_once() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    start_containers(&docker);
    let Some((view, code)) = ready(master(&docker).check()) else { return };
    assert_eq!((view.worst, code), (Status::Unknown, 3));
    let young = finding(&view, "containers/mesos-master").unwrap();
    assert_eq!(young.status, Status::Unknown);
    assert!(young.sentence.contains("it counts after 60 s"), "{}", young.sentence);
    assert_eq!(finding(&view, "docker").unwrap().status, Status::Ok);

    // What is no work, and of no master, is not asked for on an agent.
    let (view, code) = Node::named("alibuild10").unwrap().with_docker(&docker).check().unwrap();
    assert_eq!((view.worst, code), (Status::Ok, 0), "{:?}", view.findings);
    let containers = view.facts.containers.unwrap().containers;
    assert_eq!(containers.len(), MASTER_CONTAINERS.len());
}

#[test]
fn a_hung_docker_is_unknown_then_crit_and_holds_up_neither_other_checks_nor_the_status() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let node = Node::named("alibuild10").unwrap().with_docker(&docker).with("system");
    let Some(agent) = ready(node.start()) else { return };
    agent.wait_finding("docker", Status::Ok).unwrap();

    docker.pause().unwrap();
    let hung = agent.wait_finding("docker", Status::Unknown).unwrap();
    assert!(hung.gating && hung.sentence.contains("Docker does not answer within 1 s"), "{hung:?}");
    let crit = agent.wait_finding("docker", Status::Crit).unwrap();
    assert!(crit.next.is_some_and(|next| next.contains("journalctl -u docker")), "{}", crit.sentence);

    // All the while the others looked on and the status answered.
    assert!(age_of(&agent, "system/memory") < 30);
    let page = agent.page().unwrap();
    assert!(page.contains("Docker does not answer"), "{page}");
    let (code, metrics) = get(&format!("{}/metrics", agent.url())).unwrap();
    assert!(code == 200 && metrics.contains("millwright"), "{metrics}");

    docker.resume().unwrap();
    agent.wait_finding("docker", Status::Ok).unwrap();
}

/// Seconds since the check last looked; the finding may still be called otherwise, so any of its items will do.
fn age_of(agent: &Agent, key: &str) -> u64 {
    let view = agent.status().unwrap();
    finding(&view, key).unwrap().age_seconds
}

#[test]
fn a_docker_that_says_its_version_but_does_not_list_is_told_apart_from_a_dead_one() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let socket = DeafSocket::before(&docker, "/containers/json").unwrap();
    let node = Node::named("alibuild10")
        .unwrap()
        .with_docker(&docker)
        .text("checks.docker.socket", socket.path().display());
    let Some(agent) = ready(node.start()) else { return };
    agent.wait_finding("docker", Status::Ok).unwrap();

    socket.turn_deaf();
    let sentence = "Docker answers a ping but does not list containers within 1 s";
    let hung = agent.wait_finding("docker", Status::Unknown).unwrap();
    assert_eq!(hung.sentence, sentence);
    let containers = agent.wait_finding("containers/orphans", Status::Unknown).unwrap();
    assert!(containers.sentence.contains("Docker cannot be asked about containers"), "{containers:?}");
    // Nothing is known about containers; that is not the same as none.
    assert!(agent.status().unwrap().facts.containers.is_none());
    assert_eq!(agent.wait_finding("docker", Status::Crit).unwrap().sentence, sentence);
}

#[test]
fn a_docker_that_is_gone_is_crit_at_once_and_well_when_it_is_back() {
    let Some(mut docker) = ready(DockerDaemon::start()) else { return };
    let Some(agent) = ready(Node::named("alibuild10").unwrap().with_docker(&docker).start()) else { return };
    agent.wait_finding("docker", Status::Ok).unwrap();
    docker.stop();
    let gone = agent.wait_finding("docker", Status::Crit).unwrap();
    assert!(gone.sentence.starts_with("Docker does not answer a ping"), "{}", gone.sentence);
    assert!(gone.next.is_some_and(|next| next.contains("systemctl start docker")));
    docker.start_again().unwrap();
    let back = agent.wait_finding("docker", Status::Ok).unwrap();
    assert!(back.since > gone.since);

    // One line a change, none a look.
    let told = agent.log().lines().filter(|line| line.contains("Docker does not answer a ping")).count();
    assert_eq!(told, 1, "{}", agent.log());
}

#[test]
fn a_tired_person_reads_the_worst_first_and_what_to_do_next() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(agent) = ready(master(&docker).start()) else { return };
    agent.wait_finding("docker", Status::Ok).unwrap();
    let said = wait_for("the missing containers", Duration::from_secs(60), || {
        let output = agent.node().run(&["status", "--url", agent.url()])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(said.contains("there is no container").then_some(said))
    })
    .unwrap();
    let place = |words: &str| said.find(words).unwrap_or_else(|| panic!("no {words:?} in\n{said}"));
    assert!(place("there is no container") < place("Docker 20"), "{said}");
    assert!(place("→ start it") > place("there is no container"), "{said}");
    let output = agent.node().run(&["status", "--url", agent.url(), "--json"]).unwrap();
    let view: millwright_agent::status::view::StatusView = serde_json::from_slice(&output.stdout).unwrap();
    assert!(find(&view.findings, "containers/marathon").is_some());
}
