//! The bench: our programs beside the programs people use today, in one run on one machine.
//! `README.md` beside this file says what is measured, how, and what the lines mean.
//!
//! One program with many parts, because a part that loads another must be a process of its own, on a processor of
//! its own. Nothing here asserts a time: it prints, and people judge.

mod agents;
mod authority;
mod coordinator;
mod first_proof;
mod fleet;
mod generator;
mod intake;
mod journal;
mod line;
mod load;
mod mesos_state;
mod neighbours;
mod node;
mod operations;
mod peers;
mod programs;
mod reports;
mod sample_fleet;
mod storm;
mod tls;
mod verdicts;
mod watched;

/// The systems of the lab, shared with the stories of `tests/system`.
#[path = "../system"]
#[expect(dead_code, unused_imports, reason = "the stories use all of it")]
mod lab {
    pub mod harness;
}

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Measures Millwright beside its peers")]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Everything.
    All {
        /// How long the agent and its peers are watched.
        #[arg(long, env = "BENCH_SECONDS", default_value_t = 600)]
        seconds: u64,
    },
    /// Memory, processor time and size of the agent beside its peers.
    Node {
        /// How long they are watched.
        #[arg(long, env = "BENCH_SECONDS", default_value_t = 600)]
        seconds: u64,
    },
    /// Verdict time and memory at 100, 1,000 and 10,000 nodes.
    Verdicts,
    /// The coordinator's fleet: memory for each node, time of a report, a verdict, a second, a restart.
    Fleet,
    /// Appends to the journal of operations, each synced, and reading it back.
    Journal,
    /// From a request to the first step of an operation, and how fast histories are simulated.
    Operations,
    /// Reports taken in by the coordinator beside its peers, and verdicts meanwhile.
    Intake,
    /// Reports over mutual TLS beside nginx with the same certificates.
    Tls,
    /// From the end of a node's last task to the first look that finds it empty.
    FirstProof,
    /// The state of a large Mesos read beside `jq`.
    MesosState,
    /// Ten thousand agents that come back after a restart of the coordinator.
    Storm,
    /// One size of `verdicts`, in a process of its own so that memory is its own too.
    #[command(hide = true)]
    VerdictsOf { nodes: u32 },
    /// One size of `fleet`.
    #[command(hide = true)]
    FleetOf { nodes: u32 },
    /// Reads the state of Mesos once.
    #[command(hide = true)]
    MesosStateOf { address: String },
    /// Sends reports.
    #[command(hide = true)]
    Load(load::Load),
    /// Plays many agents with certificates.
    #[command(hide = true)]
    Agents(agents::Options),
    /// Whom an agent talks to: Mesos, ZooKeeper, a coordinator.
    #[command(hide = true)]
    Neighbours { http: u16, zookeeper: u16 },
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().part {
        Part::All { seconds } => all(seconds),
        Part::Node { seconds } => node::run(seconds),
        Part::Neighbours { http, zookeeper } => neighbours::serve(http, zookeeper),
        Part::Fleet => fleet::run(),
        Part::FleetOf { nodes } => fleet::measure(nodes),
        Part::Journal => journal::run(),
        Part::Operations => operations::run(),
        Part::Intake => intake::run(),
        Part::Tls => tls::run(),
        Part::FirstProof => first_proof::run(),
        Part::MesosState => mesos_state::run(),
        Part::MesosStateOf { address } => mesos_state::measure(&address),
        Part::Storm => storm::run(),
        Part::Agents(options) => agents::run(options),
        Part::Load(load) => load::run(load),
        Part::Verdicts => verdicts::run(),
        Part::VerdictsOf { nodes } => verdicts::measure(nodes),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            line::say(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One part that cannot be measured here does not keep the others from being measured.
fn all(seconds: u64) -> anyhow::Result<()> {
    let parts: [(&str, &dyn Fn() -> anyhow::Result<()>); 10] = [
        ("verdicts", &verdicts::run),
        ("fleet", &fleet::run),
        ("journal", &journal::run),
        ("operations", &operations::run),
        ("intake", &intake::run),
        ("tls", &tls::run),
        ("mesos_state", &mesos_state::run),
        ("first_proof", &first_proof::run),
        ("storm", &storm::run),
        ("node", &|| node::run(seconds)),
    ];
    let mut failed = Vec::new();
    for (name, part) in parts {
        line::say(format_args!("measuring {name}"));
        if let Err(error) = part() {
            line::say(format_args!("{name}: {error:#}"));
            failed.push(name);
        }
    }
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}
