//! A TOML file as a person wrote it: which key stands where, and what does not fit, in the words of those who write it.
//!
//! serde gives up at the first thing that does not fit. Here that thing is left out and the rest is read again, so that
//! a person learns everything at once. What the settings mean is the business of whoever reads them.

use serde::de::DeserializeOwned;
use std::{fmt, ops::Range};
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer},
};

/// More complaints than anybody reads; the rest follows once these are mended.
const MOST: usize = 50;

/// Something that is wrong, where it stands, and what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// The line, from 1; `None` where something is missing from the file as a whole.
    pub line: Option<usize>,
    /// The key with its sections, such as `classes.agent.out`; empty at the top level.
    pub key: String,
    /// What is wrong and what is accepted.
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(formatter, "`{}`: ", self.key)?;
        }
        formatter.write_str(&self.message)
    }
}

/// A text that is TOML.
pub struct Written<'a> {
    text: &'a str,
    table: Spanned<DeTable<'a>>,
}

/// What could be read of a file.
pub struct Read<T> {
    /// What fits; `None` when nothing does.
    pub value: Option<T>,
    /// What does not.
    pub complaints: Vec<Complaint>,
}

impl<'a> Written<'a> {
    /// Takes a text apart.
    ///
    /// # Errors
    /// When it is no TOML: one complaint a line.
    pub fn parse(text: &'a str) -> Result<Self, Vec<Complaint>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { text, table });
        }
        let mut complaints: Vec<Complaint> = errors.iter().map(|error| no_toml(text, error)).collect();
        complaints.sort();
        complaints.dedup_by_key(|complaint| complaint.line);
        Err(complaints)
    }

    /// Reads it as `T`. `example` knows how the value of a key, named with its sections, is written.
    pub fn read<T: DeserializeOwned>(&self, example: impl Fn(&str) -> Option<&'static str>) -> Read<T> {
        let mut table = self.table.clone();
        let mut complaints = Vec::new();
        let mut cut: Vec<Vec<Step>> = Vec::new();
        for _ in 0..MOST {
            let error = match T::deserialize(Deserializer::from(table.clone())) {
                Ok(value) => return Read { value: Some(value), complaints },
                Err(error) => error,
            };
            let place = place_in(table.get_ref(), error.span().unwrap_or(0..0).start);
            let missing = missing_key(error.message());
            let is_our_doing = missing.is_some_and(|key| {
                let mut missed = place.clone();
                missed.push(Step::Key(key.to_owned()));
                cut.contains(&missed)
            });
            if !is_our_doing {
                complaints.push(self.misfit(&error, table.get_ref(), &example));
            }
            if place.is_empty() {
                break;
            }
            remove(table.get_mut(), &place);
            cut.push(place);
        }
        Read { value: None, complaints }
    }

    /// Takes a text apart and reads it as `T`, as a whole or not at all.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn read_whole<T: DeserializeOwned>(
        text: &'a str,
        example: impl Fn(&str) -> Option<&'static str>,
    ) -> Result<(Self, T), Complaint> {
        let table = DeTable::parse(text).map_err(|error| no_toml(text, &error))?;
        let written = Self { text, table };
        match T::deserialize(Deserializer::from(written.table.clone())) {
            Ok(value) => Ok((written, value)),
            Err(error) => Err(written.misfit(&error, written.table.get_ref(), &example)),
        }
    }

    /// A complaint about what stands at this byte.
    pub fn complain(&self, at: &Range<usize>, message: impl Into<String>) -> Complaint {
        self.at(at.start, &place_in(self.table.get_ref(), at.start), message.into())
    }

    fn misfit(
        &self,
        error: &toml::de::Error,
        table: &DeTable<'_>,
        example: &impl Fn(&str) -> Option<&'static str>,
    ) -> Complaint {
        let offset = error.span().unwrap_or(0..0).start;
        let place = place_in(table, offset);
        self.at(offset, &place, in_our_words(error.message(), &place, example))
    }

    fn at(&self, offset: usize, place: &[Step], message: String) -> Complaint {
        Complaint { line: Some(line_of(self.text, offset)), key: spell(place), message }
    }
}

/// The line, from 1, of a byte of the text.
pub fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

/// One step on the way from the file as a whole to what stands somewhere in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

fn spell(place: &[Step]) -> String {
    let keys: Vec<&str> = place
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Item(_) => None,
        })
        .collect();
    keys.join(".")
}

fn no_toml(text: &str, error: &toml::de::Error) -> Complaint {
    let span = error.span().unwrap_or(0..0);
    let message = match text.get(span.clone()) {
        Some(key) if error.message() == "duplicate key" => {
            format!("`{key}` stands here a second time; keep one")
        }
        _ => error.message().trim_end().replace('\n', "; "),
    };
    Complaint { line: Some(line_of(text, span.start)), key: String::new(), message }
}

/// The way to the innermost thing at a byte.
fn place_in(table: &DeTable<'_>, offset: usize) -> Vec<Step> {
    let mut place = Vec::new();
    find(table, offset, &mut place);
    place
}

fn find(table: &DeTable<'_>, offset: usize, place: &mut Vec<Step>) -> bool {
    for (name, value) in table.iter() {
        place.push(Step::Key(name.get_ref().to_string()));
        if find_in(value, offset, place) || name.span().contains(&offset) {
            return true;
        }
        place.pop();
    }
    false
}

fn find_in(value: &Spanned<DeValue<'_>>, offset: usize, place: &mut Vec<Step>) -> bool {
    let is_inside = match value.get_ref() {
        DeValue::Table(inner) => find(inner, offset, place),
        DeValue::Array(items) => items.iter().enumerate().any(|(index, item)| {
            place.push(Step::Item(index));
            let is_inside = find_in(item, offset, place);
            if !is_inside {
                place.pop();
            }
            is_inside
        }),
        _ => false,
    };
    is_inside || value.span().contains(&offset)
}

fn remove(table: &mut DeTable<'_>, place: &[Step]) {
    let Some((Step::Key(key), rest)) = place.split_first() else { return };
    if rest.is_empty() {
        table.remove(key.as_str());
    } else if let Some(value) = table.get_mut(key.as_str()) {
        remove_in(value, rest);
    }
}

fn remove_in(value: &mut Spanned<DeValue<'_>>, place: &[Step]) {
    match (value.get_mut(), place) {
        (DeValue::Table(inner), place) => remove(inner, place),
        (DeValue::Array(items), [Step::Item(index)]) => {
            let kept = std::mem::replace(items, DeArray::new()).into_iter().enumerate();
            *items = kept.filter(|(place, _)| place != index).map(|(_, item)| item).collect();
        }
        (DeValue::Array(items), [Step::Item(index), rest @ ..]) => {
            if let Some(item) = items.get_mut(*index) {
                remove_in(item, rest);
            }
        }
        _ => {}
    }
}

/// The key that serde misses.
fn missing_key(message: &str) -> Option<&str> {
    message.trim_end().strip_prefix("missing field `")?.strip_suffix('`')
}

/// serde speaks of fields, variants and Rust's types; people write keys, words and values.
fn in_our_words(message: &str, place: &[Step], example: &impl Fn(&str) -> Option<&'static str>) -> String {
    let message = message.trim_end().replace('\n', "; ");
    let such_as = |whole: &str| {
        let key = whole.rsplit('.').next().unwrap_or(whole);
        example(whole).map_or_else(String::new, |example| format!("; write it such as `{key} = {example}`"))
    };
    let whole = spell(place);
    if let Some(key) = missing_key(&message) {
        return format!("the key `{key}` is missing{}", such_as(&format!("{whole}.{key}")));
    }
    if let Some(rest) = message.strip_prefix("unknown field ") {
        // Which one it is stands before the message already.
        let known = rest.split_once(", expected ").map_or(rest, |(_, known)| known);
        return format!("unknown key; known keys are {}", known.trim_start_matches("one of "));
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let rest = rest.replacen(", expected one of", "; accepted are", 1);
        return format!("unknown word {}", rest.replacen(", expected", "; accepted is", 1));
    }
    let found = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, wanted)) = found.and_then(|rest| rest.split_once(", expected ")) else {
        return message;
    };
    let in_list = matches!(place.last(), Some(Step::Item(_)));
    let wanted = match wanted {
        "a string" | "a borrowed string" if in_list => "texts in quotes",
        "a string" | "a borrowed string" => "a text in quotes",
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "true or false",
        "u16" | "u32" | "u64" => "a whole number from 0 on",
        "f32" | "f64" => "a number",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    format!("found {found}, and it must be {wanted}{}", such_as(&whole))
}
