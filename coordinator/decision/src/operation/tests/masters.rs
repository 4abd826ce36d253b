//! What is asked of the others before a stopped master is deleted for good.

use super::*;
use crate::{ClassPolicy, Source, example, example::ExampleFleet, operation::steps::Gate};
use std::collections::BTreeSet;

/// Three nodes that carry an ensemble, of which the operations of these tests take one.
fn policy() -> Policy {
    let mut policy = Policy::unreadable("", "coordinator".parse().unwrap());
    policy.unreadable = None;
    for display in ["alibuild10", "alibuild11", "alibuild12"] {
        policy.nodes.insert(display.parse().unwrap(), example::listed(display, Class::Master));
    }
    let required = BTreeSet::from([Source::Agent, Source::ZooKeeper]);
    policy.classes.insert(Class::Master, ClassPolicy { required, ..example::class() });
    policy
}

/// The codes of what keeps a step of a master's delete from beginning, in a fleet that something has happened to.
fn objections(step: Step, happens: impl FnOnce(&mut Snapshot)) -> Vec<Code> {
    let mut operation = up_to(Action::Delete, step);
    operation.wish.class = Class::Master;
    let mut fleet = ExampleFleet::new(policy(), at(9000));
    happens(&mut fleet.snapshot);
    fleet.agent(&operation.wish.node).at = at(1);
    let (snapshot, policy, now) = fleet.snapshot();
    match steps::gate(&operation, step, &quiet(&snapshot, &policy, now)) {
        Gate::Closed(reasons) => reasons.into_iter().map(|reason| reason.code).collect(),
        _ => Vec::new(),
    }
}

const LAST: [Step; 2] = [Step::DeleteServer, Step::DeleteVolumes];

#[test]
fn a_stopped_master_is_kept_while_another_member_of_its_ensemble_has_lost_what_it_held() {
    let loses = |snapshot: &mut Snapshot| {
        let members = &mut snapshot.ensembles[0].members;
        members.iter_mut().filter(|member| member.node.as_str() == "alibuild12").for_each(|member| {
            member.in_quorum_since = None;
        });
    };
    for step in LAST {
        assert!(objections(step, loses).contains(&Code::EnsembleQuorum), "{step}");
        assert!(!objections(step, |_| {}).contains(&Code::EnsembleQuorum), "{step}");
    }
}

#[test]
fn a_stopped_master_is_kept_while_nobody_hears_of_its_ensemble() {
    let falls_silent = |snapshot: &mut Snapshot| {
        snapshot.sources.get_mut(&Source::ZooKeeper).unwrap().unknown_since = Some(at(8900));
    };
    for step in LAST {
        assert!(objections(step, falls_silent).contains(&Code::SourceUnknown), "{step}");
        assert!(!objections(step, |_| {}).contains(&Code::SourceUnknown), "{step}");
    }
}
