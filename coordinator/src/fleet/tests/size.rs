//! Large fleets: counts stay true, and a node stays small.

use crate::fleet::{
    Fleet,
    record::Record,
    testing::{at, finding, name, policy, report},
};
use millwright_decision::{Action, FleetCounts, Node, Request};
use millwright_protocol::{Container, ContainerRole, Facts, ImageFact, Status, VolumeFact};
use std::sync::Arc;

#[test]
fn counts_made_on_the_way_equal_a_recount_of_ten_thousand_nodes() {
    let agents = 10_000;
    let mut fleet = Fleet::new(Arc::new(policy(agents)), at(0));
    let names: Vec<String> = fleet.policy().nodes.values().map(|node| node.display.clone()).collect();
    for round in 1..=9 {
        let now = at(10 * i64::try_from(round).unwrap());
        for (place, node) in names.iter().enumerate() {
            // A few fall silent half-way, a few turn bad, a few come late.
            let is_silent = place % 97 == 0 && round > 2;
            if is_silent {
                continue;
            }
            let mut said = report(node, round);
            if place % 89 == 0 && round == 8 {
                said.findings[0].status = Status::Crit;
            }
            fleet.take_report(&name(node), said, now);
        }
        fleet.tick(now);
        let now = at(10 * i64::try_from(round).unwrap() + 5);
        fleet.judge(&Request::one(Action::Reboot, name("alibuild5")), now).unwrap();
        let recount = FleetCounts::recount(fleet.snapshot(), fleet.policy(), now);
        assert!(fleet.snapshot().counts == recount, "round {round}");
    }
    let counts = fleet.snapshot().counts.class(millwright_decision::Class::Agent);
    assert!(counts.out.len() > 100 && counts.out.len() < 1_000, "{} are out", counts.out.len());
}

/// A report as a busy build node makes it, about 4 KiB as JSON.
fn full_report() -> millwright_protocol::Report {
    let mut said = report("alibuild01", 1);
    for number in 0..9 {
        said.findings.push(finding(&format!("check{number}"), None, Status::Ok, false));
    }
    let container = |number| Container {
        name: format!("mesos-5f0c1f43-7d9c-4f6c-8f6e-3d3a1e9d0c{number:02}"),
        image: "alisw/slc7-builder:latest".into(),
        state: "running".into(),
        role: ContainerRole::Task,
        started_at: Some(at(0)),
        restarts: 0,
    };
    said.facts.containers.as_mut().unwrap().containers = (0..4).map(container).collect();
    said.facts.volumes.push(VolumeFact {
        mount: "/".into(),
        mounted: true,
        is_root: true,
        ..said.facts.volumes[0].clone()
    });
    said.facts.images = vec![ImageFact { name: "alisw/slc7-builder:latest".into(), ..ImageFact::default() }];
    said
}

#[test]
fn a_node_fits_into_three_kibibytes() {
    let said = full_report();
    let sent = serde_json::to_string(&said).unwrap().len();
    assert!((4_096..5_000).contains(&sent), "the sample has {sent} bytes");
    let mut fleet = Fleet::new(Arc::new(policy(1)), at(0));
    fleet.take_report(&name("alibuild01"), said, at(10));
    let record = &fleet.records[&name("alibuild01")];
    // Texts beside the packed ones: head, identity, mount points, names of images, a key of each map, a node of each tree.
    let texts = 600;
    let size = size_of::<Node>() + size_of::<Record>() + record.packed.len() + texts;
    assert!(size <= 3 * 1024, "{size} bytes: {} packed", record.packed.len());
    assert_ne!(record.packed.open(&fleet.words).1, Facts::default());
}
