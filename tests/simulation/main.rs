//! Simulated histories of the production core: fleet, decisions, operations, journal, and the agents' machines of orders,
//! under faults that come from a seed. A short run here; `make simulate` runs long ones.

mod chance;
#[allow(dead_code, reason = "long runs use the rest")]
mod checker;
mod contract;
#[allow(dead_code, reason = "long runs use the rest")]
mod coverage;
mod crash;
mod history;
mod judge;
mod node;
mod people;
mod world;

use history::{Run, run};

/// Two days each, on the small and the large fleet.
#[test]
fn a_hundred_histories_of_two_days_have_no_violation() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    let summary = run(&Run { first_seed: 1, seeds, hours: 48, ..Run::default() });
    assert!(summary.violations.is_empty(), "{}", summary.violations.join("\n"));
    assert!(summary.hours > 0.0);
}

#[test]
fn a_seed_is_one_history() {
    let once = run(&Run { first_seed: 7, seeds: 1, hours: 24, ..Run::default() });
    let again = run(&Run { first_seed: 7, seeds: 1, hours: 24, ..Run::default() });
    assert_eq!(once.coverage.counts, again.coverage.counts);
}
