//! How long until a volume is full, from the slope of what was used lately.

use jiff::Timestamp;
use std::{collections::VecDeque, time::Duration};

/// A forecast from less than this would be a guess.
const SHORTEST: Duration = Duration::from_secs(30 * 60);
/// More samples than this say no more.
const MOST_SAMPLES: usize = 360;
/// Full in more than this is not filling.
const FARTHEST_HOURS: f64 = 30.0 * 24.0;

/// What was used when, lately.
#[derive(Debug)]
pub struct Slope {
    over: Duration,
    samples: VecDeque<(Timestamp, u64)>,
}

impl Slope {
    /// A slope that looks `over` so much of the past.
    pub fn new(over: Duration) -> Self {
        Self { over, samples: VecDeque::new() }
    }

    /// Takes one sample. A clock that went backwards starts anew, for the times before mean nothing then.
    pub fn add(&mut self, now: Timestamp, used_bytes: u64) {
        if self.samples.back().is_some_and(|(last, _)| *last >= now) {
            self.samples.clear();
        }
        self.samples.push_back((now, used_bytes));
        while self.samples.len() > MOST_SAMPLES
            || self.samples.front().is_some_and(|(first, _)| seconds(*first, now) > self.over.as_secs_f64())
        {
            self.samples.pop_front();
        }
    }

    /// Hours until `available_bytes` more are used; `None` while it is not filling or too little is known.
    pub fn hours_to_full(&self, available_bytes: u64) -> Option<f64> {
        let ((first, _), (last, _)) = (self.samples.front()?, self.samples.back()?);
        if seconds(*first, *last) < SHORTEST.as_secs_f64() {
            return None;
        }
        let hours = available_bytes as f64 / self.bytes_per_hour(*first)?;
        (hours.is_finite() && (0.0..=FARTHEST_HOURS).contains(&hours))
            .then_some((hours * 10.0).round() / 10.0)
    }

    /// The least-squares slope; `None` unless it rises.
    fn bytes_per_hour(&self, origin: Timestamp) -> Option<f64> {
        let count = self.samples.len() as f64;
        let points = || self.samples.iter().map(|(at, used)| (seconds(origin, *at) / 3600.0, *used as f64));
        let (sum_x, sum_y) = points().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (over, under) = points().fold((0.0, 0.0), |(over, under), (x, y)| {
            (over + (x - mean_x) * (y - mean_y), under + (x - mean_x).powi(2))
        });
        let slope = over / under;
        (slope.is_finite() && slope > 0.0).then_some(slope)
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minute: u32) -> Timestamp {
        "2026-01-31T10:00:00Z".parse::<Timestamp>().unwrap() + MINUTE * minute
    }

    fn slope(minutes: u32, used: impl Fn(u32) -> u64) -> Slope {
        let mut slope = Slope::new(6 * 60 * MINUTE);
        for minute in 0..minutes {
            slope.add(at(minute), used(minute));
        }
        slope
    }

    #[test]
    fn ten_gib_an_hour_into_one_hundred_are_ten_hours() {
        let filling = slope(120, |minute| 100 * GIB + u64::from(minute) * 10 * GIB / 60);
        assert_eq!(filling.hours_to_full(100 * GIB), Some(10.0));
        assert_eq!(filling.hours_to_full(0), Some(0.0));
    }

    #[test]
    fn what_is_steady_emptying_or_barely_filling_has_no_forecast() {
        assert_eq!(slope(120, |_| 100 * GIB).hours_to_full(GIB), None);
        assert_eq!(slope(120, |minute| 100 * GIB - u64::from(minute) * GIB / 60).hours_to_full(GIB), None);
        assert_eq!(slope(120, u64::from).hours_to_full(100 * GIB), None);
    }

    #[test]
    fn half_an_hour_is_the_least_to_go_by() {
        let filling = |minutes| slope(minutes, |minute| u64::from(minute) * GIB).hours_to_full(60 * GIB);
        assert_eq!(filling(30), None);
        assert_eq!(filling(31), Some(1.0));
    }

    #[test]
    fn only_the_recent_past_counts() {
        let mut slope = slope(24 * 60, |_| 100 * GIB);
        assert!(slope.samples.len() <= MOST_SAMPLES);
        slope.add(at(72 * 60), 200 * GIB);
        assert_eq!(slope.hours_to_full(GIB), None);
    }

    #[test]
    fn a_clock_that_goes_back_starts_anew() {
        let mut slope = slope(120, |minute| u64::from(minute) * GIB);
        slope.add(at(3), GIB);
        assert_eq!(slope.hours_to_full(GIB), None);
    }
}
