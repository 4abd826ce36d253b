//! Reads a JSON document as it arrives and hands out only the values asked for.
//!
//! A Mesos agent's `/state` can be megabytes of finished work around a handful of living tasks. The picker
//! looks at every byte once, keeps the place it is at and the one value being taken, and forgets the rest. What
//! it passes over must still be JSON: a cut or broken document is an error, never "nothing there".

use thiserror::Error;

/// Deeper nesting than this is refused; Mesos stays below 20.
const DEEPEST: usize = 128;
/// A key or a taken value longer than this is refused.
const LONGEST: usize = 4 << 20;

/// What to do with the value at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Pass over it.
    Skip,
    /// Look at the values of this object, each by its own path; anything but an object or `null` is an error.
    Object,
    /// Look at the elements of this list; anything but a list or `null` is an error.
    List,
    /// Hand it over whole.
    Take,
}

/// Who asks. Paths look like `/frameworks/*/name`: keys, and `*` for any element of a list.
pub trait Harvest {
    /// What to do with the value that begins at `path`.
    fn want(&mut self, path: &str) -> Want;

    /// A value asked for, as the JSON text it was.
    ///
    /// # Errors
    /// What is wrong with it; reading ends there.
    fn take(&mut self, path: &str, json: &[u8]) -> Result<(), String>;

    /// The object or list at `path`, which was looked into, has ended.
    ///
    /// # Errors
    /// What is wrong with it as a whole.
    fn leave(&mut self, path: &str) -> Result<(), String>;
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PickError {
    /// Not JSON.
    #[error("not JSON at byte {offset}: {what}")]
    Malformed {
        /// Bytes before the offending one.
        offset: u64,
        /// What was found or missed.
        what: &'static str,
    },
    /// JSON, but not what it should be.
    #[error("at {path}: {what}")]
    Unexpected {
        /// Where.
        path: String,
        /// What is wrong.
        what: String,
    },
}

/// Where the reader is between two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    Text { is_key: bool },
    Escape { is_key: bool },
    Hex { is_key: bool, left: u8 },
    Number(Digits),
    Word(&'static [u8]),
    Done,
}

/// Where inside a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digits {
    Sign,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    PowerSign,
    Power,
}

impl Digits {
    /// The next place in the number, or none when `byte` does not belong to it.
    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Sign, b'0') => Some(Self::Zero),
            (Self::Sign | Self::Whole, b'0'..=b'9') => Some(Self::Whole),
            (Self::Zero | Self::Whole, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Some(Self::Exponent),
            (Self::Exponent, b'+' | b'-') => Some(Self::PowerSign),
            (Self::Exponent | Self::PowerSign | Self::Power, b'0'..=b'9') => Some(Self::Power),
            _ => None,
        }
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Power)
    }
}

/// One open object or list.
#[derive(Debug, Clone, Copy)]
struct Frame {
    is_list: bool,
    /// Whether its values are asked about one by one.
    is_entered: bool,
    /// Length of the path of the object or list itself.
    path_len: usize,
}

/// How many bytes from the start are plain text: no quote, no backslash, no control character.
///
/// Most of a state is texts, so they are read eight bytes at a time. Subtracting one from a byte that is zero sets its
/// highest bit; so does subtracting 0x20 from one that is less. The borrow may spoil later bytes, never the first hit.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let hits = quote | backslash | below(word, 0x20);
        if hits != 0 {
            return index * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    words.len() * 8 + tail.iter().position(is_special).unwrap_or(tail.len())
}

/// The reader. Feed it the document piece by piece, then call [`Picker::finish`].
#[derive(Debug)]
pub struct Picker<H> {
    harvest: H,
    place: Place,
    frames: Vec<Frame>,
    path: String,
    /// The key or value being kept.
    held: Vec<u8>,
    /// Depth at which the value being taken began.
    taking: Option<usize>,
    /// Depth at which the value being passed over began.
    skipping: Option<usize>,
    offset: u64,
}

impl<H: Harvest> Picker<H> {
    /// A reader at the start of a document.
    pub fn new(harvest: H) -> Self {
        Self {
            harvest,
            place: Place::Value,
            frames: Vec::new(),
            path: String::new(),
            held: Vec::new(),
            taking: None,
            skipping: None,
            offset: 0,
        }
    }

    /// Reads the next piece; pieces may be cut anywhere.
    ///
    /// # Errors
    /// The document is not JSON, or the harvest refuses a value. The reader is of no use afterwards.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), PickError> {
        let mut rest = piece;
        loop {
            if let Place::Text { is_key } = self.place {
                let (text, after) = rest.split_at(plain_length(rest));
                if self.taking.is_some() || (is_key && self.skipping.is_none()) {
                    self.hold(text)?;
                }
                self.offset += text.len() as u64;
                rest = after;
            }
            let Some((&byte, after)) = rest.split_first() else { return Ok(()) };
            self.step(byte)?;
            self.offset += 1;
            rest = after;
        }
    }

    /// Ends the document and gives the harvest back.
    ///
    /// # Errors
    /// The document is not complete.
    pub fn finish(mut self) -> Result<H, PickError> {
        if let Place::Number(digits) = self.place
            && digits.may_end()
            && self.frames.is_empty()
        {
            self.end_value()?;
        }
        match self.place {
            Place::Done => Ok(self.harvest),
            _ => Err(self.malformed("the document ends too early")),
        }
    }

    fn malformed(&self, what: &'static str) -> PickError {
        PickError::Malformed { offset: self.offset, what }
    }

    fn unexpected(&self, what: impl Into<String>) -> PickError {
        let path = if self.path.is_empty() { "/".to_owned() } else { self.path.clone() };
        PickError::Unexpected { path, what: what.into() }
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), PickError> {
        if self.held.len() + bytes.len() > LONGEST {
            return Err(self.unexpected("a single value of more than 4 MiB"));
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<(), PickError> {
        if let Place::Number(digits) = self.place {
            match digits.after(byte) {
                Some(next) => {
                    self.place = Place::Number(next);
                    return if self.taking.is_some() { self.hold(&[byte]) } else { Ok(()) };
                }
                None if digits.may_end() => self.end_value()?,
                None => return Err(self.malformed("a number that does not end")),
            }
        }
        let is_space = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        if is_space && !self.is_inside_token() {
            return Ok(());
        }
        if self.taking.is_some() {
            self.hold(&[byte])?;
        }
        match self.place {
            Place::Value => self.begin_value(byte),
            Place::ValueOrEnd if byte == b']' => self.end_container(true),
            Place::ValueOrEnd => self.begin_value(byte),
            Place::KeyOrEnd if byte == b'}' => self.end_container(false),
            Place::KeyOrEnd | Place::Key => self.begin_key(byte),
            Place::Colon if byte == b':' => {
                self.place = Place::Value;
                Ok(())
            }
            Place::Colon => Err(self.malformed("no colon after a key")),
            Place::CommaOrEnd => self.after_value(byte),
            Place::Text { is_key } => self.in_text(byte, is_key),
            Place::Escape { is_key } => self.in_escape(byte, is_key),
            Place::Hex { is_key, left } => self.in_hex(byte, is_key, left),
            Place::Word(letters) => self.in_word(byte, letters),
            Place::Number(_) => Ok(()),
            Place::Done => Err(self.malformed("something after the end of the document")),
        }
    }

    fn is_inside_token(&self) -> bool {
        matches!(
            self.place,
            Place::Text { .. } | Place::Escape { .. } | Place::Hex { .. } | Place::Word(_) | Place::Number(_)
        )
    }

    /// Whether paths are being followed, that is, the current value is neither taken nor passed over.
    fn is_following(&self) -> bool {
        self.taking.is_none() && self.skipping.is_none()
    }

    fn begin_key(&mut self, byte: u8) -> Result<(), PickError> {
        if byte != b'"' {
            return Err(self.malformed("no key where one must stand"));
        }
        if self.is_following() {
            self.held.clear();
        }
        self.place = Place::Text { is_key: true };
        Ok(())
    }

    fn begin_value(&mut self, byte: u8) -> Result<(), PickError> {
        let mut is_entered = false;
        if self.is_following() {
            if self.frames.last().is_some_and(|frame| frame.is_list) {
                self.path.push_str("/*");
            }
            let wanted = match self.harvest.want(&self.path) {
                Want::Skip => {
                    self.skipping = Some(self.frames.len());
                    None
                }
                Want::Take => {
                    self.taking = Some(self.frames.len());
                    self.held.clear();
                    self.held.push(byte);
                    None
                }
                Want::Object => Some((b'{', "an object")),
                Want::List => Some((b'[', "a list")),
            };
            if let Some((opening, what)) = wanted {
                if byte != opening && byte != b'n' {
                    return Err(self.unexpected(format!("not {what}")));
                }
                is_entered = byte == opening;
            }
        }
        self.place = match byte {
            b'{' => self.open(false, is_entered)?,
            b'[' => self.open(true, is_entered)?,
            b'"' => Place::Text { is_key: false },
            b'-' => Place::Number(Digits::Sign),
            b'0' => Place::Number(Digits::Zero),
            b'1'..=b'9' => Place::Number(Digits::Whole),
            b't' => Place::Word(b"rue"),
            b'f' => Place::Word(b"alse"),
            b'n' => Place::Word(b"ull"),
            _ => return Err(self.malformed("no value where one must stand")),
        };
        Ok(())
    }

    fn open(&mut self, is_list: bool, is_entered: bool) -> Result<Place, PickError> {
        if self.frames.len() >= DEEPEST {
            return Err(self.malformed("nested more than 128 levels deep"));
        }
        self.frames.push(Frame { is_list, is_entered, path_len: self.path.len() });
        Ok(if is_list { Place::ValueOrEnd } else { Place::KeyOrEnd })
    }

    fn after_value(&mut self, byte: u8) -> Result<(), PickError> {
        let is_list = self.frames.last().is_some_and(|frame| frame.is_list);
        match byte {
            b',' => {
                self.place = if is_list { Place::Value } else { Place::Key };
                Ok(())
            }
            b']' if is_list => self.end_container(true),
            b'}' if !is_list => self.end_container(false),
            _ => Err(self.malformed("neither a comma nor the end after a value")),
        }
    }

    fn end_container(&mut self, is_list: bool) -> Result<(), PickError> {
        match self.frames.pop() {
            Some(frame) if frame.is_list == is_list => {
                if frame.is_entered {
                    self.harvest.leave(&self.path).map_err(|what| self.unexpected(what))?;
                }
                self.end_value()
            }
            _ => Err(self.malformed("an end without its beginning")),
        }
    }

    fn end_value(&mut self) -> Result<(), PickError> {
        let depth = Some(self.frames.len());
        if self.taking == depth {
            self.taking = None;
            self.harvest.take(&self.path, &self.held).map_err(|what| self.unexpected(what))?;
        } else if self.skipping == depth {
            self.skipping = None;
        }
        if self.is_following() {
            let length = self.frames.last().map_or(0, |frame| frame.path_len);
            self.path.truncate(length);
        }
        self.place = if self.frames.is_empty() { Place::Done } else { Place::CommaOrEnd };
        Ok(())
    }

    fn in_text(&mut self, byte: u8, is_key: bool) -> Result<(), PickError> {
        match byte {
            b'"' if is_key => self.end_key(),
            b'"' => self.end_value(),
            b'\\' => {
                self.keep_in_key(byte, is_key)?;
                self.place = Place::Escape { is_key };
                Ok(())
            }
            _ => Err(self.malformed("a control character in a text")),
        }
    }

    fn in_escape(&mut self, byte: u8, is_key: bool) -> Result<(), PickError> {
        self.keep_in_key(byte, is_key)?;
        self.place = match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Place::Text { is_key },
            b'u' => Place::Hex { is_key, left: 4 },
            _ => return Err(self.malformed("an unknown escape in a text")),
        };
        Ok(())
    }

    fn in_hex(&mut self, byte: u8, is_key: bool, left: u8) -> Result<(), PickError> {
        if !byte.is_ascii_hexdigit() {
            return Err(self.malformed("an unfinished escape in a text"));
        }
        self.keep_in_key(byte, is_key)?;
        self.place = if left > 1 { Place::Hex { is_key, left: left - 1 } } else { Place::Text { is_key } };
        Ok(())
    }

    fn in_word(&mut self, byte: u8, letters: &'static [u8]) -> Result<(), PickError> {
        match letters.split_first() {
            Some((&letter, [])) if letter == byte => self.end_value(),
            Some((&letter, rest)) if letter == byte => {
                self.place = Place::Word(rest);
                Ok(())
            }
            _ => Err(self.malformed("a word other than true, false and null")),
        }
    }

    /// Keeps a byte of an escape in a key that is being followed.
    fn keep_in_key(&mut self, byte: u8, is_key: bool) -> Result<(), PickError> {
        if is_key && self.is_following() { self.hold(&[byte]) } else { Ok(()) }
    }

    fn end_key(&mut self) -> Result<(), PickError> {
        self.place = Place::Colon;
        if !self.is_following() {
            return Ok(());
        }
        let mut quoted = Vec::with_capacity(self.held.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(&self.held);
        quoted.push(b'"');
        let key: String =
            serde_json::from_slice(&quoted).map_err(|_| self.malformed("a key that is no text"))?;
        self.path.push('/');
        // A slash or star inside a key must not look like a step of the path.
        self.path
            .extend(key.chars().map(|letter| if matches!(letter, '/' | '*') { '\u{fffd}' } else { letter }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Default)]
    struct Basket(Vec<String>);

    impl Harvest for Basket {
        fn want(&mut self, path: &str) -> Want {
            match path {
                "" | "/a/*" => Want::Object,
                "/a" => Want::List,
                "/a/*/x" | "/b" | "/é" => Want::Take,
                _ => Want::Skip,
            }
        }

        fn take(&mut self, path: &str, json: &[u8]) -> Result<(), String> {
            self.0.push(format!("{path}={}", String::from_utf8_lossy(json)));
            Ok(())
        }

        fn leave(&mut self, path: &str) -> Result<(), String> {
            self.0.push(format!("end {path}"));
            Ok(())
        }
    }

    fn pick(document: &[u8], piece: usize) -> Result<Vec<String>, PickError> {
        let mut picker = Picker::new(Basket::default());
        for piece in document.chunks(piece) {
            picker.feed(piece)?;
        }
        Ok(picker.finish()?.0)
    }

    #[test]
    fn plain_text_ends_at_the_first_byte_that_means_something() {
        for special in [b'"', b'\\', 0, 0x0a, 0x1f] {
            for place in 0..20 {
                let mut text = [b'x'; 20];
                text[place] = special;
                assert_eq!(plain_length(&text), place, "{special:#x}");
                text[19] = b'"';
                assert_eq!(plain_length(&text), place, "{special:#x} and a quote behind it");
            }
        }
        for plain in
            [" !#[]\u{7f}".as_bytes(), "éß漢字 €uro and more".as_bytes(), &[0x20; 16], &[0xff; 9], b""]
        {
            assert_eq!(plain_length(plain), plain.len());
        }
    }

    #[test]
    fn only_what_is_asked_for_is_handed_over_wherever_the_pieces_are_cut() {
        let document = br#" {"z":[{"x":1},[]], "a":[{"x":{"deep":[1,2,"]}"]},"y":"\"}"},{"x":-1.5e+3}, null],
            "b":"t\u00e9xt", "\u00e9":true, "a/*/x":9} "#;
        let seen = [
            r#"/a/*/x={"deep":[1,2,"]}"]}"#,
            "end /a/*",
            "/a/*/x=-1.5e+3",
            "end /a/*",
            "end /a",
            r#"/b="t\u00e9xt""#,
            "/é=true",
            "end ",
        ];
        for piece in 1..document.len() {
            assert_eq!(pick(document, piece).unwrap(), seen, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_even_where_it_is_passed_over() {
        for document in [
            "",
            "{",
            "[1",
            r#"{"z":}"#,
            r#"{"z":01}"#,
            r#"{"z":1.}"#,
            r#"{"z":tru}"#,
            r#"{"z":[1,]}"#,
            r#"{"z":{"a" 1}}"#,
            r#"{"z":"\x"}"#,
            r#"{"z":"\u12g4"}"#,
            "{\"z\":\"a\nb\"}",
            r#"{"z":[1}}"#,
            r#"{} {}"#,
            r#"{"z":1"#,
            r#"{"a":[{"x":1}"#,
            r#"{"z":nulll}"#,
            "\u{feff}{}",
            r#"{,}"#,
            r#"{"z":-}"#,
        ] {
            assert!(pick(document.as_bytes(), 3).is_err(), "{document}");
            assert!(serde_json::from_str::<serde_json::Value>(document).is_err(), "{document}");
        }
    }

    #[test]
    fn a_value_of_another_shape_is_refused_and_not_taken_for_empty() {
        for document in [r#"{"a":{}}"#, r#"{"a":"x"}"#, r#"[]"#, r#"{"a":[1]}"#] {
            assert!(matches!(pick(document.as_bytes(), 5), Err(PickError::Unexpected { .. })), "{document}");
        }
        assert_eq!(pick(br#"{"a":null}"#, 5).unwrap(), ["end "]);
    }

    #[test]
    fn endless_nesting_is_refused() {
        let deep = format!(r#"{{"z":{}"#, "[".repeat(100_000));
        assert!(pick(deep.as_bytes(), 4096).unwrap_err().to_string().contains("128 levels"));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_whole_reader_about_what_is_json(document in r#"[\[\]{},:"a1.e\-nul ]{0,12}"#) {
            let wrapped = format!(r#"{{"z":{document}}}"#);
            let whole = serde_json::from_str::<serde_json::Value>(&wrapped).is_ok();
            prop_assert_eq!(pick(wrapped.as_bytes(), 2).is_ok(), whole, "{}", wrapped);
        }

        #[test]
        fn bytes_of_any_kind_never_make_it_panic(document in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = pick(&document, 7);
        }
    }
}
