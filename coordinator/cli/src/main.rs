//! `millwright`: the operators' command line, and the whole thing on one machine.
//!
//! Everything it knows it asks the coordinator over HTTP; nothing is decided here. Exit codes are part of the
//! contract: 0 done or allowed, 10 wait, 11 needs people, 12 refused, 1 failure, 2 usage.

mod audit;
mod client;
mod credentials;
mod diagnose;
mod fleet;
mod hold;
mod login;
#[cfg(test)]
mod manual;
mod may;
mod node;
mod operations;
mod output;
mod policy;
mod request;
mod say;
mod step;
mod terminal;
mod token;
mod trial;
mod watch;
mod words;

use anyhow::Result;
use clap::{
    Parser, Subcommand,
    error::{ContextValue, ErrorKind},
};
use client::{Client, Server};
use credentials::Credentials;
use jiff::Timestamp;
use millwright_decision::Action;
use output::Output;
use std::{path::PathBuf, process::ExitCode};

/// Looks after the nodes of a build cluster: what is wrong, what may be touched now, and why not.
#[derive(Debug, Parser)]
#[command(name = "millwright", version, arg_required_else_help = true)]
struct Arguments {
    /// The coordinator: http(s)://ADDRESS:PORT or unix:/PATH. Without it the one signed in to last, else the Unix socket if there is one, else http://127.0.0.1:8480.
    #[arg(long, global = true, value_name = "URL", env = "MILLWRIGHT_SERVER")]
    server: Option<Server>,
    /// Authorities, as PEM, that may have signed the certificate of an https coordinator, such as Puppet's.
    #[arg(long, global = true, value_name = "FILE", env = "MILLWRIGHT_CA")]
    ca: Option<PathBuf>,
    /// Print JSON, as the coordinator sends it.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every node, what needs a human first.
    Nodes,
    /// Everything about one node; or a word about it.
    #[command(args_conflicts_with_subcommands = true)]
    Node {
        /// Its name, in any spelling.
        name: Option<String>,
        /// Why not last night: when its verdicts became other ones, and what happened to it.
        #[arg(long)]
        history: bool,
        #[command(subcommand)]
        word: Option<words::NodeWord>,
    },
    /// What is the matter with a node: the first layer of the runbook's checklist that is broken, and what to do next.
    Diagnose {
        /// Its name, in any spelling.
        name: String,
    },
    /// Whether an action may be taken on nodes now, and every reason why not.
    May {
        /// drain, reboot, rebuild, delete, return, create or prepull.
        action: Action,
        /// One node or several; several are asked about as a set.
        #[arg(required = true)]
        nodes: Vec<String>,
        /// What a delete does with the volumes.
        #[arg(long, value_parser = ["keep", "delete"], default_value = "keep")]
        volumes: String,
    },
    #[command(flatten)]
    Request(request::Request),
    /// What runs and what ran; one operation with its steps, what it waits for and what may be said to it.
    Operations(operations::Which),
    /// Have the step begun that waits for a person: an agent goes on, or the policy's command runs here, with your credentials.
    Step(step::Which),
    #[command(flatten)]
    Say(say::Say),
    /// Keep a node as it is, with a reason; list what is kept; take it back.
    #[command(subcommand)]
    Hold(hold::HoldWord),
    /// Acknowledge a finding until a date. It is told no more; it never opens a gate.
    Ack {
        /// Its id, such as alibuild10/space/build; `millwright node` shows them.
        finding: String,
        /// For so long ("2d", "12h"), until a moment ("2026-02-01T08:00:00Z"), or until a day begins ("2026-02-01").
        #[arg(long, value_parser = words::until)]
        until: Timestamp,
        /// Why, for the audit.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Have a name: give your personal token, which is kept for you alone. Read from the terminal or standard input.
    Login,
    /// Forget the token on this machine.
    Logout,
    /// Who the coordinator takes you for, and what you may do.
    Whoami,
    /// Personal tokens: make, list, revoke.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Who said what and why, newest first; or check that what operations did is all there and as it was written.
    #[command(args_conflicts_with_subcommands = true)]
    Audit {
        /// So many entries.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(subcommand)]
        command: Option<audit::AuditCommand>,
    },
    /// The policy: check a file, see the one in force, draft a first one.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// The whole thing on this machine, in a temporary folder: real findings, four verdicts, a dashboard.
    Try {
        /// Print the verdicts once they are known, and end.
        #[arg(long)]
        once: bool,
        /// Keep the folder with configuration, logs and database.
        #[arg(long, value_name = "FOLDER")]
        keep: Option<PathBuf>,
        /// Taken and not needed, so that it is not offered.
        #[arg(long, hide = true)]
        server: Option<Server>,
        /// The same.
        #[arg(long, hide = true)]
        ca: Option<PathBuf>,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let output = Output::standard();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Whether anybody reads it is not our trouble.
            let _ = error.print();
            if lacks_reason(&error) {
                output.complain(words::SAY_WHY);
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(arguments, &output).await {
        Ok(code) => code,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.complain(&format!("millwright: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether all that is wrong with the command is that it gives no reason, or that among others.
fn lacks_reason(error: &clap::Error) -> bool {
    let is_reason = |value: &ContextValue| match value {
        ContextValue::Strings(names) => names.iter().any(|name| name.starts_with("--reason")),
        _ => false,
    };
    error.kind() == ErrorKind::MissingRequiredArgument && error.context().any(|(_, value)| is_reason(value))
}

/// The way to the coordinator, as far as it was given.
struct Way {
    server: Option<Server>,
    ca: Option<PathBuf>,
}

impl Way {
    fn server(&self) -> Result<Server> {
        match &self.server {
            Some(server) => Ok(server.clone()),
            None => {
                Ok(Credentials::read(credentials::path().as_deref())?.usual().unwrap_or_else(Server::usual))
            }
        }
    }

    /// With the token that is kept for that coordinator, or the one in `MILLWRIGHT_TOKEN`.
    fn client(&self) -> Result<Client> {
        let server = self.server()?;
        let known = Credentials::read(credentials::path().as_deref())?;
        let known = known.of(&server);
        let given = std::env::var("MILLWRIGHT_TOKEN").ok().filter(|token| !token.is_empty());
        let token = given.or_else(|| known.map(|known| known.token.clone()));
        let ca = self.ca.as_deref().or_else(|| known?.ca.as_deref());
        Client::new(server, token, ca)
    }
}

async fn run(arguments: Arguments, output: &Output) -> Result<ExitCode> {
    let json = arguments.json;
    let way = Way { server: arguments.server, ca: arguments.ca };
    let client = || way.client();
    match arguments.command {
        Command::Nodes => fleet::show(&client()?, output, json).await,
        Command::Node { name: Some(name), history, .. } => {
            node::show(&client()?, output, &name, history, json).await
        }
        Command::Node { word: Some(word), .. } => words::node(&client()?, output, word, json).await,
        Command::Node { .. } => {
            output.complain("millwright node: say which, such as `millwright node alibuild10`; `millwright nodes` lists them");
            Ok(ExitCode::from(2))
        }
        Command::Diagnose { name } => diagnose::show(&client()?, output, &name, json).await,
        Command::May { action, nodes, volumes } => {
            may::ask(&client()?, output, &may::Question { action, nodes, volumes }, json).await
        }
        Command::Request(request) => request::run(&client()?, output, request, json).await,
        Command::Operations(which) => operations::run(&client()?, output, which, json).await,
        Command::Step(which) => step::run(&client()?, output, which, json).await,
        Command::Say(say) => say::run(&client()?, output, say, json).await,
        Command::Hold(word) => hold::run(&client()?, output, word, json).await,
        Command::Ack { finding, until, reason } => {
            words::acknowledge(&client()?, output, &finding, until, &reason, json).await
        }
        Command::Login => login::login(way.server()?, way.ca.clone(), output).await,
        Command::Logout => login::logout(&way.server()?, output),
        Command::Whoami => login::whoami(&client()?, output, json).await,
        Command::Token(command) => token::run(&client()?, output, command, json).await,
        Command::Audit { command: Some(command), .. } => audit::run(output, command, json),
        Command::Audit { limit, command: None } => audit::list(&client()?, output, limit, json).await,
        Command::Policy(command) => policy::run(client, output, command, json).await,
        Command::Try { once, keep, .. } => trial::run(output, trial::Wish { once, json, keep }).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn help(words: &[&str]) -> String {
        Arguments::try_parse_from(words).unwrap_err().to_string()
    }

    #[test]
    fn what_needs_no_coordinator_offers_none_and_takes_one_all_the_same() {
        Arguments::command().debug_assert();
        for command in [
            &["millwright", "try"][..],
            &["millwright", "policy", "check"],
            &["millwright", "audit", "verify"],
        ] {
            assert!(!help(&[command, &["--help"]].concat()).contains("--server"), "{command:?}");
        }
        assert!(help(&["millwright", "nodes", "--help"]).contains("--server"));
        let given =
            Arguments::try_parse_from(["millwright", "--server", "http://127.0.0.1:1", "try"]).unwrap();
        assert!(given.server.is_some());
    }

    #[test]
    fn an_end_that_is_none_is_a_mistake_in_the_command() {
        let words = ["millwright", "ack", "n01/docker", "--until", "x"];
        let error = Arguments::try_parse_from(words).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::ValueValidation, 2));
        assert!(error.to_string().contains("a day such as"), "{error}");
    }

    #[test]
    fn whoever_gives_no_reason_is_asked_for_one() {
        let tried = |words: &str| Arguments::try_parse_from(words.split(' ')).unwrap_err();
        for words in
            ["drain n01", "cancel op-1", "pause", "hold lift hold-1", "brake reset agent", "node dead n01"]
        {
            assert!(lacks_reason(&tried(&format!("millwright {words}"))), "{words}");
        }
        let blank = tried("millwright drain n01 --reason=");
        assert!(blank.exit_code() == 2 && blank.to_string().contains(words::SAY_WHY), "{blank}");
        assert!(!lacks_reason(&tried("millwright drain --reason x")));
    }
}
