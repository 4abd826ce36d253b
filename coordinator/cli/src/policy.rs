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
    let policy = PolicyDetail::deserialize(&answer)?;
    let (complaint, told) = told(&policy);
    let exit = if complaint.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if json {
        output.json(&answer)?;
        return Ok(exit);
    }
    if let Some(complaint) = complaint {
        output.line(output.tone(Tone::Bad, &complaint))?;
    }
    if let Some(told) = told {
        output.line(clean(&told))?;
    }
    Ok(exit)
}

/// What is wrong with the file on disk, and the last good policy, where there ever was one.
fn told(policy: &PolicyDetail) -> (Option<String>, Option<String>) {
    let summary = &policy.summary;
    let nodes = words::count(summary.listed as usize, "node");
    let complaint = summary.unreadable.as_ref().map(|unreadable| {
        let since = summary.unreadable_since.map_or_else(String::new, |since| format!("since: {since:.0}\n"));
        let meanwhile = if summary.is_known() {
            "everything is protected until it is mended; below is the last good policy\n"
        } else {
            "there has never been a good policy here; everything is protected"
        };
        format!("{unreadable}\n{since}{meanwhile}")
    });
    let told = summary
        .is_known()
        .then(|| format!("version {}, {nodes} listed\n\n{}", summary.version, policy.explanation.trim_end()));
    (complaint, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwright_coordinator::view::PolicyView;
    use millwright_decision::{Policy, Unreadable};

    fn detail(policy: &Policy) -> PolicyDetail {
        PolicyDetail { summary: PolicyView::from(policy), explanation: policy::explain(policy) }
    }

    #[test]
    fn where_no_policy_was_ever_good_nothing_is_said_of_what_it_protects() {
        let unreadable = Unreadable {
            why: "line 26: no; line 40: no".into(),
            path: Some("/srv/policy.toml".into()),
            since: Some("2026-01-31T10:00:00Z".parse().unwrap()),
        };
        let policy = Policy::unreadable(unreadable.clone(), "try".parse().unwrap());
        let (complaint, below) = told(&detail(&policy));
        assert_eq!(
            complaint.unwrap(),
            "the policy /srv/policy.toml cannot be read: line 26: no; line 40: no\nsince: 2026-01-31T10:00:00Z\n\
             there has never been a good policy here; everything is protected"
        );
        assert_eq!(below, None);

        let text = "protections = \"none\"\n[cluster]\nname = \"try\"\ncoordinator = \"try\"\n\
                    [[nodes]]\nclass = \"agent\"\nnames = [\"n01\"]\n";
        let good = policy::parse(text, "policy.toml".as_ref()).unwrap();
        assert_eq!(told(&detail(&good)).0, None);
        let last_good = Policy { unreadable: Some(unreadable), ..good };
        let (complaint, below) = told(&detail(&last_good));
        assert!(complaint.unwrap().ends_with("below is the last good policy\n"));
        assert!(below.unwrap().contains("1 node listed\n\nCluster try"));
    }
}
