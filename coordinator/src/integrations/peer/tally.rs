//! What is counted of every outside system.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// One system's.
#[derive(Debug, Default)]
pub struct Tally {
    good: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    unanswered: AtomicU64,
    rested: AtomicU64,
    microseconds: AtomicU64,
}

impl Tally {
    /// It was asked; the status of its answer, if one came.
    pub fn asked(&self, status: Option<u16>, took: Duration) {
        let counter = match status {
            None => &self.unanswered,
            Some(500..) => &self.failed,
            Some(400..) => &self.refused,
            Some(_) => &self.good,
        };
        counter.fetch_add(1, Relaxed);
        self.microseconds.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// It was not asked, because it rests.
    pub fn rested(&self) {
        self.rested.fetch_add(1, Relaxed);
    }

    /// How often its questions ended how, by words that never change.
    pub fn results(&self) -> [(&'static str, u64); 5] {
        [
            ("ok", self.good.load(Relaxed)),
            ("refused", self.refused.load(Relaxed)),
            ("failed", self.failed.load(Relaxed)),
            ("unanswered", self.unanswered.load(Relaxed)),
            ("rested", self.rested.load(Relaxed)),
        ]
    }

    /// How long all its questions took together.
    pub fn milliseconds(&self) -> u64 {
        self.microseconds.load(Relaxed) / 1000
    }
}

/// Everyone's, by name.
#[derive(Debug, Default)]
pub struct Tallies(Mutex<BTreeMap<&'static str, Arc<Tally>>>);

impl Tallies {
    /// That system's.
    pub fn of(&self, system: &'static str) -> Arc<Tally> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(system).or_default())
    }

    /// All there are.
    pub fn all(&self) -> Vec<(&'static str, Arc<Tally>)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(system, tally)| (*system, Arc::clone(tally))).collect()
    }
}
