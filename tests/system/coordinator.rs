//! Agents and a coordinator, both real: from a report to a verdict, through restarts, broken policies and broken disks.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use super::harness::{
    Agent, Coordinator, DockerDaemon, Mesos, MesosTask, Node, Setup, TaskSpec, codes, ready,
};

/// A cluster without Mesos whose agents are these.
pub fn policy_of(names: &[&str]) -> String {
    policy_with("none", names)
}

pub fn policy_with(mesos_master: &str, names: &[&str]) -> String {
    format!(
        "protections = \"none\"\n[cluster]\nname = \"lab\"\ncoordinator = \"lab\"\nproject = \"lab\"\n\
         [classes.agent]\nmode = \"observe\"\n[classes.agent.sources]\nagent = \"required\"\n\
         mesos_master = \"{mesos_master}\"\n[[nodes]]\nclass = \"agent\"\nnames = {names:?}\n"
    )
}

/// An agent on this node that reports to this coordinator.
pub fn reporting(node: Node, coordinator: &Coordinator) -> Node {
    node.text("coordinator.url", coordinator.agents_url()).text("coordinator.report_every", "2s")
}

/// A node that lacks the volume it must have.
fn without_volume(name: &str) -> Node {
    let node = Node::named(name).unwrap().with("volumes").set("checks.volumes.root", false);
    node.set("checks.volumes.expected", "[{ mount = \"/no/such/volume\" }]")
}

fn state_of(coordinator: &Coordinator, node: &str, wanted: &str) -> Value {
    let what = format!("{node} to be {wanted}");
    let found = coordinator.wait_for(&what, &format!("nodes/{node}"), |detail| {
        (detail["state"] == wanted).then(|| detail.clone())
    });
    found.unwrap()
}

fn finding_of<'detail>(detail: &'detail Value, id: &str) -> &'detail Value {
    let findings = detail["all_findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("no {id} in {findings:#?}"))
}

#[test]
fn what_an_agent_sees_stands_in_the_coordinators_answer_with_everything_to_believe_it() {
    let Some(coordinator) =
        ready(Setup::new(&policy_of(&["alibuild10", "alibuild11"])).and_then(Setup::start))
    else {
        return;
    };
    let _agent = reporting(without_volume("alibuild10"), &coordinator).start().unwrap();
    let detail = state_of(&coordinator, "ALIBUILD10.cern.ch", "sick");
    let finding = finding_of(&detail, "alibuild10/volume/no/such/volume");
    assert_eq!((&finding["status"], &finding["gating"]), (&json!("crit"), &json!(true)));
    assert!(finding["sentence"].as_str().unwrap().contains("is not mounted"), "{finding:#}");
    assert_eq!(detail["identity"]["machine_id"], "alibuild10-machine");
    assert_eq!(detail["boot"]["boot_id"], "alibuild10-boot");

    // The other one has never been heard of, which is not the same as well.
    let fleet = coordinator.ask("nodes").unwrap();
    let agents =
        &fleet["classes"].as_array().unwrap().iter().find(|class| class["class"] == "agent").unwrap();
    assert_eq!((&agents["listed"], &agents["out"]), (&json!(2), &json!(2)), "{agents:#}");
    assert_eq!(coordinator.node("alibuild11").unwrap()["state"], "never_heard");

    let verdict =
        coordinator.wait_for("the end of the warm-up", "verdicts?action=reboot&node=alibuild10", |verdict| {
            (!codes(verdict).contains(&"warming_up".to_owned())).then(|| verdict.clone())
        });
    let verdict = verdict.unwrap();
    assert_eq!(verdict["nodes"], json!(["alibuild10"]));
    for reason in verdict["reasons"].as_array().unwrap() {
        for field in ["code", "sentence", "owner", "unblocked_by"] {
            assert!(reason[field].as_str().is_some_and(|words| !words.is_empty()), "{field} in {reason:#}");
        }
    }
    let (status, refusal) =
        super::harness::get(&format!("{}/api/v1/nodes/nobody", coordinator.url())).unwrap();
    assert_eq!(status, 404, "{refusal}");
}

#[test]
fn after_a_restart_the_last_known_state_is_shown_and_called_stale() {
    let Some(coordinator) = ready(Setup::new(&policy_of(&["alibuild10"])).and_then(Setup::start)) else {
        return;
    };
    let agent = reporting(without_volume("alibuild10"), &coordinator).start().unwrap();
    state_of(&coordinator, "alibuild10", "sick");
    agent.kill().unwrap();

    let coordinator = coordinator.stop().start().unwrap();
    let detail = coordinator.node("alibuild10").unwrap();
    assert_eq!(detail["is_stale"], true, "{detail:#}");
    assert_eq!(finding_of(&detail, "alibuild10/volume/no/such/volume")["status"], "crit");
    let verdict = coordinator.verdict("reboot", "alibuild10").unwrap();
    assert_ne!(verdict["verdict"], "allowed");
    assert!(codes(&verdict).contains(&"warming_up".to_owned()), "{verdict:#}");
}

#[test]
fn a_policy_broken_while_running_protects_everything_until_it_is_mended() {
    let good = policy_of(&["alibuild10", "alibuild11"]);
    let Some(coordinator) = ready(Setup::new(&good).and_then(Setup::start)) else { return };
    coordinator.setup().write_policy(&good.replace("names =", "nmes =")).unwrap();
    let broken = coordinator.wait_verdict("drain", "alibuild10", "refused").unwrap();
    assert_eq!(codes(&broken), ["policy_unreadable"]);
    let sentence = broken["reasons"][0].to_string();
    assert!(sentence.contains("nmes"), "{sentence}");
    // The last good one still says who belongs to the cluster, also after a restart.
    let coordinator = coordinator.stop().start().unwrap();
    let fleet = coordinator.ask("nodes").unwrap();
    assert!(fleet["policy"]["unreadable"].is_string(), "{fleet:#}");
    assert_eq!(fleet["policy"]["listed"], 2);
    assert_eq!(codes(&coordinator.verdict("delete", "alibuild11").unwrap()), ["policy_unreadable"]);

    coordinator.setup().write_policy(&good).unwrap();
    coordinator
        .wait_for("the mended policy", "nodes", |fleet| fleet["policy"]["unreadable"].is_null().then_some(()))
        .unwrap();
    let mended = coordinator.verdict("drain", "alibuild10").unwrap();
    assert!(!codes(&mended).contains(&"policy_unreadable".to_owned()), "{mended:#}");
}

#[test]
fn only_root_on_the_unix_socket_may_write_and_what_was_written_outlives_the_coordinator() {
    let Some(coordinator) = ready(Setup::new(&policy_of(&["alibuild10"])).and_then(Setup::start)) else {
        return;
    };
    let agent = reporting(without_volume("alibuild10"), &coordinator).start().unwrap();
    state_of(&coordinator, "alibuild10", "sick");
    let id = "alibuild10/volume/no/such/volume";
    let word = json!({"finding": id, "until": "2099-01-31T10:00:00Z", "reason": "the disk is on order", "by": "giulio"});
    let (status, refusal) = coordinator.post_over_tcp("acknowledgements", &word).unwrap();
    assert_eq!((status, &refusal["code"]), (401, &json!("not_signed_in")), "{refusal:#}");
    let nothing = coordinator.ask("acknowledgements").unwrap();
    assert_eq!(nothing["acknowledgements"], json!([]));

    let (status, given) = coordinator.post("acknowledgements", &word).unwrap();
    assert_eq!(status, 200, "{given:#}");
    let (status, unknown) = coordinator
        .post("acknowledgements", &json!({"finding": "alibuild10/nothing", "until": "2099-01-31T10:00:00Z"}))
        .unwrap();
    assert!((400..500).contains(&status), "{unknown:#}");

    let coordinator = coordinator.stop().start().unwrap();
    let _agent = reporting(agent.stop(), &coordinator).start().unwrap();
    let detail = state_of(&coordinator, "alibuild10", "sick");
    let finding = finding_of(&detail, id);
    assert_eq!(finding["acknowledged"]["by"], "giulio (as root)", "{finding:#}");
    // Seen is not mended: it still keeps the node out.
    assert_eq!((&finding["status"], &finding["gating"]), (&json!("crit"), &json!(true)));
    let audit = coordinator.ask("audit").unwrap().to_string();
    assert!(audit.contains("the disk is on order"), "{audit}");
}

#[test]
fn a_database_that_is_none_is_refused_clearly_and_left_as_it_is() {
    let Some(coordinator) = ready(Setup::new(&policy_of(&["alibuild10"])).and_then(Setup::start)) else {
        return;
    };
    let setup = coordinator.stop();
    let database = setup.database();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", database.display()));
    }
    let garbage = "not a database, but a list of what to buy\n".repeat(1000);
    fs::write(&database, &garbage).unwrap();
    let before = fs::metadata(&database).unwrap();
    let output = setup.run(&["run"]).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains(&*database.to_string_lossy()), "{complaint}");
    assert_eq!(fs::read_to_string(&database).unwrap(), garbage);
    let after = fs::metadata(&database).unwrap();
    assert_eq!((before.ino(), before.modified().unwrap()), (after.ino(), after.modified().unwrap()));
}

#[test]
fn two_coordinators_never_use_one_state_and_none_starts_on_another_host() {
    let Some(coordinator) = ready(Setup::new(&policy_of(&["alibuild10"])).and_then(Setup::start)) else {
        return;
    };
    let output = coordinator.setup().run(&["run"]).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && complaint.contains("another coordinator already uses"),
        "{complaint}"
    );

    let setup = coordinator.stop();
    setup
        .write_policy(&policy_of(&["alibuild10"]).replace("coordinator = \"lab\"", "coordinator = \"mw\""))
        .unwrap();
    let output = setup.run(&["run"]).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && complaint.contains("start the coordinator on mw"), "{complaint}");
}

/// The node of a Mesos agent with its Docker, reporting.
fn mesos_node(docker: &DockerDaemon, mesos: &Mesos, coordinator: &Coordinator) -> Agent {
    let node = Node::named("alibuild10")
        .unwrap()
        .looking_every("2s")
        .with_docker(docker)
        .with("mesos_agent")
        .text("checks.mesos_agent.url", mesos.agent_url(1));
    reporting(node, coordinator).start().unwrap()
}

#[test]
fn mesos_and_the_agent_name_the_same_tasks_and_a_protected_one_keeps_its_node() {
    let Some(docker) = ready(DockerDaemon::start()) else { return };
    let Some(mesos) = ready(Mesos::start(&docker, 1)) else { return };
    let setup =
        Setup::new(&policy_with("required", &["alibuild10"])).unwrap().with_mesos(&mesos.master_url());
    let Some(coordinator) = ready(setup.start()) else { return };
    let mut task: MesosTask = mesos
        .run_task(TaskSpec::named("mesos-jenkins-slc7_x86-64-large").of("Jenkins Scheduler").on_agent(1))
        .unwrap();
    task.wait_running().unwrap();
    let _agent = mesos_node(&docker, &mesos, &coordinator);
    let detail = coordinator
        .wait_for("both views of the task", "nodes/alibuild10", |detail| {
            let tasks = detail["living_tasks"]["tasks"].as_array()?;
            (tasks.first()?["named_by"].as_array()?.len() == 2).then(|| detail.clone())
        })
        .unwrap();
    let shown = &detail["living_tasks"]["tasks"][0];
    assert_eq!(
        (&shown["framework"], &shown["class"]),
        (&json!("Jenkins Scheduler"), &json!("protected")),
        "{shown:#}"
    );
    assert!(shown["runtime_seconds"].is_u64() && shown["kill_cost_seconds"].is_u64(), "{shown:#}");
    assert_eq!(detail["mesos_listing"]["listing"], "active");
    assert_eq!(detail["mesos_listing"]["agent_id"], mesos.agent_id(1).unwrap());

    let verdict = coordinator
        .wait_for("the task's objection alone", "verdicts?action=reboot&node=alibuild10", |verdict| {
            (codes(verdict) == ["task_protected"]).then(|| verdict.clone())
        })
        .unwrap();
    assert_eq!(
        (&verdict["verdict"], &verdict["may_start"]),
        (&json!("wait"), &json!("allowed")),
        "{verdict:#}"
    );
    assert!(
        verdict["cost"]["tasks_lost"].to_string().contains("mesos-jenkins-slc7_x86-64-large"),
        "{verdict:#}"
    );

    task.kill().unwrap();
    coordinator
        .wait_for("proof of emptiness to be missing", "verdicts?action=reboot&node=alibuild10", |verdict| {
            (codes(verdict) == ["empty_not_proven"]).then_some(())
        })
        .unwrap();
}
