//! `make demo`: the whole thing on one machine, with nothing pretended. Two nodes, each with a Docker and a volume of
//! its own, one Mesos 1.11 with two agents, two tasks of two frameworks on the first node, Puppet, a coordinator and two
//! agents. The busy node may not be rebooted; the empty one may, once that is proven twice.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a demo talks")]

mod stage;
mod watch;

// The lab of the stories; a path on the folder, since on the file its own modules would not be found.
#[path = "../system"]
mod system {
    #[allow(dead_code, unused_imports, reason = "a demo needs less than all stories together")]
    pub mod harness;
}

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use stage::{BUSY, EMPTY, Stage};
use system::harness::needs_binary;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Duration, Instant, sleep};
use watch::Watch;

/// Verdicts change by the second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// `--once` gives up after this: the proof takes some 80 s, and a busy machine twice that.
const ONCE_LIMIT: Duration = Duration::from_secs(300);

/// A busy and an empty node, with everything around them real.
#[derive(Debug, Parser)]
struct Arguments {
    /// Ends as soon as the empty node may be rebooted.
    #[arg(long)]
    once: bool,
    /// Prints both nodes' verdicts as one JSON object at the end, and nothing else on standard output.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    // Before anything starts, so that everything that did is taken away again.
    let mut stop = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stage = Stage::set()?;
    let url = stage.coordinator.url();
    say(arguments, &format!("dashboard: {url}"));
    say(
        arguments,
        &format!("{BUSY} runs a build and a checker. {EMPTY} is empty: it may be rebooted once that"),
    );
    say(arguments, "is proven twice, some 80 s from now. Look at the dashboard, or ask in another terminal:");
    let millwright = needs_binary("millwright")?;
    say(arguments, &format!("    {} --server {url} may reboot {BUSY} {EMPTY}\n", millwright.display()));
    if !arguments.once {
        say(arguments, "Ctrl-C ends it and takes everything away");
    }
    let started = Instant::now();
    let mut watch = Watch::default();
    loop {
        for line in watch.look(&stage.coordinator)? {
            say(arguments, &line);
        }
        if arguments.once && watch.is_proven() {
            break;
        }
        if arguments.once && started.elapsed() > ONCE_LIMIT {
            anyhow::bail!(
                "wait for the empty node to be allowed: it is not after {ONCE_LIMIT:?}\n{}",
                watch.why_not()
            );
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            _ = stop.0.recv() => break,
            _ = stop.1.recv() => break,
        }
    }
    if arguments.json {
        println!("{:#}", watch.report(&stage.coordinator)?);
    }
    Ok(())
}

/// Tools read standard output when there is JSON on it.
fn say(arguments: &Arguments, line: &str) {
    if arguments.json {
        eprintln!("{line}");
    } else {
        println!("{line}");
    }
}
