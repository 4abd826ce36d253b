//! Rules of the repository, as tests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a file that does not read is a failed test")]

mod planted;
mod traps;
mod units;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Above this a file has a second noun in it.
const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `folder` with that extension, build output and hidden folders aside.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|given| given == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn offenders(extension: &str, offends: impl Fn(&str) -> bool) -> Vec<String> {
    files(&root(), extension)
        .into_iter()
        .filter(|path| offends(&fs::read_to_string(path).unwrap()))
        .map(|path| path.strip_prefix(root()).unwrap().display().to_string())
        .collect()
}

#[test]
fn every_rust_file_says_what_it_answers_for() {
    let silent = offenders("rs", |text| !text.starts_with("//!") && !text.starts_with("#![doc"));
    assert!(silent.is_empty(), "these do not open with `//!`: {silent:#?}");
}

#[test]
fn no_file_has_a_second_noun() {
    let long = offenders("rs", |text| text.lines().count() > LONGEST_FILE);
    assert!(long.is_empty(), "these have more than {LONGEST_FILE} lines: {long:#?}");
}

#[test]
fn the_decision_knows_names_and_nothing_else_of_the_protocol() {
    let folder = root().join("coordinator/decision/src");
    for path in files(&folder, "rs") {
        for line in
            fs::read_to_string(&path).unwrap().lines().filter(|line| line.contains("millwright_protocol::"))
        {
            let names = ["NodeName", "Fence", "{Fence, NodeName}"];
            let known = names.map(|names| format!("use millwright_protocol::{names};"));
            assert!(known.iter().any(|known| known == line.trim()), "{}: {line}", path.display());
        }
    }
}

#[test]
fn the_decision_has_no_way_to_reach_the_world() {
    let manifest: toml::Table = read("coordinator/decision/Cargo.toml").parse().unwrap();
    let dependencies: Vec<&String> = manifest["dependencies"].as_table().unwrap().keys().collect();
    assert_eq!(dependencies, ["jiff", "millwright-protocol", "regex-lite", "serde", "thiserror"]);
}

#[test]
fn agent_and_coordinator_share_words_and_no_code() {
    for (member, stranger) in [
        ("agent", "millwright-coordinator"),
        ("agent", "millwright-decision"),
        ("coordinator", "millwright-agent"),
    ] {
        let manifest: toml::Table = read(format!("{member}/Cargo.toml")).parse().unwrap();
        assert!(
            !manifest["dependencies"].as_table().unwrap().contains_key(stranger),
            "{member} depends on {stranger}"
        );
    }
}

#[test]
fn versions_stand_in_one_place() {
    for path in files(&root(), "toml").into_iter().filter(|path| path.ends_with("Cargo.toml")) {
        let manifest: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        for section in ["dependencies", "dev-dependencies"] {
            let Some(entries) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, entry) in entries {
                let shared = entry.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(shared, "{}: {name} does not say `workspace = true`", path.display());
            }
        }
    }
}

#[test]
fn every_script_stops_at_its_first_failure() {
    let loose = offenders("sh", |text| {
        !text.starts_with("#!") || !(text.contains("set -eu") || text.contains("set -u"))
    });
    assert!(loose.is_empty(), "these lack `#!` or `set -eu`: {loose:#?}");
}
