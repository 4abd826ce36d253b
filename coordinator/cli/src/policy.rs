//! `millwright policy`: check a file before it is installed, see the one in force, draft a first one.

use crate::{
    client::{Client, Server},
    output::{Output, Tone, clean},
};
use anyhow::{Context, Result};
use clap::Subcommand;
use millwright_coordinator::{
    policy::{self, SeenNode},
    view::{FleetView, PolicyDetail},
    words,
};
use millwright_decision::Class;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Says what a file means, or everything that is wrong with it. Needs no coordinator.
    Check {
        /// The file.
        file: PathBuf,
        /// Taken and not needed, so that it is not offered.
        #[arg(long, hide = true)]
        server: Option<Server>,
    },
    /// Drafts a policy from the nodes that report and those that Mesos lists.
    Import {
        /// What to call the cluster.
        #[arg(long, default_value = "build")]
        cluster: String,
        /// The host the coordinator runs on.
        #[arg(long)]
        coordinator: String,
    },
    /// The policy in force, explained as `check` does.
    Show,
}

/// Runs one of them.
pub async fn run(
    client: impl Fn() -> Result<Client>,
    output: &Output,
    command: PolicyCommand,
    json: bool,
) -> Result<ExitCode> {
    match command {
        PolicyCommand::Check { file, .. } => check(output, &file, json),
        PolicyCommand::Import { cluster, coordinator } => {
            let fleet: FleetView = client()?.get("/api/v1/nodes", &[]).await?;
            output.line(policy::draft(&cluster, &coordinator, &seen(&fleet)).trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Show => show(&client()?, output, json).await,
    }
}

fn check(output: &Output, file: &std::path::Path, json: bool) -> Result<ExitCode> {
    match policy::load(file) {
        Ok(policy) if json => {
            output.json(&json!({ "file": file, "good": true, "version": policy.version, "nodes": policy.nodes.len() }))?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(policy) => {
            output.line(format!("{}: good\n\n{}", file.display(), policy::explain(&policy).trim_end()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) if json => {
            output.json(&json!({ "file": file, "good": false, "errors": errors.errors }))?;
            Ok(ExitCode::FAILURE)
        }
        Err(errors) if !errors.is_text => Err(errors.into()),
        Err(errors) => Err(errors).context("this policy would be refused"),
    }
}

/// What a draft lists. Nodes that Mesos lists and our agent has not reached are taken for physical ones: seen, not touched.
fn seen(fleet: &FleetView) -> Vec<SeenNode> {
    let class_of = |node: &millwright_coordinator::view::NodeSummary| {
        node.class.unwrap_or(if node.report_age_seconds.is_some() { Class::Agent } else { Class::Physical })
    };
    fleet.nodes().map(|node| SeenNode { name: node.name.clone(), class: class_of(node) }).collect()
}

async fn show(client: &Client, output: &Output, json: bool) -> Result<ExitCode> {
    let answer: Value = client.get("/api/v1/policy", &[]).await?;
    if json {
        output.json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let policy = PolicyDetail::deserialize(&answer)?;
    let nodes = words::count(policy.summary.listed as usize, "node");
    output.line(clean(&format!("version {}, {nodes} listed\n", policy.summary.version)))?;
    if let Some(why) = policy.summary.unreadable {
        let sentence = format!(
            "the file on disk is not in force: {why}\neverything is protected until it is mended; below is the last good policy\n"
        );
        output.line(output.tone(Tone::Bad, &sentence))?;
    }
    output.line(clean(policy.explanation.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}
