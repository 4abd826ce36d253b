//! The operators' command line: arguments in, words or JSON out, an exit code that scripts can rely on.

mod arguments;
mod client;
mod page;
mod people;
mod policy;
mod show;
mod spell;
mod trial;
mod verdict;

use arguments::{Arguments, Command};
use clap::Parser;
use client::Client;
use page::{Output, Page};
use std::process::ExitCode;

fn main() -> ExitCode {
    // clap ends with 2 by itself when it is used wrongly.
    let arguments = Arguments::parse();
    match obey(arguments) {
        Ok(code) => code,
        Err(error) => {
            page::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn obey(arguments: Arguments) -> anyhow::Result<ExitCode> {
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(carry_out(arguments))
}

async fn carry_out(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let output = Output::new(arguments.json);
    let connect = || Client::new(arguments.server.as_deref());
    match arguments.command {
        Command::Nodes => show::fleet(&connect()?, output).await,
        Command::Node { node: Some(node), say: None } => show::node(&connect()?, output, &node).await,
        Command::Node { say: Some(say), .. } => people::say(&connect()?, output, &say).await,
        Command::Node { .. } => {
            anyhow::bail!("say which node: `millwright node NAME`; `millwright nodes` lists them")
        }
        Command::May { action, nodes, volumes } => {
            show::may(&connect()?, output, action, &nodes, volumes.as_deref()).await
        }
        Command::Ack { finding, until, reason } => {
            people::acknowledge(&connect()?, output, &finding, &until, &reason).await
        }
        Command::Policy { command } => policy::run(command, output, connect).await,
        Command::Try(options) => trial::run(options, output).await,
    }
}

/// Prints a page and ends well.
fn done(output: Output, page: &Page) -> anyhow::Result<ExitCode> {
    output.print(page)?;
    Ok(ExitCode::SUCCESS)
}
