//! What speaks against deleting a server that has volumes, and which of them go with it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::fleet::{
    outside::openstack::{Attachment, Power},
    testing::{at, name, policy},
};
use millwright_decision::{
    Action, Class, VolumePolicy,
    operation::{Event, Executor, Permit, Plan},
};
use millwright_protocol::Fence;

fn wish(volumes: Volumes) -> Wish {
    Wish {
        action: Action::Delete,
        node: name("alibuild01"),
        spelled: "alibuild01".into(),
        class: Class::Agent,
        by: "alice".into(),
        reason: "for good".into(),
        volumes,
        let_go: Vec::new(),
        image: None,
        is_silent: false,
        machine: None,
        executor: Executor::OpenStack,
    }
}

fn server(goes_with_server: bool) -> Server {
    Server {
        project: "ALICE CI".into(),
        id: "s1".into(),
        name: Some("alibuild01".into()),
        status: "ACTIVE".into(),
        task_state: None,
        power: Power::On,
        zone: None,
        flavor: None,
        image: None,
        locked: false,
        locked_reason: None,
        volumes: vec![Attachment { volume: "v1".into(), goes_with_server }],
        metadata: Vec::new(),
        created: None,
        fault: None,
    }
}

fn volume(on: &[&str]) -> Volume {
    Volume {
        project: "ALICE CI".into(),
        id: "v1".into(),
        name: "alibuild01_vol_001".into(),
        status: "in-use".into(),
        size_gib: 500,
        attached_to: on.iter().map(|server| (*server).to_owned()).collect(),
        metadata: Vec::new(),
    }
}

fn with_volume(id: &str, called: &str, protections: &[Protection]) -> Policy {
    let mut policy = policy(1);
    policy.volumes.push(VolumePolicy {
        name: called.into(),
        // A protected volume may hang on an unprotected node.
        node: name("alibuild03"),
        cinder: Some(id.into()),
        uuid: None,
        protections: protections.iter().copied().collect(),
    });
    policy
}

fn word(outcome: Option<Outcome>) -> String {
    match outcome {
        None => "none".into(),
        Some(Outcome::NotDone { refusal: Some(word), .. }) => word,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_protected_volume_on_an_unprotected_node_keeps_its_server() {
    let objection = |policy: &Policy, fate, goes| {
        word(volume_objection(policy, &wish(fate), &server(goes), &[volume(&["s1"])]))
    };
    let kept = [Protection::NeverDeleteVolume];
    assert_eq!(objection(&with_volume("V1", "x", &kept), Volumes::Delete, false), "volume_protected");
    assert_eq!(
        objection(&with_volume("v9", "alibuild01_vol_001", &kept), Volumes::Delete, false),
        "volume_protected"
    );
    assert_eq!(objection(&with_volume("v9", "y", &[]), Volumes::Delete, false), "volume_unknown");
    let mut twice = with_volume("v1", "x", &[]);
    assert_eq!(objection(&twice, Volumes::Delete, false), "none");
    twice.volumes.extend(with_volume("v1", "z", &kept).volumes);
    assert_eq!(objection(&twice, Volumes::Delete, false), "volume_protected", "one entry hides no other");
    assert_eq!(objection(&twice, Volumes::Keep, false), "none", "it stays");
}

#[test]
fn a_volume_that_nova_would_take_along_or_that_another_server_has_is_no_small_matter() {
    let policy = with_volume("v1", "x", &[]);
    let objection =
        |fate, goes, on: &[&str]| word(volume_objection(&policy, &wish(fate), &server(goes), &[volume(on)]));
    assert_eq!(objection(Volumes::Keep, true, &["s1"]), "volume_kept");
    assert_eq!(objection(Volumes::Delete, true, &["s1"]), "none");
    assert_eq!(objection(Volumes::Delete, false, &["s1", "s2"]), "volume_in_use");
}

#[test]
fn only_volumes_that_were_written_down_while_the_server_had_them_go_with_it() {
    let plan = Plan::of(Action::Delete, false);
    let requested = Event::Requested { wish: wish(Volumes::Delete), plan, digest: "d".into() };
    let mut operation = Operation::begin("op-1", &requested, at(0)).unwrap();
    assert_eq!(recorded_volumes(&operation), None);
    while let Some((step, record)) = operation.current_step().filter(|(step, _)| *step != Step::DeleteVolumes)
    {
        let (place, attempt) = (operation.at, record.attempt);
        let mut evidence = Vec::new();
        if step == Step::Quarantine {
            evidence =
                vec![Evidence::new("volumes", 1, "cinder"), Evidence::new("volume", "v1 a b", "cinder")];
        }
        let permit = Permit {
            fence: Fence { generation: 1, epoch: 1 },
            step,
            at: at(1),
            expires_at: at(300),
            may_end: Vec::new(),
            rests_on: Vec::new(),
        };
        let permit = step.is_irreversible().then_some(permit);
        let attempt = attempt + 1;
        let began = Event::Began {
            step: place,
            attempt,
            machine: None,
            permit,
            command: Vec::new(),
            by: None,
            moves: Vec::new(),
        };
        operation.apply(&began, at(1)).unwrap();
        let outcome = Outcome::done(evidence);
        operation.apply(&Event::Finished { step: place, attempt, outcome, by: None }, at(2)).unwrap();
    }
    // A person said that the server is gone, so what was written down when it was stopped counts.
    assert_eq!(recorded_volumes(&operation), Some(vec![("v1".to_owned(), "a b".to_owned())]));
}
