//! `millwright policy`: what a file means, a draft of one, which one is in force.

use crate::{
    arguments::Policy as Command,
    client::Client,
    done,
    page::{Look, Output},
};
use anyhow::Context;
use millwright_coordinator::{
    policy::{self, SeenNode},
    view::{FleetView, NodeDetail},
};
use millwright_decision::Class;
use serde_json::json;
use std::{path::Path, process::ExitCode};

/// Does one of them; `connect` only where the coordinator is needed.
pub async fn run(
    command: Command,
    output: Output,
    connect: impl FnOnce() -> anyhow::Result<Client>,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { file } => check(&file, output),
        Command::Import { cluster, coordinator } => import(&connect()?, output, &cluster, coordinator).await,
        Command::Show => show(&connect()?, output).await,
    }
}

fn check(file: &Path, output: Output) -> anyhow::Result<ExitCode> {
    let checked = policy::load(file);
    if output.json {
        let (good, errors) = match &checked {
            Ok(_) => (true, Vec::new()),
            Err(errors) => (false, errors.errors.clone()),
        };
        output.print(&output.json_page(&json!({ "file": file, "good": good, "errors": errors })))?;
        return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut page = output.page();
    page.line(policy::explain(&checked?).trim_end());
    done(output, &page)
}

async fn import(
    client: &Client,
    output: Output,
    cluster: &str,
    coordinator: Option<String>,
) -> anyhow::Result<ExitCode> {
    let path = "/api/v1/nodes";
    let fleet: FleetView = client.read(path, &client.get(path, &[]).await?)?;
    let mut seen = Vec::new();
    for node in fleet.nodes() {
        let path = format!("{path}/{}", node.key);
        let detail: NodeDetail = client.read(&path, &client.get(&path, &[]).await?)?;
        seen.push(SeenNode {
            name: node.name.clone(),
            class: node.class.unwrap_or_else(|| looks_like(&detail)),
        });
    }
    let coordinator = match coordinator {
        Some(name) => name,
        None => std::fs::read_to_string("/proc/sys/kernel/hostname")
            .context("read this host's name; give it with --coordinator NAME")?
            .trim()
            .to_owned(),
    };
    let draft = policy::draft(cluster, &coordinator, &seen);
    if output.json {
        return done(output, &output.json_page(&json!({ "nodes": seen.len(), "policy": draft })));
    }
    let mut page = output.page();
    page.line(draft.trim_end());
    done(output, &page)
}

/// What a node that no policy lists seems to be for.
fn looks_like(detail: &NodeDetail) -> Class {
    if detail.reported_at.is_none() {
        Class::Physical
    } else if detail.mesos_master.is_some() {
        Class::Master
    } else if detail.volumes.iter().any(|volume| volume.fact.mounted && !volume.fact.is_root) {
        Class::Agent
    } else {
        Class::AgentNoVolume
    }
}

async fn show(client: &Client, output: Output) -> anyhow::Result<ExitCode> {
    let path = "/api/v1/nodes";
    let fleet: FleetView = client.read(path, &client.get(path, &[]).await?)?;
    if output.json {
        let policy = json!({ "cluster": fleet.cluster, "policy": fleet.policy, "not_configured": fleet.not_configured });
        return done(output, &output.json_page(&policy));
    }
    let mut page = output.page();
    page.add(Look::Strong, &format!("cluster {}", fleet.cluster)).end();
    page.line(&format!("version {}, {} nodes listed", fleet.policy.version, fleet.policy.listed));
    match &fleet.policy.unreadable {
        None => page.line("the file on disk is in force"),
        Some(why) => page.add(Look::Bad, "not the file on disk, and everything is protected: ").line(why),
    };
    for class in &fleet.classes {
        page.line(&format!(
            "  {}: {} nodes, mode {}, at most {} out",
            class.class, class.listed, class.mode, class.may_be_out
        ));
    }
    let blind: Vec<&str> = fleet.not_configured.iter().map(|source| source.as_str()).collect();
    page.line(&format!(
        "what it cannot see: {}",
        if blind.is_empty() { "nothing" } else { "" }.to_owned() + &blind.join(", ")
    ));
    done(output, &page)
}
