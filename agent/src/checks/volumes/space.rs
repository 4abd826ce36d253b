//! How full a volume is, and how long until it is full. Never gating.

use super::{Volume, slope::Slope};
use crate::{
    check::{Check, Look, Looking, Observation, Rhythm},
    config::{VolumesConfig, units::spoken_size},
    probe::Sight,
};
use jiff::Timestamp;
use millwright_protocol::Status;
use std::rc::Rc;
use tokio::sync::watch;

/// Judges what [`super::VolumeCheck`] measured; does not measure itself, so a hung disk costs one child.
pub struct SpaceCheck {
    volume: Rc<Volume>,
    told: watch::Receiver<Option<Sight>>,
    slope: Slope,
}

impl SpaceCheck {
    pub fn new(volume: Rc<Volume>, told: watch::Receiver<Option<Sight>>) -> Self {
        let slope = Slope::new(volume.config.checks.volumes.slope_over);
        Self { volume, told, slope }
    }
}

impl Check for SpaceCheck {
    fn name(&self) -> &'static str {
        "space"
    }

    fn is_gating(&self) -> bool {
        false
    }

    fn item(&self) -> Option<&str> {
        Some(&self.volume.name)
    }

    fn rhythm(&self) -> Rhythm {
        self.volume.rhythm()
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            if self.told.changed().await.is_err() {
                // The volume's own check broke and is told as such.
                return std::future::pending().await;
            }
            let Some(sight) = *self.told.borrow_and_update() else {
                // Not mounted: the volume's finding says all there is to say.
                return Look::default();
            };
            self.slope.add(now, sight.size_bytes.saturating_sub(sight.free_bytes));
            let hours_to_full = self.slope.hours_to_full(sight.available_bytes);
            self.volume.book.write(&self.volume.name, |fact| fact.hours_to_full = hours_to_full);
            let fullness = Fullness { sight, hours_to_full };
            let observation = fullness.judge(&self.volume.name, &self.volume.config.checks.volumes);
            Look {
                observations: vec![observation.item(&self.volume.name)],
                facts: vec![self.volume.book.part()],
            }
        })
    }
}

/// Used inodes, in percent; `None` where there is no fixed number of them.
pub fn inodes_used_percent(sight: &Sight) -> Option<u8> {
    percent(sight.inodes.saturating_sub(sight.inodes_free), sight.inodes)
}

/// How full, in percent. As df counts: what root keeps for itself is neither used nor there to be used.
pub fn used_percent(sight: &Sight) -> Option<u8> {
    let used = sight.size_bytes.saturating_sub(sight.free_bytes);
    percent(used, used.saturating_add(sight.available_bytes))
}

fn percent(part: u64, whole: u64) -> Option<u8> {
    let percent = u128::from(part) * 100 / u128::from((whole > 0).then_some(whole)?);
    u8::try_from(percent).ok()
}

/// What is known about how full a volume is.
struct Fullness {
    sight: Sight,
    hours_to_full: Option<f64>,
}

impl Fullness {
    fn judge(&self, name: &str, config: &VolumesConfig) -> Observation {
        let Self { sight, hours_to_full } = self;
        let used = used_percent(sight).unwrap_or(100);
        let inodes = inodes_used_percent(sight);
        let is_soon =
            hours_to_full.is_some_and(|hours| hours * 3600.0 < config.warn_full_within.as_secs_f64());

        let mut sentence = format!(
            "{name} is {used} % full: {} of {} free",
            spoken_size(sight.available_bytes),
            spoken_size(sight.size_bytes.saturating_sub(sight.free_bytes) + sight.available_bytes)
        );
        if let Some(limit) = self.bytes_missed(used, config) {
            sentence.push_str(&format!(", less than {}", spoken_size(limit)));
        }
        if let Some(hours) = hours_to_full.filter(|_| is_soon) {
            sentence.push_str(&format!(", and full in about {hours:.0} h at the pace of the last hours"));
        }
        let few_inodes = self.few_inodes(config);
        if let (true, Some(inodes)) = (few_inodes > Status::Ok, inodes) {
            sentence.push_str(&format!(", and {inodes} % of its inodes are used"));
        }
        let soon = if is_soon { Status::Warn } else { Status::Ok };
        let status = self.little_room(used, config).max(few_inodes).max(soon);
        let mut observation = Observation::new(status, sentence)
            .evidence("used_percent", used, "statvfs")
            .evidence("available_bytes", sight.available_bytes, "statvfs");
        if let Some(hours) = hours_to_full {
            observation = observation.evidence("hours_to_full", hours, "slope");
        }
        match status {
            Status::Ok => observation,
            _ => observation.next(format!("see what is large with `du -xh -d2 {name} | sort -h | tail -20`")),
        }
    }

    /// Percent on every volume, and bytes where they say more. The worse counts.
    fn little_room(&self, used: u8, config: &VolumesConfig) -> Status {
        graded(
            used >= config.crit_used_percent || self.is_below(config.crit_free, config),
            used >= config.warn_used_percent || self.is_below(config.warn_free, config),
        )
    }

    /// Bytes say more than percent on volumes at least one and a half times as large as `warn_free`: with the defaults
    /// from 360 GiB on, the class of 500 GB.
    fn is_below(&self, limit: u64, config: &VolumesConfig) -> bool {
        self.sight.size_bytes / 3 >= config.warn_free / 2 && self.sight.available_bytes < limit
    }

    /// The limit in bytes, where it and no percentage is the reason.
    fn bytes_missed(&self, used: u8, config: &VolumesConfig) -> Option<u64> {
        let limits =
            [(config.crit_used_percent, config.crit_free), (config.warn_used_percent, config.warn_free)];
        let missed =
            limits.into_iter().find(|(percent, free)| used >= *percent || self.is_below(*free, config));
        missed.filter(|(percent, _)| used < *percent).map(|(_, free)| free)
    }

    fn few_inodes(&self, config: &VolumesConfig) -> Status {
        let used = inodes_used_percent(&self.sight).unwrap_or(0);
        graded(used >= config.crit_used_percent, used >= config.warn_used_percent)
    }
}

fn graded(crit: bool, warn: bool) -> Status {
    match (crit, warn) {
        (true, _) => Status::Crit,
        (false, true) => Status::Warn,
        (false, false) => Status::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn sight(size: u64, free: u64) -> Sight {
        Sight {
            size_bytes: size * GIB,
            free_bytes: free * GIB,
            available_bytes: free * GIB,
            ..Sight::default()
        }
    }

    fn judged(sight: Sight, hours_to_full: Option<f64>) -> Observation {
        Fullness { sight, hours_to_full }.judge("/build", &VolumesConfig::default())
    }

    #[test]
    fn percent_and_absolute_limits_hold_and_the_worse_counts() {
        for (size, free, status) in [
            (492, 300, Status::Ok),
            (492, 239, Status::Warn),
            (492, 99, Status::Crit),
            (2000, 1200, Status::Ok),
            (2000, 239, Status::Crit),
            // Small volumes are judged by percent alone.
            (100, 60, Status::Ok),
            (100, 45, Status::Warn),
            (100, 20, Status::Crit),
        ] {
            assert_eq!(judged(sight(size, free), None).status, status, "{free} of {size} GiB free");
        }
    }

    #[test]
    fn the_sentence_says_percent_room_and_forecast() {
        let observation = judged(sight(492, 70), Some(9.2));
        assert_eq!(
            observation.sentence,
            "/build is 85 % full: 70 GiB of 492 GiB free, and full in about 9 h at the pace of the last hours"
        );
        assert!(!observation.gating && observation.next.is_some());
    }

    #[test]
    fn full_by_tomorrow_warns_even_when_there_is_room_now() {
        assert_eq!(judged(sight(492, 300), Some(23.9)).status, Status::Warn);
        assert_eq!(judged(sight(492, 300), Some(24.1)).status, Status::Ok);
    }

    #[test]
    fn inodes_count_like_bytes() {
        let inodes = |free| Sight { inodes: 100, inodes_free: free, ..sight(492, 400) };
        let statuses = [60, 50, 20].map(|free| judged(inodes(free), None).status);
        assert_eq!(statuses, [Status::Ok, Status::Warn, Status::Crit]);
        assert!(judged(inodes(20), None).sentence.contains("80 % of its inodes"));
        assert_eq!(inodes_used_percent(&sight(1, 1)), None);
    }

    #[test]
    fn what_root_keeps_for_itself_is_not_room() {
        let reserved = Sight { available_bytes: 0, ..sight(20, 1) };
        assert_eq!(judged(reserved, None).status, Status::Crit);
        assert!(judged(reserved, None).sentence.starts_with("/build is 100 % full"));
    }
}
