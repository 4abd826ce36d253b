//! Simulated histories of the production core: fleet, decisions, operations, journal, and the agents' machines of orders,
//! under faults that come from a seed. A short run here; `make simulate` runs long ones.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a world that cannot be made is a failed run"
)]

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
#[allow(dead_code, reason = "long runs use the rest")]
mod wanted;
mod world;

use history::{Run, these};
use std::thread;

/// Two days each: 94 of the small fleet, six of the large one, three of these with nodes that are dead for ever.
#[test]
fn a_hundred_histories_of_two_days_have_no_violation() {
    let small = (1..).filter(|seed: &u64| !seed.is_multiple_of(5)).take(94);
    let seeds: Vec<u64> = [5, 70, 10, 105, 15, 140].into_iter().chain(small).collect();
    let halves = [0, 1].map(|half| {
        let seeds: Vec<u64> = seeds.iter().copied().skip(half).step_by(2).collect();
        thread::spawn(move || these(seeds, &Run { hours: 48, ..Run::default() }))
    });
    let summaries = halves.map(|half| half.join().unwrap());
    let violations: Vec<String> = summaries.iter().flat_map(|summary| summary.violations.clone()).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    assert_eq!(summaries.iter().map(|summary| summary.seeds).sum::<u64>(), 100);
    let moves = summaries.iter().filter_map(|summary| summary.coverage.counts.get("done/move"));
    assert!(moves.sum::<u64>() > 0, "no service was moved in any of them");
}

/// Once with every report taken in whole, once with those that repeat the one before told as such.
#[test]
fn a_seed_is_one_history_however_repeated_reports_are_taken_in() {
    for seed in [7, 10] {
        let [once, again] =
            [true, false].map(|is_eager| these([seed], &Run { hours: 24, is_eager, ..Run::default() }));
        assert_eq!(once.coverage.counts, again.coverage.counts);
    }
}
