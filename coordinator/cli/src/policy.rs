//! `millwright policy`: check a file before it is installed, see the one in force, draft a first one.

use crate::{client::Client, output::Output};
use anyhow::{Context, Result};
use clap::Subcommand;
use millwright_coordinator::{
    policy::{self, SeenNode},
    view::FleetView,
};
use millwright_decision::Class;
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Says what a file means, or everything that is wrong with it. Needs no coordinator.
    Check {
        /// The file.
        file: PathBuf,
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
    /// The policy in force.
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
        PolicyCommand::Check { file } => check(output, &file, json),
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
    let fleet: Value = client.get("/api/v1/nodes", &[]).await?;
    let policy = fleet.get("policy").cloned().unwrap_or_default();
    if json {
        output.json(&policy)?;
        return Ok(ExitCode::SUCCESS);
    }
    let text =
        |key: &str| policy.get(key).map_or_else(String::new, |value| value.to_string().replace('"', ""));
    output.line(format!("version {}, {} nodes listed", text("version"), text("listed")))?;
    if let Some(why) = policy.get("unreadable").and_then(Value::as_str) {
        output.line(format!(
            "the file on disk is not in force: {why}; everything is protected until it is mended"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
