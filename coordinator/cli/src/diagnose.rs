//! `millwright diagnose NAME`: the first layer of a node that is broken, what to do about it, and what nobody can tell meanwhile.

use crate::{
    client::Client,
    may,
    node::path_segment,
    output::{Output, Tone, clean},
};
use anyhow::Result;
use millwright_coordinator::view::{ChecklistState, Diagnosis, NodeDetail};
use serde::Deserialize;
use serde_json::Value;
use std::process::ExitCode;

/// Asks and prints; the exit code tells whether a layer is broken, or nobody knows.
pub async fn show(client: &Client, output: &Output, name: &str, json: bool) -> Result<ExitCode> {
    let answer: Value = client.get(&format!("/api/v1/nodes/{}", path_segment(name)), &[]).await?;
    let node = NodeDetail::deserialize(&answer)?;
    if json {
        output.json(&answer.get("diagnosis").cloned().unwrap_or_default())?;
    } else {
        for line in lines(output, &node) {
            output.line(line)?;
        }
    }
    Ok(code(&node.diagnosis))
}

fn code(diagnosis: &Diagnosis) -> ExitCode {
    match diagnosis.state {
        Some(ChecklistState::Failed | ChecklistState::Unknown) => may::exit_code("needs_people"),
        Some(ChecklistState::Warn | ChecklistState::Done | ChecklistState::NotConfigured) | None => {
            ExitCode::SUCCESS
        }
    }
}

fn lines(output: &Output, node: &NodeDetail) -> Vec<String> {
    let Diagnosis { layer, state, sentence, next, untold, also } = &node.diagnosis;
    let name = output.tone(Tone::Strong, &node.summary.name);
    let place = node.checklist.iter().position(|item| Some(&item.step) == layer.as_ref());
    let mut lines = vec![format!("{name}: {}", clean(sentence))];
    if let Some(place) = place {
        let before = node.checklist.iter().take(place);
        let well: Vec<&str> = before
            .filter(|item| item.state == ChecklistState::Done)
            .map(|item| item.title.as_str())
            .collect();
        if !well.is_empty() {
            lines.push(output.tone(Tone::Quiet, &format!("  well before it: {}", well.join("; "))));
        }
    }
    let tone = if *state == Some(ChecklistState::Failed) { Tone::Bad } else { Tone::Careful };
    lines.extend(next.iter().map(|next| format!("  {} {}", output.tone(tone, "next"), clean(next))));
    lines.extend(also.iter().map(|also| format!("  {} {}", output.tone(Tone::Careful, "also"), clean(also))));
    if !untold.is_empty() {
        let untold = untold.join("; ");
        lines.push(output.tone(Tone::Quiet, &format!("  nobody can tell meanwhile: {untold}")));
    }
    lines
}
