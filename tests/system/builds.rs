//! Builds of Jenkins beside real tasks of Mesos 1.11.0: who runs what, what waits for what, and the switch of a computer.

use super::harness::{
    DockerDaemon, Jenkins, Mesos, Setup, Site, acting_policy, get_json, needs_binary, output_of, ready,
    step_of,
};
use super::operations::{build, container, seconds_of_proof, waits_for, with_docker};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const NODE: &str = "alibuild10";
/// Mesos' plugin calls a computer as its task.
const COMPUTER: &str = "mesos-jenkins-1.0";
const LIMIT: Duration = Duration::from_secs(120);

fn policy() -> String {
    acting_policy("required", &[NODE]).replace("[[nodes]]", "jenkins = \"required\"\n[[nodes]]")
}

fn running(name: &str) -> Value {
    json!({ "fullDisplayName": name, "url": "https://jenkins/job/x/1/", "timestamp": 1_770_000_000_000_i64,
        "estimatedDuration": 86_400_000_000_i64 })
}

#[test]
fn a_drain_waits_for_the_build_as_well_as_for_its_task_and_no_other_build_comes() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let jenkins = Jenkins::start().unwrap();
    let mut task = build(&mesos, "mesos-jenkins-1");
    jenkins.has(COMPUTER, Some(running("daily-tags #123")));
    let setup = Setup::new(&policy()).unwrap().with_mesos(&mesos.master_url()).with(&jenkins.section());
    let (socket, agent) = (docker.socket(), mesos.agent_url(1));
    let furnish =
        move |node| with_docker(node, &socket).with("mesos_agent").text("checks.mesos_agent.url", &agent);
    let Some(site) = ready(Site::start(setup, NODE, furnish)) else { return };
    let id = site.begin("drain", &json!({})).unwrap();

    // The computer is out of use in our name, and the wait says which build and until when.
    waits_for(&site, &id, "building daily-tags #123");
    let why = jenkins.why_out(COMPUTER).unwrap();
    assert_eq!(why, format!("Millwright {id} drains {NODE}"));
    let url = site.coordinator().unwrap().url();
    let detail = get_json(&format!("{url}/api/v1/nodes/{NODE}")).unwrap();
    let shown = &detail["living_tasks"]["tasks"][0];
    assert_eq!(shown["build"], "daily-tags #123", "{detail:#}");
    assert!(shown["expected_end"].is_string(), "{shown:#}");
    let mut command = Command::new(needs_binary("millwright").unwrap());
    let output = output_of(command.args(["may", "reboot", NODE, "--server", url]), LIMIT).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("building daily-tags #123") && output.status.code() == Some(10), "{said}");

    // The task has ended; Jenkins still writes its log away.
    docker.cli(&["exec", &container(&docker), "touch", "/finished"]).unwrap();
    task.wait_state("TASK_FINISHED").unwrap();
    waits_for(&site, &id, "Jenkins runs daily-tags #123 there");
    jenkins.has(COMPUTER, None);
    jenkins.somebody_takes_out(COMPUTER, &why);
    let parked = site.wait_end(&id, "parked").unwrap();
    let proof = step_of(&parked, "prove_empty").unwrap();
    for source in ["agent", "mesos_master", "jenkins"] {
        assert!(seconds_of_proof(proof, source) >= 60, "{proof:#}");
    }

    // Given back, it takes builds again.
    let back = site.begin("return", &json!({})).unwrap();
    site.wait_end(&back, "succeeded").unwrap();
    assert_eq!(jenkins.why_out(COMPUTER), None);
}

#[test]
fn a_jenkins_that_is_down_is_told_with_what_to_do_and_an_unmarked_computer_is_left_alone() {
    let jenkins = Jenkins::start().unwrap();
    jenkins.wants("millwright", "11aa");
    let setup =
        Setup::new(&policy().replace("mesos_master = \"required\"", "mesos_master = \"none\"")).unwrap();
    let setup = setup.with(&jenkins.section());
    let Some(site) = ready(Site::start(setup, NODE, |node| node)) else { return };
    let source = |words: &str| {
        let coordinator = site.coordinator().unwrap();
        coordinator
            .wait_for(&format!("Jenkins: {words}"), "nodes", |fleet| {
                let sources = fleet["sources"].as_array()?;
                let jenkins = sources.iter().find(|source| source["source"] == "jenkins")?;
                jenkins["sentence"].as_str().filter(|said| said.contains(words)).map(str::to_owned)
            })
            .unwrap()
    };
    assert!(source("403").contains("set jenkins.user and jenkins.secret_file"));
    jenkins.wants("", "");
    jenkins.breaks(Some(502));
    source("502");
    jenkins.breaks(None);
    source("answers and runs 0 builds");
}
