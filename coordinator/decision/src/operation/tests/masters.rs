//! What is asked of the others before a stopped master is deleted for good.

use super::*;
use crate::{
    ClassPolicy, Consent, Mode, NodePolicy, Share, Source, example::ExampleFleet, operation::steps::Gate,
};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};

/// Three nodes that carry an ensemble, of which the operations of these tests take one.
fn policy() -> Policy {
    let mut policy = Policy::unreadable("", "coordinator".parse().unwrap());
    policy.unreadable = None;
    for display in ["alibuild10", "alibuild11", "alibuild12"] {
        let listed = NodePolicy {
            display: display.into(),
            class: Class::Master,
            zone: None,
            labels: BTreeSet::new(),
            protections: BTreeSet::new(),
            project: None,
            attributes: BTreeMap::new(),
        };
        policy.nodes.insert(display.parse().unwrap(), listed);
    }
    let share = Share { at_least: 1, percent: 10 };
    let class = ClassPolicy {
        mode: Mode::Act,
        required: BTreeSet::from([Source::Agent, Source::ZooKeeper]),
        out: share,
        draining: share,
        settle: SignedDuration::from_mins(60),
        quarantine: SignedDuration::from_hours(168),
        windows: Vec::new(),
        quiet_hours: Vec::new(),
        freezes: Vec::new(),
        reboot_consent: Consent::None,
        rebuild_consent: Consent::None,
        delete_consent: Consent::None,
        volume_bytes: None,
        images: Vec::new(),
        words: BTreeMap::new(),
    };
    policy.classes.insert(Class::Master, class);
    policy
}

/// The code of what keeps a step from beginning, with another member that takes part or has lost what it held.
fn objections(step: Step, takes_part: bool) -> Vec<Code> {
    let operation = up_to(Action::Delete, step);
    let mut fleet = ExampleFleet::new(policy(), at(9000));
    let other = "alibuild12".parse().unwrap();
    let member = fleet.snapshot.ensembles[0].members.iter_mut().find(|member| member.node == other).unwrap();
    member.in_quorum_since = member.in_quorum_since.filter(|_| takes_part);
    fleet.agent(&operation.wish.node).at = at(1);
    let (snapshot, policy, now) = fleet.snapshot();
    let (machine, fence) = (None, Fence::default());
    let situation = Situation {
        snapshot: &snapshot,
        policy: &policy,
        now,
        machine,
        fence,
        is_in_flight: false,
        frozen: None,
    };
    match steps::gate(&operation, step, &situation) {
        Gate::Closed(reasons) => reasons.into_iter().map(|reason| reason.code).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_stopped_master_is_kept_while_another_member_of_its_ensemble_has_lost_what_it_held() {
    for step in [Step::DeleteServer, Step::DeleteVolumes] {
        assert!(objections(step, false).contains(&Code::EnsembleQuorum), "{step}");
        assert!(!objections(step, true).contains(&Code::EnsembleQuorum), "{step}");
    }
}
