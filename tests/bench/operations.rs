//! What people wait for when they ask for an operation: from their request to its first step, every decision made and every
//! word of it on the disk. And how fast histories are simulated, which is what a proof costs.

use crate::{
    fleet::heard,
    line::{GOAL, Line, median, say},
    programs,
    sample_fleet::{self, node_name},
};
use anyhow::{Context, Result, ensure};
use millwright_coordinator::{
    operations::{Ask, Operations},
    store::{Retention, Store},
};
use millwright_decision::{Action, Mode};
use std::{
    fs::File,
    io::Write,
    process::Command,
    sync::{Arc, Mutex},
    time::Instant,
};

/// The cluster that Millwright is made for, and its masters.
const NODES: u32 = 43;
/// So many synced writes there are from a request to its first step: that it was asked for, and that it begins.
const WRITES: u32 = 2;
/// Seeds of a history of two days each.
const SEEDS: u32 = 20;
/// Cluster-hours a second and core of a bare queue of events with every message as JSON, without any decision.
const SIMULATED_GOAL: f64 = 58.0;

/// Measures and prints the lines.
pub fn run() -> Result<()> {
    first_step()?;
    simulated()
}

fn first_step() -> Result<()> {
    let bench = programs::bench()?;
    // Not the usual folder for such files, which may be in memory.
    let folder = tempfile::tempdir_in(bench.parent().context("find the folder of this program")?)?;
    let mut plain = File::create(folder.path().join("plain"))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 4..=NODES {
        let store = folder.path().join(node_name(number));
        ours.push(one(&store, number)?);
        let start = Instant::now();
        for _ in 0..WRITES {
            plain.write_all(&[b'x'; 400])?;
            plain.sync_data()?;
        }
        theirs.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    say(format_args!(
        "from a request to its first step: {ours:.1} ms, {WRITES} synced writes alone {theirs:.1} ms"
    ));
    Line { name: "request_to_first_step", ours, unit: "ms" }.against("fdatasync", theirs);
    Ok(())
}

/// Milliseconds until the first step of a reboot is to be carried out.
fn one(store: &std::path::Path, number: u32) -> Result<f64> {
    let mut policy = sample_fleet::policy(NODES, false)?;
    for class in policy.classes.values_mut() {
        class.mode = Mode::Act;
    }
    let (fleet, now) = heard(NODES, &Arc::new(policy))?;
    let fleet = Mutex::new(fleet);
    let (store, _) = Store::open(store, Retention::default())?;
    let mut operations = Operations::open(Arc::new(store.journal()?))?;
    let ask = Ask::plain(Action::Reboot, node_name(number).parse()?, "an operator", "a new kernel");
    let start = Instant::now();
    operations.request(&ask, &fleet, now)?;
    let tasks = operations.advance(&fleet, now);
    let took = start.elapsed().as_secs_f64() * 1e3;
    ensure!(
        !tasks.is_empty(),
        "the reboot of {} has no first step: {:?}",
        ask.node,
        operations.list().next()
    );
    Ok(took)
}

fn simulated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = programs::bench()?.with_file_name("simulate");
    let output = Command::new(&program)
        .env("HOURS", "48")
        .env("SEED", "1")
        .env("SEEDS", SEEDS.to_string())
        .env("WORKERS", "1")
        .env("MILLWRIGHT_LEDGER", folder.path().join("ledger.json"))
        .output()
        .with_context(|| format!("start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "a history has a violation: {said}");
    let rate = said.lines().find_map(|line| line.strip_suffix(" cluster-hours a second and core"));
    let ours: f64 = rate.context("find the rate in what it said")?.trim().parse()?;
    Line { name: "simulated_cluster_hours", ours, unit: "per_second_and_core" }.against(GOAL, SIMULATED_GOAL);
    Ok(())
}
