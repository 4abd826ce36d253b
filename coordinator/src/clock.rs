//! What time it is, for everything in the coordinator: nothing else asks the operating system.
//!
//! Ages of facts decide whether a node may be touched, so this clock never runs backwards and never stands still. When
//! somebody sets the machine's clock back, ours goes on at nine tenths of its pace until the two meet; were it to follow,
//! a node that has been silent for ten minutes would look fresh again. A step forward is followed at once: facts look
//! older than they are, which is the safe mistake and is over with the next report.

use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Where the time comes from: the machine, or a test.
pub trait Clock: Send + Sync {
    /// Now. Never earlier than an answer given before.
    fn now(&self) -> Timestamp;
}

/// The machine's clock, without its steps backwards.
#[derive(Debug)]
pub struct SystemClock {
    last: Mutex<Reading>,
}

/// What we said the time was, and when that was on a clock nobody can set.
#[derive(Debug, Clone, Copy)]
struct Reading {
    said: Timestamp,
    steady: Instant,
}

/// The pace, in percent, while the machine's clock is behind ours.
const CATCH_UP_PERCENT: i32 = 90;

impl SystemClock {
    /// A clock that agrees with the machine's.
    pub fn new() -> Self {
        Self { last: Mutex::new(Reading { said: Timestamp::now(), steady: Instant::now() }) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let steady = Instant::now();
        last.said = advance(last.said, Timestamp::now(), steady.duration_since(last.steady));
        last.steady = steady;
        // As fine as the store keeps it, so that a moment reads the same before and after a restart.
        Timestamp::from_millisecond(last.said.as_millisecond()).unwrap_or(last.said)
    }
}

/// What to say after `said`, when the machine says `machine` and `elapsed` has really passed.
pub fn advance(said: Timestamp, machine: Timestamp, elapsed: std::time::Duration) -> Timestamp {
    let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
    let slowed = elapsed.checked_mul(CATCH_UP_PERCENT).map_or(elapsed, |scaled| scaled / 100);
    said.checked_add(slowed).unwrap_or(said).max(machine)
}

/// A clock that a test turns by hand.
#[derive(Debug)]
pub struct HandClock(Mutex<Timestamp>);

impl HandClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Turns it forward.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_set_back_slows_us_down_and_never_takes_us_back() {
        let said = at("2026-01-31T10:00:00Z");
        let set_back = at("2026-01-31T09:00:00Z");
        assert_eq!(advance(said, set_back, Duration::from_secs(100)), at("2026-01-31T10:01:30Z"));
        assert_eq!(advance(said, set_back, Duration::ZERO), said);
    }

    #[test]
    fn a_clock_set_forward_is_followed_at_once() {
        let ahead = at("2026-01-31T11:00:00Z");
        assert_eq!(advance(at("2026-01-31T10:00:00Z"), ahead, Duration::from_secs(1)), ahead);
    }

    #[test]
    fn the_pace_is_the_machines_own_while_both_agree() {
        let said = at("2026-01-31T10:00:00Z");
        assert_eq!(
            advance(said, at("2026-01-31T10:00:10Z"), Duration::from_secs(10)),
            at("2026-01-31T10:00:10Z")
        );
    }
}
