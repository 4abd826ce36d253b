//! One piece of configuration as it was written, and errors that lead the reader to the line.

use super::{Fault, trusted};
use serde::de::DeserializeOwned;
use std::{fs, io::Read, path::Path};
use toml::{
    Spanned, Value,
    de::{DeTable, DeValue},
};

/// No configuration of ours is this large; whatever it is, it is not read into memory.
const LARGEST: u64 = 1 << 20;

/// A file, or one setting of the command line.
#[derive(Debug, Clone)]
pub struct Fragment {
    source: String,
    text: String,
}

/// What is wrong with the configuration, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read at all.
    #[error("read {path}: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// What was found and what to do next.
        why: String,
    },
    /// Something in it is wrong.
    #[error("{place}: {what}")]
    Wrong {
        /// File and line, or the setting.
        place: String,
        /// The key, what is wrong with it and the accepted form.
        what: String,
    },
}

impl Fragment {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, others can change it, it is no text, or is larger than 1 MiB.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |why: String| ConfigError::Unreadable { path: path.display().to_string(), why };
        let file = fs::File::open(path).map_err(|error| {
            unreadable(format!("{error}; name another file with --config, or install the shipped agent.toml"))
        })?;
        let metadata = file.metadata().map_err(|error| unreadable(error.to_string()))?;
        if let Some(why) = trusted::suspicion(path, &metadata) {
            return Err(unreadable(why));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
        if bytes.len() as u64 > LARGEST {
            return Err(unreadable("it is larger than 1 MiB, which no agent.toml is".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            unreadable(format!(
                "byte {} is not UTF-8; save the file as UTF-8",
                error.utf8_error().valid_up_to()
            ))
        })?;
        Ok(Self::new(path.display().to_string(), text))
    }

    /// A text that came from `source`.
    pub fn new(source: impl Into<String>, text: impl Into<String>) -> Self {
        Self { source: source.into(), text: text.into() }
    }

    /// `KEY=VALUE` from the command line; a value that is no TOML is taken as text.
    ///
    /// # Errors
    /// When there is no `=`.
    pub fn of_setting(setting: &str) -> Result<Self, ConfigError> {
        let source = format!("--set {setting}");
        let Some((key, value)) = setting.split_once('=') else {
            return Err(ConfigError::Wrong {
                place: source,
                what: "there is no `=`; write KEY=VALUE, such as status.listen=127.0.0.1:0".to_owned(),
            });
        };
        let written = format!("{key} = {value}");
        let text = match DeTable::parse(&written) {
            Ok(_) => written,
            Err(_) => format!("{key} = {}", Value::String(value.to_owned())),
        };
        Ok(Self::new(source, text))
    }

    /// Reads it as `T`, only to see that it fits, and returns it as a table.
    fn table<T: DeserializeOwned>(&self) -> Result<Spanned<DeTable<'_>>, ConfigError> {
        toml::from_str::<T>(&self.text).map_err(|error| self.explain(&error))?;
        DeTable::parse(&self.text).map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &toml::de::Error) -> ConfigError {
        let offset = error.span().map_or(0, |span| span.start);
        let keys = self.keys_at(offset);
        let message = in_our_words(error.message());
        let what = match keys.split_last() {
            None => message,
            Some((_, sections)) if message.starts_with("unknown key") => {
                let section = match sections {
                    [] => "at the top level".to_owned(),
                    sections => format!("in [{}]", sections.join(".")),
                };
                message.replacen("; known", &format!(" {section}; known"), 1)
            }
            Some(_) => format!("`{}`: {message}", keys.join(".")),
        };
        ConfigError::Wrong { place: self.place(Some(offset)), what }
    }

    fn place(&self, offset: Option<usize>) -> String {
        match offset.and_then(|offset| self.text.get(..offset)) {
            Some(before) if !self.source.starts_with("--set") => {
                format!("{} line {}", self.source, before.matches('\n').count() + 1)
            }
            _ => self.source.clone(),
        }
    }

    /// The keys that lead to what stands at `offset`.
    fn keys_at(&self, offset: usize) -> Vec<String> {
        let mut keys = Vec::new();
        if let Ok(table) = DeTable::parse(&self.text) {
            find_offset(table.get_ref(), offset, &mut keys);
        }
        keys
    }

    /// Where the value of a key is written here.
    fn offset_of(&self, key: &str) -> Option<usize> {
        let table = DeTable::parse(&self.text).ok()?;
        let mut parts = key.split('.').peekable();
        let mut table = table.get_ref();
        loop {
            let part = parts.next()?;
            let (name, value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
            match (parts.peek(), value.get_ref()) {
                (Some(_), DeValue::Table(inner)) => table = inner,
                _ => return Some(name.span().start),
            }
        }
    }
}

fn find_offset(table: &DeTable<'_>, offset: usize, keys: &mut Vec<String>) -> bool {
    for (name, value) in table.iter() {
        keys.push(name.get_ref().to_string());
        let found = name.span().contains(&offset)
            || match value.get_ref() {
                DeValue::Table(inner) => find_offset(inner, offset, keys) || value.span().contains(&offset),
                DeValue::Array(items) => {
                    items.iter().any(|item| match item.get_ref() {
                        DeValue::Table(inner) => find_offset(inner, offset, keys),
                        _ => false,
                    }) || value.span().contains(&offset)
                }
                _ => value.span().contains(&offset),
            };
        if found {
            return true;
        }
        keys.pop();
    }
    false
}

/// serde speaks of fields and variants; our readers write keys and words.
fn in_our_words(message: &str) -> String {
    let message = message.trim_end();
    if let Some(rest) = message.strip_prefix("unknown field") {
        return format!(
            "unknown key{}",
            rest.replacen(", expected one of", "; known keys are", 1).replacen(", expected", "; known is", 1)
        );
    }
    if let Some(rest) = message.strip_prefix("unknown variant") {
        return format!("unknown word{}", rest.replacen("expected", "accepted is", 1));
    }
    message.replacen("missing field", "missing key", 1).replace('\n', "; ")
}

/// Lays the fragments over each other, the last on top.
pub(super) fn merged<T: DeserializeOwned>(fragments: &[Fragment]) -> Result<T, ConfigError> {
    let mut whole = Spanned::new(0..0, DeTable::new());
    for fragment in fragments {
        lay_over(whole.get_mut(), fragment.table::<T>()?.into_inner());
    }
    T::deserialize(toml::Deserializer::from(whole)).map_err(|error| ConfigError::Wrong {
        place: fragments.iter().map(|fragment| fragment.source.as_str()).collect::<Vec<_>>().join(" + "),
        what: in_our_words(error.message()),
    })
}

fn lay_over<'a>(below: &mut DeTable<'a>, above: DeTable<'a>) {
    for (key, mut value) in above {
        if let Some(inner) = below.get_mut(&key)
            && let (DeValue::Table(inner), DeValue::Table(above)) = (inner.get_mut(), value.get_mut())
        {
            lay_over(inner, std::mem::take(above));
        } else {
            below.insert(key, value);
        }
    }
}

/// Leads from a fault to the fragment that wrote the key last; for a key that only has its default, to the
/// section that disagrees with it.
pub(super) fn located(fragments: &[Fragment], fault: &Fault) -> ConfigError {
    let what = format!("`{}` {}", fault.key, fault.why);
    let mut key = Some(fault.key.as_str());
    while let Some(name) = key {
        for fragment in fragments.iter().rev() {
            if let Some(offset) = fragment.offset_of(name) {
                return ConfigError::Wrong { place: fragment.place(Some(offset)), what };
            }
        }
        key = name.rsplit_once('.').map(|(section, _)| section);
    }
    ConfigError::Wrong { place: "the defaults".to_owned(), what }
}
