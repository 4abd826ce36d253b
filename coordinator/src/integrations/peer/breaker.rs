//! Rest for a system that keeps failing: asking on would make its trouble worse and our own steps slow.

use std::time::Duration;
use tokio::time::Instant;

/// So many failures in a row open it.
pub const ENOUGH: u32 = 5;
/// The first rest; each one after a failed try is twice as long.
const SHORTEST: Duration = Duration::from_secs(10);
/// No rest is longer, so that an end of the trouble is seen soon.
const LONGEST: Duration = Duration::from_secs(60);

/// How it has gone lately.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    until: Option<Instant>,
    why: String,
}

impl Breaker {
    /// Whether it may be asked; otherwise, for how long not.
    pub fn allow(&self, now: Instant) -> Result<(), Duration> {
        match self.until {
            Some(until) if now < until => Err(until - now),
            _ => Ok(()),
        }
    }

    /// What went wrong the last time, for people.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// How a question went; what went wrong, where something did.
    pub fn record(&mut self, failure: Option<String>, now: Instant) {
        let Some(why) = failure else {
            *self = Self::default();
            return;
        };
        self.why = why;
        self.failures = self.failures.saturating_add(1);
        if let Some(again) = self.failures.checked_sub(ENOUGH) {
            let rest = SHORTEST.saturating_mul(1 << again.min(8)).min(LONGEST);
            self.until = Some(now + rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_keeps_failing_is_asked_ever_less_often_and_at_once_when_it_works() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::default();
        for _ in 0..ENOUGH - 1 {
            breaker.record(Some("it answers 503".to_owned()), at(0));
            assert_eq!(breaker.allow(at(0)), Ok(()), "a few failures are no trouble");
        }
        let mut now = 0;
        for rest in [10, 20, 40, 60, 60] {
            breaker.record(Some("it answers 503".to_owned()), at(now));
            assert_eq!(breaker.allow(at(now)), Err(Duration::from_secs(rest)));
            now += rest;
            assert_eq!(breaker.allow(at(now)), Ok(()), "one try after {rest} s");
        }
        breaker.record(None, at(now));
        breaker.record(Some("it answers 503".to_owned()), at(now));
        assert_eq!(breaker.allow(at(now)), Ok(()), "it begins anew");
    }
}
