//! What one task's end means for the others.

use super::*;
use futures_util::{FutureExt, future::ready};
use std::sync::Mutex;

/// A scheduler that answers each task as it was told to, and keeps what it was asked.
#[derive(Default)]
struct Played {
    ends: BTreeMap<&'static str, Outcome>,
    asked: Mutex<Vec<String>>,
}

impl MoveAway for Played {
    fn move_task<'a>(&'a self, errand: &'a Errand) -> BoxFuture<'a, Outcome> {
        self.asked.lock().unwrap().push(errand.task.clone());
        let gone = Evidence::new(format!("task {}", errand.task), "gone", "marathon");
        let end = self.ends.get(errand.task.as_str()).cloned();
        Box::pin(async { end.unwrap_or_else(|| Outcome::done(vec![gone])) })
    }

    fn hand_over<'a>(&'a self, _: &'a NodeName) -> BoxFuture<'a, Outcome> {
        self.asked.lock().unwrap().push("lead".to_owned());
        Box::pin(async { Outcome::unknown("does it lead?") })
    }
}

/// What comes of moving a, b and c, and what was asked for.
fn moved(ends: &[(&'static str, Outcome)], forbidden: &[&str]) -> (Outcome, Vec<String>) {
    let task = |id: &str| Move::Task { by: Source::Marathon, service: "/s".into(), task: id.into() };
    taken(ends, forbidden, &["a", "b", "c"].map(task))
}

fn taken(ends: &[(&'static str, Outcome)], forbidden: &[&str], moves: &[Move]) -> (Outcome, Vec<String>) {
    let played = Arc::new(Played { ends: ends.iter().cloned().collect(), ..Played::default() });
    let movers = Movers::from([(Source::Marathon, played.clone() as Arc<dyn MoveAway>)]);
    let look = |one: &Move| {
        let found = match one {
            Move::Task { task, .. } if forbidden.contains(&task.as_str()) => Err("it is paused".to_owned()),
            _ => Ok(Place::default()),
        };
        ready(found).boxed()
    };
    let node = "alibuild10".parse().unwrap();
    let outcome = take_away(&movers, &node, moves, &look).now_or_never().unwrap();
    let asked = played.asked.lock().unwrap().clone();
    (outcome, asked)
}

fn refused(word: &str, why: &str) -> Outcome {
    Outcome::NotDone { why: why.into(), refusal: Some(word.into()) }
}

#[test]
fn all_are_moved_in_their_order_and_each_is_proven() {
    let (outcome, asked) = moved(&[], &[]);
    let Outcome::Done { evidence, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((evidence.len(), asked), (3, vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
}

#[test]
fn one_that_is_locked_keeps_no_other_back_and_is_told_by_name() {
    let (outcome, asked) = moved(&[("b", refused("service_changing", "b waits for its app"))], &[]);
    assert_eq!(asked.len(), 3);
    let expected = refused("service_changing", "b waits for its app (moved: a, c)");
    assert_eq!(outcome, expected);
    // Of two words none is true of all.
    let both = [("a", refused("service_changing", "a waits")), ("b", Outcome::not_done("b stays"))];
    assert_eq!(moved(&both, &[]).0, Outcome::not_done("a waits; b stays (moved: c)"));
}

#[test]
fn what_nobody_knows_is_settled_before_anything_else_is_touched() {
    let (outcome, asked) = moved(&[("b", Outcome::unknown("does b go?"))], &[]);
    assert_eq!(asked, ["a", "b"]);
    assert_eq!(outcome, Outcome::unknown("does b go? (moved: a)"));
}

#[test]
fn what_speaks_against_it_by_now_is_found_right_before_each() {
    let (outcome, asked) = moved(&[], &["b", "c"]);
    assert_eq!(asked, ["a"]);
    let why = "b is not moved: it is paused; c is not moved: it is paused (moved: a)";
    assert_eq!(outcome, Outcome::not_done(why));
}

#[test]
fn a_lead_that_stays_is_told_and_is_no_failure_and_a_stranger_is_asked_for_nothing() {
    let (outcome, asked) = taken(&[], &[], &[Move::Lead { by: Source::Marathon }]);
    assert_eq!(asked, ["lead"]);
    let expected = Evidence::new("marathon_leader", "does it lead?", "marathon");
    assert_eq!(outcome, Outcome::done(vec![expected]));
    let of_aurora = Move::Task { by: Source::Aurora, service: "r/e/j".into(), task: "t".into() };
    let (outcome, asked) = taken(&[], &[], &[of_aurora]);
    assert!(asked.is_empty());
    assert_eq!(outcome, Outcome::not_done("aurora.move_tasks is not configured in coordinator.toml"));
}
