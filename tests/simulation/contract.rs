//! The contract of every step of every kind of operation: done once, done twice, crashed at each write on either side,
//! refused, answered with nothing, taken back, and with two coordinators at once. A world without any other trouble.

use super::{
    crash::{Side, Trick},
    world::{FAULTS, Setting, World},
};
use jiff::SignedDuration;
use millwright_coordinator::operations::{Ask, Operations};
use millwright_decision::{
    Action, Code,
    operation::{Ending, Phase},
};
use millwright_protocol::NodeName;
use std::collections::BTreeSet;

const KINDS: [Kind; 6] = [
    Kind { action: Action::Drain, node: "alibuild01", is_silent: false },
    Kind { action: Action::Reboot, node: "alibuild01", is_silent: false },
    Kind { action: Action::Reboot, node: "alimesos02", is_silent: false },
    Kind { action: Action::Reboot, node: "alibuild01", is_silent: true },
    Kind { action: Action::Rebuild, node: "alibuild01", is_silent: false },
    Kind { action: Action::Prepull, node: "alibuild01", is_silent: false },
];

#[derive(Debug, Clone, Copy)]
struct Kind {
    action: Action,
    node: &'static str,
    is_silent: bool,
}

/// A quiet world in which one operation is asked for after an hour.
fn quiet() -> World {
    let without: BTreeSet<&'static str> = FAULTS.into_iter().collect();
    // One of those in which the coordinator runs the commands itself.
    let mut world = World::new(Setting { seed: 2, hours: 10, agents: 4, without, dead: 0, is_eager: false });
    world.is_quiet = true;
    world
}

fn ask(kind: Kind) -> Ask {
    let mut confirm = vec![Code::ConfirmReboot];
    if kind.is_silent {
        confirm.push(Code::SilentNode);
    }
    Ask { confirm, ..Ask::plain(kind.action, kind.node.parse().unwrap(), "alice", "the contract") }
}

/// The operation of a history, carried to its end or to where it waits; the names of all writes.
fn carry_through(kind: Kind, prepare: impl Fn(&mut World)) -> World {
    let mut world = quiet();
    world.run_until(SignedDuration::from_mins(if kind.is_silent { 40 } else { 54 }));
    if kind.is_silent {
        world.freeze(&kind.node.parse().unwrap());
        world.run_until(SignedDuration::from_mins(54));
    }
    prepare(&mut world);
    // Nobody answers while the coordinator is away: then it is asked again.
    for seconds in (3300..4500).step_by(20) {
        world.run_until(SignedDuration::from_secs(seconds));
        let now = world.now;
        if let Some(coordinator) = &mut world.coordinator
            && coordinator.operations.list().next().is_none()
        {
            let _ = coordinator.operations.request(&ask(kind), &coordinator.fleet, now);
            world.see_deaths();
            world.advance();
        }
    }
    for minutes in (61..600).step_by(4) {
        world.run_until(SignedDuration::from_mins(minutes));
        if is_at_rest(&world) {
            break;
        }
        approve(&mut world);
        settle_unknown(&mut world);
    }
    assert!(world.checker.violation.is_none(), "{kind:?}: {:?}", world.checker.violation);
    world
}

fn approve(world: &mut World) {
    let policy = world.policy.clone();
    let now = world.now;
    let Some(coordinator) = &mut world.coordinator else { return };
    let waiting: Vec<_> = coordinator.operations.list().map(|tracked| tracked.operation.clone()).collect();
    for operation in waiting.into_iter().filter(|operation| !operation.is_over()) {
        let digest = millwright_coordinator::operations::digest(&operation.wish, &policy);
        let wants = coordinator
            .operations
            .waiting(&operation.id)
            .is_some_and(|waiting| waiting.reasons.iter().any(|reason| reason.code == Code::ApprovalMissing));
        if wants {
            // The journal may die here as well; then it is said again.
            let _ =
                coordinator.operations.approve(&operation.id, "bob", &digest, "yes", &coordinator.fleet, now);
        }
    }
    world.see_deaths();
}

/// Nothing more will come.
fn is_at_rest(world: &World) -> bool {
    let Some(coordinator) = &world.coordinator else { return false };
    let mut all = coordinator.operations.list().peekable();
    all.peek().is_some()
        && all.all(|tracked| {
            tracked.operation.is_over() || matches!(tracked.operation.phase, Phase::Parked { .. })
        })
}

/// A person looks at what nobody knows, and says what they see.
fn settle_unknown(world: &mut World) {
    super::people::settle(world, "carol");
    world.see_deaths();
}

fn the_one(operations: &Operations) -> &millwright_decision::operation::Operation {
    let mut all = operations.list();
    let one = &all.next().expect("it was asked for").operation;
    assert!(all.next().is_none(), "it was asked for once");
    one
}

/// How it ended, in a word; a drain ends by staying empty.
fn ending(world: &World) -> String {
    let coordinator = world.coordinator.as_ref().expect("the coordinator is back");
    let operation = the_one(&coordinator.operations);
    match &operation.phase {
        Phase::Ended { ending: Ending::Succeeded, .. } => "succeeded".to_owned(),
        Phase::Parked { .. } if operation.wish.action == Action::Drain => "succeeded".to_owned(),
        other => {
            let step = operation.current_step();
            format!("{other:?} at {step:?}, {:?}", coordinator.operations.waiting(&operation.id))
        }
    }
}

/// How often the node was really touched: a reboot or rebuild happens once.
fn touched(world: &World, node: &str) -> (u32, u32) {
    let node = &world.nodes[&node.parse::<NodeName>().unwrap()];
    (node.boots, node.builds)
}

#[test]
fn every_kind_succeeds_when_nothing_goes_wrong_and_touches_its_node_once() {
    for kind in KINDS {
        let world = carry_through(kind, |_| {});
        assert_eq!(ending(&world), "succeeded", "{kind:?}");
        let (boots, builds) = touched(&world, kind.node);
        let expected = match kind.action {
            Action::Reboot => (2, 1),
            Action::Rebuild => (2, 2),
            _ => (1, 1),
        };
        assert_eq!((boots, builds), expected, "{kind:?}");
    }
}

#[test]
fn a_crash_at_any_write_on_either_side_loses_nothing_and_does_nothing_twice() {
    let mut points = BTreeSet::new();
    for (place, kind) in KINDS.into_iter().enumerate() {
        let names = carry_through(kind, |_| {}).writes.lock().unwrap().names.clone();
        let expected = touched(&carry_through(kind, |_| {}), kind.node);
        for (number, name) in names.iter().enumerate() {
            for side in [Side::Before, Side::After] {
                let world = carry_through(kind, |world| {
                    world.writes.lock().unwrap().die_at = Some((number, side));
                });
                let point = format!("{place}/{}/{number}/{}/{side:?}", kind.action, name);
                assert_eq!(ending(&world), "succeeded", "crash at {point}");
                assert_eq!(touched(&world, kind.node), expected, "crash at {point}");
                points.insert(point);
            }
        }
    }
    assert!(points.len() >= 80, "only {} points", points.len());
}

#[test]
fn an_effect_that_is_refused_or_unanswered_or_done_twice_comes_to_the_same_end() {
    for kind in KINDS {
        let expected = touched(&carry_through(kind, |_| {}), kind.node);
        for trick in [Trick::Refused, Trick::Unanswered, Trick::UnansweredButDone, Trick::Twice] {
            for number in 0..6 {
                let world = carry_through(kind, |world| world.trick = Some((number, trick)));
                assert_eq!(ending(&world), "succeeded", "{kind:?}: effect {number} {trick:?}");
                let (boots, builds) = touched(&world, kind.node);
                let is_executed = kind.is_silent || kind.action == Action::Rebuild;
                // What a person has to judge may be done once more by the person's word; never more than that.
                let most = if is_executed { expected.0 + 1 } else { expected.0 };
                assert!(
                    (expected.0..=most).contains(&boots) && builds <= expected.1 + 1,
                    "{kind:?} {number} {trick:?}: {boots} {builds}"
                );
            }
        }
    }
}

#[test]
fn what_is_called_off_at_any_write_is_taken_back_or_taken_over() {
    for kind in KINDS {
        let names = carry_through(kind, |_| {}).writes.lock().unwrap().names.len();
        for number in 1..names {
            let world = carry_through(kind, |world| world.cancel_after = Some(number));
            let coordinator = world.coordinator.as_ref().unwrap();
            let operation = the_one(&coordinator.operations);
            let node = &world.nodes[&kind.node.parse::<NodeName>().unwrap()];
            let cordoned = world.mesos.get(&node.mesos_id()).is_some_and(|agent| agent.deactivated);
            match &operation.phase {
                Phase::Ended { ending: Ending::Cancelled, .. } => {
                    assert!(!cordoned, "{kind:?} called off after write {number} stays cordoned");
                    assert_eq!((node.boots, node.builds), (1, 1), "{kind:?} called off after write {number}");
                }
                Phase::Ended { ending: Ending::Succeeded, .. } | Phase::Parked { .. } => {}
                other => panic!("{kind:?} called off after write {number}: {other:?}"),
            }
        }
    }
}

#[test]
fn of_two_coordinators_at_once_only_the_newer_one_writes() {
    let kind = KINDS[1];
    let mut world = quiet();
    world.run_until(SignedDuration::from_mins(60));
    let mut old = world.coordinator.take().unwrap();
    world.run_until(SignedDuration::from_mins(61));
    world.start_now();
    let now = world.now;
    assert!(old.operations.request(&ask(kind), &old.fleet, now).is_err(), "the old one was fenced off");
    old.operations.advance(&old.fleet, now);
    world.run_until(SignedDuration::from_mins(70));
    let coordinator = world.coordinator.as_mut().unwrap();
    let now = world.now;
    coordinator.operations.request(&ask(kind), &coordinator.fleet, now).unwrap();
    world.run_until(SignedDuration::from_mins(300));
    assert_eq!(ending(&world), "succeeded");
}
