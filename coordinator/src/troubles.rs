//! Troubles of the coordinator itself: shown beside those of the nodes, since they make it see or tell less.

use crate::view::OwnTrouble;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Those that are there now, one per word.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<&'static str, OwnTrouble>>);

impl Troubles {
    /// There is one; `since` is kept from when it began. Returns whether it is new, so that the log hears of it once.
    pub fn set(&self, what: &'static str, sentence: impl Into<String>, now: Timestamp) -> bool {
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = troubles.get(what).map_or(now, |trouble| trouble.since);
        let trouble = OwnTrouble { what: what.to_owned(), sentence: sentence.into(), since };
        troubles.insert(what, trouble).is_none()
    }

    /// It is over. Returns whether there was one.
    pub fn clear(&self, what: &'static str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(what).is_some()
    }

    /// All of them.
    pub fn list(&self) -> Vec<OwnTrouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_keeps_its_beginning_and_is_new_once() {
        let troubles = Troubles::default();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(troubles.set("notices", "the webhook answers 500", at("2026-01-31T10:00:00Z")));
        assert!(!troubles.set("notices", "the webhook does not answer", at("2026-01-31T10:05:00Z")));
        let trouble = troubles.list().remove(0);
        assert_eq!(trouble.sentence, "the webhook does not answer");
        assert_eq!(trouble.since, at("2026-01-31T10:00:00Z"));
        assert!(troubles.clear("notices") && !troubles.clear("notices"));
        assert!(troubles.list().is_empty());
    }
}
