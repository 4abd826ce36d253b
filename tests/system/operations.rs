//! Operations carried through on real systems: a coordinator that may act, an agent, Mesos 1.11.0 and its tasks. Only the
//! reboot is played: the machine gets another boot id, and its agent starts again.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{
    DockerDaemon, Mesos, MesosTask, Node, Setup, Site, TaskSpec, acting_policy, get_with, needs_binary,
    output_of, ready, step_of, story_of, wait_for,
};
use super::people::token_of_jane;

const NODE: &str = "alibuild10";
const LIMIT: Duration = Duration::from_secs(120);

/// A node whose tasks Mesos runs in this Docker.
fn site(docker: &DockerDaemon, mesos: &Mesos, node: &str) -> Option<Site> {
    let setup = Setup::new(&acting_policy("required", &[node])).unwrap().with_mesos(&mesos.master_url());
    let (socket, agent) = (docker.socket(), mesos.agent_url(1));
    let furnish = move |node: Node| {
        with_docker(node, &socket).with("mesos_agent").text("checks.mesos_agent.url", &agent)
    };
    ready(Site::start(setup, node, furnish))
}

pub(super) fn with_docker(node: Node, socket: &Path) -> Node {
    node.with("docker")
        .with("containers")
        .text("checks.docker.socket", socket.display())
        // How full this machine's disk is must not decide a story.
        .set("checks.docker.warn_used_percent", 100)
        .set("checks.docker.crit_used_percent", 100)
}

/// A task that ends by itself once it is let, and not before.
pub(super) fn build(mesos: &Mesos, name: &str) -> MesosTask {
    let task = TaskSpec {
        command: "until [ -e /finished ]; do sleep 0.2; done".to_owned(),
        ..TaskSpec::named(name)
    };
    let mut task = mesos.run_task(task).unwrap();
    task.wait_running().unwrap();
    task
}

/// The only container there is.
pub(super) fn container(docker: &DockerDaemon) -> String {
    let found = docker.cli(&["ps", "-q"]).unwrap();
    assert_eq!(found.lines().count(), 1, "{found}");
    found
}

fn is_deactivated(mesos: &Mesos) -> bool {
    mesos.state().unwrap()["slaves"][0]["deactivated"] == true
}

fn is_deactivated_as(mesos: &Mesos, id: &str) -> bool {
    let state = mesos.state().unwrap();
    state["slaves"].as_array().unwrap().iter().any(|agent| agent["id"] == id && agent["deactivated"] == true)
}

pub(super) fn waits_for(site: &Site, id: &str, words: &str) -> Value {
    let said = |operation: &Value| {
        let waiting = &operation["waiting"];
        waiting.to_string().contains(words).then(|| waiting.clone())
    };
    site.wait_operation(id, &format!("the wait for {words}"), said).unwrap()
}

/// The seconds between the first and the last sight of a span that stands in the evidence of a step.
pub(super) fn seconds_of_proof(step: &Value, source: &str) -> i64 {
    let facts = step["evidence"].as_array().unwrap();
    let fact = facts.iter().find(|fact| fact["fact"] == "empty" && fact["source"] == source);
    let value = fact.unwrap_or_else(|| panic!("no proof by {source}: {step:#}"))["value"].as_str().unwrap();
    let (first, last) = value.strip_prefix("since ").and_then(|rest| rest.split_once(" until ")).unwrap();
    let moment = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    moment(last) - moment(first)
}

/// The parts of a story that must stand in it in this order.
#[track_caller]
fn stands_in_order(operation: &Value, words: &[&str]) {
    let story = story_of(operation);
    let mut rest = story.iter();
    for word in words {
        assert!(rest.any(|what| what == word), "{word} is missing or out of order in {story:?}");
    }
}

#[test]
fn a_busy_node_is_cordoned_waited_for_rebooted_verified_and_returned_with_nobody_touching_it() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let mut task = build(&mesos, "build");
    let Some(mut site) = site(&docker, &mesos, NODE) else { return };
    let id = site.begin("reboot", &json!({})).unwrap();

    // No new work comes, and what runs goes on.
    site.wait_step(&id, "move", &["done"]).unwrap();
    assert!(is_deactivated(&mesos), "the master itself says so");
    let waiting = waits_for(&site, &id, "build.0");
    assert_eq!(waiting["needs_people"], false, "{waiting:#}");
    let mut next = mesos.run_task(TaskSpec::named("next")).unwrap();
    next.wait_subscribed().unwrap();
    task.wait_running().unwrap();
    assert!(next.offered_agents().is_empty());

    // It ends by itself, and the node is empty for a minute before anything is done to it.
    docker.cli(&["exec", &container(&docker), "touch", "/finished"]).unwrap();
    task.wait_state("TASK_FINISHED").unwrap();
    site.wait_reboot(&id).unwrap();
    assert!(next.offered_agents().is_empty() && is_deactivated(&mesos));
    let before = site.operation(&id).unwrap();
    let proof = step_of(&before, "prove_empty").unwrap();
    for source in ["agent", "mesos_master"] {
        assert!(seconds_of_proof(proof, source) >= 60, "{proof:#}");
    }
    site.machine.reboot().unwrap();

    let ended = site.wait_end(&id, "succeeded").unwrap();
    next.wait_running().unwrap();
    assert!(!is_deactivated(&mesos), "the master itself says so");
    assert_eq!((site.machine.reboots_asked(), site.machine.boots()), (1, 2));
    stands_in_order(&ended, &["requested", "began", "prepared", "committed", "finished", "ended"]);
    let asked = story_of(&ended).iter().filter(|what| *what == "asked").count();
    assert_eq!(asked, 0, "nobody was needed: {:#}", ended["story"]);
    for (step, fact, value) in [
        ("new_boot", "boot_id", site.machine.boot_id()),
        ("new_boot", "boot_id_before", format!("{NODE}-boot-1")),
        ("verify", "proven_healthy", "yes".to_owned()),
        ("puppet_run", "puppet", "none on the node".to_owned()),
        ("uncordon", "deactivated", "false".to_owned()),
    ] {
        let facts = step_of(&ended, step).unwrap()["evidence"].as_array().unwrap().clone();
        let found = facts.iter().any(|found| found["fact"] == fact && found["value"] == value.as_str());
        assert!(found, "{fact} {value} at {step}: {facts:#?}");
    }
    let audit = site.coordinator().unwrap().ask("audit").unwrap();
    assert!(audit.to_string().contains(&format!("{NODE} ({id})")), "{audit:#}");
    site.verify_journal().unwrap();
}

#[test]
fn a_coordinator_that_is_killed_again_and_again_carries_a_reboot_through_once() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let Some(mut site) = site(&docker, &mesos, NODE) else { return };
    let id = site.begin("reboot", &json!({})).unwrap();

    site.wait_step(&id, "cordon", &["begun", "done"]).unwrap();
    site.crash().unwrap();
    site.wait_step(&id, "move", &["done"]).unwrap();
    waits_for(&site, &id, "empty");
    site.crash().unwrap();
    site.wait_step(&id, "reboot", &["committed"]).unwrap();
    site.crash().unwrap();
    site.wait_reboot(&id).unwrap();
    // Nobody hears of the node for a while, and the coordinator dies meanwhile.
    site.machine.go_down().unwrap();
    site.crash().unwrap();
    site.machine.boot().unwrap();

    let ended = site.wait_end(&id, "succeeded").unwrap();
    assert_eq!(site.machine.reboots_asked(), 1);
    assert!(!is_deactivated(&mesos));
    let commits = story_of(&ended).iter().filter(|what| *what == "committed").count();
    assert_eq!(commits, 1, "{:#}", ended["story"]);
    site.verify_journal().unwrap();
}

#[test]
fn a_held_node_gets_no_offers_under_its_next_mesos_id_either_until_it_is_called_off() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mut mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let Some(site) = site(&docker, &mesos, NODE) else { return };
    let drain = site.begin("drain", &json!({})).unwrap();
    site.wait_step(&drain, "cordon", &["done"]).unwrap();
    let held = mesos.agent_id(1).unwrap();

    mesos.start_again_with_new_ids().unwrap();
    let new = mesos.agent_id(1).unwrap();
    assert_ne!(new, held);
    wait_for("the new id to be held as well", LIMIT, || Ok(is_deactivated_as(&mesos, &new).then_some(())))
        .unwrap();

    let called_off = json!({ "reason": "it is needed" });
    site.coordinator().unwrap().post(&format!("operations/{drain}/cancel"), &called_off).unwrap();
    site.wait_end(&drain, "cancelled").unwrap();
    let log = site.coordinator().unwrap().log();
    assert!(!is_deactivated_as(&mesos, &new), "the master itself says so: {log}");
}

#[test]
fn a_protected_node_is_never_rebuilt_or_deleted_and_its_reboot_asks_for_a_yes() {
    let policy = acting_policy("none", &["alibuild03", NODE]).replace("protections = \"none\"\n", "")
        + "[protections]\nalibuild03 = [\"never_rebuild\", \"never_delete\", \"never_delete_volume\", \"confirm_reboot\"]\n\
           [[volumes]]\nname = \"alibuild03_vol_001\"\nnode = \"alibuild03\"\n\
           cinder = \"a11b0003-0000-4000-8000-000000000003\"\nprotections = [\"never_delete_volume\"]\n";
    let started =
        Setup::new(&policy).and_then(|setup| Site::start(setup, "alibuild03", |node| node.with("system")));
    let Some(site) = ready(started) else { return };
    let coordinator = site.coordinator().unwrap();
    coordinator.wait_verdict("drain", "alibuild03", "allowed").unwrap();

    for action in ["rebuild", "delete"] {
        for more in [
            json!({}),
            json!({ "typed": "alibuild03", "volumes": "keep" }),
            json!({ "nodes": ["ALIBUILD03.cern.ch"], "dry_run": true }),
        ] {
            let mut more = more;
            if action == "rebuild" {
                more.as_object_mut().unwrap().remove("volumes");
            }
            let (status, refusal) = site.ask(action, &more).unwrap();
            assert_eq!(
                (status, &refusal["code"]),
                (409, &json!("node_protected")),
                "{action} {more}: {refusal:#}"
            );
        }
        let socket = format!("unix:{}", coordinator.socket().display());
        let typed = ["--reason", "a story", "--typed", "alibuild03"];
        let asked = &typed[..if action == "delete" { 4 } else { 2 }];
        for words in [&["may", action, "alibuild03"][..], &[&[action, "alibuild03"], asked].concat()] {
            let mut command = std::process::Command::new(needs_binary("millwright").unwrap());
            let output = output_of(command.args(["--server", &socket]).args(words), LIMIT).unwrap();
            assert_eq!(output.status.code(), Some(12), "{words:?}: {output:?}");
        }
    }
    let bearer = format!("Bearer {}", token_of_jane(coordinator, "operate"));
    let page = format!("{}/nodes/alibuild03", coordinator.url());
    let (status, page) = get_with(&page, &[("authorization".to_owned(), bearer)]).unwrap();
    assert!(status == 200 && page.contains("Drain it…"), "somebody who may begin something: {page}");
    for button in ["Rebuild it…", "Delete it…"] {
        assert!(!page.contains(button), "{button} is on its page: {page}");
    }

    // No operation was made, and what was asked is on record.
    assert_eq!(coordinator.ask("operations").unwrap()["operations"], json!([]));
    let (status, refusal) = site.ask("reboot", &json!({})).unwrap();
    assert_eq!(status, 409, "{refusal:#}");
    assert!(refusal.to_string().contains("confirm_reboot"), "{refusal:#}");
    let id = site.begin("reboot", &json!({ "confirm": ["confirm_reboot"] })).unwrap();
    site.wait_step(&id, "consent", &["done"]).unwrap();
    assert_eq!(site.machine.reboots_asked(), 0, "consent is no proof of emptiness");
    let (status, _) =
        coordinator.post(&format!("operations/{id}/cancel"), &json!({ "reason": "seen" })).unwrap();
    assert_eq!(status, 200);
    site.wait_end(&id, "cancelled").unwrap();
}

#[test]
fn of_two_tasks_that_never_end_only_the_named_one_ends_with_the_reboot() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let mut endless = mesos.run_task(TaskSpec::named("endless")).unwrap();
    endless.wait_running().unwrap();
    let endless_container = container(&docker);
    let mut other = build(&mesos, "other");
    let Some(mut site) = site(&docker, &mesos, NODE) else { return };

    // Nobody named it: the operation says what it waits for, and nothing is killed.
    let patient = site.begin("reboot", &json!({})).unwrap();
    waits_for(&site, &patient, "endless.0");
    let coordinator = site.coordinator().unwrap();
    coordinator.post(&format!("operations/{patient}/cancel"), &json!({ "reason": "it never ends" })).unwrap();
    site.wait_end(&patient, "cancelled").unwrap();
    endless.wait_running().unwrap();

    let id = site.begin("reboot", &json!({ "let_go": ["endless.0"] })).unwrap();
    let waiting = waits_for(&site, &id, "other.0");
    assert!(!waiting.to_string().contains("endless.0"), "{waiting:#}");
    let other_container = docker.cli(&["ps", "-q"]).unwrap();
    let other_container = other_container.lines().find(|id| **id != endless_container).unwrap().to_owned();
    docker.cli(&["exec", &other_container, "touch", "/finished"]).unwrap();
    other.wait_state("TASK_FINISHED").unwrap();
    site.wait_reboot(&id).unwrap();
    endless.wait_running().unwrap();

    // What still runs ends with its machine.
    site.machine.go_down().unwrap();
    docker.cli(&["kill", &endless_container]).unwrap();
    endless.wait_state("TASK_FAILED").unwrap();
    site.machine.boot().unwrap();
    let ended = site.wait_end(&id, "succeeded").unwrap();
    let granted = ended["grants"].as_array().unwrap().iter().find(|grant| grant["task"] == "endless.0");
    assert_eq!(granted.unwrap()["by"], "jane (as root)", "{ended:#}");
}

#[test]
fn the_off_switch_stops_everything_and_a_hold_set_on_the_node_refuses_the_reboot_until_it_is_lifted() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let socket = docker.socket();
    let furnish = move |node| with_docker(node, &socket);
    let setup = Setup::new(&acting_policy("none", &[NODE])).unwrap();
    let Some(mut site) = ready(Site::start(setup, NODE, furnish)) else { return };
    let id = site.begin("reboot", &json!({})).unwrap();
    let pause = |paused: bool| {
        let body = json!({ "on": paused, "reason": "the switch is replaced" });
        let (status, answer) = site.coordinator().unwrap().post("pause", &body).unwrap();
        assert_eq!(status, 200, "{answer:#}");
    };
    pause(true);
    waits_for(&site, &id, "paused");
    // Somebody on the node wants it as it is, where the coordinator cannot see it yet.
    let held = site.machine.run(&["hold", "add", "the disk is looked at", "--for", "2h"]).unwrap();
    assert!(!held.is_empty());
    pause(false);

    // The agent refuses the order, or its report with the hold comes first: either way nothing happens.
    waits_for(&site, &id, "the disk is looked at");
    assert_eq!(site.machine.reboots_asked(), 0);
    let holds: Value = serde_json::from_str(&site.machine.run(&["hold", "list", "--json"]).unwrap()).unwrap();
    site.machine.run(&["hold", "lift", holds[0]["id"].as_str().unwrap()]).unwrap();
    site.wait_reboot(&id).unwrap();
    site.machine.reboot().unwrap();
    site.wait_end(&id, "succeeded").unwrap();
    assert_eq!(site.machine.reboots_asked(), 1);
}
