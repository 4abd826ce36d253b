//! `millwright try`: a coordinator and an agent for this very machine, in a temporary folder.
//!
//! Both programs are started as they would be in production, with a configuration written for this machine: what it
//! does not have is off, or `none` in the policy, and so shown under "what I cannot see". Nothing outside the folder
//! is changed; pre-pull is off.

mod children;
mod setting;

use crate::{
    client::{Client, Server},
    may,
    output::Output,
};
use anyhow::{Context, Result, bail};
use children::{Child, Programs};
use serde::Deserialize;
use serde_json::{Value, json};
use setting::Setting;
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// The four that people ask about.
const ACTIONS: [&str; 4] = ["drain", "reboot", "rebuild", "delete"];
/// How often the coordinator is asked whether it is warm.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Two rounds of reports take 20 s; a machine that is far too busy gets more.
const GIVE_UP_AFTER: Duration = Duration::from_secs(120);

/// What is wanted.
pub struct Wish {
    pub once: bool,
    pub json: bool,
    pub keep: Option<PathBuf>,
}

/// Runs it.
pub async fn run(output: &Output, wish: Wish) -> Result<ExitCode> {
    // Before anything is made, so that everything is taken away again.
    let mut stop = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        // The terminal was closed.
        signal(SignalKind::hangup())?,
    );
    let temporary =
        tempfile::Builder::new().prefix("millwright-try-").tempdir().context("make a temporary folder")?;
    let folder = match &wish.keep {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("make the folder {}", folder.display()))?;
            folder.canonicalize()?
        }
        None => temporary.path().to_owned(),
    };
    let setting = Setting::of_this_machine(folder, wish.once)?;
    let programs = Programs::beside_this_one()?;
    setting.write_coordinator()?;
    let (coordinator, addresses) = Child::coordinator(&programs, &setting).await?;
    setting.write_agent(&addresses.agents)?;
    let agent = Child::agent(&programs, &setting)?;
    let mut both = [coordinator, agent];
    let client = Client::new(Server::Address(addresses.operators.clone()), None, None)?;
    let outcome = tokio::select! {
        outcome = tell(output, &wish, &setting, &client, &addresses.operators, &mut both) => outcome,
        _ = stop.0.recv() => Ok(ExitCode::SUCCESS),
        _ = stop.1.recv() => Ok(ExitCode::SUCCESS),
        _ = stop.2.recv() => Ok(ExitCode::SUCCESS),
    };
    for child in both.iter_mut().rev() {
        child.stop().await;
    }
    outcome
}

async fn tell(
    output: &Output,
    wish: &Wish,
    setting: &Setting,
    client: &Client,
    address: &str,
    children: &mut [Child],
) -> Result<ExitCode> {
    if !wish.json {
        output
            .line(format!("the dashboard is at {address}/, the files are in {}", setting.folder.display()))?;
        output.line(format!("this machine is {}; {}", setting.node, setting.story()))?;
        output.line("two rounds of reports first, about 20 s …")?;
    }
    until_warm(client, &setting.node, children).await?;
    let mut verdicts = serde_json::Map::new();
    for action in ACTIONS {
        let verdict: Value =
            client.get("/api/v1/verdicts", &[("action", action), ("node", &setting.node)]).await?;
        if !wish.json {
            output.line("")?;
            may::print(output, &may::Verdict::deserialize(&verdict)?)?;
        }
        verdicts.insert(action.to_owned(), verdict);
    }
    if wish.json {
        let node: Value = client.get(&format!("/api/v1/nodes/{}", setting.node), &[]).await?;
        let findings = node.get("all_findings").cloned().unwrap_or_else(|| json!([]));
        output.json(&json!({ "node": setting.node, "findings": findings, "verdicts": verdicts }))?;
    }
    if wish.once {
        return Ok(ExitCode::SUCCESS);
    }
    if !wish.json {
        let (program, node) = (own_name(), &setting.node);
        output
            .line(format!("\nlook at {address}/ ; ask `{program} --server {address} may reboot {node}`"))?;
        let socket = setting.socket();
        output.line(format!(
            "as root you may say something as well: `{program} --server unix:{} node dead {node} --reason …`",
            socket.display()
        ))?;
        output.line("Ctrl-C ends both programs and removes the folder")?;
    }
    watch(children).await
}

/// This program as it was started, since a newcomer has it on no `PATH`.
fn own_name() -> String {
    std::env::args().next().unwrap_or_else(|| "millwright".to_owned())
}

/// Waits until the node has reported and the warm-up is over.
async fn until_warm(client: &Client, node: &str, children: &mut [Child]) -> Result<()> {
    let deadline = tokio::time::Instant::now() + GIVE_UP_AFTER;
    loop {
        for child in children.iter_mut() {
            child.still_runs()?;
        }
        let fleet: Value = client.get("/api/v1/nodes", &[]).await?;
        let detail: Result<Value> = client.get(&format!("/api/v1/nodes/{node}"), &[]).await;
        let reported = detail.is_ok_and(|detail| detail.get("reported_at").is_some_and(Value::is_string));
        if reported && fleet.get("warming_up").is_none_or(Value::is_null) {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            let tails: Vec<String> = children.iter().map(Child::tail).collect();
            bail!(
                "wait for two rounds of reports: not there after {} s\n{}",
                GIVE_UP_AFTER.as_secs(),
                tails.join("\n")
            );
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Ends when one of them does.
async fn watch(children: &mut [Child]) -> Result<ExitCode> {
    loop {
        for child in children.iter_mut() {
            child.still_runs()?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
