//! Whether something keeps the clock right, as the kernel knows it from its time daemon.

use crate::{check::Observation, config::units::spoken};
use millwright_protocol::Status;
use nix::libc;
use std::time::Duration;

/// A machine that has just booted needs a while to find its time servers.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the kernel says about its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelClock {
    /// Whether a time daemon steers it; `None` when the kernel did not answer.
    synchronised: Option<bool>,
    /// How far off it is thought to be.
    offset: Duration,
    /// How far off it can be at most.
    error_at_most: Duration,
}

impl KernelClock {
    /// Asks the kernel, changes nothing, needs no privilege.
    pub fn read() -> Self {
        let Some((state, timex)) = adjtimex() else {
            return Self { synchronised: None, offset: Duration::ZERO, error_at_most: Duration::ZERO };
        };
        let unsynchronised = state == libc::TIME_ERROR || timex.status & libc::STA_UNSYNC != 0;
        let offset = timex.offset.unsigned_abs();
        let offset = match timex.status & libc::STA_NANO {
            0 => Duration::from_micros(offset),
            _ => Duration::from_nanos(offset),
        };
        let error_at_most = Duration::from_micros(timex.maxerror.unsigned_abs());
        Self { synchronised: Some(!unsynchronised), offset, error_at_most }
    }

    /// Says how the clock is.
    pub fn judge(self, limit: Duration) -> Observation {
        let next = "see `chronyc tracking` or `timedatectl`; chrony tells the kernel only with `rtcsync`";
        let observation = match self.synchronised {
            None => Observation::new(Status::Unknown, "the kernel does not tell whether its clock is right"),
            Some(false) => {
                Observation::new(Status::Warn, "nothing keeps the clock right: no time daemon steers it")
                    .next(next)
            }
            Some(true) if self.offset > limit => {
                Observation::new(Status::Warn, format!("the clock is off by {}", spoken(self.offset)))
                    .next(next)
            }
            Some(true) => Observation::new(Status::Ok, "a time daemon keeps the clock right"),
        };
        observation
            .item("clock")
            .debounce(PATIENCE)
            .evidence("offset_ms", self.offset.as_millis(), "adjtimex")
            .evidence("error_at_most_ms", self.error_at_most.as_millis(), "adjtimex")
    }
}

#[expect(
    unsafe_code,
    reason = "nix has no adjtimex; with no mode set the call only fills in a struct of ours"
)]
fn adjtimex() -> Option<(i32, libc::timex)> {
    // SAFETY: `timex` is plain numbers, for which all zeroes are valid; the kernel writes into it and keeps
    // no pointer.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    (state >= 0).then_some((state, timex))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn status(synchronised: Option<bool>, offset: Duration) -> Status {
        KernelClock { synchronised, offset, error_at_most: SECOND }.judge(SECOND).status
    }

    #[test]
    fn only_a_steered_clock_within_the_limit_is_ok() {
        assert_eq!(status(Some(true), SECOND), Status::Ok);
        assert_eq!(status(Some(true), SECOND * 2), Status::Warn);
        assert_eq!(status(Some(false), Duration::ZERO), Status::Warn);
        assert_eq!(status(None, Duration::ZERO), Status::Unknown);
    }

    #[test]
    fn this_kernel_answers() {
        assert!(KernelClock::read().synchronised.is_some());
    }
}
