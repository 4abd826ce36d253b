//! Agent and coordinator beside a real ZooKeeper ensemble of three that loses members, and their data.

use millwright_protocol::Status;
use serde_json::Value;

use super::harness::{Agent, Coordinator, Node, Setup, ZooKeeperEnsemble, codes, ready};

#[test]
fn an_ensemble_that_lost_one_member_serves_and_warns_and_one_that_lost_two_is_crit() {
    let Some(mut zookeeper) = ready(ZooKeeperEnsemble::start()) else { return };
    let leader =
        (1..=3).find(|member| zookeeper.mode(*member).unwrap().as_deref() == Some("leader")).unwrap();
    let followers: Vec<usize> = (1..=3).filter(|member| *member != leader).collect();
    let start = |member: usize| {
        Node::named(&format!("alimesos0{member}"))
            .unwrap()
            .text("node.class", "master")
            .with("zookeeper")
            .text("checks.zookeeper.address", zookeeper.address(member).unwrap())
            .start()
    };
    let Some(led) = ready(start(leader)) else { return };
    let follows: Vec<Agent> = followers.iter().map(|member| start(*member).unwrap()).collect();
    let well = led.wait_finding("zookeeper", Status::Ok).unwrap();
    assert!(well.gating && well.sentence.ends_with("leads, 2 followers are in sync"), "{well:?}");
    for agent in &follows {
        let well = agent.wait_finding("zookeeper", Status::Ok).unwrap();
        assert!(well.sentence.ends_with("is a follower in a quorum"), "{}", well.sentence);
    }
    let facts = led.status().unwrap().facts.zookeeper.unwrap();
    assert_eq!((facts.mode.as_deref(), facts.synced_followers), (Some("leader"), Some(2)));

    zookeeper.stop(followers[0]).unwrap();
    let fewer = led.wait_finding("zookeeper", Status::Warn).unwrap();
    assert!(fewer.sentence.contains("leads with 1 of 2 followers in sync"), "{}", fewer.sentence);
    follows[1].wait_finding("zookeeper", Status::Ok).unwrap();

    zookeeper.stop(followers[1]).unwrap();
    let alone = led.wait_finding("zookeeper", Status::Crit).unwrap();
    assert!(alone.sentence.contains("is in no quorum"), "{}", alone.sentence);
    let stopped = follows[0].wait_finding("zookeeper", Status::Crit).unwrap();
    assert!(stopped.sentence.contains("does not answer"), "{}", stopped.sentence);

    zookeeper.start_again(followers[0]).unwrap();
    led.wait_for("a quorum again", |view| {
        let found = view.findings.iter().find(|finding| finding.key() == "zookeeper")?;
        found.status.is_healthy().then_some(())
    })
    .unwrap();
    follows[0].wait_finding("zookeeper", Status::Ok).unwrap();
}

/// A coordinator that asks every member itself, and nobody else.
fn coordinator(zookeeper: &ZooKeeperEnsemble) -> Coordinator {
    let masters = ["alimesos01", "alimesos02", "alimesos03"];
    let policy = format!(
        "protections = \"none\"\n[cluster]\nname = \"lab\"\ncoordinator = \"lab\"\n[classes.master.sources]\n\
         agent = \"none\"\nzookeeper = \"required\"\n[[nodes]]\nclass = \"master\"\nnames = {masters:?}\n"
    );
    let members: Vec<String> = masters
        .iter()
        .zip(1..)
        .map(|(master, number)| format!("{master} = \"{}\"", zookeeper.address(number).unwrap()))
        .collect();
    let section = format!(
        "[zookeeper]\nevery = \"1s\"\ntimeout = \"2s\"\nensembles = {{ mesos = {{ {} }} }}",
        members.join(", ")
    );
    Setup::new(&policy).unwrap().with(&section).start().unwrap()
}

/// Waits until the coordinator says this of the ensemble, and gives the lines about its members.
fn told(coordinator: &Coordinator, words: &str) -> Vec<String> {
    let details = coordinator.wait_for(words, "nodes", |fleet| {
        let sources = fleet["sources"].as_array()?;
        let source = sources.iter().find(|source| source["source"] == "zookeeper")?;
        source["sentence"].as_str()?.contains(words).then(|| source["details"].clone())
    });
    details.unwrap().as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

fn may_reboot(coordinator: &Coordinator, node: &str) -> Value {
    coordinator.ask(&format!("verdicts?action=reboot&node={node}")).unwrap()
}

#[test]
fn the_coordinator_asks_every_member_itself_and_names_the_one_that_is_missing() {
    let Some(mut zookeeper) = ready(ZooKeeperEnsemble::start()) else { return };
    let coordinator = coordinator(&zookeeper);
    let lines = told(&coordinator, "ensemble mesos: 3 of 3 take part");
    assert!(
        lines.iter().any(|line| line.contains("it leads") && line.contains("2 followers in sync")),
        "{lines:?}"
    );
    assert!(lines.iter().all(|line| line.contains("version 3.")), "{lines:?}");
    // They take part, though not yet for ten minutes.
    let verdict = may_reboot(&coordinator, "alimesos01");
    assert!(codes(&verdict).iter().any(|code| code == "ensemble_quorum"), "{verdict:#}");

    // One is stopped: it is named, and it is the one that may be taken.
    zookeeper.stop(2).unwrap();
    let lines = told(&coordinator, "2 of 3 take part");
    assert!(lines.iter().any(|line| line.contains("alimesos02") && line.contains("refused")), "{lines:?}");
    let verdict = may_reboot(&coordinator, "alimesos01");
    let reasons = verdict["reasons"].as_array().unwrap();
    let quorum = reasons.iter().find(|reason| reason["code"] == "ensemble_quorum").unwrap();
    assert!(quorum["sentence"].as_str().unwrap().contains("alimesos02"), "{quorum:#}");
    assert_eq!(quorum["expected_at"], Value::Null, "nobody knows when it comes back: {quorum:#}");
    let back = coordinator.ask("verdicts?action=return&node=alimesos02").unwrap();
    assert!(codes(&back).iter().any(|code| code == "ensemble_syncing"), "{back:#}");

    // It comes back with an empty disk, copies, and takes part.
    zookeeper.wipe(2).unwrap();
    zookeeper.start_again(2).unwrap();
    told(&coordinator, "3 of 3 take part");
    let back = coordinator.ask("verdicts?action=return&node=alimesos02").unwrap();
    assert!(!codes(&back).iter().any(|code| code == "ensemble_syncing"), "{back:#}");

    // Without a majority nobody takes part, whoever still runs.
    let leader =
        (1..=3).find(|member| zookeeper.mode(*member).unwrap().as_deref() == Some("leader")).unwrap();
    for member in (1..=3).filter(|member| *member != leader) {
        zookeeper.stop(member).unwrap();
    }
    told(&coordinator, "0 of 3 take part, nobody leads");
    // Until it notices that it is alone it still calls itself the leader.
    let alone = coordinator.wait_for("a member that serves nobody", "nodes", |fleet| {
        let sources = fleet["sources"].as_array()?;
        let source = sources.iter().find(|source| source["source"] == "zookeeper")?;
        let mut lines = source["details"].as_array()?.iter().filter_map(Value::as_str);
        lines.find(|line| line.contains("not serving requests")).map(str::to_owned)
    });
    alone.unwrap();
}
