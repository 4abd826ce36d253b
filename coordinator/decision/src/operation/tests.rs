//! Stories of single operations.

mod masters;
mod places;

use super::*;
use crate::{Action, Class, Volumes};
use jiff::ToSpan;
use millwright_protocol::Fence;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000).unwrap() + seconds.seconds()
}

fn requested(action: Action) -> Event {
    let wish = Wish {
        action,
        node: "alibuild10".parse().unwrap(),
        spelled: "alibuild10".into(),
        class: Class::Agent,
        by: "alice".into(),
        reason: "kernel".into(),
        volumes: Volumes::Keep,
        let_go: Vec::new(),
        image: None,
        is_silent: false,
        machine: None,
        executor: Executor::ByHand,
    };
    Event::Requested { wish, plan: Plan::of(action, false), digest: "d".into() }
}

fn begun(action: Action) -> Operation {
    Operation::begin("op-1", &requested(action), at(0)).unwrap()
}

fn began(operation: &Operation, permit: Option<Permit>) -> Event {
    let attempt = operation.steps[operation.at].attempt + 1;
    Event::Began {
        step: operation.at,
        attempt,
        machine: None,
        permit,
        command: Vec::new(),
        by: None,
        moves: Vec::new(),
    }
}

fn finished(operation: &Operation, outcome: Outcome) -> Event {
    let attempt = operation.steps[operation.at].attempt;
    Event::Finished { step: operation.at, attempt, outcome, by: None }
}

fn permit(step: Step) -> Permit {
    Permit {
        fence: Fence { generation: 1, epoch: 1 },
        step,
        at: at(1),
        expires_at: at(301),
        may_end: Vec::new(),
        rests_on: Vec::new(),
    }
}

/// Nothing is under way, and nothing is frozen.
fn quiet<'a>(snapshot: &'a Snapshot, policy: &'a Policy, now: Timestamp) -> Situation<'a> {
    let (machine, fence) = (None, Fence::default());
    Situation { snapshot, policy, now, machine, fence, is_in_flight: false, frozen: None }
}

/// Up to the step, everything before it found to be so.
fn up_to(action: Action, wanted: Step) -> Operation {
    let mut operation = begun(action);
    while operation.current_step().map(|(step, _)| step) != Some(wanted) {
        let event = finished(&operation, Outcome::Done { evidence: Vec::new(), was_so: true });
        operation.apply(&event, at(1)).unwrap();
    }
    operation
}

#[test]
fn nothing_irreversible_begins_without_a_permit() {
    let mut operation = up_to(Action::Reboot, Step::Reboot);
    let refusal = operation.apply(&began(&operation, None), at(2)).unwrap_err().to_string();
    assert!(refusal.contains("op-1 cannot take the event began: reboot takes a permit"), "{refusal}");
    operation.apply(&began(&operation, Some(permit(Step::Reboot))), at(2)).unwrap();
    assert!(operation.permit.is_some());
}

#[test]
fn an_order_is_past_the_point_of_no_return_when_its_nonce_is_sent_back_and_a_command_at_once() {
    let mut operation = up_to(Action::Reboot, Step::Reboot);
    operation.apply(&began(&operation, Some(permit(Step::Reboot))), at(2)).unwrap();
    let step = operation.at;
    operation.apply(&Event::Prepared { step, attempt: 1, nonce: "n".into() }, at(3)).unwrap();
    assert!(!operation.is_past_no_return());
    operation.apply(&Event::Committed { step, attempt: 1 }, at(4)).unwrap();
    assert!(operation.is_past_no_return());
    let cancelled = Event::Cancelled { by: "bob".into(), reason: "no".into(), abandon: false };
    assert!(
        operation.apply(&cancelled, at(5)).unwrap_err().to_string().contains("past the point of no return")
    );

    let mut rebuild = up_to(Action::Rebuild, Step::Rebuild);
    rebuild.apply(&began(&rebuild, Some(permit(Step::Rebuild))), at(2)).unwrap();
    assert!(rebuild.is_past_no_return());
}

#[test]
fn an_unknown_outcome_keeps_the_permit_and_one_that_never_was_lets_it_go() {
    let mut operation = up_to(Action::Rebuild, Step::Rebuild);
    operation.apply(&began(&operation, Some(permit(Step::Rebuild))), at(2)).unwrap();
    operation.apply(&finished(&operation, Outcome::unknown("?")), at(3)).unwrap();
    assert!(operation.permit.is_some());
    operation.apply(&finished(&operation, Outcome::not_done("no")), at(4)).unwrap();
    assert!(operation.permit.is_none());
    assert!(!operation.is_past_no_return());
}

#[test]
fn events_that_cannot_follow_are_errors_a_person_can_read_and_change_nothing() {
    let mut operation = begun(Action::Reboot);
    let before = operation.clone();
    let illegal = [
        requested(Action::Reboot),
        Event::Began {
            step: 3,
            attempt: 1,
            machine: None,
            permit: None,
            command: Vec::new(),
            by: None,
            moves: Vec::new(),
        },
        Event::Began {
            step: 0,
            attempt: 2,
            machine: None,
            permit: None,
            command: Vec::new(),
            by: None,
            moves: Vec::new(),
        },
        Event::Finished { step: 0, attempt: 0, outcome: Outcome::not_done("no"), by: None },
        Event::Finished { step: 1, attempt: 0, outcome: Outcome::done(Vec::new()), by: None },
        Event::Prepared { step: 0, attempt: 0, nonce: "n".into() },
        Event::Committed { step: 0, attempt: 0 },
        Event::UndoBegan { step: 0, attempt: 1 },
        Event::Retried { by: "bob".into(), reason: "x".into() },
        Event::Parked,
        Event::Ended { ending: Ending::Succeeded, sentence: String::new() },
        Event::Cancelled { by: "bob".into(), reason: "x".into(), abandon: true },
    ];
    for event in illegal {
        let refusal = operation.apply(&event, at(1)).unwrap_err().to_string();
        assert!(refusal.starts_with("op-1 cannot take the event "), "{refusal}");
        assert_eq!(operation, before, "{event:?}");
    }
    assert!(Operation::begin("op-2", &Event::Parked, at(0)).is_err());
}

#[test]
fn what_is_over_takes_no_event_any_more() {
    let mut operation = begun(Action::Reboot);
    operation
        .apply(&Event::Cancelled { by: "bob".into(), reason: "x".into(), abandon: false }, at(1))
        .unwrap();
    operation.apply(&Event::Ended { ending: Ending::Cancelled, sentence: "off".into() }, at(2)).unwrap();
    let refusal = operation.apply(&Event::Parked, at(3)).unwrap_err().to_string();
    assert!(refusal.contains("it is over: cancelled"), "{refusal}");
    assert!(operation.summary(at(4)).is_none());
}

#[test]
fn a_cordon_that_stood_before_is_not_taken_back() {
    let mut operation = up_to(Action::Drain, Step::MoveTasks);
    assert!(!operation.has_something_to_undo(), "somebody else's cordon stays");
    operation = up_to(Action::Drain, Step::Cordon);
    operation.apply(&began(&operation, None), at(1)).unwrap();
    operation.apply(&finished(&operation, Outcome::done(Vec::new())), at(2)).unwrap();
    assert!(operation.has_something_to_undo());
}

#[test]
fn a_node_counts_as_draining_from_its_cordon_and_as_out_from_its_permit_until_work_may_come_again() {
    let mut operation = up_to(Action::Reboot, Step::Cordon);
    assert_eq!(operation.progress(), Progress::Requested);
    operation.apply(&began(&operation, None), at(1)).unwrap();
    assert_eq!(operation.progress(), Progress::Draining);
    while operation.current_step().map(|(step, _)| step) != Some(Step::Reboot) {
        operation.apply(&finished(&operation, Outcome::done(Vec::new())), at(2)).unwrap();
    }
    assert_eq!(operation.progress(), Progress::Draining);
    operation.apply(&began(&operation, Some(permit(Step::Reboot))), at(3)).unwrap();
    assert_eq!(operation.progress(), Progress::Out);
    while operation.current_step().map(|(step, _)| step) != Some(Step::Settle) {
        operation.apply(&finished(&operation, Outcome::done(Vec::new())), at(4)).unwrap();
    }
    assert_eq!(operation.progress(), Progress::Requested);
}

#[test]
fn approvals_hold_for_a_day_after_the_node_was_proven_empty() {
    let mut operation = begun(Action::Rebuild);
    let yes = Event::Granted {
        code: Code::ApprovalMissing,
        task: None,
        by: "bob".into(),
        reason: "fine".into(),
        digest: Some("d".into()),
    };
    operation.apply(&yes, at(1)).unwrap();
    while operation.current_step().map(|(step, _)| step) != Some(Step::Baseline) {
        operation.apply(&finished(&operation, Outcome::done(Vec::new())), at(10)).unwrap();
    }
    let grants = |now: Timestamp| operation.summary(now).unwrap().grants.len();
    assert_eq!(grants(at(10 + 86_400)), 1);
    assert_eq!(grants(at(11 + 86_400)), 0);
}

#[test]
fn what_the_cloud_was_asked_for_is_looked_at_later_and_never_asked_twice() {
    let mut operation = up_to(Action::Rebuild, Step::Rebuild);
    operation.wish.executor = Executor::OpenStack;
    let (snapshot, policy) = (Snapshot::new(at(0)), Policy::unreadable("", "c".parse().unwrap()));
    let ask = |operation: &Operation, seconds: i64, is_in_flight: bool| {
        let fence = Fence { generation: 1, epoch: 1 };
        let (now, machine, frozen) = (at(seconds), None, None);
        let situation =
            Situation { snapshot: &snapshot, policy: &policy, now, machine, fence, is_in_flight, frozen };
        next(operation, &situation)
    };
    let look = Next::Again(Effect::Cloud { may_ask: false });
    operation.apply(&began(&operation, Some(permit(Step::Rebuild))), at(2)).unwrap();
    assert!(matches!(ask(&operation, 3, true), Next::Wait(_)));
    assert_eq!(ask(&operation, 3, false), look, "a restart looks, and asks for nothing");

    operation.apply(&finished(&operation, Outcome::unknown("what does it say?")), at(10)).unwrap();
    assert!(
        matches!(ask(&operation, 11, false), Next::Write(Event::Asked { .. })),
        "people hear the question"
    );
    assert!(!matches!(ask(&operation, 309, false), Next::Again(_)));
    assert_eq!(ask(&operation, 310, false), look);
    assert!(!matches!(ask(&operation, 310, true), Next::Again(_)), "one look at a time");

    for (word, is_for_people) in [("server_locked", true), ("server_busy", false), ("cloud_silent", false)] {
        let mut refused = operation.clone();
        let outcome = Outcome::NotDone { why: "no".into(), refusal: Some(word.into()) };
        refused.apply(&finished(&refused, outcome), at(20)).unwrap();
        let asks = matches!(ask(&refused, 21, false), Next::Write(Event::Asked { .. }));
        assert_eq!(asks, is_for_people, "{word}");
    }
}

#[test]
fn a_server_that_was_stopped_to_be_deleted_and_reports_again_is_not_deleted() {
    let operation = up_to(Action::Delete, Step::DeleteServer);
    let policy = Policy::unreadable("", "coordinator".parse().unwrap());
    let mut fleet = crate::example::ExampleFleet::new(policy, at(9000));
    let mut is_stuck = |heard: i64| {
        fleet.agent(&operation.wish.node).at = at(heard);
        let (snapshot, policy, now) = fleet.clone().snapshot();
        let situation = quiet(&snapshot, &policy, now);
        matches!(steps::gate(&operation, Step::DeleteServer, &situation), steps::Gate::Stuck(_))
    };
    assert!(!is_stuck(30), "that was on its way when it was stopped");
    assert!(is_stuck(5000), "somebody has started it while it rested");
}

#[test]
fn a_silent_node_that_reports_again_is_not_reset_any_more() {
    let Event::Requested { wish, digest, .. } = requested(Action::Reboot) else { panic!("another") };
    let plan = Plan::of(Action::Reboot, true);
    let event = Event::Requested { wish: Wish { is_silent: true, ..wish }, plan, digest };
    let mut operation = Operation::begin("op-1", &event, at(0)).unwrap();
    while operation.current_step().map(|(step, _)| step) != Some(Step::HardReboot) {
        let event = finished(&operation, Outcome::Done { evidence: Vec::new(), was_so: true });
        operation.apply(&event, at(1)).unwrap();
    }
    let policy = Policy::unreadable("", "coordinator".parse().unwrap());
    let mut fleet = crate::example::ExampleFleet::new(policy, at(30_000));
    let mut says = |heard: i64| {
        fleet.agent(&operation.wish.node).at = at(heard);
        let (snapshot, policy, now) = fleet.clone().snapshot();
        let situation = quiet(&snapshot, &policy, now);
        let waits = match steps::gate(&operation, Step::HardReboot, &situation) {
            steps::Gate::Wait { sentence, .. } => Some(sentence),
            _ => None,
        };
        (waits, begin_by_hand(&operation, "carol", &situation).err().map(|waiting| waiting.sentence))
    };
    assert_eq!(says(100).0, None, "its silence is the other rules' question");
    let (waits, by_hand) = says(29_995);
    assert!(waits.is_some_and(|sentence| sentence.contains("`millwright cancel op-1` ends this")));
    assert!(by_hand.is_some_and(|sentence| sentence.contains("it reports again")));
}
