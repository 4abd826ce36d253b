//! `make simulate HOURS=48 SEED=1 SEEDS=1000`: long simulated histories, their coverage kept in a ledger over runs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a world that cannot be made is a failed run"
)]

#[path = "../simulation/chance.rs"]
mod chance;
#[path = "../simulation/checker.rs"]
mod checker;
#[path = "../simulation/coverage.rs"]
mod coverage;
#[path = "../simulation/crash.rs"]
#[allow(dead_code, reason = "the contract of steps uses the rest")]
mod crash;
#[path = "../simulation/history.rs"]
mod history;
#[path = "../simulation/judge.rs"]
mod judge;
#[path = "../simulation/node.rs"]
mod node;
#[path = "../simulation/people.rs"]
mod people;
#[path = "../simulation/wanted.rs"]
mod wanted;
#[path = "../simulation/world.rs"]
#[allow(dead_code, reason = "the contract of steps uses the rest")]
mod world;

mod ledger;

use anyhow::{Context, bail};
use history::{Run, Summary};
use ledger::Ledger;
use std::{
    collections::BTreeSet,
    env,
    ops::Range,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Instant,
};

/// Words that are missing from the ledger are named up to so many.
const MOST_TOLD: usize = 40;
/// The ledger is written after so many histories: whoever ends a long run keeps what was done.
const SLICE: u64 = 200;

fn number(name: &str, usual: u64) -> anyhow::Result<u64> {
    match env::var(name).ok().filter(|text| !text.is_empty()) {
        None => Ok(usual),
        Some(text) => text.parse().with_context(|| format!("{name}={text:?} is no number")),
    }
}

/// What the histories of these seeds bring, shared out among some threads; all stop at the first violation.
fn slice(seeds: Range<u64>, workers: u64, run: &Run) -> anyhow::Result<Vec<Summary>> {
    let step = usize::try_from(workers).unwrap_or(1);
    let stopped = Arc::new(AtomicBool::new(false));
    let parts: Vec<_> = (0..workers)
        .map(|worker| {
            let run = Run { without: run.without.clone(), stopped: Arc::clone(&stopped), ..*run };
            let mine = (seeds.start + worker..seeds.end).step_by(step);
            thread::spawn(move || history::these(mine, &run))
        })
        .collect();
    let ended = parts.into_iter().map(|part| part.join().ok());
    ended.collect::<Option<_>>().context("a history broke off; the message is above")
}

fn main() -> anyhow::Result<ExitCode> {
    let hours = i64::try_from(number("HOURS", 48)?)?;
    let first = number("SEED", 1)?;
    let seeds = number("SEEDS", 100)?;
    let workers = number("WORKERS", 2)?.max(1);
    let mut without = BTreeSet::new();
    for word in env::var("WITHOUT").unwrap_or_default().split(',').filter(|word| !word.is_empty()) {
        match world::FAULTS.iter().find(|fault| **fault == word) {
            Some(fault) => without.insert(*fault),
            None => bail!("WITHOUT={word}: the kinds of trouble are {}", world::FAULTS.join(", ")),
        };
    }
    let began = Instant::now();
    let run = Run { hours, without, ..Run::default() };
    let mut ledger = Ledger::read()?;
    let (mut simulated, mut ran, mut violations) = (0.0, 0, Vec::new());
    for from in (first..first + seeds).step_by(usize::try_from(SLICE)?) {
        let to = (from + SLICE).min(first + seeds);
        for summary in slice(from..to, workers, &run)? {
            ledger.add(&summary);
            simulated += summary.hours;
            ran += summary.seeds;
            violations.extend(summary.violations);
        }
        ledger.write()?;
        if !violations.is_empty() {
            break;
        }
    }
    let missing = wanted::missing(&ledger.coverage());
    for violation in &violations {
        println!("{violation}");
    }
    println!("{ledger}");
    if !missing.is_empty() {
        let (count, some) = (missing.len(), missing.iter().take(MOST_TOLD).cloned().collect::<Vec<_>>());
        let more = if count > MOST_TOLD { ", …" } else { "" };
        println!(
            "the ledger is incomplete; {count} words were reached fewer than 20 times: {}{more}",
            some.join(", ")
        );
    }
    println!("what cannot be reached, and is not missed:");
    wanted::left_out().iter().for_each(|line| println!("    {line}"));
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.0} cluster-hours a second and core", simulated / seconds / workers as f64);
    println!(
        "simulated {simulated:.0} cluster-hours {ran} seeds {} violations {} coverage",
        violations.len(),
        ledger.coverage().counts.len()
    );
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
