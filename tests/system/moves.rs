//! Services of a Marathon beside real tasks of Mesos 1.11.0: one that runs elsewhere as well is moved off a node that is
//! emptied once its owner agrees, the last of its kind is not, a locked one waits, and a Marathon that only says yes is
//! found out.

use super::harness::{
    DockerDaemon, Mesos, MesosTask, Node, OnKill, Schedulers, Setup, Site, TaskSpec, acting_policy, ready,
    wait_for,
};
use super::operations::waits_for;
use serde_json::{Value, json};
use std::time::Duration;

const NODE: &str = "alibuild10";
const OTHER: &str = "alibuild11";
const LIMIT: Duration = Duration::from_secs(180);

fn policy() -> String {
    let rule = "[[tasks]]\nname = \"a Marathon service\"\nframework = \"marathon\"\nclass = \"service\"\nowner = \"web\"\n";
    acting_policy("required", &[NODE, OTHER]) + rule
}

/// One instance of an app, on one of both agents: a real task, and what Marathon says of it.
fn instance(mesos: &Mesos, schedulers: &Schedulers, app: &str, id: &str, agent: usize) -> MesosTask {
    let spec = TaskSpec { id: id.to_owned(), ..TaskSpec::named(app).of("marathon").on_agent(agent) };
    let mut task = mesos.run_task(spec).unwrap();
    task.wait_running().unwrap();
    schedulers.marathon.runs(id, &format!("/{app}"), "localhost", &mesos.agent_id(agent).unwrap());
    task
}

/// What Marathon does of its own: the next time it is asked, the task ends, and one of another id runs on the other agent.
fn does_it(mesos: &Mesos, schedulers: &Schedulers, app: &str, task: &mut MesosTask, new: &str) -> MesosTask {
    let id = task.ids()[0].clone();
    let asked =
        || schedulers.marathon.asked().iter().filter(|asked| asked.contains(&id.replace('.', "%2E"))).count();
    let before = asked();
    wait_for(&format!("{id} to be killed"), LIMIT, || Ok((asked() > before).then_some(()))).unwrap();
    task.kill().unwrap();
    schedulers.marathon.loses(&id);
    instance(mesos, schedulers, app, new, 2)
}

fn tasks_of_first_agent(mesos: &Mesos) -> Vec<String> {
    let first = mesos.agent_id(1).unwrap();
    let state = mesos.state().unwrap();
    let frameworks = state["frameworks"].as_array().unwrap();
    let tasks = frameworks.iter().flat_map(|framework| framework["tasks"].as_array().unwrap());
    let here = tasks.filter(|task| task["slave_id"] == first.as_str() && task["state"] == "TASK_RUNNING");
    let mut ids: Vec<String> = here.map(|task| task["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn what_runs_elsewhere_is_moved_off_a_node_that_is_emptied_and_the_last_of_its_kind_is_not() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 2)) else { return };
    let schedulers = Schedulers::start().unwrap();
    let marathon = &schedulers.marathon;
    for (app, wanted) in [("/kibana", 2), ("/locked", 2), ("/single", 1)] {
        marathon.has(app, wanted);
    }
    marathon.locks("/locked", true);
    marathon.on_kill(OnKill::Nothing);
    schedulers.mesos_dns.leads("leader.mesos", &["127.0.0.1"]);
    let run = |app: &str, id: &str, agent| instance(&mesos, &schedulers, app, id, agent);
    let (mut kibana, _kibana) = (run("kibana", "kibana.1", 1), run("kibana", "kibana.2", 2));
    let (mut locked, _locked) = (run("locked", "locked.1", 1), run("locked", "locked.2", 2));
    let _single = run("single", "single.1", 1);

    let setup = Setup::new(&policy()).unwrap().with_mesos(&mesos.master_url()).with(&schedulers.sections());
    // Both agents share one Docker, so containers tell nothing about one of them.
    let of = |agent: usize| {
        let url = mesos.agent_url(agent);
        move |node: Node| node.with("mesos_agent").text("checks.mesos_agent.url", &url)
    };
    let Some(site) = ready(Site::start(setup, NODE, of(1))) else { return };
    let coordinator = site.coordinator().unwrap();
    let other = Node::named(OTHER).unwrap().text("coordinator.url", coordinator.agents_url());
    let _other = of(2)(other.text("coordinator.report_every", "1s")).start().unwrap();
    coordinator
        .wait_for("the other node to be proven healthy", &format!("nodes/{OTHER}"), |node| {
            (node["state"] == "healthy").then_some(())
        })
        .unwrap();
    let id = site.begin("drain", &json!({})).unwrap();

    // Their owner says no, then something strange, then yes; until then nobody asks Marathon for anything.
    waits_for(&site, &id, "web says no: busy");
    schedulers.owners.answer(200, json!({ "may": "yes" }));
    let waiting = waits_for(&site, &id, "web does not answer");
    assert_eq!(waiting["needs_people"], true, "{waiting:#}");
    assert!(waiting.to_string().contains("ask owners to POST web"), "{waiting:#}");
    assert_eq!(marathon.asked(), Vec::<String>::new());
    let asked = schedulers.owners.asked();
    let of_ours =
        |body: &Value| body["operation"] == id.as_str() && body["node"] == NODE && body["action"] == "drain";
    assert!(asked.iter().all(|(owner, body)| owner == "web" && of_ours(body)), "{asked:#?}");
    // The last of its kind is nobody's to give away but a person's.
    assert!(!asked.iter().any(|(_, body)| body["task"] == "single.1"), "{asked:#?}");
    schedulers.owners.answer(200, json!({ "may": true }));

    // It says yes, and nothing happens; nothing was asked before the node's offers were stopped.
    waits_for(&site, &id, "said that it takes kibana.1 of /kibana away, and it is still there");
    let slaves = mesos.state().unwrap()["slaves"].clone();
    let first = mesos.agent_id(1).unwrap();
    let is_first = |agent: &&Value| agent["id"] == first.as_str();
    assert_eq!(slaves.as_array().unwrap().iter().find(is_first).unwrap()["deactivated"], true);
    assert_eq!(tasks_of_first_agent(&mesos), ["kibana.1", "locked.1", "single.1"]);

    // It does it, while a deployment still runs for the other app.
    let _moved = does_it(&mesos, &schedulers, "kibana", &mut kibana, "kibana.3");
    let waiting = waits_for(&site, &id, "(moved: kibana.1)");
    assert!(waiting.to_string().contains("Marathon is changing /locked just now"), "{waiting:#}");
    marathon.locks("/locked", false);
    let _unlocked = does_it(&mesos, &schedulers, "locked", &mut locked, "locked.3");
    let step = site.wait_step(&id, "move", &["done"]).unwrap();
    assert!(step.to_string().contains("2 of 2 healthy"), "{step:#}");

    // The last of its kind is a person's.
    let waiting = waits_for(&site, &id, "single.1");
    assert_eq!(waiting["needs_people"], true, "{waiting:#}");
    assert!(waiting.to_string().contains("without another healthy instance"), "{waiting:#}");
    assert_eq!(tasks_of_first_agent(&mesos), ["single.1"]);
    let asked = marathon.asked();
    let is_plain = |asked: &String| asked.starts_with("DELETE /v2/apps/") && asked.ends_with("?scale=false");
    assert!(asked.iter().all(is_plain) && !asked.iter().any(|asked| asked.contains("single")), "{asked:?}");
    assert_eq!(["/kibana", "/locked"].map(|app| marathon.wanted(app)), [Some(2); 2]);
    assert!(schedulers.aurora.restarts().is_empty());
}
