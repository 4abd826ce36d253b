//! Whom we did not let in, told once: a host with a wrong certificate tries again every few seconds, for ever.

use jiff::{SignedDuration, Timestamp};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// The same about the same host is told again after this.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// Hosts remembered; with more, all are forgotten, so that nobody can fill our memory.
const MOST: usize = 1000;

/// What was told last about each address.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<IpAddr, (Timestamp, String)>>);

impl Refusals {
    /// Whether this has not been told yet.
    pub fn is_news(&self, from: IpAddr, why: &str, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&from).is_some_and(|(at, before)| before == why && now.duration_since(*at).abs() < AGAIN)
        {
            return false;
        }
        if told.len() >= MOST {
            told.clear();
        }
        told.insert(from, (now, why.to_owned()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_about_the_same_host_is_news_once_an_hour() {
        let (refusals, start) = (Refusals::default(), Timestamp::UNIX_EPOCH);
        let host = |last: u8| IpAddr::from([10, 0, 0, last]);
        let minutes = SignedDuration::from_mins;
        assert!(refusals.is_news(host(1), "revoked", start));
        assert!(!refusals.is_news(host(1), "revoked", start + minutes(59)));
        assert!(refusals.is_news(host(2), "revoked", start));
        assert!(refusals.is_news(host(1), "expired", start));
        assert!(refusals.is_news(host(1), "expired", start + minutes(61)));
    }

    #[test]
    fn an_attacker_with_many_addresses_cannot_fill_the_memory() {
        let refusals = Refusals::default();
        for number in 0..3000_u32 {
            refusals.is_news(IpAddr::from(number.to_be_bytes()), "x", Timestamp::UNIX_EPOCH);
        }
        assert!(refusals.0.lock().unwrap().len() <= MOST);
    }
}
