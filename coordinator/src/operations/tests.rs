//! The engine on a small fleet: what is asked, agreed to, refused, and remembered over a restart.

mod moves;
mod telling;

use super::*;
use crate::{
    fleet::{
        Holding, MasterAnswer,
        testing::{Story, name, policy},
    },
    store::journal::{Failure, MemoryJournal},
};
use jiff::SignedDuration;
use millwright_decision::{
    Action, Code, Consent, Mode, Source,
    operation::{Executor, Permit},
};
use millwright_protocol::{LocalHold, OrderState, RefusalCode, Seen};

/// A fleet that is well, in mode `act`, and its operations.
struct Engine {
    fleet: Mutex<Fleet>,
    operations: Operations,
    journal: MemoryJournal,
    /// What the Mesos master answers from now on.
    master: MasterAnswer,
    now: Timestamp,
}

fn engine(change: impl FnOnce(&mut Policy)) -> Engine {
    let mut policy = policy(6);
    for class in policy.classes.values_mut() {
        class.mode = Mode::Act;
    }
    change(&mut policy);
    let mut story = Story::new(6);
    story.fleet = Fleet::new(Arc::new(policy), crate::fleet::testing::at(0));
    story.rounds(20);
    let journal = MemoryJournal::new(true);
    let operations = Operations::open(Arc::new(journal.clone())).unwrap();
    let (now, master) = (story.now(), story.master.unwrap());
    Engine { now, fleet: Mutex::new(story.fleet), operations, journal, master }
}

fn ask(action: Action, node: &str, by: &str) -> Ask {
    Ask::plain(action, name(node), by, "a test")
}

impl Engine {
    /// Asks for it, and the master is heard after that.
    fn request(&mut self, ask: &Ask) -> Result<Taken, Declined> {
        let taken = self.operations.request(ask, &self.fleet, self.now);
        self.hear_master();
        taken
    }

    /// A second later the Mesos master answers.
    fn hear_master(&mut self) {
        self.now += SignedDuration::from_secs(1);
        self.fleet.lock().unwrap().take_master_state(Ok(&self.master), self.now);
    }

    /// Somebody stops the offers of this node, or lets them flow.
    fn stop_offers(&mut self, node: &str, stop: bool) {
        let host = format!("{node}.example.org");
        self.master.agents.iter_mut().find(|agent| agent.hostname == host).unwrap().deactivated = stop;
    }

    fn advance(&mut self) -> Vec<Task> {
        self.operations.advance(&self.fleet, self.now)
    }

    fn restart(&mut self) {
        self.journal = self.journal.reopen();
        self.operations = Operations::open(Arc::new(self.journal.clone())).unwrap();
    }

    /// A step that takes a permit begins, for the first time.
    fn begin(&mut self, id: &str, step: usize, word: Step) {
        let permit = Permit {
            fence: self.operations.fence(),
            step: word,
            at: self.now,
            expires_at: self.now + SignedDuration::from_mins(5),
            may_end: Vec::new(),
            rests_on: Vec::new(),
        };
        let (machine, command, by) = (None, vec![word.to_string()], None);
        let began =
            Event::Began { step, attempt: 1, machine, permit: Some(permit), command, by, moves: Vec::new() };
        self.operations.write(number_of(id).unwrap(), began, self.now).unwrap();
    }

    /// A step is done, in one attempt where it takes a permit, and was so before otherwise.
    fn finish(&mut self, id: &str, step: usize, word: Step) {
        let attempt = u32::from(word.is_irreversible());
        if word.is_irreversible() {
            self.begin(id, step, word);
        }
        let outcome = Outcome::Done { evidence: Vec::new(), was_so: attempt == 0 };
        let finished = Event::Finished { step, attempt, outcome, by: None };
        self.operations.write(number_of(id).unwrap(), finished, self.now).unwrap();
    }

    fn operation(&self, id: &str) -> &Operation {
        &self.operations.get(id).unwrap().operation
    }
}

#[test]
fn what_is_pressed_twice_is_one_operation_and_somebody_elses_is_in_the_way() {
    let mut engine = engine(|_| {});
    let first = engine.request(&ask(Action::Reboot, "alibuild01", "alice")).unwrap();
    let again = engine.request(&ask(Action::Reboot, "ALIBUILD1", "Alice")).unwrap();
    assert_eq!((again.id, again.is_known), (first.id, true));
    let other = engine.request(&ask(Action::Reboot, "alibuild01", "bob")).unwrap_err();
    assert_eq!(other.code(), "operation_running");
    engine.restart();
    assert_eq!(engine.operations.list().count(), 1);
}

#[test]
fn what_is_declined_is_recorded_once_and_survives_a_restart() {
    let mut engine = engine(|policy| {
        policy.classes.values_mut().for_each(|class| class.mode = Mode::Observe);
    });
    for _ in 0..3 {
        assert_eq!(
            engine.request(&ask(Action::Reboot, "alibuild01", "alice")).unwrap_err().code(),
            "mode_observe"
        );
    }
    let entries = engine.journal.read().unwrap().entries;
    assert_eq!(entries.iter().map(|entry| entry.draft.kind.as_str()).collect::<Vec<_>>(), ["declined"]);
    // Something else with the same node is another request.
    engine.restart();
    for action in [Action::Reboot, Action::Drain] {
        engine.request(&ask(action, "alibuild01", "alice")).unwrap_err();
    }
    let entries = engine.journal.read().unwrap().entries;
    let kinds: Vec<_> = entries.iter().map(|entry| entry.draft.kind.as_str()).collect();
    assert_eq!(kinds, ["declined", "declined"]);
    assert!(entries.last().unwrap().draft.payload.contains("drain"), "{entries:?}");
}

#[test]
fn a_request_without_sense_is_refused_in_words() {
    let mut engine = engine(|_| {});
    let mut wrong = |change: fn(&mut Ask)| {
        let mut asked = ask(Action::Reboot, "alibuild01", "alice");
        change(&mut asked);
        engine.request(&asked).unwrap_err().to_string()
    };
    assert!(wrong(|ask| ask.reason = " ".into()).contains("say why"));
    assert!(wrong(|ask| ask.typed = Some("alibuild02".into())).contains("is not alibuild01"));
    assert!(wrong(|ask| ask.image = Some("new".into())).contains("an image cannot be chosen"));
    assert!(
        wrong(|ask| ask.confirm = vec![Code::NodeProtected])
            .contains("nothing that the requester can say yes to")
    );
    let drains = |ask: &mut Ask| {
        ask.action = Action::Drain;
        ask.let_go = vec!["t".into()];
    };
    assert!(wrong(drains).contains("ends no task"));
}

#[test]
fn an_approval_is_anothers_and_of_what_is_planned_now() {
    let second = Consent::SecondPerson(SignedDuration::from_hours(12));
    let mut engine =
        engine(|policy| policy.classes.values_mut().for_each(|class| class.reboot_consent = second));
    let id = engine.request(&ask(Action::Reboot, "alibuild01", "alice")).unwrap().id;
    engine.advance();
    let digest = digest(&engine.operation(&id).wish.clone(), engine.fleet.lock().unwrap().policy());
    let mut approve =
        |by: &str, digest: &str| engine.operations.approve(&id, by, digest, "yes", &engine.fleet, engine.now);
    assert!(matches!(approve("Alice", &digest), Err(NotThat::OwnApproval(_))));
    assert!(matches!(approve("alice (as root)", &digest), Err(NotThat::OwnApproval(_))));
    assert!(matches!(approve("bob", "0000"), Err(NotThat::StaleApproval { .. })));
    approve("bob", &digest).unwrap();
    let policy = engine.fleet.lock().unwrap().policy().as_ref().clone();
    let counts = |policy: &Policy| summary(engine.operation(&id), policy, engine.now).unwrap().grants.len();
    assert_eq!(counts(&policy), 1);
    let changed = Policy { version: "v2".into(), ..policy };
    assert_eq!(counts(&changed), 0, "another policy, another approval");
}

#[test]
fn an_effect_is_handed_out_after_its_intent_is_written_and_again_after_a_restart() {
    let mut engine = engine(|_| {});
    let id = engine.request(&ask(Action::Drain, "alibuild01", "alice")).unwrap().id;
    let tasks = engine.advance();
    assert_eq!(tasks.iter().map(|task| task.step).collect::<Vec<_>>(), [Step::Cordon]);
    assert_eq!(engine.journal.read().unwrap().entries.last().unwrap().draft.kind, "began");
    assert!(engine.advance().is_empty(), "it is under way");
    engine.restart();
    let again = engine.advance();
    assert_eq!((again[0].step, again[0].attempt), (Step::Cordon, 1), "{id}");
}

#[test]
fn offers_that_were_stopped_before_are_told_apart_from_an_answer_that_is_too_old_to_know() {
    for stopped in [true, false] {
        let mut engine = engine(|_| {});
        engine.stop_offers("alibuild01", true);
        engine.hear_master();
        // Another operation has let them flow since, perhaps: nobody has looked after this one was asked for.
        let asked = ask(Action::Drain, "alibuild01", "alice");
        let id = engine.operations.request(&asked, &engine.fleet, engine.now).unwrap().id;
        assert!(engine.advance().is_empty());
        let waiting = engine.operations.waiting(&id).unwrap();
        assert!(waiting.sentence.contains("whether it gets offers") && !waiting.needs_people, "{waiting:?}");

        engine.stop_offers("alibuild01", stopped);
        engine.hear_master();
        assert_eq!(engine.advance().len(), usize::from(!stopped));
        assert_eq!(engine.operation(&id).done_at(Step::Cordon).is_some(), stopped);
    }
}

#[test]
fn what_can_be_looked_at_is_a_question_for_people_only_once_looking_has_not_told() {
    let mut engine = engine(|_| {});
    let id = engine.request(&ask(Action::Drain, "alibuild01", "alice")).unwrap().id;
    let cordon = engine.advance().remove(0);
    engine.operations.outcome(&cordon, Outcome::unknown("the master is silent"), engine.now).unwrap();
    engine.advance();
    assert!(!engine.operations.waiting(&id).unwrap().needs_people);
    engine.now += SignedDuration::from_mins(4);
    engine.advance();
    assert!(engine.operations.waiting(&id).unwrap().needs_people, "the master has not been heard since");
}

#[test]
fn people_are_asked_once_when_the_patience_of_a_step_ends_and_not_before() {
    let mut engine = engine(|_| {});
    let id = engine.request(&ask(Action::Drain, "alibuild01", "alice")).unwrap().id;
    engine.advance();
    let asked = |engine: &Engine| -> Vec<String> {
        let story = engine.operations.get(&id).unwrap().story.iter();
        story.filter(|line| line.event.word() == "asked").map(|line| json(&line.event)).collect()
    };
    engine.operations.outbox.clear();
    let patience = Step::Cordon.patience();
    engine.now += patience - SignedDuration::from_mins(1);
    engine.advance();
    assert_eq!(asked(&engine), Vec::<String>::new(), "the master may still answer");
    assert!(!engine.operations.waiting(&id).unwrap().needs_people);

    engine.now += SignedDuration::from_mins(2);
    engine.advance();
    let [sentence] = &asked(&engine)[..] else { panic!("{:?}", asked(&engine)) };
    let late = format!("(for {} min)", patience.as_mins() + 1);
    assert!(sentence.contains("alibuild01") && sentence.contains(&late), "{sentence}");
    let told: Vec<bool> = engine.operations.outbox.iter().map(|tell| tell.needs_people).collect();
    assert_eq!(told, [true], "{:?}", engine.operations.outbox);
    assert!(engine.operations.waiting(&id).unwrap().needs_people);

    // It stays a question, and is none once more: neither an hour later nor to a coordinator that starts then.
    engine.now += SignedDuration::from_hours(1);
    engine.advance();
    engine.restart();
    let again = engine.advance();
    assert_eq!((asked(&engine).len(), again.len()), (1, 1), "{again:?}");
    engine.operations.outcome(&again[0], Outcome::done(Vec::new()), engine.now).unwrap();
    assert!(engine.operation(&id).done_at(Step::Cordon).is_some(), "what comes late still counts");
}

#[test]
fn a_command_that_ran_when_the_coordinator_stopped_is_not_run_again_until_somebody_has_looked() {
    let mut engine = engine(|policy| {
        policy.executors.by = Executor::Command;
        policy.executors.commands.insert(Step::Rebuild, vec!["ai-rebuild".to_owned()]);
        policy.nodes.values_mut().for_each(|listed| listed.project = Some("lab".to_owned()));
    });
    let id = engine.request(&ask(Action::Rebuild, "alibuild01", "alice")).unwrap().id;
    let steps = engine.operation(&id).plan.steps.clone();
    let place = steps.iter().position(|step| *step == Step::Rebuild).unwrap();
    for (place, step) in steps.into_iter().enumerate().take(place) {
        engine.finish(&id, place, step);
    }
    engine.begin(&id, place, Step::Rebuild);
    engine.operations.under_way.insert(number_of(&id).unwrap(), (place, 1));
    assert!(engine.advance().is_empty());
    assert_eq!(engine.operation(&id).steps[place].state, State::Begun, "it runs");

    for _ in 0..2 {
        engine.restart();
        assert!(engine.advance().is_empty(), "it may have had its effect");
        engine.now += SignedDuration::from_hours(1);
        assert!(engine.advance().is_empty(), "and may have it still");
        let state = &engine.operation(&id).steps[place].state;
        assert!(
            matches!(state, State::Unknown { question } if question.contains("`rebuild` ran")),
            "{state:?}"
        );
        assert!(engine.operation(&id).permit.is_some());
        assert!(engine.operations.waiting(&id).unwrap().needs_people);
    }
    let (fleet, now) = (&engine.fleet, engine.now);
    engine.operations.confirm(&id, "bob", &Confirmation::NotRun, "looked in Nova", fleet, now).unwrap();
    let operation = engine.operation(&id);
    assert!(matches!(operation.steps[place].state, State::NotDone { .. }) && operation.permit.is_none());
}

#[test]
fn an_outcome_that_comes_late_ends_nothing_but_its_own_effect() {
    let mut engine = engine(|_| {});
    let id = engine.request(&ask(Action::Drain, "alibuild01", "alice")).unwrap().id;
    let cordon = engine.advance().remove(0);
    let number = number_of(&id).unwrap();
    let later = (cordon.place + 3, 1);
    engine.operations.under_way.insert(number, later);
    engine.operations.outcome(&cordon, Outcome::done(Vec::new()), engine.now).unwrap();
    assert_eq!(
        engine.operations.under_way.get(&number),
        Some(&later),
        "a command that runs would be unknown"
    );
    let own = Task { place: later.0, attempt: later.1, ..cordon };
    let _ = engine.operations.outcome(&own, Outcome::done(Vec::new()), engine.now);
    assert!(engine.operations.under_way.is_empty());
}

#[test]
fn a_return_that_is_called_off_before_offers_flow_leaves_the_node_to_whoever_called_it_off() {
    let mut engine = engine(|_| {});
    engine.stop_offers("alibuild01", true);
    engine.hear_master();
    let id = engine.request(&ask(Action::Return, "alibuild01", "alice")).unwrap().id;
    let tasks = engine.advance();
    let [uncordon] = &tasks[..] else { panic!("{tasks:?}") };
    assert_eq!(uncordon.step, Step::Uncordon);
    engine.operations.outcome(uncordon, Outcome::not_done("the master says no"), engine.now).unwrap();
    engine.operations.cancel(&id, "carol", "another day", false, engine.now).unwrap();
    engine.hear_master();
    assert!(engine.advance().is_empty());
    let operation = engine.operation(&id);
    assert!(matches!(operation.phase, Phase::Parked { .. }), "{:?}", operation.phase);
    let fleet = engine.fleet.lock().unwrap();
    let holds: Vec<&str> = fleet.snapshot().holds.on(&name("alibuild01")).map(|hold| &*hold.author).collect();
    assert_eq!(holds, ["carol"]);
}

#[test]
fn a_disk_that_does_not_take_an_intent_keeps_its_effect_from_being_done() {
    for failure in Failure::ALL {
        let mut engine = engine(|_| {});
        engine.request(&ask(Action::Drain, "alibuild01", "alice")).unwrap();
        engine.journal.fail_next(failure);
        assert!(engine.advance().is_empty(), "{failure:?}");
        assert!(engine.operations.trouble().is_some());
        assert_eq!(engine.advance().len(), 1, "{failure:?}: the next round goes on");
    }
}

#[test]
fn a_coordinator_that_was_taken_over_does_nothing_any_more() {
    let mut engine = engine(|_| {});
    engine.request(&ask(Action::Drain, "alibuild01", "alice")).unwrap();
    let _newer = engine.journal.reopen();
    assert!(engine.advance().is_empty());
    assert!(engine.operations.is_fenced());
    assert!(engine.request(&ask(Action::Drain, "alibuild02", "alice")).is_err());
}

#[test]
fn three_operations_that_fail_in_a_row_put_the_brake_on_and_a_reset_begins_anew() {
    let mut engine =
        engine(|policy| policy.classes.values_mut().for_each(|class| class.settle = SignedDuration::ZERO));
    let class = Class::Agent;
    let is_on = |engine: &Engine| engine.fleet.lock().unwrap().snapshot().brakes.contains_key(&class);
    for node in ["alibuild01", "alibuild02", "alibuild03"] {
        assert!(!is_on(&engine));
        let id = engine.request(&ask(Action::Prepull, node, "alice")).unwrap().id;
        let number = number_of(&id).unwrap();
        engine.operations.write(number, Event::Stuck { why: "no".into() }, engine.now).unwrap();
        engine.advance();
    }
    assert!(is_on(&engine));
    engine.fleet.lock().unwrap().reset_brake(class, "bob", engine.now).unwrap();
    engine.operations.brake_reset(class, "bob", "seen", engine.now).unwrap();
    engine.now += SignedDuration::from_secs(1);
    let id = engine.request(&ask(Action::Prepull, "alibuild04", "alice")).unwrap().id;
    let number = number_of(&id).unwrap();
    engine.operations.write(number, Event::Stuck { why: "no".into() }, engine.now).unwrap();
    engine.advance();
    assert!(!is_on(&engine), "one failure since the reset");
}

#[test]
fn words_of_people_survive_a_restart() {
    let mut engine = engine(|_| {});
    let now = engine.now;
    let hold = engine.operations.hold(name("alibuild01"), "bob", "a core dump", None, now).unwrap();
    engine.operations.pause("carol", "odd", now).unwrap();
    engine.operations.attest(name("alibuild02"), Source::Agent, "bob", "seen", now).unwrap();
    assert!(engine.operations.attest(name("alibuild02"), Source::MesosMaster, "bob", "seen", now).is_err());
    engine.restart();
    engine.operations.tell_fleet(&engine.fleet, now);
    {
        let fleet = engine.fleet.lock().unwrap();
        let snapshot = fleet.snapshot();
        assert_eq!(snapshot.holds.on(&name("alibuild01")).count(), 1);
        assert_eq!(snapshot.pause.as_ref().unwrap().by, "carol");
        assert!(snapshot.attested(&name("alibuild02"), Source::Agent, now).is_some());
    }
    engine.operations.lift(&hold, "bob", "done", now).unwrap();
    assert!(engine.operations.lift(&hold, "bob", "done", now).is_err());
    engine.operations.resume("carol", "fine", now).unwrap();
    assert!(engine.operations.resume("carol", "fine", now).is_err());
}

#[test]
fn a_hold_that_was_set_on_the_node_itself_objects_here_as_well() {
    let engine = engine(|_| {});
    let mut report = crate::fleet::testing::report("alibuild01", 99);
    report.local_holds.push(LocalHold {
        id: "h1".into(),
        author: "root".into(),
        reason: "a test of mine".into(),
        since: engine.now,
        until: None,
    });
    let mut fleet = engine.fleet.lock().unwrap();
    fleet.take_report(&name("alibuild01"), report, engine.now);
    let request = millwright_decision::Request::one(Action::Reboot, name("alibuild01"));
    let verdict = fleet.judge(&request, engine.now).unwrap();
    assert_eq!(verdict.reasons[0].code, Code::HoldPresent);
}

#[test]
fn an_order_that_this_store_never_made_proves_that_it_was_put_back() {
    let mut engine = engine(|_| {});
    engine.advance();
    let mut report = crate::fleet::testing::report("alibuild01", 99);
    let fence = engine.operations.fence();
    report.seen = Some(Seen { fence, position: 0, ordered_at: Some(engine.now) });
    engine.fleet.lock().unwrap().take_report(&name("alibuild01"), report, engine.now);
    engine.advance();
    let refused = engine.request(&ask(Action::Reboot, "alibuild02", "alice")).unwrap_err();
    assert_eq!(refused.code(), "store_behind");
    // What was seen once holds over restarts, though nobody says it again.
    engine.fleet.lock().unwrap().take_report(
        &name("alibuild01"),
        crate::fleet::testing::report("alibuild01", 100),
        engine.now,
    );
    engine.restart();
    assert_eq!(
        engine.request(&ask(Action::Reboot, "alibuild02", "alice")).unwrap_err().code(),
        "store_behind"
    );
}

#[test]
fn an_answer_to_no_open_order_is_nothing_to_say_again() {
    let mut engine = engine(|_| {});
    let refused = OrderState::Refused { code: RefusalCode::Busy, sentence: "busy".into() };
    for id in ["op-9.1.1", "op-1", "nonsense", "op-1.x.1"] {
        let answer = engine.operations.order_event(&name("alibuild01"), id, &refused, engine.now).unwrap();
        assert_eq!(answer, OrderAnswer::Gone, "{id}");
    }
}

#[test]
fn a_damaged_record_stops_its_own_operation_only() {
    let mut engine = engine(|_| {});
    let first = engine.request(&ask(Action::Drain, "alibuild01", "alice")).unwrap().id;
    engine.request(&ask(Action::Drain, "alibuild02", "alice")).unwrap();
    let draft = Draft {
        stream: first.clone(),
        number: engine.operation(&first).events + 1,
        at: engine.now,
        kind: "from_the_future".into(),
        payload: "{\"event\":\"from_the_future\"}".into(),
    };
    engine.journal.append(engine.operations.position(), &[draft]).unwrap();
    engine.restart();
    assert!(engine.operations.get(&first).unwrap().broken.is_some());
    let nodes: Vec<NodeName> = engine.advance().into_iter().map(|task| task.node).collect();
    assert_eq!(nodes, [name("alibuild02")]);
    assert!(matches!(
        engine.operations.cancel(&first, "bob", "x", false, engine.now),
        Err(NotThat::Senseless(_))
    ));
}

#[test]
fn a_node_that_is_to_reboot_is_held_from_its_first_cordon_on() {
    let mut engine = engine(|_| {});
    let id = engine.request(&ask(Action::Reboot, "alibuild01", "alice")).unwrap().id;
    let steps = engine.operation(&id).plan.steps.clone();
    assert_eq!(steps.iter().filter(|step| **step == Step::Cordon).count(), 2, "before and after: {steps:?}");
    let first = steps.iter().position(|step| *step == Step::Cordon).unwrap();
    for (place, step) in steps.into_iter().enumerate().take_while(|(_, step)| *step != Step::Uncordon) {
        let held = engine.operations.held(engine.now).get(&name("alibuild01")).map(|held| held.what);
        assert_eq!(held, (place > first).then_some(Holding::Stopped), "at {step}");
        assert_eq!(engine.operations.cordoned().contains(&name("alibuild01")), place > first, "at {step}");
        engine.finish(&id, place, step);
    }
}
