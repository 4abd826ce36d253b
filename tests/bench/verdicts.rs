//! What a verdict costs, and how that grows with the fleet.

use crate::{
    line::{GOAL, Line, growth, median, say, share, thread_seconds},
    sample_fleet,
};
use anyhow::{Context, Result, bail};
use millwright_decision::{Action, FleetCounts, Policy, Request, Severity, Snapshot, judge};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    env,
    hint::black_box,
    io::{self, Write},
    process::Command,
    time::Instant,
};

/// The sizes of DESIGN section 8.
const SIZES: [u32; 3] = [100, 1_000, 10_000];
/// Whole-fleet rounds are repeated until they have taken this long together, and at least three times.
const ROUND_SECONDS: f64 = 1.0;

/// What one size costs.
#[derive(Serialize, Deserialize)]
struct Costs {
    /// The median of one verdict, over all nodes and the four disruptive actions, in microseconds.
    one_verdict_us: f64,
    /// Its 99th percentile, in microseconds.
    one_verdict_p99_us: f64,
    /// Whether each node of the fleet may be rebooted, in milliseconds.
    reboots_ms: f64,
    /// All four disruptive actions for each node of the fleet, in milliseconds.
    fleet_verdicts_ms: f64,
    /// All counts anew, in milliseconds.
    recount_ms: f64,
}

/// Measures every size in a process of its own and prints the lines.
pub fn run() -> Result<()> {
    let mut all = BTreeMap::new();
    for nodes in SIZES {
        let output = Command::new(env::current_exe()?).args(["verdicts-of", &nodes.to_string()]).output()?;
        if !output.status.success() {
            bail!("measure verdicts of {nodes} nodes: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let costs: Costs = serde_json::from_slice(&output.stdout).context("read what it measured")?;
        say(format_args!(
            "{nodes} nodes: a verdict {:.1} µs (p99 {:.1}), four for each node {:.1} ms, a recount {:.2} ms",
            costs.one_verdict_us, costs.one_verdict_p99_us, costs.fleet_verdicts_ms, costs.recount_ms
        ));
        all.insert(nodes, costs);
    }
    let Some(largest) = all.values().next_back() else { return Ok(()) };
    for (name, ours, unit, goal) in [
        ("verdict_at_10000_nodes", largest.one_verdict_us, "us", 20.0),
        ("verdict_p99_at_10000_nodes", largest.one_verdict_p99_us, "us", 20.0),
        ("reboot_of_each_of_10000_nodes", largest.reboots_ms, "ms", 100.0),
        ("all_four_of_each_of_10000_nodes", largest.fleet_verdicts_ms, "ms", 100.0),
    ] {
        Line { name, ours, unit }.against(GOAL, goal);
    }
    type Pick = fn(&Costs) -> f64;
    let exponents: [(&str, Pick, f64); 3] = [
        // One verdict should not know how large the fleet is.
        ("verdict_growth", |costs| costs.one_verdict_us, 0.05),
        ("all_four_growth", |costs| costs.fleet_verdicts_ms, 1.05),
        ("recount_growth", |costs| costs.recount_ms, 1.05),
    ];
    for (name, pick, goal) in exponents {
        let points: Vec<(f64, f64)> =
            all.iter().map(|(nodes, costs)| (f64::from(*nodes), pick(costs))).collect();
        Line { name, ours: growth(&points), unit: "exponent" }.against(GOAL, goal);
    }
    Ok(())
}

/// Measures one size and prints it as JSON.
pub fn measure(nodes: u32) -> Result<()> {
    let (snapshot, policy, now) = sample_fleet::working_day(nodes)?.snapshot();
    let requests: Vec<Request> = policy
        .nodes
        .keys()
        .flat_map(|name| Action::DISRUPTIVE.map(|action| Request::one(action, name.clone())))
        .collect();
    explain(&requests, &snapshot, &policy)?;
    let (mut single, mut rounds, mut recounts) = (Vec::new(), Vec::new(), Vec::new());
    while rounds.len() < 3 || rounds.iter().sum::<f64>() < ROUND_SECONDS * 1e3 {
        let start = thread_seconds();
        for request in &requests {
            black_box(judge(request, &snapshot, &policy, now));
        }
        rounds.push((thread_seconds() - start) * 1e3);
    }
    // Apart from the rounds, and by the clock on the wall: reading the thread's own time would cost as much as a verdict.
    for request in &requests {
        let start = Instant::now();
        black_box(judge(request, &snapshot, &policy, now));
        single.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let start = thread_seconds();
    for request in requests.iter().filter(|request| request.action == Action::Reboot) {
        black_box(judge(request, &snapshot, &policy, now));
    }
    let reboots_ms = (thread_seconds() - start) * 1e3;
    while recounts.len() < 3 || recounts.iter().sum::<f64>() < ROUND_SECONDS * 1e3 {
        let start = thread_seconds();
        black_box(FleetCounts::recount(&snapshot, &policy, now));
        recounts.push((thread_seconds() - start) * 1e3);
    }
    let costs = Costs {
        one_verdict_us: median(&mut single),
        one_verdict_p99_us: share(&mut single, 0.99),
        reboots_ms,
        fleet_verdicts_ms: median(&mut rounds),
        recount_ms: median(&mut recounts),
    };
    serde_json::to_writer(io::stdout(), &costs)?;
    writeln!(io::stdout())?;
    Ok(())
}

/// Says how the verdicts are spread, so that nobody measures a fleet where one early refusal answers everything.
fn explain(requests: &[Request], snapshot: &Snapshot, policy: &Policy) -> Result<()> {
    let mut spread: BTreeMap<Severity, u32> = BTreeMap::new();
    for request in requests {
        *spread.entry(judge(request, snapshot, policy, sample_fleet::now()).verdict).or_default() += 1;
    }
    if spread.len() < 2 {
        bail!("make a fleet to measure on: all verdicts are {spread:?}, expected a mixture");
    }
    say(format_args!("verdicts: {spread:?}"));
    Ok(())
}
