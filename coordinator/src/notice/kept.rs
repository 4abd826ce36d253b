//! A table in memory that knows which of its rows are not on the disk yet.

use crate::store::NoticeRow;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one kind, by key.
#[derive(Debug)]
pub struct Kept<T> {
    kind: &'static str,
    rows: BTreeMap<String, T>,
    changed: BTreeSet<String>,
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    /// Those of this kind. One that cannot be read is left out and goes.
    pub fn read(kind: &'static str, stored: &[NoticeRow]) -> Self {
        let (mut rows, mut changed) = (BTreeMap::new(), BTreeSet::new());
        for row in stored.iter().filter(|row| row.kind == kind) {
            match serde_json::from_str(row.value.as_deref().unwrap_or_default()) {
                Ok(value) => drop(rows.insert(row.key.clone(), value)),
                Err(why) => {
                    log::warn!(
                        "the {kind} {} among the notices cannot be read and is dropped: {why}",
                        row.key
                    );
                    changed.insert(row.key.clone());
                }
            }
        }
        Self { kind, rows, changed }
    }

    pub fn get(&self, key: &str) -> Option<&T> {
        self.rows.get(key)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&String, &T)> {
        self.rows.iter()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn put(&mut self, key: impl Into<String>, value: T) {
        let key = key.into();
        self.changed.insert(key.clone());
        self.rows.insert(key, value);
    }

    pub fn take(&mut self, key: &str) -> Option<T> {
        let taken = self.rows.remove(key)?;
        self.changed.insert(key.to_owned());
        Some(taken)
    }

    /// Changes one row, where it is there.
    pub fn change(&mut self, key: &str, change: impl FnOnce(&mut T)) {
        if let Some(value) = self.rows.get_mut(key) {
            self.changed.insert(key.to_owned());
            change(value);
        }
    }

    /// Drops every row that is not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let gone: Vec<String> =
            self.rows.iter().filter(|(_, value)| !keep(value)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.take(&key);
        }
    }

    /// Rows that differ from what was taken before.
    pub fn take_changes(&mut self) -> Vec<NoticeRow> {
        let row = |key: String| NoticeRow {
            kind: self.kind.to_owned(),
            // Plain data of our own: words, numbers, times.
            value: self.rows.get(&key).and_then(|value| serde_json::to_string(value).ok()),
            key,
        };
        std::mem::take(&mut self.changed).into_iter().map(row).collect()
    }
}
