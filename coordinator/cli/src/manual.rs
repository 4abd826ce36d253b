//! The manual and this program: whoever is sent to a command at three in the morning finds it.

use super::Arguments;
use clap::{Parser, error::ErrorKind};
use std::{fs, path::Path};

/// The other two programs' commands that the manual may name.
const OF_OTHERS: [&str; 7] = [
    "millwright-coordinator --check-config",
    "millwright-coordinator notify-test",
    "millwright-coordinator restore",
    "millwright-coordinator raise-generation",
    "millwright-coordinator move",
    "millwright-agent status",
    "millwright-agent hold",
];

/// Every page, and its paragraphs: list items and blocks of code count as such.
fn pages() -> Vec<(String, Vec<String>)> {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/manual");
    let folders = [manual.clone(), manual.join("reasons")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.display().to_string(), paragraphs(&fs::read_to_string(path).unwrap())))
        .collect()
}

fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines() {
        let line = line.trim();
        let is_item = line.starts_with("- ") || line.starts_with(|first: char| first.is_ascii_digit());
        if line.is_empty() || is_item {
            paragraphs.push(String::new());
        }
        // In a block of code each line is a command of its own.
        let is_command = line.starts_with("millwright") || line.starts_with("sudo millwright");
        let line = if is_command { format!("`{line}`") } else { line.to_owned() };
        let last = paragraphs.last_mut().unwrap();
        last.push_str(&line);
        last.push(' ');
    }
    paragraphs
}

/// What stands between marks and is a command of ours.
fn commands(paragraph: &str) -> Vec<String> {
    let spans = paragraph.split('`').skip(1).step_by(2);
    spans
        .map(|span| span.trim_start_matches("sudo ").to_owned())
        .filter(|span| span.starts_with("millwright ") || span.starts_with("millwright-"))
        .collect()
}

/// Words as a shell would give them; a quoted text is one word.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('"').enumerate();
    parts
        .flat_map(|(place, part)| match place % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// Whether this version has the command; what stands for a name or an action, or is left out, does not matter.
fn exists(command: &str) -> bool {
    if command.starts_with("millwright-") {
        return OF_OTHERS.iter().any(|known| command == *known || command.starts_with(&format!("{known} ")))
            || ["millwright-coordinator", "millwright-agent"].contains(&command);
    }
    let example = |word: String| match word.as_str() {
        "ACTION" => "drain".to_owned(),
        "SOURCE" => "jenkins".to_owned(),
        "CLASS" => "agent".to_owned(),
        "CODE" => "confirm_reboot".to_owned(),
        _ => word,
    };
    let words = words(command).into_iter().map(example);
    match Arguments::try_parse_from(words) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::MissingRequiredArgument,
    }
}

#[test]
fn every_command_in_the_manual_exists() {
    let mut seen = 0;
    for (page, paragraphs) in pages() {
        for paragraph in &paragraphs {
            for command in commands(paragraph) {
                seen += 1;
                assert!(exists(&command), "{page}: there is no `{command}` in this version: {paragraph}");
            }
        }
    }
    assert!(seen > 20, "only {seen} commands were found");
}

#[test]
fn a_command_that_is_not_there_is_noticed() {
    for missing in
        ["millwright revive n01", "millwright node revive n01", "millwright-coordinator hop --to HOST"]
    {
        assert!(!exists(missing), "{missing}");
    }
    let found = commands("say `sudo millwright node dead NAME --reason \"a b\"` or `nothing`");
    assert_eq!(found, ["millwright node dead NAME --reason \"a b\""]);
    assert!(exists(&found.concat()));
}
