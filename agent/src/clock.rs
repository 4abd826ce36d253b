//! What time it is, twice: the wall clock that people read, and the time since boot that never jumps.

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// One moment. Durations are taken between `uptime`s, so a clock that jumps changes no age and no debounce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// Since boot, sleep included.
    pub uptime: Duration,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        let uptime = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
        Self { wall: Timestamp::now(), uptime }
    }

    /// How long ago `earlier` was; zero for the future.
    pub fn since(self, earlier: Self) -> Duration {
        self.uptime.saturating_sub(earlier.uptime)
    }

    /// This moment, `later`; both clocks run alike.
    #[cfg(test)]
    pub fn after(self, later: Duration) -> Self {
        Self { wall: self.wall + later, uptime: self.uptime + later }
    }
}

/// Where moments come from, so that tests can turn the clock by hand.
pub type Clock = std::rc::Rc<dyn Fn() -> Moment>;
