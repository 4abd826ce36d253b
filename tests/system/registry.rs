//! The agent keeps the builder image on its node: pulled when missing, renewed when stale, never in the way.

use millwright_agent::status::view::StatusView;
use millwright_protocol::{ImageFact, PullState, Status};

use super::harness::{DockerDaemon, Gate, Node, Registry, ready};

const BUILDER: &str = "alisw/slc7-builder:latest";

fn builder_node(docker: &DockerDaemon, image: &str) -> Node {
    Node::named("alibuild10")
        .unwrap()
        .with_docker(docker)
        .set("prepull.enabled", true)
        .set("prepull.images", format!("[{image:?}]"))
        .text("prepull.start_jitter", "1ms")
        .text("prepull.retry_after", "1s")
        .text("prepull.room", "1MiB")
}

fn image(view: &StatusView) -> Option<&ImageFact> {
    view.facts.images.first()
}

fn is_pulled(view: &StatusView, state: PullState) -> Option<ImageFact> {
    let fact = image(view)?;
    fact.pull.as_ref().filter(|pull| pull.state == state).map(|_| fact.clone())
}

#[test]
fn a_missing_builder_image_is_pulled_in_sight_of_everybody_and_no_other_check_waits_for_it() {
    let (Some(publisher), Some(docker)) = (ready(DockerDaemon::start()), ready(DockerDaemon::start())) else {
        return;
    };
    let Some(registry) = ready(Registry::start()) else { return };
    publisher.make_image("builder", 16).unwrap();
    registry.offer(&publisher, "builder", BUILDER).unwrap();
    let gate = Gate::before(registry.port(), 8 << 20).unwrap();
    let name = format!("127.0.0.1:{}/{BUILDER}", gate.port());

    let Some(agent) = ready(builder_node(&docker, &name).start()) else { return };
    let pulling = agent
        .wait_for("progress of the pull", |view| {
            is_pulled(view, PullState::Pulling)
                .filter(|fact| fact.pull.as_ref().is_some_and(|pull| pull.done_bytes > 0))
        })
        .unwrap();
    let pull = pulling.pull.unwrap();
    assert!(!pulling.present && pull.done_bytes < pull.total_bytes, "{pull:?}");
    let told = agent.wait_finding(&format!("images/{name}"), Status::Warn).unwrap();
    assert!(!told.gating && told.sentence.contains("is not here; being pulled"), "{told:?}");
    agent.wait_finding("docker", Status::Ok).unwrap();

    gate.open();
    let there = agent.wait_for("the image", |view| image(view).filter(|fact| fact.present).cloned()).unwrap();
    assert_eq!(there.id.unwrap(), publisher.cli(&["inspect", "--format", "{{.Id}}", "builder"]).unwrap());
    agent.wait_finding(&format!("images/{name}"), Status::Ok).unwrap();
    assert_eq!(docker.cli(&["images", "--quiet", &name]).unwrap().lines().count(), 1);
}

#[test]
fn a_newer_image_under_the_same_name_is_fetched_once_the_old_one_is_stale() {
    let (Some(publisher), Some(docker)) = (ready(DockerDaemon::start()), ready(DockerDaemon::start())) else {
        return;
    };
    let Some(registry) = ready(Registry::start()) else { return };
    for name in ["first", "second"] {
        publisher.make_image(name, 1).unwrap();
    }
    let id = |name: &str| publisher.cli(&["inspect", "--format", "{{.Id}}", name]).unwrap();
    let name = registry.offer(&publisher, "first", BUILDER).unwrap();
    let node = builder_node(&docker, &name).text("prepull.stale_after", "2s");
    let Some(agent) = ready(node.start()) else { return };
    let wait_for = |wanted: String| {
        agent.wait_for("the image offered last", |view| {
            image(view).filter(|fact| fact.id.as_ref() == Some(&wanted)).map(drop)
        })
    };
    wait_for(id("first")).unwrap();
    registry.offer(&publisher, "second", BUILDER).unwrap();
    wait_for(id("second")).unwrap();
}

#[test]
fn a_pull_that_fails_says_why_and_is_tried_again_until_the_image_is_there() {
    let (Some(publisher), Some(docker)) = (ready(DockerDaemon::start()), ready(DockerDaemon::start())) else {
        return;
    };
    let Some(registry) = ready(Registry::start()) else { return };
    // Nobody has ever offered this tag.
    let name = registry.name(BUILDER);
    let Some(agent) = ready(builder_node(&docker, &name).start()) else { return };
    let key = format!("images/{name}");
    let failed = agent.wait_for("a failed pull", |view| is_pulled(view, PullState::Failed)).unwrap();
    let why = failed.pull.unwrap().error.unwrap();
    assert!(why.contains("manifest") && why.contains("unknown"), "{why}");
    let told = agent.wait_finding(&key, Status::Warn).unwrap();
    assert!(told.sentence.contains("failed:") && told.sentence.contains("next try"), "{told:?}");

    publisher.make_image("builder", 1).unwrap();
    registry.offer(&publisher, "builder", BUILDER).unwrap();
    agent.wait_finding(&key, Status::Ok).unwrap();
}

#[test]
fn a_pull_that_breaks_halfway_under_a_200_is_recognised_as_failed() {
    let (Some(publisher), Some(docker)) = (ready(DockerDaemon::start()), ready(DockerDaemon::start())) else {
        return;
    };
    let Some(registry) = ready(Registry::start()) else { return };
    publisher.make_image("builder", 4).unwrap();
    let name = registry.offer(&publisher, "builder", BUILDER).unwrap();
    // The manifest stays, so Docker begins with "200 OK" and finds out in the middle.
    registry.lose_layers(1 << 20).unwrap();
    let Some(agent) = ready(builder_node(&docker, &name).start()) else { return };
    let failed = agent.wait_for("a failed pull", |view| is_pulled(view, PullState::Failed)).unwrap();
    assert!(!failed.present);
    let why = failed.pull.unwrap().error.unwrap();
    assert!(why.contains("unknown") || why.contains("not found"), "{why}");
}

#[test]
fn an_image_is_not_pulled_onto_a_disk_without_room() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(registry) = ready(Registry::start()) else { return };
    let name = registry.name(BUILDER);
    let node = builder_node(&docker, &name).text("prepull.room", "900TiB");
    let Some(agent) = ready(node.start()) else { return };
    let fact = agent.wait_for("the reason", |view| is_pulled(view, PullState::NoRoom)).unwrap();
    let why = fact.pull.unwrap().error.unwrap();
    assert!(why.contains("900 TiB needed"), "{why}");
    let told = agent.wait_finding(&format!("images/{name}"), Status::Warn).unwrap();
    assert!(told.sentence.contains("too little room"), "{}", told.sentence);
}
