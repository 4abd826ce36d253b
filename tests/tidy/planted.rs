//! The bugs that `make planted` and `make mutants` plant: each text that they exchange stands exactly once where they say, so
//! that code that moves takes its bugs along.

use super::read;

const LISTS: [&str; 2] = ["tests/planted/planted.txt", "tests/mutants/planted.txt"];

/// A file, and a text that is to stand there once.
fn exchanges(list: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for paragraph in list.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.starts_with('#')) {
        let (mut file, mut text) = ("", Vec::new());
        for line in paragraph.lines().skip(1) {
            match line.strip_prefix("- ") {
                Some(part) => text.push(part),
                None if line.starts_with("+ ") => {
                    if !text.is_empty() {
                        found.push((file.to_owned(), text.join("\n").replace(['«', '»'], "")));
                    }
                    text.clear();
                }
                None => file = line,
            }
        }
    }
    found
}

#[test]
fn every_text_that_a_planted_bug_exchanges_stands_exactly_once_in_its_file() {
    for list in LISTS {
        let exchanges = exchanges(&read(list));
        assert!(exchanges.len() > 40, "{list}: only {} were found", exchanges.len());
        for (file, text) in exchanges {
            let count = read(&file).matches(&text).count();
            assert_eq!(count, 1, "{list}: this stands {count} times in {file}:\n{text}");
        }
    }
}

#[test]
fn what_is_exchanged_is_read_line_by_line() {
    let list =
        "# a comment\n\nS1: a story\na.rs\n- one «two»\n- three\n+ four\nb.rs\n- five\n+ six\n+ seven\n";
    let expected = [("a.rs", "one two\nthree"), ("b.rs", "five")];
    assert_eq!(exchanges(list), expected.map(|(file, text)| (file.to_owned(), text.to_owned())));
}
