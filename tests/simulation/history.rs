//! Runs seeds, and makes of a failing one the smallest that still fails.

use super::{
    coverage::Coverage,
    world::{FAULTS, Setting, World},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What all of them have in common.
#[derive(Debug, Clone)]
pub struct Run {
    pub hours: i64,
    /// Kinds of trouble that do not happen.
    pub without: BTreeSet<&'static str>,
    /// Every report is taken in whole.
    pub is_eager: bool,
    /// Raised at the first violation: then no further history is begun, here or by others who look at it.
    pub stopped: Arc<AtomicBool>,
}

impl Default for Run {
    fn default() -> Self {
        Self { hours: 48, without: BTreeSet::new(), is_eager: false, stopped: Arc::default() }
    }
}

/// What came of them.
#[derive(Debug, Default)]
pub struct Summary {
    pub hours: f64,
    pub seeds: u64,
    pub violations: Vec<String>,
    pub coverage: Coverage,
}

/// The setting of a seed: every fifth has the large fleet, every seventh three nodes that are dead for ever.
pub fn setting(seed: u64, hours: i64, without: &BTreeSet<&'static str>) -> Setting {
    let agents = if seed.is_multiple_of(5) { 40 } else { 3 };
    let dead = if seed.is_multiple_of(7) && agents == 40 { 3 } else { 0 };
    Setting { seed, hours, agents, without: without.clone(), is_eager: false, dead }
}

/// Runs these seeds.
pub fn these(seeds: impl IntoIterator<Item = u64>, run: &Run) -> Summary {
    let mut summary = Summary::default();
    for seed in seeds {
        if run.stopped.load(Ordering::Relaxed) {
            break;
        }
        let setting = setting(seed, run.hours, &run.without);
        let mut world = World::new(Setting { is_eager: run.is_eager, ..setting });
        world.run();
        summary.hours += world.hours();
        summary.seeds += 1;
        summary.coverage.add(&world.coverage);
        if let Some(violation) = &world.checker.violation {
            eprintln!(
                "seed {seed}: {}: {}; looking for the smallest that fails so",
                violation.invariant, violation.sentence
            );
            tell(&world, &violation.sentence);
            run.stopped.store(true, Ordering::Relaxed);
            summary.violations.push(shrunk(seed, run.hours, &run.without));
        }
    }
    summary
}

/// The last events of the operations that a sentence names.
fn tell(world: &World, sentence: &str) {
    let Some(coordinator) = &world.coordinator else { return };
    let ids = sentence.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
    for tracked in ids.filter_map(|id| coordinator.operations.get(id)) {
        let from = tracked.story.len().saturating_sub(24);
        for recorded in tracked.story.iter().skip(from) {
            eprintln!("  {} {} {:?}", tracked.operation.id, recorded.at, recorded.event);
        }
    }
    eprintln!("  now {}, the coordinator began at {}", world.now, coordinator.started_at);
}

/// The same failure with as few kinds of trouble and as few hours as it needs, and how to see it again.
fn shrunk(seed: u64, hours: i64, without: &BTreeSet<&'static str>) -> String {
    let fails = |hours: i64, without: &BTreeSet<&'static str>| {
        let mut world = World::new(setting(seed, hours, without));
        world.run();
        world.checker.violation.clone().map(|violation| (violation, world.hours()))
    };
    let Some((mut violation, mut failed_after)) = fails(hours, without) else {
        return format!("seed {seed} failed once and not again: something is not repeatable");
    };
    let wanted = violation.invariant;
    let mut without = without.clone();
    for fault in FAULTS {
        let mut fewer = without.clone();
        fewer.insert(fault);
        if let Some((found, after)) = fails(hours, &fewer).filter(|(found, _)| found.invariant == wanted) {
            (violation, failed_after, without) = (found, after, fewer);
        }
    }
    let left_out = if without.is_empty() {
        String::new()
    } else {
        format!(" WITHOUT={}", without.iter().copied().collect::<Vec<_>>().join(","))
    };
    format!(
        "{}: {} (after {failed_after:.1} h)\n    again: make simulate HOURS={hours} SEED={seed} SEEDS=1{left_out}",
        violation.invariant, violation.sentence
    )
}
