//! How long a system may keep us waiting: a time-out is `unknown`, three in a row over a minute are `crit`.

use jiff::Timestamp;
use millwright_protocol::Status;

/// Time-outs in a row that make a fault of a doubt.
const LATE_LOOKS: u32 = 3;
/// Seconds they must span.
const LATE_FOR: i64 = 60;

/// Counts looks that got no answer, for checks that can tell what it was that did not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience {
    first: Option<Timestamp>,
    looks: u32,
}

impl Patience {
    /// It answered.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// It did not answer in time, again.
    pub fn late(&mut self, now: Timestamp) -> Status {
        let first = *self.first.get_or_insert(now);
        self.looks = self.looks.saturating_add(1);
        if self.looks >= LATE_LOOKS && now.as_second() - first.as_second() >= LATE_FOR {
            Status::Crit
        } else {
            Status::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_time_outs_in_a_row_over_a_minute_are_crit() {
        let mut patience = Patience::default();
        let at = |second: i64| Timestamp::from_second(1_000 + second).unwrap();
        assert_eq!([0, 10, 20, 59].map(|second| patience.late(at(second))), [Status::Unknown; 4]);
        assert_eq!(patience.late(at(60)), Status::Crit);
        patience.answered();
        assert_eq!([70, 200].map(|second| patience.late(at(second))), [Status::Unknown; 2]);
    }
}
