//! What `packaging/monitoring` ships for Prometheus and Grafana fits what the programs really serve.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::harness::{Coordinator, Node, Pki, Setup, get, needs_built, output_of, ready, wait_for};

const LIMIT: Duration = Duration::from_secs(60);
const COORDINATOR: &str = "millwright.lab.test";
const POLICY: &str = "protections = \"none\"\n[cluster]\nname = \"lab\"\ncoordinator = \"lab\"\n\
    [classes.agent]\nmode = \"observe\"\n[classes.agent.sources]\nagent = \"required\"\n\
    [[nodes]]\nclass = \"agent\"\nnames = [\"alibuild10\", \"alibuild11\"]\n";

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/monitoring").join(name)
}

fn promtool(arguments: &[&str], input: Option<&Path>) {
    let Some(program) = ready(needs_built("promtool")) else { return };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(shipped(""));
    if let Some(input) = input {
        command.stdin(File::open(input).unwrap());
    }
    let output = output_of(&mut command, LIMIT).unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    assert!(input.is_none() || said.is_empty(), "promtool {arguments:?} is not content: {said}");
}

#[test]
fn the_alert_rules_are_sound_and_come_when_they_should() {
    promtool(&["check", "rules", "alerts.yml"], None);
    promtool(&["test", "rules", "alerts-test.yml"], None);
}

#[test]
fn every_alert_has_a_test_in_which_it_comes() {
    let rules = fs::read_to_string(shipped("alerts.yml")).unwrap();
    let tests = fs::read_to_string(shipped("alerts-test.yml")).unwrap();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(!alerts.is_empty());
    for alert in alerts {
        assert!(
            tests.contains(&format!("\"{alert}\"")) || tests.contains(&format!("alertname: {alert}\n")),
            "{alert}"
        );
    }
}

#[test]
fn rules_and_dashboard_ask_for_nothing_that_the_programs_do_not_serve() {
    let Some((_pki, coordinator, of_agent)) = both_pages() else { return };
    let pages = [page(&coordinator), of_agent];
    let served: BTreeSet<&str> = pages
        .iter()
        .flat_map(|page| page.lines())
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    for name in ["alerts.yml", "alerts-test.yml", "dashboard.json", "README.md"] {
        let text = fs::read_to_string(shipped(name)).unwrap();
        for asked in metrics_in(&text) {
            assert!(served.contains(asked), "{name} asks for {asked}; the programs serve {served:?}");
        }
    }
    // Nothing was overlooked by reading the files too narrowly.
    let dashboard: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(shipped("dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let asking = panels.iter().filter(|panel| panel["type"] != "row");
    for panel in asking {
        let asks = panel["targets"].as_array().unwrap();
        assert!(asks.iter().all(|ask| !metrics_in(ask["expr"].as_str().unwrap()).is_empty()), "{panel}");
    }
}

#[test]
fn promtool_is_content_with_what_both_programs_serve() {
    let Some((_pki, coordinator, of_agent)) = both_pages() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("coordinator", page(&coordinator)), ("agent", of_agent)] {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        promtool(&["check", "metrics"], Some(&file));
    }
}

/// Names of ours in a text: `millwright_` and what follows.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let is_of_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.split(|letter| !is_of_name(letter)).filter(|word| word.starts_with("millwright_")).collect()
}

fn page(coordinator: &Coordinator) -> String {
    get(&format!("{}/metrics", coordinator.url())).unwrap().1
}

/// A coordinator with certificates that has heard an agent, and what that agent serves, each with every line it can have.
fn both_pages() -> Option<(Pki, Coordinator, String)> {
    let pki = ready(Pki::new())?;
    for host in [COORDINATOR, "alibuild10.lab.test"] {
        pki.host(host).unwrap();
    }
    let tls = format!("[tls]\ncertname = {COORDINATOR:?}\npuppet_ssl = {:?}\n", pki.ssl(COORDINATOR));
    let coordinator = Setup::new(POLICY).unwrap().with(&tls).start().unwrap();
    let agent = Node::named("alibuild10")
        .unwrap()
        .with("system")
        .with("mounts")
        .text("coordinator.url", coordinator.agents_url())
        .text("coordinator.certname", COORDINATOR)
        .text("coordinator.report_every", "1s")
        .text("tls.puppet_ssl", pki.ssl("alibuild10.lab.test").display())
        .start()
        .unwrap();
    agent
        .wait_for("a report to be accepted", |view| view.coordinator.accepted_seconds_ago.map(drop))
        .unwrap();
    let has = |name: &str| page(&coordinator).lines().any(|line| line.starts_with(&format!("{name} ")));
    for name in [
        "millwright_backup_timestamp_seconds",
        "millwright_certificate_expires_timestamp_seconds",
        "millwright_revocation_list_expires_timestamp_seconds",
    ] {
        wait_for(name, LIMIT, || Ok(has(name).then_some(()))).unwrap();
    }
    let of_agent = get(&format!("{}/metrics", agent.url())).unwrap().1;
    Some((pki, coordinator, of_agent))
}
