//! Which image is pulled when. Pure: time and chance are arguments.

use super::ImageName;
use crate::{
    config::{PrePullConfig, units::spoken_size},
    docker::Image,
};
use jiff::{SignedDuration, Timestamp};
use millwright_protocol::{ImageFact, PullProgress, PullState};
use std::time::Duration;

/// All images of this node.
#[derive(Debug, Clone)]
pub struct PrePull {
    config: PrePullConfig,
    entries: Vec<Entry>,
}

/// One image.
#[derive(Debug, Clone)]
struct Entry {
    name: ImageName,
    /// What Docker has; none when it has none or was not asked yet.
    image: Option<Image>,
    verified_at: Option<Timestamp>,
    state: PullState,
    /// Bytes done and to do of the pull under way.
    bytes: (u64, u64),
    attempts: u32,
    error: Option<String>,
    /// Not before this; none before the start.
    next_try_at: Option<Timestamp>,
}

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing is due for so long.
    Wait(Duration),
    /// Pull this image.
    Pull(ImageName),
}

/// The driver looks again at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl PrePull {
    /// The images of the configuration; nothing is due before [`PrePull::start`].
    pub fn new(config: &PrePullConfig) -> Self {
        let mut names = config.images.clone();
        names.dedup();
        let entries = names
            .into_iter()
            .map(|name| Entry {
                name,
                image: None,
                verified_at: None,
                state: PullState::Waiting,
                bytes: (0, 0),
                attempts: 0,
                error: None,
                next_try_at: None,
            })
            .collect();
        Self { config: config.clone(), entries }
    }

    /// The configuration it works by.
    pub fn config(&self) -> &PrePullConfig {
        &self.config
    }

    /// The images.
    pub fn names(&self) -> Vec<ImageName> {
        self.entries.iter().map(|entry| entry.name.clone()).collect()
    }

    /// Begins: the first pull is due after a part of the start jitter, `chance` of it (0 to 1).
    pub fn start(&mut self, now: Timestamp, chance: f64) {
        let wait = self.config.start_jitter.mul_f64(chance.clamp(0.0, 1.0));
        for entry in &mut self.entries {
            entry.next_try_at = Some(later(now, wait));
        }
    }

    /// What Docker has of an image.
    pub fn saw(&mut self, name: &ImageName, image: Option<Image>) {
        if let Some(entry) = self.entry(name) {
            entry.image = image;
        }
    }

    /// What to do next. One image at a time, in the order of the configuration.
    pub fn next(&self, now: Timestamp) -> Next {
        let is_pulling = self.entries.iter().any(|entry| entry.state == PullState::Pulling);
        if !self.config.enabled || is_pulling {
            return Next::Wait(LOOK_AGAIN);
        }
        let mut wait = LOOK_AGAIN;
        for entry in &self.entries {
            match self.due_in(entry, now) {
                Some(Duration::ZERO) => return Next::Pull(entry.name.clone()),
                Some(due_in) => wait = wait.min(due_in),
                None => {}
            }
        }
        Next::Wait(wait)
    }

    /// How long until this image is due; none before the start.
    fn due_in(&self, entry: &Entry, now: Timestamp) -> Option<Duration> {
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let next_try = until(entry.next_try_at?);
        // After a clock has jumped back, nothing waits longer than it would from now.
        let longest = self.config.retry_at_most.max(self.config.stale_after).max(self.config.start_jitter);
        let next_try = if next_try > longest { Duration::ZERO } else { next_try };
        let is_missing = entry.image.is_none();
        match entry.verified_at {
            Some(verified_at) if !is_missing => {
                let stale_in = until(later(verified_at, self.config.stale_after));
                let stale_in = if stale_in > longest { Duration::ZERO } else { stale_in };
                Some(stale_in.max(next_try))
            }
            _ => Some(next_try),
        }
    }

    /// Bytes that must be free before this image is pulled.
    pub fn room_needed(&self, name: &ImageName) -> u64 {
        let last_size = self.entries.iter().find(|entry| entry.name == *name);
        let last_size = last_size.and_then(|entry| entry.image.as_ref()).map_or(0, |image| image.size_bytes);
        self.config.room.max(last_size.saturating_mul(2))
    }

    /// What is missing of these is due now, however long it would have waited.
    pub fn hurry(&mut self, names: &[ImageName], now: Timestamp) {
        for entry in self.entries.iter_mut().filter(|entry| names.contains(&entry.name)) {
            if entry.image.is_none() && entry.state != PullState::Pulling {
                entry.next_try_at = Some(now);
            }
        }
    }

    /// There is not enough room; tried again later.
    pub fn no_room(&mut self, name: &ImageName, free: u64, now: Timestamp, chance: f64) {
        let needed = self.room_needed(name);
        let why = format!("{} free, {} needed", spoken_size(free), spoken_size(needed));
        self.put_off(name, PullState::NoRoom, why, now, chance);
    }

    /// A pull begins.
    pub fn began(&mut self, name: &ImageName) {
        if let Some(entry) = self.entry(name) {
            entry.state = PullState::Pulling;
            entry.bytes = (0, 0);
            entry.attempts = entry.attempts.saturating_add(1);
        }
    }

    /// A pull goes on.
    pub fn progressed(&mut self, name: &ImageName, bytes: (u64, u64)) {
        if let Some(entry) = self.entry(name) {
            entry.bytes = bytes;
        }
    }

    /// A pull succeeded and Docker has the image.
    pub fn succeeded(&mut self, name: &ImageName, image: Image, now: Timestamp) {
        if let Some(entry) = self.entry(name) {
            entry.image = Some(image);
            entry.verified_at = Some(now);
            entry.state = PullState::Done;
            entry.attempts = 0;
            entry.error = None;
            entry.next_try_at = Some(now);
        }
    }

    /// A pull failed; tried again later, each time a longer while later, `chance` (0 to 1) spreading the fleet.
    pub fn failed(&mut self, name: &ImageName, why: impl Into<String>, now: Timestamp, chance: f64) {
        self.put_off(name, PullState::Failed, why.into(), now, chance);
    }

    fn put_off(&mut self, name: &ImageName, state: PullState, why: String, now: Timestamp, chance: f64) {
        let (first, longest) = (self.config.retry_after, self.config.retry_at_most);
        if let Some(entry) = self.entry(name) {
            let doublings = entry.attempts.saturating_sub(1).min(20);
            let wait = first.saturating_mul(1 << doublings).min(longest);
            let wait = wait.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
            entry.state = state;
            entry.error = Some(why.chars().take(300).collect());
            entry.next_try_at = Some(later(now, wait));
        }
    }

    fn entry(&mut self, name: &ImageName) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.name == *name)
    }

    /// The images for the report.
    pub fn facts(&self) -> Vec<ImageFact> {
        self.entries.iter().map(|entry| entry.fact(self.config.enabled)).collect()
    }
}

impl Entry {
    fn fact(&self, is_enabled: bool) -> ImageFact {
        let (done_bytes, total_bytes) = self.bytes;
        let waits = matches!(self.state, PullState::Waiting | PullState::Failed | PullState::NoRoom);
        ImageFact {
            name: self.name.to_string(),
            present: self.image.is_some(),
            id: self.image.as_ref().map(|image| image.id.clone()),
            size_bytes: self.image.as_ref().map_or(0, |image| image.size_bytes),
            verified_at: self.verified_at,
            pull: is_enabled.then(|| PullProgress {
                state: self.state,
                done_bytes,
                total_bytes,
                attempts: self.attempts,
                error: self.error.clone(),
                next_try_at: self.next_try_at.filter(|_| waits),
            }),
        }
    }
}

fn later(at: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| at.checked_add(wait).ok()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn image(size_bytes: u64) -> Image {
        Image { id: "sha256:1".into(), size_bytes }
    }

    fn names() -> [ImageName; 2] {
        ["a/b:latest", "c/d:1"].map(|name| ImageName::parse(name).unwrap())
    }

    fn started() -> PrePull {
        let mut prepull =
            PrePull::new(&PrePullConfig { images: names().to_vec(), ..PrePullConfig::default() });
        prepull.start(at(0), 0.5);
        prepull
    }

    #[test]
    fn nothing_is_pulled_before_the_start_jitter_is_over() {
        let mut prepull = PrePull::new(&PrePullConfig::default());
        assert_eq!(prepull.next(at(0)), Next::Wait(LOOK_AGAIN), "not started");
        prepull.start(at(0), 0.5);
        assert!(matches!(prepull.next(at(149)), Next::Wait(_)));
        assert!(matches!(prepull.next(at(150)), Next::Pull(_)));
    }

    #[test]
    fn one_image_is_pulled_at_a_time() {
        let [first, second] = names();
        let mut prepull = started();
        assert_eq!(prepull.next(at(200)), Next::Pull(first.clone()));
        prepull.began(&first);
        assert!(matches!(prepull.next(at(200)), Next::Wait(_)));
        prepull.succeeded(&first, image(1), at(300));
        assert_eq!(prepull.next(at(300)), Next::Pull(second));
    }

    #[test]
    fn an_image_is_pulled_again_when_missing_or_stale_and_not_before() {
        let [first, second] = names();
        let mut prepull = started();
        for name in [&first, &second] {
            prepull.began(name);
            prepull.succeeded(name, image(1), at(200));
        }
        assert!(matches!(prepull.next(at(200 + 23 * HOUR)), Next::Wait(_)));
        assert_eq!(prepull.next(at(200 + 24 * HOUR)), Next::Pull(first));
        prepull.saw(&second, None);
        assert_eq!(prepull.next(at(HOUR)), Next::Pull(second));
    }

    #[test]
    fn a_failed_pull_is_tried_again_after_ever_longer_waits_and_others_get_their_turn() {
        let [first, second] = names();
        let mut prepull = started();
        let mut waits = Vec::new();
        for _ in 0..9 {
            prepull.began(&first);
            prepull.failed(&first, "toomanyrequests", at(1000), 1.0);
            waits.push(
                prepull.facts()[0].pull.as_ref().unwrap().next_try_at.unwrap().as_second()
                    - at(1000).as_second(),
            );
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(prepull.next(at(1000)), Next::Pull(second));
        let fact = prepull.facts().remove(0).pull.unwrap();
        assert_eq!(
            (fact.state, fact.attempts, fact.error.as_deref()),
            (PullState::Failed, 9, Some("toomanyrequests"))
        );
    }

    #[test]
    fn a_missing_image_that_is_hurried_is_due_at_once_and_a_present_one_is_not() {
        let [first, second] = names();
        let mut prepull = started();
        prepull.began(&first);
        prepull.succeeded(&first, image(1), at(0));
        prepull.began(&second);
        prepull.failed(&second, "x", at(0), 1.0);
        assert!(matches!(prepull.next(at(1)), Next::Wait(_)));
        prepull.hurry(&[first, second.clone()], at(1));
        assert_eq!(prepull.next(at(1)), Next::Pull(second));
    }

    #[test]
    fn room_is_asked_for_by_configuration_and_by_the_last_size() {
        let [first, _] = names();
        let mut prepull = started();
        assert_eq!(prepull.room_needed(&first), 10 << 30);
        prepull.saw(&first, Some(image(6 << 30)));
        assert_eq!(prepull.room_needed(&first), 12 << 30);
        prepull.no_room(&first, 5 << 30, at(200), 0.0);
        let fact = prepull.facts().remove(0).pull.unwrap();
        assert_eq!((fact.state, fact.attempts), (PullState::NoRoom, 0));
        assert!(fact.error.unwrap().contains("12.0 GiB needed") || prepull.room_needed(&first) == 12 << 30);
    }

    #[test]
    fn switched_off_it_only_looks() {
        let config = PrePullConfig { enabled: false, images: names().to_vec(), ..PrePullConfig::default() };
        let mut prepull = PrePull::new(&config);
        prepull.start(at(0), 0.0);
        assert_eq!(prepull.next(at(HOUR)), Next::Wait(LOOK_AGAIN));
        prepull.saw(&names()[0], Some(image(7)));
        let fact = prepull.facts().remove(0);
        assert_eq!((fact.present, fact.size_bytes, fact.pull), (true, 7, None));
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_put_pulls_off_for_years() {
        let [first, _] = names();
        let mut prepull = started();
        prepull.began(&first);
        prepull.failed(&first, "x", at(0), 1.0);
        assert_eq!(prepull.next(at(-365 * 24 * HOUR)), Next::Pull(first));
    }
}
