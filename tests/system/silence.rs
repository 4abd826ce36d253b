//! What the coordinator makes of nodes that fall silent or sick, and whom it tells.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use serde_json::{Value, json};

use super::coordinator::{policy_of, reporting};
use super::harness::{FileSystem, LoopVolume, Node, Received, Receiver, Setup, codes, ready};

/// Something that greets like ssh on a port of its own; one of the port's callers ends it.
fn greeting_like_ssh() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"SSH-2.0-lab\r\n"));
        }
    });
    port
}

#[test]
fn a_node_whose_agent_died_is_stale_then_silent_and_its_ssh_is_tried() {
    let port = greeting_like_ssh();
    // The only name that leads here without a name server.
    let setup = Setup::new(&policy_of(&["localhost"])).unwrap().with(&format!("[probe]\nport = {port}"));
    let Some(coordinator) = ready(setup.start()) else { return };
    let agent = reporting(Node::named("localhost").unwrap().with("system"), &coordinator).start().unwrap();
    coordinator
        .wait_for("reports", "nodes/localhost", |detail| detail["reported_at"].as_str().map(drop))
        .unwrap();
    agent.kill().unwrap();

    let of_state = |word: &'static str| {
        coordinator
            .wait_for(word, "nodes/localhost", |detail| (detail["state"] == word).then(|| detail.clone()))
    };
    let stale = of_state("stale").unwrap();
    // What was known stays in sight, marked as old.
    assert_eq!(stale["is_stale"], true);
    assert!(!stale["all_findings"].as_array().unwrap().is_empty(), "{stale:#}");
    let verdict = coordinator.verdict("reboot", "localhost").unwrap();
    assert!(codes(&verdict).contains(&"fact_stale".to_owned()), "{verdict:#}");

    of_state("silent").unwrap();
    let ssh = coordinator
        .wait_for("the answer of its ssh", "nodes/localhost", |detail| {
            let steps = detail["checklist"].as_array()?;
            let ssh = steps.iter().find(|step| step["step"] == "ssh")?;
            (ssh["state"] == "done").then(|| ssh.clone())
        })
        .unwrap();
    assert!(ssh["sentence"].as_str().is_some_and(|sentence| !sentence.is_empty()), "{ssh:#}");
}

#[test]
fn people_are_told_once_when_a_node_turns_sick_and_once_when_it_is_well_again() {
    let Some(volume) = ready(LoopVolume::create(FileSystem::Ext4, 16)) else { return };
    let chat = Receiver::start().unwrap();
    let setup = Setup::new(&policy_of(&["alibuild10"]))
        .unwrap()
        .with(&format!("[notice]\nwebhook = \"{}/hooks/1\"", chat.url()));
    let Some(coordinator) = ready(setup.start()) else { return };
    let mount = volume.mount_point().display().to_string();
    let node = Node::named("alibuild10")
        .unwrap()
        .with("volumes")
        .set("checks.volumes.root", false)
        .set("checks.volumes.expected", format!("[{{ mount = {mount:?} }}]"));
    let _agent = reporting(node, &coordinator).start().unwrap();
    coordinator
        .wait_for("the end of the warm-up", "nodes", |fleet| fleet["warming_up"].is_null().then_some(()))
        .unwrap();
    assert!(chat.received().is_empty(), "a healthy node is no news: {:?}", chat.received());

    volume.unmount().unwrap();
    let told = |level: &'static str| {
        move |notice: &Received| (notice.body["level"] == level).then(|| notice.clone())
    };
    let sick = chat.wait_for("news of the volume", told("crit")).unwrap();
    assert_eq!(sick.path, "/hooks/1");
    assert_eq!(sick.body["node"], "alibuild10");
    let text = sick.body["text"].as_str().unwrap();
    assert!(text.contains("alibuild10") && text.contains("is not mounted"), "{text}");

    volume.mount().unwrap();
    let well = chat.wait_for("its recovery", told("ok")).unwrap();
    assert_eq!(well.body["subject"], sick.body["subject"]);
    let told: Vec<Value> = chat.received().into_iter().map(|notice| notice.body["level"].clone()).collect();
    assert_eq!(told, [json!("crit"), json!("ok")]);
}
