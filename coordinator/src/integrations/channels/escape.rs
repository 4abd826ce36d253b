//! What outsiders have written, as text and nothing else: it calls nobody, leads nowhere, and is one line.
//!
//! A space without width keeps a sign apart from what would give it a meaning; people see the text as it was.

/// No message is longer, in characters.
const LONGEST: usize = 3_000;
const APART: char = '\u{200B}';

/// One line without control characters, of a bearable length.
pub fn line(text: &str) -> String {
    // What changes the direction of writing can make one text look like another.
    let is_hidden =
        |c: &char| matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let clean = text.chars().filter(|c| !is_hidden(c)).map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// For a chat: nobody is called (`@here`, `<!here>`), nothing becomes a link or a picture.
pub fn chat(text: &str) -> String {
    let text = line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut safe = String::with_capacity(text.len());
    let mut before = [' '; 3];
    for c in text.chars() {
        let [_, second, last] = before;
        let is_www = || before.iter().all(|c| c.eq_ignore_ascii_case(&'w'));
        if matches!((last, c), (':', '/') | (']', '(') | ('!', '[')) || (c == '.' && is_www()) {
            safe.push(APART);
        }
        safe.push(c);
        if c == '@' {
            safe.push(APART);
        }
        before = [second, last, c];
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_by_what_an_outsider_has_written() {
        for call in ["@here", "@channel", "@all and @jane", "x@here", "<!here>", "<!channel|x>", "<@U024>"] {
            let safe = chat(&format!("alice wants it: {call}"));
            assert!(!safe.contains('<'), "{safe}");
            let calls = |(place, _): (usize, &str)| safe[place + 1..].starts_with(char::is_alphanumeric);
            assert!(!safe.match_indices('@').any(calls), "{safe}");
        }
    }

    #[test]
    fn nothing_an_outsider_has_written_becomes_a_link_or_a_picture() {
        for link in [
            "https://evil.example/x",
            "[click](https://evil)",
            "![](//evil)",
            "<https://evil|us>",
            "www.evil.example",
        ] {
            let safe = chat(link);
            for sign in ["://", "](", "![", "<http", "www."] {
                assert!(!safe.contains(sign), "{link}: {safe}");
            }
        }
    }

    #[test]
    fn what_people_read_stays_as_it_was_and_commands_can_be_copied() {
        let text =
            "to reset it: `millwright reboot alibuild10 --reason \"it is frozen\"`; 3_000 tasks *left*";
        assert_eq!(chat(text), text);
        assert_eq!(chat("a@b").replace(APART, ""), "a@b");
    }

    #[test]
    fn a_message_is_one_line_of_a_bearable_length_without_hidden_signs() {
        assert_eq!(line("one\r\nBcc: all\n\n two\u{7}\u{202E}"), "one Bcc: all two");
        assert_eq!(line(&"x".repeat(LONGEST + 1)).chars().count(), LONGEST + 1);
        assert!(line(&"x".repeat(LONGEST + 1)).ends_with("x…"));
    }
}
