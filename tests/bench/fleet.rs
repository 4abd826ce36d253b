//! What the coordinator's fleet costs in memory and time, and how long a restart takes, by size.

use crate::{
    line::{GOAL, Line, growth, median, say, thread_seconds},
    reports::{self, FIRST_SEQUENCE},
    sample_fleet::{self, node_name, now},
};
use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use millwright_coordinator::{
    fleet::Fleet,
    store::{Retention, Store},
    view::Transition,
};
use millwright_decision::{Action, Policy, Request};
use millwright_protocol::{NodeName, Report};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap, env, fs, hint::black_box, io, path::Path, process::Command, sync::Arc,
    time::Instant,
};

const SIZES: [u32; 3] = [100, 1_000, 10_000];
/// What happened before the restart that is measured.
const CHANGES: usize = 10_000;

/// What one size costs.
#[derive(Serialize, Deserialize)]
struct Costs {
    /// Memory beyond what the process and its policy had before, for each node without tasks, in bytes.
    node_bytes: f64,
    /// Taking in one report that was read already, in microseconds.
    take_report_us: f64,
    /// One verdict while nothing changes, in microseconds.
    verdict_us: f64,
    /// One second passing, in milliseconds.
    tick_ms: f64,
    /// Four verdicts for each node, in milliseconds.
    fleet_verdicts_ms: f64,
    /// From the store's file to a fleet that answers, in milliseconds.
    restart_ms: f64,
}

/// Measures every size in a process of its own and prints the lines.
pub fn run() -> Result<()> {
    let mut all = BTreeMap::new();
    for nodes in SIZES {
        let output = Command::new(env::current_exe()?).args(["fleet-of", &nodes.to_string()]).output()?;
        if !output.status.success() {
            bail!("measure a fleet of {nodes} nodes: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let costs: Costs = serde_json::from_slice(&output.stdout).context("read what it measured")?;
        say(format_args!(
            "{nodes} nodes: {:.0} bytes each, a report {:.1} µs, a verdict {:.1} µs, four for each node {:.1} ms, a second \
             {:.2} ms, a restart {:.0} ms",
            costs.node_bytes,
            costs.take_report_us,
            costs.verdict_us,
            costs.fleet_verdicts_ms,
            costs.tick_ms,
            costs.restart_ms
        ));
        all.insert(nodes, costs);
    }
    let Some(largest) = all.values().next_back() else { return Ok(()) };
    for (name, ours, unit, goal) in [
        ("coordinator_memory_per_node", largest.node_bytes / 1024.0, "KiB", 3.0),
        ("coordinator_verdict_at_10000_nodes", largest.verdict_us, "us", 20.0),
        ("coordinator_all_four_of_each_of_10000_nodes", largest.fleet_verdicts_ms, "ms", 100.0),
        ("restart_with_10000_nodes", largest.restart_ms / 1e3, "s", 1.0),
    ] {
        Line { name, ours, unit }.against(GOAL, goal);
    }
    // What is given for each node should stay the same, what is given for the fleet should grow with it.
    type Pick = fn(&Costs) -> f64;
    let exponents: [(&str, Pick, f64); 5] = [
        ("coordinator_memory_per_node_growth", |costs| costs.node_bytes, 0.05),
        ("take_report_growth", |costs| costs.take_report_us, 0.05),
        ("coordinator_verdict_growth", |costs| costs.verdict_us, 0.05),
        ("coordinator_all_four_growth", |costs| costs.fleet_verdicts_ms, 1.05),
        ("restart_growth", |costs| costs.restart_ms, 1.05),
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
    let policy = Arc::new(sample_fleet::policy(nodes, false)?);
    let before = anonymous_bytes()?;
    let idle = idle_fleet(nodes, &policy)?;
    let node_bytes = anonymous_bytes()?.saturating_sub(before) as f64 / f64::from(nodes);
    // Kept until here, so that nothing of it is used again before it was counted.
    drop(idle);
    let mut fleet = Fleet::new(Arc::clone(&policy), now());
    // Verified after two rounds a minute apart; the third finds everything in its place.
    let mut take_us = Vec::new();
    for round in 0..5 {
        let at = now() + SignedDuration::from_secs(35 * round);
        for number in 1..=nodes {
            let (name, report) = report(number, round)?;
            let start = Instant::now();
            black_box(fleet.take_report(&name, report, at));
            if round >= 2 {
                take_us.push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
        fleet.tick(at);
    }
    let at = now() + SignedDuration::from_secs(35 * 4);
    let (verdict_us, fleet_verdicts_ms) = judge_all(&mut fleet, &policy, at)?;
    let mut ticks = Vec::new();
    for second in 1..=5 {
        let start = thread_seconds();
        fleet.tick(at + SignedDuration::from_secs(second));
        ticks.push((thread_seconds() - start) * 1e3);
    }
    let restart_ms = restart(&mut fleet, &policy, at)?;
    let costs = Costs {
        node_bytes,
        take_report_us: median(&mut take_us),
        verdict_us,
        tick_ms: median(&mut ticks),
        fleet_verdicts_ms,
        restart_ms,
    };
    serde_json::to_writer(io::stdout(), &costs)?;
    Ok(())
}

/// A fleet that has heard every node often enough to call it well, and the time of the last report.
pub fn heard(nodes: u32, policy: &Arc<Policy>) -> Result<(Fleet, Timestamp)> {
    let mut fleet = Fleet::new(Arc::clone(policy), now());
    let mut at = now();
    for round in 0..20 {
        at = now() + SignedDuration::from_secs(35 * round);
        for number in 1..=nodes {
            let (name, report) = report(number, round)?;
            fleet.take_report(&name, report, at);
        }
        fleet.tick(at);
    }
    Ok((fleet, at))
}

/// A fleet that has heard every node twice, none of them with tasks: those are counted apart.
fn idle_fleet(nodes: u32, policy: &Arc<Policy>) -> Result<Fleet> {
    let mut fleet = Fleet::new(Arc::clone(policy), now());
    for round in 0..2 {
        for number in 1..=nodes {
            let (name, mut report) = report(number, round)?;
            if let Some(agent) = &mut report.facts.mesos_agent {
                agent.tasks.clear();
            }
            fleet.take_report(&name, report, now() + SignedDuration::from_secs(35 * round));
        }
    }
    Ok(fleet)
}

fn report(number: u32, round: i64) -> Result<(NodeName, Report)> {
    let variant = round.unsigned_abs();
    let report = Report { sequence: FIRST_SEQUENCE + variant, ..reports::report(number, variant % 2) };
    Ok((node_name(number).parse()?, report))
}

/// The median of one verdict in microseconds, and four for each node in milliseconds.
fn judge_all(fleet: &mut Fleet, policy: &Policy, at: Timestamp) -> Result<(f64, f64)> {
    let requests: Vec<Request> = policy
        .nodes
        .keys()
        .flat_map(|name| Action::DISRUPTIVE.map(|action| Request::one(action, name.clone())))
        .collect();
    let mut single = Vec::with_capacity(requests.len());
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let start = thread_seconds();
        for request in &requests {
            black_box(fleet.judge(request, at)?);
        }
        rounds.push((thread_seconds() - start) * 1e3);
    }
    for request in &requests {
        let start = Instant::now();
        black_box(fleet.judge(request, at)?);
        single.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok((median(&mut single), median(&mut rounds)))
}

/// Stores everything as the coordinator does, and reads it back three times.
fn restart(fleet: &mut Fleet, policy: &Arc<Policy>, at: Timestamp) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("coordinator.sqlite");
    let (store, _) = Store::open(&file, Retention::default())?;
    store.keep_changes((0..CHANGES).map(|number| change(number, at)).collect());
    store.keep_nodes(fleet.unsaved(usize::MAX, at));
    store.close();
    drop(store);
    let mut times = Vec::new();
    for _ in 0..3 {
        times.push(read_back(&file, policy, at)?);
    }
    Ok(median(&mut times))
}

fn read_back(file: &Path, policy: &Arc<Policy>, at: Timestamp) -> Result<f64> {
    let start = Instant::now();
    let (store, remembered) = Store::open(file, Retention::default())?;
    let known = remembered.nodes.len();
    let mut fleet = Fleet::new(Arc::clone(policy), at);
    fleet.restore(remembered, at);
    fleet.tick(at);
    let elapsed = start.elapsed().as_secs_f64() * 1e3;
    anyhow::ensure!(known == policy.nodes.len(), "read back {known} of {} nodes", policy.nodes.len());
    store.close();
    Ok(elapsed)
}

fn change(number: usize, at: Timestamp) -> Transition {
    let node = node_name(4 + u32::try_from(number % 90).unwrap_or_default());
    Transition {
        at,
        key: node.clone(),
        node,
        what: "space/build".to_owned(),
        from: Some("ok".to_owned()),
        to: "warn".to_owned(),
        gating: false,
        sentence: "/build is 51 % full: 244 GiB of 500 GiB free".to_owned(),
    }
}

/// This process' own memory, without what it shares with files.
fn anonymous_bytes() -> Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let kibibytes =
        rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")?.trim().strip_suffix(" kB"));
    Ok(kibibytes.context("find this process' anonymous memory")?.trim().parse::<u64>()? * 1024)
}
