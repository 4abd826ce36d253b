//! Runs in a row: how many were clean, how many failed, since when they fail. Pure; one look after another is taken in.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What has been seen of runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    /// Clean runs in a row since boot.
    pub clean: u32,
    /// Failing runs in a row since boot.
    pub failed: u32,
    /// End of the first run of those that fail now, before boot too.
    pub failing_since: Option<Timestamp>,
    /// The run seen last, and what came before it.
    last: Option<LastRun>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct LastRun {
    at: Timestamp,
    clean_before: u32,
    failed_before: u32,
    failing_since_before: Option<Timestamp>,
}

impl Streak {
    /// What is left of it after a boot.
    pub fn of_an_earlier_boot(self) -> Self {
        let last = self.last.map(|last| LastRun { clean_before: 0, failed_before: 0, ..last });
        Self { clean: 0, failed: 0, last, ..self }
    }

    /// Takes in the run that ended at `at`; the same run may be taken in again when more is known about it.
    pub fn saw(&mut self, at: Timestamp, is_clean: Option<bool>, booted_at: Option<Timestamp>) {
        let last = match self.last {
            Some(last) if last.at == at => last,
            _ => LastRun {
                at,
                clean_before: self.clean,
                failed_before: self.failed,
                failing_since_before: self.failing_since,
            },
        };
        self.last = Some(last);
        let counts = u32::from(booted_at.is_none_or(|booted_at| at > booted_at));
        match is_clean {
            Some(true) => {
                self.clean = last.clean_before.saturating_add(counts);
                self.failed = 0;
                self.failing_since = None;
            }
            Some(false) => {
                self.clean = 0;
                self.failed = last.failed_before.saturating_add(counts);
                self.failing_since = Some(last.failing_since_before.unwrap_or(at));
            }
            // Not known: neither row goes on, and what failed may still fail.
            None => {
                self.clean = 0;
                self.failed = last.failed_before;
                self.failing_since = last.failing_since_before;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn after(runs: &[(i64, Option<bool>)]) -> (u32, u32, Option<i64>) {
        let mut streak = Streak::default();
        for (second, is_clean) in runs {
            streak.saw(at(*second), *is_clean, Some(at(100)));
        }
        (streak.clean, streak.failed, streak.failing_since.map(Timestamp::as_second))
    }

    #[test]
    fn runs_in_a_row_since_boot_are_counted_once_each() {
        let (ok, bad) = (Some(true), Some(false));
        assert_eq!(after(&[(110, ok), (110, ok), (120, ok)]), (2, 0, None));
        assert_eq!(after(&[(110, ok), (120, bad), (130, bad), (130, bad)]), (0, 2, Some(120)));
        assert_eq!(after(&[(110, bad), (120, ok)]), (1, 0, None));
        assert_eq!(after(&[(90, ok)]), (0, 0, None), "a run before boot proves nothing");
        assert_eq!(after(&[(90, bad), (110, bad)]), (0, 1, Some(90)));
    }

    #[test]
    fn a_run_may_be_judged_again_when_its_report_is_there() {
        assert_eq!(after(&[(110, Some(true)), (120, None), (120, Some(true))]), (2, 0, None));
        assert_eq!(after(&[(110, Some(false)), (120, None)]), (0, 1, Some(110)));
    }
}
