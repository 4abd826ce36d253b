//! The coordinator's program: arguments, logging, one run, an exit code.

use anyhow::Context;
use clap::{Parser, Subcommand};
use millwright_coordinator::{app, config, telemetry, words};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Knows the fleet, says what may be done with which node and why not.
#[derive(Debug, Parser)]
#[command(name = "millwright-coordinator", version)]
struct Arguments {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Check configuration, policy and database, say everything that is wrong, and start nothing.
    #[arg(long, global = true)]
    check_config: bool,
    /// What to log: error, warn, info, debug or trace.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info", env = "MILLWRIGHT_LOG")]
    log: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM or SIGINT (the default).
    Run {
        /// Write the addresses really listened on to standard output, as one line of JSON, once they answer.
        #[arg(long)]
        announce: bool,
    },
    /// Copies the store to a file, also while the coordinator runs.
    Backup {
        /// Where to; a file that is there is replaced once the copy is whole.
        file: PathBuf,
    },
    /// Puts a copy in the place of the store and raises its generation. The coordinator must be stopped; the store of
    /// before is kept.
    Restore {
        /// The copy.
        file: PathBuf,
    },
    /// Says that the store which was put in its place by hand, without `restore`, is the one in force: raises its
    /// generation. The coordinator must be stopped.
    RaiseGeneration {
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
    },
    /// Sends one message on every channel of [notice], and says how each took it. Nothing else is told.
    NotifyTest,
    /// Closes the store here, makes the copy that goes to another host, and says what to do there. The coordinator must be
    /// stopped.
    Move {
        /// The host it goes to.
        #[arg(long, value_name = "HOST", required_unless_present = "undo")]
        to: Option<String>,
        /// Takes the store back. Only if the coordinator has never started on the other host.
        #[arg(long, conflicts_with = "to")]
        undo: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match act(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Beside the log, since the log may be the journal and the person at a terminal.
            let _ = writeln!(std::io::stderr(), "millwright-coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: &Arguments) -> anyhow::Result<()> {
    telemetry::start(&arguments.log).map_err(anyhow::Error::msg)?;
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = config::Config::load(&arguments.config)?;
    match &arguments.command {
        _ if arguments.check_config => check(&arguments.config, &config),
        Some(Command::Run { announce }) => run(config, *announce),
        Some(Command::Backup { file }) => app::backup(&config, file).map(|told| say(&told))?,
        Some(Command::Restore { file }) => app::restore(&config, file).map(|told| say(&told))?,
        Some(Command::RaiseGeneration { reason }) => {
            app::raise_generation(&config, reason).map(|told| say(&told))?
        }
        Some(Command::Move { to: Some(host), .. }) => app::hand_over(&config, host).map(|told| say(&told))?,
        Some(Command::Move { to: None, .. }) => app::take_back(&config).map(|told| say(&told))?,
        Some(Command::NotifyTest) => notify_test(&config),
        None => run(config, false),
    }
}

/// What a start would complain about, as far as it can be seen without starting.
fn check(path: &Path, config: &config::Config) -> anyhow::Result<()> {
    let policy = match app::check(config) {
        Ok(policy) => policy,
        Err(wrong) => anyhow::bail!("{}", wrong.join("\nmillwright-coordinator: ")),
    };
    let mut out = std::io::stdout();
    writeln!(out, "{}: good", path.display())?;
    let nodes = words::count(policy.nodes.len(), "node");
    writeln!(out, "{}: good, {nodes}", config.policy.display())?;
    Ok(())
}

fn notify_test(config: &config::Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("start a thread that sends")?.block_on(app::notify_test(config)) {
        Ok(told) => say(&told),
        Err(wrong) => anyhow::bail!("{wrong}"),
    }
}

fn run(config: config::Config, announce: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the threads that do the work")?;
    runtime.block_on(app::run(config, |announcement| {
        if announce && let Ok(line) = serde_json::to_string(announcement) {
            // Whoever asked and no longer listens does not need it.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }))?;
    // A reader of the store that hangs on a dead disk must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

fn say(told: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{told}")?)
}
