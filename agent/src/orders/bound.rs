//! Between which two instants the coordinator's clock stands, whatever the node's own clock says.
//!
//! Each answer carries the coordinator's clock, read between our question and its arrival. Counted from boot, which never
//! jumps, that bounds its clock from both sides; later answers narrow the bound, and time widens it by what two clocks can
//! drift apart.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A wider bound is none: the clock is not known.
pub const WIDEST: SignedDuration = SignedDuration::from_secs(30);
/// Two clocks drift apart by one part in so many: 500 parts per million, ours and theirs together.
const DRIFT: i32 = 2000;

/// The coordinator's clock at our boot, at its earliest and latest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockBound {
    bound: Option<Bound>,
    /// What was made before this moment is void: the clocks contradicted each other then, as after a machine was put back
    /// from a snapshot, and what was done meanwhile may be forgotten.
    not_before: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    earliest: Timestamp,
    latest: Timestamp,
    /// Since boot, when it was made.
    made: Duration,
}

/// The coordinator's clock now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Not before this.
    pub earliest: Timestamp,
    /// Not after this.
    pub latest: Timestamp,
}

impl Now {
    /// Whether it is known well enough for anything to be judged by it.
    pub fn is_narrow(&self) -> bool {
        self.latest.duration_since(self.earliest) <= WIDEST
    }
}

impl ClockBound {
    /// Takes an answer's clock: asked at `sent` and there at `received`, both since boot.
    pub fn hear(&mut self, at: Timestamp, sent: Duration, received: Duration) {
        let heard = Bound { earliest: before(at, received), latest: before(at, sent), made: received };
        let narrowed = self.bound.map(|known| known.at(received)).and_then(|known| {
            let (earliest, latest) = (known.earliest.max(heard.earliest), known.latest.min(heard.latest));
            (earliest <= latest).then_some(Bound { earliest, latest, made: received })
        });
        // A coordinator whose clock was put right contradicts what was heard before: the newest word counts.
        if self.bound.is_some() && narrowed.is_none() {
            self.not_before = self.not_before.max(Some(heard.latest_at(received)));
        }
        self.bound = Some(narrowed.unwrap_or(heard));
    }

    /// The coordinator's clock at `uptime`; `None` before its first answer.
    pub fn now(&self, uptime: Duration) -> Option<Now> {
        let bound = self.bound?.at(uptime);
        Some(Now { earliest: after(bound.earliest, uptime), latest: after(bound.latest, uptime) })
    }
}

impl ClockBound {
    /// Whether an order made at `issued_at` may have been made before the clocks last contradicted each other.
    pub fn is_from_before(&self, issued_at: Timestamp) -> bool {
        self.not_before.is_some_and(|not_before| issued_at <= not_before)
    }
}

impl Bound {
    /// The latest that the coordinator's clock can be at `uptime`.
    fn latest_at(self, uptime: Duration) -> Timestamp {
        after(self.latest, uptime)
    }

    /// As wide as it has become at `uptime`.
    fn at(self, uptime: Duration) -> Self {
        let drift = uptime.saturating_sub(self.made) / DRIFT.unsigned_abs();
        Self { earliest: before(self.earliest, drift), latest: after(self.latest, drift), made: uptime }
    }
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_769_850_000 + second).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn before_the_first_answer_nothing_is_known() {
        assert_eq!(ClockBound::default().now(seconds(100)), None);
    }

    #[test]
    fn an_answer_bounds_the_clock_by_its_round_trip() {
        let mut bound = ClockBound::default();
        bound.hear(at(0), seconds(100), seconds(104));
        assert_eq!(bound.now(seconds(104)), Some(Now { earliest: at(0), latest: at(4) }));
    }

    #[test]
    fn what_was_made_before_the_clocks_contradicted_each_other_is_void() {
        let mut bound = ClockBound::default();
        bound.hear(at(100), seconds(100), seconds(100));
        bound.hear(at(110), seconds(110), seconds(110));
        assert!(!bound.is_from_before(at(105)), "clocks that agree take nothing away");
        // Put back from a snapshot: an hour has passed outside, and none in here.
        bound.hear(at(3710), seconds(110), seconds(110));
        assert!(bound.is_from_before(at(3705)) && !bound.is_from_before(at(3720)));
    }

    #[test]
    fn a_short_answer_narrows_what_a_long_one_left_open() {
        let mut bound = ClockBound::default();
        bound.hear(at(30), seconds(100), seconds(131));
        assert!(!bound.now(seconds(131)).unwrap().is_narrow());
        bound.hear(at(40), seconds(140), seconds(140));
        let now = bound.now(seconds(140)).unwrap();
        assert_eq!((now.earliest, now.latest), (at(40), at(40)));
        bound.hear(at(71), seconds(141), seconds(171));
        assert!(bound.now(seconds(171)).unwrap().latest <= at(72));
    }

    #[test]
    fn a_bound_grows_wider_with_time_until_it_is_none() {
        let mut bound = ClockBound::default();
        bound.hear(at(0), seconds(100), seconds(100));
        let width = |uptime| {
            let now = bound.now(seconds(uptime)).unwrap();
            now.latest.duration_since(now.earliest).as_secs()
        };
        assert_eq!([100, 2100, 20_100].map(width), [0, 2, 20]);
        assert!(!bound.now(seconds(100 + 31_000)).unwrap().is_narrow());
    }

    #[test]
    fn a_clock_that_was_put_right_counts_as_it_is_now() {
        let mut bound = ClockBound::default();
        bound.hear(at(0), seconds(100), seconds(101));
        bound.hear(at(-3600), seconds(110), seconds(111));
        assert_eq!(bound.now(seconds(111)), Some(Now { earliest: at(-3600), latest: at(-3599) }));
    }
}
