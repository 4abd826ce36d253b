//! The `millwright` program against a real coordinator, and the two ways to see all of it at once: `make try` and
//! `make demo`.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use super::coordinator::{policy_of, reporting};
use super::harness::{Coordinator, Node, Setup, needs_binary, output_of, ready};

const LIMIT: Duration = Duration::from_secs(60);
/// Building apart, `try` is over in half a minute and the demo in a minute and a half, on a machine with nothing to do.
const SHOW_LIMIT: Duration = Duration::from_secs(300);

fn millwright(coordinator: &Coordinator, arguments: &[&str]) -> Output {
    let mut command = Command::new(needs_binary("millwright").unwrap());
    output_of(command.args(["--server", coordinator.url()]).args(arguments), LIMIT).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_verdict_on_the_command_line_is_its_reasons_and_an_exit_code() {
    let policy =
        format!("{}[[nodes]]\nclass = \"agent\"\nnames = [\"alibuild03\"]\n", policy_of(&["alibuild10"]));
    let policy =
        policy.replace("protections = \"none\"\n", "") + "[protections]\nalibuild03 = [\"never_rebuild\"]\n";
    let Some(coordinator) = ready(Setup::new(&policy).and_then(Setup::start)) else { return };
    let node = Node::named("alibuild10").unwrap().with("volumes").set("checks.volumes.root", false);
    let node = node.set("checks.volumes.expected", "[{ mount = \"/no/such/volume\" }]");
    let _agent = reporting(node, &coordinator).start().unwrap();
    coordinator
        .wait_for("the end of the warm-up", "nodes", |fleet| fleet["warming_up"].is_null().then_some(()))
        .unwrap();

    let refused = millwright(&coordinator, &["may", "rebuild", "ALIBUILD03.cern.ch"]);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(12), "{text}");
    assert!(text.contains("refused") && text.contains("alibuild03 must never be rebuilt"), "{text}");

    let asked = millwright(&coordinator, &["--json", "may", "rebuild", "alibuild03"]);
    let verdict: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(
        (verdict["verdict"].as_str(), verdict["reasons"][0]["code"].as_str()),
        (Some("refused"), Some("node_protected"))
    );

    let nodes = said(&millwright(&coordinator, &["nodes"]));
    assert!(nodes.contains("alibuild10") && nodes.contains("is not mounted"), "{nodes}");
    let node = said(&millwright(&coordinator, &["node", "alibuild10"]));
    assert!(node.contains("alibuild10/volume/no/such/volume"), "{node}");
    assert!(!node.contains('\u{1b}'), "colours without a terminal: {node}");

    let diagnosed = millwright(&coordinator, &["diagnose", "alibuild10"]);
    let text = said(&diagnosed);
    assert_eq!(diagnosed.status.code(), Some(11), "{text}");
    assert!(text.contains("it stops at “Volumes are mounted and have room”"), "{text}");
    assert!(text.contains("well before it: Its agent reports") && text.contains("  next "), "{text}");

    // Writing over TCP is refused with what to do instead.
    let ack = ["ack", "alibuild10/volume/no/such/volume", "--until", "2d"];
    let refused = millwright(&coordinator, &ack);
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && complaint.contains("sudo"), "{complaint}");
    let mut command = Command::new(needs_binary("millwright").unwrap());
    let socket = format!("unix:{}", coordinator.socket().display());
    let given = output_of(command.args(["--server", &socket]).args(ack), LIMIT).unwrap();
    assert!(given.status.success(), "{}", String::from_utf8_lossy(&given.stderr));

    for (arguments, code) in [(["may", "explode", "alibuild10"], 2), (["may", "reboot", "nobody"], 1)] {
        assert_eq!(millwright(&coordinator, &arguments).status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn with_no_policy_that_could_ever_be_read_every_node_is_refused_and_the_fault_is_said_once() {
    let broken = policy_of(&["alibuild10"]).replace("names =", "nmes =");
    let Some(coordinator) = ready(Setup::new(&broken).and_then(Setup::start)) else { return };
    let refused = millwright(&coordinator, &["may", "reboot", "alibuild03"]);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(12), "{text}{}", String::from_utf8_lossy(&refused.stderr));
    assert!(text.contains("[policy_unreadable]") && !text.contains("node_unlisted"), "{text}");

    let nodes = said(&millwright(&coordinator, &["nodes"]));
    assert_eq!(nodes.matches("nmes").count(), 1, "{nodes}");
    assert!(!nodes.contains("has not answered") && !nodes.contains("0 of 0"), "{nodes}");
    assert!(nodes.contains("millwright policy check /") && !nodes.contains("not seen here"), "{nodes}");

    let policy = millwright(&coordinator, &["policy", "show"]);
    let text = said(&policy);
    assert_eq!(policy.status.code(), Some(1), "{text}");
    assert!(text.contains("nmes") && text.contains("never been a good policy"), "{text}");
    assert!(!text.contains("Cluster") && !text.contains("version"), "{text}");
}

#[test]
fn make_try_says_four_verdicts_about_this_very_machine_and_nothing_else_on_standard_output() {
    let Some(output) = make("try", "millwright") else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!whole["node"].as_str().unwrap().is_empty());
    assert!(!whole["findings"].as_array().unwrap().is_empty());
    for action in ["drain", "reboot", "rebuild", "delete"] {
        let verdict = &whole["verdicts"][action];
        assert_eq!(verdict["action"], action);
        let words = ["allowed", "wait", "needs_people", "refused"];
        for field in ["verdict", "may_start"] {
            assert!(verdict[field].as_str().is_some_and(|word| words.contains(&word)), "{verdict:#}");
        }
        assert!(!verdict.to_string().contains("warming_up"), "{verdict:#}");
    }
}

#[test]
fn the_demo_proves_one_node_empty_and_leaves_the_busy_one_alone() {
    if ready(super::harness::DockerDaemon::start()).is_none() {
        return;
    }
    let Some(output) = make("demo", "examples/demo") else { return };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("dashboard: http://127.0.0.1:"), "{told}");
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [busy, empty] = whole["nodes"].as_array().unwrap().as_slice() else { panic!("{whole:#}") };
    assert_eq!(empty["verdicts"]["reboot"]["verdict"], "allowed");
    assert_eq!(busy["verdicts"]["reboot"]["verdict"], "wait");
    let why = busy["verdicts"]["reboot"]["reasons"].to_string();
    for words in ["mesos-jenkins-", "a Jenkins build", "mesosci-prod-ci_alice_slc7", "a pull-request checker"]
    {
        assert!(why.contains(words), "no {words} in {why}");
    }
    // Each node of this one machine has its own volume and not the other's.
    let volumes = |node: &Value| node["verdicts"]["delete"]["notes"].to_string().matches("/build").count();
    assert_eq!((volumes(busy), volumes(empty)), (1, 1), "{:#}", busy["verdicts"]["delete"]);
    assert_eq!(busy["verdicts"]["drain"]["verdict"], "allowed", "{busy:#}");
    for node in [busy, empty] {
        let sick: Vec<&Value> =
            node["findings"].as_array().unwrap().iter().filter(|one| one["status"] == "crit").collect();
        assert!(sick.is_empty(), "{sick:#?}");
    }
}

/// Asks make for a target once, as JSON. What is built is shown: cargo would replace programs that other stories are
/// about to start.
fn make(target: &str, program: &str) -> Option<Output> {
    ready(needs_binary(program))?;
    let programs = needs_binary("millwright").unwrap();
    let mut make = Command::new("make");
    make.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["--no-print-directory", target, "ARGS=--once --json", "CARGO=true"])
        .arg(format!("bin={}", programs.parent().unwrap().display()));
    Some(output_of(&mut make, SHOW_LIMIT).unwrap())
}
