//! Whom we did not let in, told once: a host with a wrong certificate tries again every few seconds, for ever.

use jiff::{SignedDuration, Timestamp};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The same about the same host is told again after this.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// So much is remembered; with more, all are forgotten, so that nobody can fill our memory.
const MOST: usize = 1000;

/// What was told about each address, and when.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<(String, String), Timestamp>>);

impl Refusals {
    /// Whether this has not been told yet.
    pub fn is_news(&self, from: &str, why: &str, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = (from.to_owned(), why.to_owned());
        if told.get(&said).is_some_and(|at| now.duration_since(*at).abs() < AGAIN) {
            return false;
        }
        if told.len() >= MOST {
            told.clear();
        }
        told.insert(said, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_about_the_same_host_is_news_once_an_hour() {
        let (refusals, start) = (Refusals::default(), Timestamp::UNIX_EPOCH);
        let [one, other] = ["10.0.0.1", "10.0.0.2"];
        let minutes = SignedDuration::from_mins;
        assert!(refusals.is_news(one, "revoked", start));
        assert!(!refusals.is_news(one, "revoked", start + minutes(59)));
        assert!(refusals.is_news(other, "revoked", start));
        assert!(refusals.is_news(one, "expired", start));
        assert!(!refusals.is_news(one, "revoked", start), "two in turn are told once each");
        assert!(refusals.is_news(one, "expired", start + minutes(61)));
    }

    #[test]
    fn an_attacker_with_many_addresses_cannot_fill_the_memory() {
        let refusals = Refusals::default();
        for number in 0..3000 {
            refusals.is_news(&number.to_string(), "x", Timestamp::UNIX_EPOCH);
        }
        assert!(refusals.0.lock().unwrap().len() <= MOST);
    }
}
