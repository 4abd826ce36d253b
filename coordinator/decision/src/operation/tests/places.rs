//! Alarms that Roger masks and gets back, and what remains of a node that was deleted.

use super::*;
use crate::{
    Source,
    fleet::{Alarms, AlarmsView, Listing, MasterView, Node, Place},
};

/// An operation beside Roger's account of its node.
struct Roger {
    operation: Operation,
    snapshot: Snapshot,
    policy: Policy,
}

fn set(on: &[&str], message: &str) -> Alarms {
    let on = on.iter().map(|word| (*word).to_owned()).collect();
    Alarms { appstate: "production".into(), on, message: message.into() }
}

impl Roger {
    /// A delete that has come to its alarms.
    fn new() -> Self {
        let operation = up_to(Action::Delete, Step::MaskAlarms);
        let mut policy = Policy::unreadable("", "c".parse().unwrap());
        policy.unreadable = None;
        policy.executors.roger_masks = true;
        let mut snapshot = Snapshot::new(at(0));
        snapshot.nodes.insert(operation.wish.node.clone(), Box::default());
        Self { operation, snapshot, policy }
    }

    fn node(&mut self) -> &mut Node {
        self.snapshot.nodes.get_mut(&self.operation.wish.node).unwrap()
    }

    fn says(&mut self, set: Option<Alarms>, seconds: i64) {
        let view = AlarmsView { at: at(seconds), host: "alibuild10.cern.ch".into(), set };
        self.node().alarms = Some(Box::new(view));
    }

    fn situation(&self, seconds: i64) -> Situation<'_> {
        Situation {
            snapshot: &self.snapshot,
            policy: &self.policy,
            now: at(seconds),
            machine: None,
            fence: Fence::default(),
            is_in_flight: false,
            frozen: None,
        }
    }

    fn next(&self, seconds: i64) -> Next {
        next(&self.operation, &self.situation(seconds))
    }

    /// The intent is written; what is to be done.
    fn does(&mut self, seconds: i64) -> Effect {
        match self.next(seconds) {
            Next::Do(event, effect) => {
                self.operation.apply(&event, at(seconds)).unwrap();
                effect
            }
            other => panic!("{other:?}"),
        }
    }

    fn ends(&mut self, outcome: Outcome, seconds: i64) {
        let event = finished(&self.operation, outcome);
        self.operation.apply(&event, at(seconds)).unwrap();
    }

    fn cancel(&mut self, abandon: bool, seconds: i64) {
        let event = Event::Cancelled { by: "bob".into(), reason: "no".into(), abandon };
        self.operation.apply(&event, at(seconds)).unwrap();
    }

    fn place_of_alarms(&self) -> usize {
        self.operation.plan.steps.iter().position(|step| *step == Step::MaskAlarms).unwrap()
    }
}

#[test]
fn what_was_set_is_in_the_intent_before_anything_is_masked() {
    let mut roger = Roger::new();
    let Next::Wait(waiting) = roger.next(10) else { panic!("nothing is known of its alarms") };
    assert_eq!((waiting.owner.as_str(), waiting.needs_people), ("roger", false));
    roger.says(Some(set(&["nc", "os"], "disk is watched")), 5);
    let before = set(&["nc", "os"], "disk is watched");
    assert_eq!(roger.does(10), Effect::MaskAlarms { before: before.clone() });
    let (_, record) = roger.operation.current_step().unwrap();
    assert_eq!(alarms::before(record), Some(before.clone()), "{:?}", record.command);
    // After a crash it is gone on with from the record alone.
    assert_eq!(roger.next(11), Next::Again(Effect::MaskAlarms { before }));
}

#[test]
fn what_was_read_before_the_request_or_long_ago_is_not_what_is_put_back() {
    let mut roger = Roger::new();
    roger.says(Some(set(&["nc"], "")), 0);
    assert!(matches!(roger.next(10), Next::Wait(_)), "it may have changed before the request");
    roger.says(Some(set(&["nc"], "")), 5);
    assert!(matches!(roger.next(400), Next::Wait(_)), "and since");
}

#[test]
fn who_has_no_alarm_on_or_is_not_known_wakes_nobody_and_gets_nothing_back() {
    for said in [None, Some(set(&[], "bob works on it"))] {
        let mut roger = Roger::new();
        roger.says(said, 5);
        let Next::Write(event) = roger.next(10) else { panic!("there is nothing to mask") };
        let was_so = matches!(&event, Event::Finished { outcome: Outcome::Done { was_so: true, .. }, .. });
        assert!(was_so, "{event:?}");
        roger.operation.apply(&event, at(10)).unwrap();
        assert!(!roger.operation.has_something_to_undo());
    }
}

#[test]
fn a_try_that_came_half_way_is_not_taken_for_what_was_there_before() {
    let mut roger = Roger::new();
    roger.says(Some(set(&["nc", "os"], "disk is watched")), 5);
    roger.does(10);
    roger.ends(Outcome::not_done("no"), 20);
    // One alarm is off already, in our name.
    roger.says(Some(set(&["os"], "Millwright op-1: it goes")), 30);
    let before = set(&["nc", "os"], "disk is watched");
    assert_eq!(roger.does(60), Effect::MaskAlarms { before });
    roger.ends(Outcome::not_done("bob has set something else"), 70);
    // What somebody else has set since is what is there now.
    roger.says(Some(set(&["os"], "bob works on it")), 80);
    assert_eq!(roger.does(200), Effect::MaskAlarms { before: set(&["os"], "bob works on it") });
}

#[test]
fn called_off_it_puts_alarms_back_before_it_lifts_the_cordon() {
    let mut roger = Roger::new();
    roger.says(Some(set(&["nc"], "")), 5);
    roger.does(10);
    roger.ends(Outcome::done(Vec::new()), 11);
    assert!(roger.operation.has_something_to_undo());
    roger.cancel(false, 12);
    let put_back = Effect::RestoreAlarms { before: set(&["nc"], "") };
    assert_eq!(roger.does(13), put_back);
    // A crash, and it is tried again, after a pause.
    assert!(matches!(roger.next(14), Next::Wait(_)));
    assert_eq!(roger.does(60), put_back);
    let step = roger.place_of_alarms();
    let undone = |outcome| Event::UndoFinished { step, attempt: 2, outcome };
    roger.operation.apply(&undone(Outcome::not_done("no")), at(61)).unwrap();
    assert!(roger.operation.has_something_to_undo());
    roger.operation.apply(&undone(Outcome::done(Vec::new())), at(62)).unwrap();
    assert!(matches!(roger.next(63), Next::Write(Event::Ended { ending: Ending::Cancelled, .. })));
}

#[test]
fn nobody_knows_whether_they_are_masked_is_not_that_they_never_were() {
    let mut roger = Roger::new();
    roger.says(Some(set(&["nc"], "")), 5);
    roger.does(10);
    roger.ends(Outcome::unknown("are they off?"), 11);
    assert!(roger.operation.has_something_to_undo(), "they may be off");
    let before = set(&["nc"], "");
    let Next::Wait(waiting) = roger.next(20) else { panic!("it is looked at again later") };
    assert!(!waiting.needs_people, "the coordinator can look itself");
    assert_eq!(roger.next(320), Next::Again(Effect::MaskAlarms { before }));
    roger.says(Some(set(&[], "Millwright op-1: it goes")), 330);
    let Next::Write(event) = roger.next(331) else { panic!("it is seen") };
    assert!(matches!(event, Event::Finished { outcome: Outcome::Done { was_so: false, .. }, .. }));
}

#[test]
fn who_takes_a_stopped_node_over_gets_its_alarms_back_and_is_told_when_that_fails() {
    let mut roger = Roger::new();
    roger.says(Some(set(&["nc"], "")), 5);
    roger.does(10);
    roger.ends(Outcome::done(Vec::new()), 11);
    roger.operation.apply(&began(&roger.operation, Some(permit(Step::Quarantine))), at(12)).unwrap();
    roger.ends(Outcome::done(Vec::new()), 13);
    roger.cancel(true, 20);
    let step = roger.place_of_alarms();
    let mut now = 21;
    for attempt in 1..=5 {
        assert_eq!(roger.does(now), Effect::RestoreAlarms { before: set(&["nc"], "") });
        let outcome = Outcome::not_done("Roger is away");
        roger.operation.apply(&Event::UndoFinished { step, attempt, outcome }, at(now)).unwrap();
        now += 3600;
    }
    let Next::Write(told) = roger.next(now) else { panic!("people have to hear it") };
    let is_told = matches!(&told, Event::Asked { sentence, .. } if sentence.contains("were not put back"));
    assert!(is_told, "{told:?}");
    roger.operation.apply(&told, at(now)).unwrap();
    assert_eq!(roger.next(now), Next::Write(Event::Parked));
}

#[test]
fn what_a_command_or_a_person_masked_nobody_else_puts_back() {
    let mut operation = up_to(Action::Delete, Step::MaskAlarms);
    let command =
        ["roger", "update", "--all_alarms=false", "alibuild10", "x", "y"].map(str::to_owned).to_vec();
    let began = Event::Began {
        step: operation.at,
        attempt: 1,
        machine: None,
        permit: None,
        command,
        moves: Vec::new(),
        by: None,
    };
    operation.apply(&began, at(2)).unwrap();
    operation.apply(&finished(&operation, Outcome::done(Vec::new())), at(3)).unwrap();
    assert!(!operation.has_something_to_undo());
}

#[test]
fn a_person_does_not_run_what_roger_is_asked_for() {
    let mut roger = Roger::new();
    roger.says(Some(set(&["nc"], "")), 5);
    let refusal = begin_by_hand(&roger.operation, "alice", &roger.situation(10)).unwrap_err();
    assert!(refusal.sentence.contains("not for a person to run"), "{}", refusal.sentence);
}

fn place(source: Source, known: bool, seconds: i64) -> Place {
    Place { source, at: at(seconds), host: "alibuild10.cern.ch".into(), known, fails: false }
}

#[test]
fn only_what_was_seen_after_the_deletion_proves_that_a_place_has_forgotten_the_node() {
    let mut node = Node::default();
    let gone = |node: &Node, now: i64| {
        let all = remains(Some(node), at(100), at(now));
        let named = all.iter().filter_map(|remain| match remain {
            Remain::Gone { place, .. } => Some(*place),
            _ => None,
        });
        named.collect::<Vec<_>>()
    };
    node.places = vec![place(Source::Foreman, false, 100), place(Source::PuppetDb, false, 101)];
    assert_eq!(gone(&node, 110), ["PuppetDB"], "Foreman was asked before");
    assert!(gone(&node, 500).is_empty(), "by now somebody may have made it again");
    node.places = vec![place(Source::Foreman, true, 105)];
    let all = remains(Some(&node), at(100), at(110));
    assert!(matches!(&all[0], Remain::Still { host, .. } if host == "alibuild10.cern.ch"), "{all:?}");
    assert_eq!(
        ledger::story(&all),
        "Foreman still knows alibuild10.cern.ch; to be looked for in PuppetDB, DNS, Mesos, Jenkins"
    );
    // What is not proven is left to a person by name.
    let told: Vec<String> = ledger_evidence(&all, "alice").into_iter().map(|fact| fact.value).collect();
    assert_eq!(told[0], "still known");
    assert_eq!(told[1..], ["not proven; left to alice"; 4].map(str::to_owned));
}

#[test]
fn the_ledger_of_a_person_says_what_still_knows_the_node() {
    let mut roger = Roger::new();
    roger.operation = up_to(Action::Delete, Step::Ledger);
    roger.node().places = vec![place(Source::Foreman, true, 5), place(Source::PuppetDb, false, 5)];
    // People are asked with all of it, and it stands there while they are waited for.
    let Next::Write(asked) = roger.next(10) else { panic!("somebody has to see to it") };
    let words = "Foreman still knows alibuild10.cern.ch; gone from PuppetDB; to be looked for in DNS";
    assert!(matches!(&asked, Event::Asked { sentence, .. } if sentence.contains(words)), "{asked:?}");
    roger.operation.apply(&asked, at(10)).unwrap();
    let Next::Wait(waiting) = roger.next(11) else { panic!("it waits") };
    assert!(waiting.sentence.contains("millwright confirm op-1 done") && waiting.needs_people);
}

#[test]
fn a_ledger_of_which_nobody_knows_ends_once_every_place_that_is_asked_has_forgotten() {
    let mut roger = Roger::new();
    roger.operation = up_to(Action::Delete, Step::Ledger);
    let began = began(&roger.operation, None);
    roger.operation.apply(&began, at(2)).unwrap();
    roger.ends(Outcome::unknown("Foreman still knows it"), 3);
    let is_over = |roger: &Roger| matches!(roger.next(10), Next::Write(Event::Finished { .. }));
    assert!(!is_over(&roger), "nobody is asked");
    roger.node().places = vec![place(Source::Foreman, false, 3), place(Source::PuppetDb, false, 9)];
    assert!(!is_over(&roger), "Foreman was not asked since");
    roger.node().places = vec![place(Source::Foreman, false, 8), place(Source::PuppetDb, true, 9)];
    assert!(!is_over(&roger), "PuppetDB still knows it");
    roger.node().places = vec![place(Source::Foreman, false, 8), place(Source::PuppetDb, false, 9)];
    assert!(is_over(&roger));
}

#[test]
fn mesos_has_forgotten_a_node_when_it_lists_it_no_more_and_not_while_it_cannot_reach_it() {
    for (listing, is_gone) in
        [(Listing::Absent, true), (Listing::Unreachable, false), (Listing::Active, false)]
    {
        let view = MasterView {
            at: at(9),
            listing,
            deactivated: true,
            undecided: false,
            tasks: Vec::new(),
            attributes: std::collections::BTreeMap::new(),
        };
        let node = Node { master: Some(view), ..Node::default() };
        let all = remains(Some(&node), at(5), at(10));
        assert_eq!(matches!(all[3], Remain::Gone { place: "Mesos", .. }), is_gone, "{listing:?}");
    }
}
