//! What people who are not looking hear of operations.

use super::*;
use crate::operations::telling::of_event;

fn told(operation: &Operation, event: &Event) -> bool {
    of_event(operation, event, 1, operation.requested_at).is_some()
}

fn place(operation: &Operation, step: Step) -> usize {
    operation.plan.steps.iter().position(|planned| *planned == step).unwrap()
}

fn began(operation: &Operation, step: Step) -> Event {
    let (machine, permit, command, by) = (None, None, Vec::new(), None);
    Event::Began { step: place(operation, step), attempt: 1, machine, permit, command, moves: Vec::new(), by }
}

#[test]
fn people_hear_of_steps_without_a_way_back_and_of_no_others() {
    let mut engine = engine(|policy| {
        policy.nodes.values_mut().for_each(|node| node.project = Some("lab".into()));
    });
    let id = engine.request(&ask(Action::Rebuild, "alibuild01", "alice")).unwrap().id;
    let rebuild = engine.operation(&id).clone();
    for step in rebuild.plan.steps.clone() {
        assert_eq!(told(&rebuild, &began(&rebuild, step)), step == Step::Rebuild, "{step}");
        let outcome = Outcome::Done { evidence: Vec::new(), was_so: false };
        let finished = Event::Finished { step: place(&rebuild, step), attempt: 1, outcome, by: None };
        assert!(!told(&rebuild, &finished), "{step}");
    }
    let end = Event::Ended { ending: Ending::Succeeded, sentence: "alibuild01 is rebuilt".into() };
    assert!(told(&rebuild, &end));
}

#[test]
fn a_reboot_is_told_when_its_agent_may_go_on_and_not_when_it_gets_the_order() {
    let mut engine = engine(|_| {});
    let id = engine.request(&ask(Action::Reboot, "alibuild01", "alice")).unwrap().id;
    let reboot = engine.operation(&id).clone();
    assert!(!told(&reboot, &began(&reboot, Step::Reboot)));
    assert!(told(&reboot, &Event::Committed { step: place(&reboot, Step::Reboot), attempt: 1 }));
}

#[test]
fn images_are_pulled_without_a_word_unless_somebody_is_needed() {
    let mut engine = engine(|_| {});
    let id = engine.request(&ask(Action::Prepull, "alibuild01", "alice")).unwrap().id;
    let pull = engine.operation(&id).clone();
    let end = Event::Ended { ending: Ending::Succeeded, sentence: "alibuild01 is given its images".into() };
    assert!(!told(&pull, &end));
    assert!(told(&pull, &Event::Stuck { why: "the registry is gone".into() }));
    assert!(engine.operations.take_outbox().is_empty());
}

#[test]
fn what_nobody_fetched_before_a_crash_is_found_again_at_the_same_place() {
    let mut engine = engine(|_| {});
    let id = engine.request(&ask(Action::Drain, "alibuild01", "alice")).unwrap().id;
    engine.operations.cancel(&id, "bob", "not today", false, engine.now).unwrap();
    let before = engine.operations.take_outbox();
    assert_eq!(before.iter().map(|tell| tell.what).collect::<Vec<_>>(), ["requested", "cancelled"]);
    assert!(before[0].position < before[1].position && before[1].position <= engine.operations.position());
    engine.restart();
    assert_eq!(engine.operations.take_outbox(), before);
}

#[test]
fn a_question_comes_with_the_lines_that_answer_it() {
    let mut engine = engine(|_| {});
    let id = engine.request(&ask(Action::Drain, "alibuild01", "alice")).unwrap().id;
    engine.now += Step::Cordon.patience() + SignedDuration::from_mins(1);
    engine.advance();
    let policy = Arc::clone(engine.fleet.lock().unwrap().policy());
    let asks = engine.operations.asks(&policy);
    let [asked] = &asks[..] else { panic!("{asks:?}") };
    assert_eq!((asked.operation.as_str(), asked.what.as_str()), (id.as_str(), "brake_tripped"));
    assert_eq!(asked.helps, [format!("millwright cancel {id} --reason \"…\"")]);
}
