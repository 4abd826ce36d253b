//! `millwright nodes`: what needs a human first, then every node in a line.

use crate::{
    client::Client,
    output::{Output, Tone, clean},
};
use anyhow::Result;
use millwright_coordinator::{
    view::{Attention, ClassView, FleetView, NodeState, NodeSummary},
    words,
};
use millwright_decision::{Source, TaskClass};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, process::ExitCode};

/// So many names are spelled out where one sentence is true of many nodes.
const NAMES: usize = 6;

/// Asks and prints.
pub async fn show(client: &Client, output: &Output, json: bool) -> Result<ExitCode> {
    let answer: Value = client.get("/api/v1/nodes", &[]).await?;
    if json {
        output.json(&answer)?;
    } else {
        print(output, &FleetView::deserialize(&answer)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(output: &Output, fleet: &FleetView) -> Result<()> {
    print_banners(output, fleet)?;
    print_attention(output, &fleet.attention)?;
    for class in &fleet.classes {
        output.line(format!(
            "\n{} ({}): {}",
            output.tone(Tone::Strong, class.class.as_str()),
            class.mode,
            counts(class)
        ))?;
        for node in &class.nodes {
            print_node(output, node)?;
        }
    }
    if !fleet.unlisted.is_empty() {
        output.line(format!("\n{}", output.tone(Tone::Strong, "in no policy")))?;
    }
    for node in &fleet.unlisted {
        print_node(output, node)?;
    }
    let outside =
        fleet.sources.iter().filter(|source| !matches!(source.source, Source::Agent | Source::MesosMaster));
    for (place, source) in outside.enumerate() {
        let space = if place == 0 { "\n" } else { "" };
        output.line(format!("{space}{}", clean(&source.sentence)))?;
        for detail in &source.details {
            output.line(output.tone(Tone::Quiet, &format!("  {}", clean(detail))))?;
        }
    }
    if !fleet.not_configured.is_empty() {
        let sources: Vec<&str> = fleet.not_configured.iter().map(|source| source.as_str()).collect();
        output.line(output.tone(Tone::Quiet, &format!("\nnot seen here: {}", sources.join(", "))))?;
    }
    Ok(())
}

fn counts(class: &ClassView) -> String {
    format!(
        "{} listed, {} in service, {} out (at most {} may be)",
        class.listed, class.in_service, class.out, class.may_be_out
    )
}

/// Worst first; what is the same for several nodes is said once.
fn print_attention(output: &Output, attention: &[Attention]) -> Result<()> {
    let mut said: Vec<(String, Vec<&Attention>)> = Vec::new();
    for one in attention {
        let sentence = without_name(one);
        match said
            .iter_mut()
            .find(|(known, ones)| *known == sentence && ones.iter().all(|other| other.status == one.status))
        {
            Some((_, ones)) => ones.push(one),
            None => said.push((sentence, vec![one])),
        }
    }
    for (sentence, ones) in &said {
        let Some(first) = ones.first() else { continue };
        let names: Vec<&str> =
            ones.iter().take(NAMES).map(|one| one.node.as_deref().unwrap_or("the fleet")).collect();
        let more = ones.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let place = format!("{}{more}", names.join(", "));
        let since = first.since.map_or_else(String::new, |since| format!(" (since {since:.0})"));
        output.line(format!(
            "{}: {}{since}",
            output.tone(tone(first.status.as_str()), &place),
            clean(sentence)
        ))?;
        if let Some(next) = &first.next {
            output.line(clean(&format!("    → {next}")))?;
        }
    }
    if said.is_empty() {
        output.line("nothing needs a human")?;
    }
    Ok(())
}

/// The sentence as it stands after the name of its node.
fn without_name(attention: &Attention) -> String {
    let name = attention.node.as_deref().unwrap_or_default();
    attention
        .sentence
        .strip_prefix(name)
        .map_or(attention.sentence.as_str(), |rest| rest.trim_start_matches(':').trim_start())
        .to_owned()
}

/// What concerns everybody and is no trouble that the list of troubles names.
fn print_banners(output: &Output, fleet: &FleetView) -> Result<()> {
    if let Some(pause) = &fleet.paused {
        output.line(output.tone(Tone::Bad, &format!("paused by {}: {}", pause.by, pause.reason)))?;
    }
    if let Some(warm_up) = &fleet.warming_up {
        let rounds = format!("warming up: {} of two rounds heard since {:.0}", warm_up.rounds, warm_up.since);
        output.line(output.tone(Tone::Careful, &rounds))?;
    }
    Ok(())
}

/// How many tasks are known to live there; nobody knowing is not none.
fn tasks(node: &NodeSummary) -> String {
    let count = |tasks: &BTreeMap<TaskClass, u32>| words::count(tasks.values().sum::<u32>() as usize, "task");
    node.tasks.as_ref().map_or_else(|| "not known".to_owned(), count)
}

fn print_node(output: &Output, node: &NodeSummary) -> Result<()> {
    let tone = match node.state {
        NodeState::Healthy => Tone::Good,
        NodeState::Physical | NodeState::KnownDead | NodeState::Quarantined => Tone::Quiet,
        NodeState::Sick | NodeState::Silent => Tone::Bad,
        _ => Tone::Careful,
    };
    let age = node.report_age_seconds.map_or_else(|| "never".to_owned(), words::seconds);
    let disk =
        node.disk.as_ref().map_or_else(String::new, |disk| format!("{} {} %", disk.mount, disk.used_percent));
    let state = output.tone(tone, &format!("{:<14}", node.state.label()));
    output.line(format!(
        "  {:<16} {state} {:>7}  {:>9}  {:<14} {}",
        clean(&node.name),
        age,
        tasks(node),
        clean(&disk),
        clean(&node.sentence)
    ))
}

/// The tone of a finding's status.
pub fn tone(status: &str) -> Tone {
    match status {
        "ok" => Tone::Good,
        "crit" => Tone::Bad,
        _ => Tone::Careful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(known: &Value) -> NodeSummary {
        let summary = json!({ "name": "n01", "key": "n1", "class": "agent", "zone": null, "protections": [],
            "state": "healthy", "since": null, "sentence": "all is well", "finding": null, "worst": null,
            "findings": { "ok": 1, "warn": 0, "unknown": 0, "crit": 0 }, "tasks": known, "disk": null,
            "report_age_seconds": 3, "identity_changed_at": null, "mesos": null });
        serde_json::from_value(summary).unwrap()
    }

    #[test]
    fn tasks_that_nobody_could_tell_of_are_not_none() {
        assert_eq!(tasks(&node(&Value::Null)), "not known");
        assert_eq!(tasks(&node(&json!({}))), "0 tasks");
        assert_eq!(tasks(&node(&json!({ "protected": 2, "service": 1 }))), "3 tasks");
    }
}
