//! The program: what it is told on the command line, and how it ends.

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use log::LevelFilter;
use millwright_agent::{
    agent,
    config::{Config, DEFAULT_PATH, units},
    holds,
    status::{
        ask,
        print::{self, Colour},
        view,
    },
    telemetry,
};
use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Checks this node, shows and reports how it is, pulls builder images, carries out a short list of orders, and nothing else.
#[derive(Parser)]
#[command(name = "millwright-agent", version)]
struct Arguments {
    /// The configuration file. Without it /etc/millwright/agent.toml, or the defaults where there is none.
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Sets one key over the file, such as --set coordinator.url=http://127.0.0.1:8482.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Reads the configuration, says whether it is good, and ends.
    #[arg(long)]
    check_config: bool,
    /// What is written to the log.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info", env = "MILLWRIGHT_LOG")]
    log: LevelFilter,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the agent (the default).
    Run,
    /// Asks the running agent and prints how the node is, worst first.
    Status {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// The agent's status address; without it the configured one.
        #[arg(long)]
        url: Option<String>,
    },
    /// Runs every check once and prints what they found; ends with 0 ok, 1 warn, 2 crit, 3 unknown.
    Check {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Keeps this node as it is: no order overrules a hold. Needs neither the network nor the running agent.
    Hold {
        #[command(subcommand)]
        what: Hold,
    },
}

#[derive(Subcommand)]
enum Hold {
    /// Sets a hold.
    Add {
        /// Why, for whoever finds it.
        reason: String,
        /// How long, such as 2h or 3d; without it until it is lifted.
        #[arg(long = "for", value_name = "DURATION", value_parser = units::parse_duration)]
        lasts: Option<Duration>,
    },
    /// Shows the holds in force.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lifts a hold.
    Lift {
        /// As `hold list` shows it.
        id: String,
    },
}

/// Wrong usage, as sysexits.h numbers it: 2 would read as "crit".
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(refusal) => {
            // Nobody to tell when the terminal is gone.
            let _ = refusal.print();
            return if refusal.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let is_check = matches!(arguments.command, Some(Command::Check { .. }));
    match obey(arguments) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "millwright-agent: {error:#}");
            ExitCode::from(if is_check { 3 } else { 1 })
        }
    }
}

fn obey(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = read_config(&arguments)?;
    if arguments.check_config {
        return Ok(say(&format!("{} is good", named(&arguments))));
    }
    match arguments.command {
        Some(Command::Status { json, url }) => {
            let url = url.unwrap_or_else(|| format!("http://{}", config.status.listen));
            let view = agent::on_one_thread(ask::ask(&url))??;
            Ok(if json {
                say(&serde_json::to_string_pretty(&view)?)
            } else {
                say(&print::status(&view, colour()))
            })
        }
        Some(Command::Check { json }) => {
            telemetry::start(LevelFilter::Warn);
            let view = agent::check(config)?;
            let text = match json {
                true => serde_json::to_string_pretty(&view)?,
                false => print::check(&view, colour()),
            };
            say(&text);
            Ok(ExitCode::from(print::exit_code(view.worst)))
        }
        Some(Command::Hold { what }) => hold(&config.paths.state, what),
        Some(Command::Run) | None => {
            telemetry::start(arguments.log);
            agent::run(config)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn hold(state: &Path, what: Hold) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    Ok(match what {
        Hold::Add { reason, lasts } => {
            let hold = holds::add(state, &person(), &reason, lasts, now)?;
            say(&format!("{}; `millwright-agent hold lift {}` ends that", view::hold(&hold), hold.id))
        }
        Hold::Lift { id } => say(&format!("lifted: {}", view::hold(&holds::lift(state, &id)?))),
        Hold::List { json } => {
            let holds = holds::in_force(state, now)?;
            match json {
                true => say(&serde_json::to_string_pretty(&holds)?),
                false if holds.is_empty() => say("nobody holds this node"),
                false => say(&holds.iter().map(|hold| view::hold(hold) + "\n").collect::<String>()),
            }
        }
    })
}

/// Who types: the person behind sudo, else the user.
fn person() -> String {
    let behind = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let user = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    behind.or_else(user).unwrap_or_else(|| "somebody".to_owned())
}

/// The configuration that is read, for people.
fn named(arguments: &Arguments) -> String {
    match &arguments.config {
        Some(path) => path.display().to_string(),
        None if Path::new(DEFAULT_PATH).exists() => DEFAULT_PATH.to_owned(),
        None => format!("there is no {DEFAULT_PATH}; what the defaults say"),
    }
}

fn read_config(arguments: &Arguments) -> anyhow::Result<Config> {
    let default = Path::new(DEFAULT_PATH);
    let config = match &arguments.config {
        Some(path) => Config::read(path, &arguments.settings),
        None if default.exists() => Config::read(default, &arguments.settings),
        None => Config::of_settings(&arguments.settings),
    };
    Ok(config?)
}

fn colour() -> Colour {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && io::stdout().is_terminal() { Colour::On } else { Colour::Off }
}

/// Prints; a reader that went away (`| head`) is no failure.
fn say(text: &str) -> ExitCode {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(io::stdout(), "{text}{end}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
