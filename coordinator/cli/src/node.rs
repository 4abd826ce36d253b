//! `millwright node NAME`: the runbook's checklist, findings, tasks and volumes of one node.

use crate::{
    client::Client,
    fleet::tone,
    output::{Output, Tone, clean, spell_seconds},
};
use anyhow::Result;
use millwright_coordinator::view::{ChecklistState, FindingView, NodeDetail, TaskView, VolumeView};
use millwright_protocol::Status;
use serde::Deserialize;
use serde_json::Value;
use std::process::ExitCode;

/// How many changes of the past are shown.
const HISTORY: usize = 5;

/// Asks and prints.
pub async fn show(client: &Client, output: &Output, name: &str, json: bool) -> Result<ExitCode> {
    let answer: Value = client.get(&format!("/api/v1/nodes/{}", path_segment(name)), &[]).await?;
    if json {
        output.json(&answer)?;
    } else {
        print(output, &NodeDetail::deserialize(&answer)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A name as one segment of a path, so that no spelling can reach another resource.
pub fn path_segment(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn print(output: &Output, node: &NodeDetail) -> Result<()> {
    let summary = &node.summary;
    let class = summary.class.map_or("in no policy", |class| class.as_str());
    let zone = summary.zone.as_deref().unwrap_or("no zone");
    output.line(format!(
        "{} ({class}, {zone}): {}",
        output.tone(Tone::Strong, &summary.name),
        summary.state.label()
    ))?;
    output.line(format!("  {}", clean(&summary.sentence)))?;
    if node.is_stale {
        output.line(output.tone(Tone::Careful, "  everything below is the last that was known"))?;
    }
    for item in &node.checklist {
        let mark = match item.state {
            ChecklistState::Done => output.tone(Tone::Good, "[x]"),
            ChecklistState::Warn => output.tone(Tone::Careful, "[!]"),
            ChecklistState::Failed => output.tone(Tone::Bad, "[ ]"),
            ChecklistState::Unknown => output.tone(Tone::Careful, "[?]"),
            ChecklistState::NotConfigured => output.tone(Tone::Quiet, "[-]"),
        };
        output.line(format!("  {mark} {}: {}", item.title, clean(&item.sentence)))?;
    }
    for finding in node.all_findings.iter().filter(|finding| finding.status != Status::Ok) {
        print_finding(output, finding)?;
    }
    for volume in &node.volumes {
        print_volume(output, volume)?;
    }
    for task in &node.living_tasks.tasks {
        print_task(output, task)?;
    }
    for unseen in &node.cannot_see {
        output.line(output.tone(Tone::Quiet, &format!("  not seen: {}", unseen.sentence)))?;
    }
    for change in node.history.iter().take(HISTORY) {
        output.line(output.tone(
            Tone::Quiet,
            &format!("  {:.0} {} is {}: {}", change.at, change.what, change.to, change.sentence),
        ))?;
    }
    let name = &summary.name;
    output.line(format!("  ask: millwright may reboot {name}"))
}

fn print_finding(output: &Output, finding: &FindingView) -> Result<()> {
    let word = output.tone(tone(finding.status.as_str()), finding.status.as_str());
    let gates = if finding.gating { ", keeps the node out" } else { "" };
    output.line(format!("  {word} {} (since {:.0}{gates})", clean(&finding.sentence), finding.since))?;
    if let Some(next) = &finding.next {
        output.line(clean(&format!("      → {next}")))?;
    }
    match &finding.acknowledged {
        Some(given) => {
            output.line(clean(&format!("      acknowledged by {} until {:.0}", given.by, given.until)))
        }
        None => output.line(output.tone(Tone::Quiet, &format!("      {}", finding.id))),
    }
}

fn print_volume(output: &Output, volume: &VolumeView) -> Result<()> {
    let used = volume.used_percent.map_or_else(|| "not mounted".to_owned(), |used| format!("{used} % used"));
    let forecast =
        volume.fact.hours_to_full.map_or_else(String::new, |hours| format!(", full in {hours:.0} h"));
    output.line(clean(&format!("  volume {}: {used}{forecast}", volume.fact.mount)))
}

fn print_task(output: &Output, task: &TaskView) -> Result<()> {
    let ran =
        task.runtime_seconds.map_or_else(String::new, |ran| format!(", running for {}", spell_seconds(ran)));
    let cost = task
        .kill_cost_seconds
        .map_or_else(String::new, |cost| format!(", killing it costs {}", spell_seconds(cost)));
    let rule = task.rule.as_deref().unwrap_or("no rule knows it");
    output.line(clean(&format!(
        "  task {} ({}: {rule}; {}{ran}{cost})",
        task.id,
        task.class.as_str(),
        task.framework
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_node_reaches_another_resource() {
        assert_eq!(path_segment("alibuild03.cern.ch"), "alibuild03.cern.ch");
        assert_eq!(path_segment("a/../b?c#d"), "a%2F..%2Fb%3Fc%23d");
    }
}
