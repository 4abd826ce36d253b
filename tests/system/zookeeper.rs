//! The agent beside a real ZooKeeper ensemble of three that loses one member, and then its majority.

use millwright_protocol::Status;

use super::harness::{Agent, Node, ZooKeeperEnsemble, ready};

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
