//! Reads Puppet's YAML event by event: Ruby's tags are passed over, and an alias is not followed, so nothing is
//! kept and nothing can be built to exhaust the reader. The only file that knows the crate.

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError};
use std::io::{BufRead, BufReader, Read};

/// A report larger than this is not read.
pub const LARGEST: usize = 8 << 20;
/// What we look for lies no deeper.
const DEEPEST: usize = 3;

/// What the reader is inside of.
enum Level {
    /// A mapping; the key whose value comes next, or none while the key itself does.
    Mapping(Option<String>),
    List,
}

/// Reads the first document as a stream and tells `each` every value down to three keys: the keys that lead to
/// it (an entry of a list has the empty one), and its text. A mapping, a list and an alias have none; nothing and
/// `~` have the empty text.
///
/// # Errors
/// Not YAML, not UTF-8, larger than 8 MiB, or nested deeper than 255.
pub fn read(document: impl Read, mut each: impl FnMut(&[&str], Option<&str>)) -> Result<(), String> {
    let mut parser = Parser::new_from_fallible_iter(Characters::of(document));
    let mut levels: Vec<Level> = Vec::new();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| explain(&error))?;
        let (text, begins) = match event {
            Event::Scalar(text, style, ..) if is_nothing(&text, style) => (Some("".into()), None),
            Event::Scalar(text, ..) => (Some(text), None),
            Event::Alias(_) => (None, None),
            Event::MappingStart(..) => (None, Some(Level::Mapping(None))),
            Event::SequenceStart(..) => (None, Some(Level::List)),
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                value_ended(&mut levels);
                continue;
            }
            Event::DocumentEnd => break,
            _ => continue,
        };
        if let Some(Level::Mapping(key @ None)) = levels.last_mut() {
            if begins.is_some() {
                return Err(format!("line {}: a key that is no text", span.start.line()));
            }
            *key = Some(text.unwrap_or_default().into_owned());
            continue;
        }
        tell(&levels, text.as_deref(), &mut each);
        match begins {
            Some(level) => levels.push(level),
            None => value_ended(&mut levels),
        }
    }
    Ok(())
}

/// A yes or no, however Ruby wrote it.
pub fn flag(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// A whole number that is not negative; some versions write it as `12.0`.
pub fn count(text: &str) -> Option<u64> {
    let text = text.trim();
    let whole = |number: f64| (0.0..1e18).contains(&number).then_some(number as u64);
    text.parse().ok().or_else(|| text.parse().ok().and_then(whole))
}

/// After a value its mapping waits for the next key.
fn value_ended(levels: &mut [Level]) {
    if let Some(Level::Mapping(key)) = levels.last_mut() {
        *key = None;
    }
}

fn tell(levels: &[Level], text: Option<&str>, each: &mut impl FnMut(&[&str], Option<&str>)) {
    let mut path = [""; DEEPEST];
    let Some(path) = path.get_mut(..levels.len()) else { return };
    for (place, level) in path.iter_mut().zip(levels) {
        *place = match level {
            Level::Mapping(key) => key.as_deref().unwrap_or_default(),
            Level::List => "",
        };
    }
    each(path, text);
}

fn is_nothing(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "~" | "null")
}

fn explain(error: &ScanError) -> String {
    let message = error.to_string();
    message.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// The characters of a stream of UTF-8.
struct Characters<R> {
    bytes: BufReader<std::io::Take<R>>,
    left: usize,
}

impl<R: Read> Characters<R> {
    fn of(stream: R) -> Self {
        Self { bytes: BufReader::new(stream.take(LARGEST as u64 + 1)), left: LARGEST }
    }

    fn next_byte(&mut self) -> Result<Option<u8>, ErrorKind> {
        let buffer = self.bytes.fill_buf().map_err(|error| ErrorKind::InputIo { error: error.into() })?;
        let Some(byte) = buffer.first().copied() else { return Ok(None) };
        self.bytes.consume(1);
        self.left = self.left.checked_sub(1).ok_or(ErrorKind::InputByteLimitExceeded { limit: LARGEST })?;
        Ok(Some(byte))
    }

    fn next_character(&mut self) -> Result<Option<char>, ErrorKind> {
        let Some(first) = self.next_byte()? else { return Ok(None) };
        if first.is_ascii() {
            return Ok(Some(char::from(first)));
        }
        let mut piece = vec![first];
        for _ in 1..first.leading_ones() {
            piece.extend(self.next_byte()?);
        }
        let character = std::str::from_utf8(&piece).ok().and_then(|text| text.chars().next());
        character.map(Some).ok_or_else(|| ErrorKind::InputDecoding { message: "it is not UTF-8".to_owned() })
    }
}

impl<R: Read> Iterator for Characters<R> {
    type Item = Result<char, ErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_character().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(document: &[u8]) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        read(document, |path, text| lines.push(format!("{} = {}", path.join("/"), text.unwrap_or("…"))))?;
        Ok(lines)
    }

    #[test]
    fn every_value_comes_with_the_keys_that_lead_to_it() {
        let document = "--- !ruby/object:X\na: &1\n  b: 'true'\n  c: ~\n  d: '~'\nl:\n- x\n- *1\ne:\n  f:\n    g:\n      deep: 1\n";
        assert_eq!(
            told(document.as_bytes()).unwrap(),
            [
                " = …",
                "a = …",
                "a/b = true",
                "a/c = ",
                "a/d = ~",
                "l = …",
                "l/ = x",
                "l/ = …",
                "e = …",
                "e/f = …",
                "e/f/g = …"
            ]
        );
    }

    #[test]
    fn characters_beyond_ascii_are_read_and_broken_ones_refused() {
        assert_eq!(told("a: Grüße ✓\n".as_bytes()).unwrap().last().unwrap(), "a = Grüße ✓");
        for broken in [&b"a: \xc3"[..], b"a: \xff\n", b"a: \xc3\xc3\n", b"\xff\xfe"] {
            let error = told(broken).unwrap_err();
            assert!(error.contains("UTF-8"), "{error}");
        }
    }

    #[test]
    fn what_is_too_large_too_deep_or_has_strange_keys_is_refused() {
        let large = "- aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(220_000);
        assert!(told(large.as_bytes()).unwrap_err().contains("8388608"));
        assert!(told("[".repeat(100_000).as_bytes()).is_err());
        assert_eq!(told(b"? [a]\n: b\n").unwrap_err(), "line 1: a key that is no text");
    }

    #[test]
    fn only_the_first_document_counts() {
        assert_eq!(told(b"a: 1\n---\nb: 2\n").unwrap(), [" = …", "a = 1"]);
    }
}
