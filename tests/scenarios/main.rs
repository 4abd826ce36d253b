//! Scenarios: stories about a fleet with the expected answer, one text file each, on the shipped ALICE policy.
//!
//! A file of `stories/` reads from top to bottom: `policy` lines overlay the shipped policy, every other line before
//! the first `ask` makes the world, `ask` asks, and the `expect` below it says what must come out. `README.md` beside
//! this file has the words.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a story that does not read is a failed test"
)]

mod properties;
mod story;
mod world;

use millwright_decision::Code;
use std::{collections::BTreeSet, fs, path::PathBuf};

fn stories() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/stories");
    let mut stories: Vec<(String, String)> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    stories.sort();
    stories
}

#[test]
fn every_story_ends_as_it_says() {
    let mut failures = Vec::new();
    let mut questions = 0;
    for (name, text) in stories() {
        let outcome = story::run(&text);
        questions += outcome.questions;
        failures.extend(outcome.failures.into_iter().map(|failure| format!("{name}: {failure}")));
    }
    assert!(
        failures.is_empty(),
        "{} of {questions} answers differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(questions >= 100, "only {questions} questions were asked; have stories been lost?");
}

/// Every objection has a story in which it alone objects.
#[test]
fn every_reason_objects_alone_in_some_story() {
    let mut alone = BTreeSet::new();
    for (_, text) in stories() {
        alone.extend(story::run(&text).alone);
    }
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| {
            !world::NOTES.contains(code) && !alone.contains(*code) && !world::OF_STEPS.contains(code)
        })
        .map(|code| code.as_str())
        .collect();
    assert!(missing.is_empty(), "no story has these as their only objection: {}", missing.join(", "));
}

/// What a reason says would clear it does clear it.
#[test]
fn doing_what_unblocks_a_reason_gives_allowed() {
    let mut cleared = BTreeSet::new();
    for (_, text) in stories() {
        cleared.extend(story::run(&text).cleared);
    }
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| {
            !world::NOTES.contains(code)
                && !world::REFUSALS.contains(code)
                && !cleared.contains(*code)
                && !world::OF_STEPS.contains(code)
        })
        .map(|code| code.as_str())
        .collect();
    assert!(missing.is_empty(), "no story clears these and is then allowed: {}", missing.join(", "));
}

/// R1–R25: each sentence of the runbook that is checked by machine has a story that names it.
#[test]
fn every_sentence_of_the_runbook_has_a_story() {
    let titles: Vec<String> =
        stories().into_iter().filter_map(|(_, text)| text.lines().next().map(str::to_owned)).collect();
    let missing: Vec<String> = (1..=25)
        .map(|rule| format!("R{rule}"))
        .filter(|rule| {
            !titles
                .iter()
                .any(|title| title.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == rule))
        })
        .collect();
    assert!(missing.is_empty(), "no story is titled after {}", missing.join(", "));
}
