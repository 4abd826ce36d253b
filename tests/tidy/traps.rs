//! What outside systems do that surprises, in `tests/traps.txt`: each trap names the tests that try it, and the words that
//! our programs never say because of it.

use super::{files, read, root};
use std::fs;

/// What the programs are made of.
const SOURCES: [&str; 5] = [
    "agent/src",
    "coordinator/src",
    "coordinator/cli/src",
    "coordinator/decision/src",
    "coordinator/protocol/src",
];
/// Files of tests beside the code, and what stands there for an outside system.
const BESIDE: [&str; 4] = ["tests.rs", "testing.rs", "fake.rs", "recorded.rs"];

/// One trap.
#[derive(Debug, Default)]
struct Trap {
    title: String,
    /// What happens, and what we do about it.
    prose: String,
    /// File and test.
    tests: Vec<(String, String)>,
    /// Words that stand in no source.
    never: Vec<String>,
    /// Why nothing of it can happen here.
    not_here: Option<String>,
}

/// Reads the traps: paragraphs of a title, prose and lines that begin with what they are.
fn traps(text: &str) -> Result<Vec<Trap>, String> {
    let is_comment = |line: &&str| !line.starts_with('#');
    let text: Vec<&str> = text.lines().filter(is_comment).collect();
    let mut traps = Vec::new();
    for paragraph in text.join("\n").split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        let mut lines = paragraph.lines();
        let mut trap = Trap { title: lines.next().unwrap_or_default().to_owned(), ..Trap::default() };
        for line in lines {
            if let Some(named) = line.strip_prefix("tested by ") {
                let (file, name) =
                    named.split_once(": ").ok_or_else(|| format!("no file and test: {line}"))?;
                trap.tests.push((file.to_owned(), name.to_owned()));
            } else if let Some(word) = line.strip_prefix("never said: ") {
                trap.never.push(word.to_owned());
            } else if let Some(why) = line.strip_prefix("does not apply: ") {
                trap.not_here = Some(why.to_owned());
            } else {
                trap.prose.push_str(line);
            }
        }
        traps.push(trap);
    }
    Ok(traps)
}

/// What is wrong with a trap.
fn complaint(trap: &Trap) -> Option<String> {
    let title = &trap.title;
    if trap.prose.is_empty() {
        return Some(format!("{title}: it says neither what happens nor what we do"));
    }
    if trap.tests.is_empty() && trap.not_here.is_none() {
        return Some(format!("{title}: no test tries it, and nothing says why it does not apply"));
    }
    let missing = trap.tests.iter().find(|(file, name)| !has_test(file, name));
    missing.map(|(file, name)| format!("{title}: {file} has no test {name}"))
}

fn has_test(file: &str, name: &str) -> bool {
    let Ok(text) = fs::read_to_string(root().join(file)) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = [format!("fn {name}("), format!("async fn {name}(")];
    lines.iter().enumerate().any(|(number, line)| {
        let attributes = lines.iter().take(number).rev().take_while(|line| line.starts_with("#["));
        let is_test =
            attributes.clone().any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"));
        begins.iter().any(|begin| line.starts_with(begin)) && is_test
    })
}

/// What the programs are made of, without what is said about it and without their tests.
fn said() -> Vec<(String, String)> {
    let all = SOURCES.iter().flat_map(|folder| files(&root().join(folder), "rs"));
    let own = all.filter(|path| {
        let is_beside = path.file_name().is_some_and(|name| BESIDE.iter().any(|beside| name == *beside));
        !is_beside && !path.components().any(|part| part.as_os_str() == "tests")
    });
    own.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("\nmod tests {").next().unwrap_or_default();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (path.strip_prefix(root()).unwrap().display().to_string(), code.join("\n"))
    })
    .collect()
}

#[test]
fn every_trap_is_tried_by_tests_that_exist_or_says_why_it_does_not_apply() {
    let traps = traps(&read("tests/traps.txt")).unwrap();
    assert!(traps.len() > 20, "{} traps were read", traps.len());
    let complaints: Vec<String> = traps.iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn what_is_never_said_to_an_outside_system_stands_in_no_source() {
    let said = said();
    let who_says =
        |word: &str| said.iter().find(|(_, code)| code.contains(word)).map(|(path, _)| path.clone());
    for said in ["DEACTIVATE_AGENT", "toggleOffline", "srvr", "hard_reboot"] {
        assert!(who_says(said).is_some(), "{said} is said, and was not found");
    }
    let traps = traps(&read("tests/traps.txt")).unwrap();
    let words: Vec<&String> = traps.iter().flat_map(|trap| &trap.never).collect();
    assert!(!words.is_empty());
    for word in words {
        assert_eq!(who_says(word), None, "{word} is said there; see its trap in tests/traps.txt");
    }
}

#[test]
fn a_trap_without_its_test_is_noticed() {
    let here = "tests/tidy/traps.rs";
    let good = format!("a\nIt bites.\ntested by {here}: a_trap_without_its_test_is_noticed");
    let no_test = format!("a\nIt bites.\ntested by {here}: complaint");
    let unread = |text: &str| traps(text).map(|traps| traps.iter().filter_map(complaint).collect::<Vec<_>>());
    assert_eq!(unread(&format!("# About.\n\n{good}\n\n{good}\n")), Ok(vec![]));
    assert_eq!(unread("a\nIt bites.\ndoes not apply: We keep no dogs."), Ok(vec![]));
    for bad in [
        "a",
        "a\nIt bites.",
        "a\ndoes not apply: We keep no dogs.",
        "a\nIt bites.\nnever said: sit",
        "a\nIt bites.\ntested by tests/tidy/traps.rs: no_such_test",
        "a\nIt bites.\ntested by no/such/file.rs: a_trap_without_its_test_is_noticed",
        &no_test,
    ] {
        assert_eq!(unread(bad).unwrap().len(), 1, "{bad}");
    }
    assert!(unread("a\nIt bites.\ntested by somebody").is_err());
}
