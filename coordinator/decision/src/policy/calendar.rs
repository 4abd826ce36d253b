//! Windows, quiet hours and freezes: when, and until when.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Time, Weekday},
    tz::TimeZone,
};

/// A stretch of time that comes again every week.
#[derive(Debug, Clone, PartialEq)]
pub struct WeeklyWindow {
    /// What it is for, such as "nightly tags".
    pub name: String,
    /// The days on which it begins, Monday first.
    pub days: [bool; 7],
    /// When it begins, by the clock on the wall.
    pub start: Time,
    /// How long it lasts; at most 24 hours, so that today's and yesterday's beginnings are all that matter.
    pub length: SignedDuration,
    /// Whose wall.
    pub zone: TimeZone,
}

impl WeeklyWindow {
    /// When the window that is open at `now` closes; `None` while it is closed.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        [-1, 0]
            .into_iter()
            .filter_map(|day| self.beginning(now, day))
            .filter_map(|from| Some((from, from.checked_add(self.length).ok()?)))
            .filter(|(from, until)| *from <= now && now < *until)
            .map(|(_, until)| until)
            .max()
    }

    /// When it next opens after `now`.
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        (0..=8).filter_map(|day| self.beginning(now, day)).find(|from| *from > now)
    }

    /// Its beginning on the day that is `day` days from today, if it begins on that day. Wall-clock times that a change
    /// of clocks skips begin when the clocks have moved on.
    fn beginning(&self, now: Timestamp, day: i64) -> Option<Timestamp> {
        let today = self.zone.to_datetime(now).date();
        let date = today.checked_add(jiff::Span::new().try_days(day).ok()?).ok()?;
        if !self.begins_on(date.weekday()) {
            return None;
        }
        self.zone.to_ambiguous_timestamp(date.to_datetime(self.start)).compatible().ok()
    }

    fn begins_on(&self, weekday: Weekday) -> bool {
        let index = usize::try_from(weekday.to_monday_zero_offset()).unwrap_or_default();
        self.days.get(index).copied().unwrap_or(false)
    }
}

/// A stretch of time that comes once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// What it is for, such as "data challenge".
    pub name: String,
    /// From here.
    pub from: Timestamp,
    /// To here.
    pub until: Timestamp,
}

impl Freeze {
    /// Whether it is on.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nightly(length_hours: i64) -> WeeklyWindow {
        WeeklyWindow {
            name: "nightly tags".into(),
            days: [true, true, true, true, true, false, false],
            start: Time::constant(22, 0, 0, 0),
            length: SignedDuration::from_hours(length_hours),
            zone: TimeZone::UTC,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_over_midnight_is_open_on_both_sides_of_it() {
        let window = nightly(8);
        let closes = Some(at("2026-01-31T06:00:00Z"));
        assert_eq!(window.open_until(at("2026-01-30T22:00:00Z")), closes, "friday evening");
        assert_eq!(window.open_until(at("2026-01-31T05:59:59Z")), closes, "saturday morning");
        assert_eq!(window.open_until(at("2026-01-31T06:00:00Z")), None);
        assert_eq!(window.open_until(at("2026-01-31T23:00:00Z")), None, "saturday evening");
    }

    #[test]
    fn the_next_opening_skips_days_without_one() {
        assert_eq!(nightly(8).next_opening(at("2026-01-31T10:00:00Z")), Some(at("2026-02-02T22:00:00Z")));
        assert_eq!(nightly(8).next_opening(at("2026-02-02T22:00:00Z")), Some(at("2026-02-03T22:00:00Z")));
    }

    #[test]
    fn a_beginning_that_the_clocks_skip_comes_when_they_have_moved() {
        // An hour forward at 2026-03-29T01:00Z: 02:30 on the wall does not exist that night.
        let window = WeeklyWindow {
            days: [true; 7],
            start: Time::constant(2, 30, 0, 0),
            zone: TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(),
            ..nightly(1)
        };
        assert_eq!(window.next_opening(at("2026-03-29T00:00:00Z")), Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn a_freeze_ends_when_it_says() {
        let freeze =
            Freeze { name: "x".into(), from: at("2026-01-01T00:00:00Z"), until: at("2026-01-02T00:00:00Z") };
        assert!(freeze.is_on(at("2026-01-01T00:00:00Z")) && !freeze.is_on(at("2026-01-02T00:00:00Z")));
    }
}
