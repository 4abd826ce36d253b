//! `millwright node NAME`: the runbook's checklist, findings, tasks and volumes of one node.

use crate::{
    client::Client,
    fleet::tone,
    may,
    output::{Output, Tone, clean},
};
use anyhow::Result;
use millwright_coordinator::{
    view::{
        CannotSee, ChecklistState, FindingView, NodeDetail, TaskView, Transition, VerdictChange, VolumeView,
    },
    words,
};
use millwright_decision::Source;
use millwright_protocol::Status;
use serde::Deserialize;
use serde_json::Value;
use std::process::ExitCode;

/// How many changes of the past are shown.
const HISTORY: usize = 5;

/// Asks and prints: how the node is, or what was answered about it and what happened to it before.
pub async fn show(
    client: &Client,
    output: &Output,
    name: &str,
    history: bool,
    json: bool,
) -> Result<ExitCode> {
    let answer: Value = client.get(&format!("/api/v1/nodes/{}", path_segment(name)), &[]).await?;
    match (history, json) {
        (false, true) => output.json(&answer)?,
        (false, false) => print(output, &NodeDetail::deserialize(&answer)?)?,
        (true, true) => output.json(&only_past(&answer))?,
        (true, false) => {
            for line in history_lines(output, &Past::deserialize(&answer)?) {
                output.line(line)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The parts of the answer that tell of the past, as the coordinator sends them.
fn only_past(answer: &Value) -> Value {
    let parts = ["name", "key", "asked_at", "verdict_history", "history"];
    parts.iter().map(|part| ((*part).to_owned(), answer.get(part).cloned().unwrap_or_default())).collect()
}

/// What of the answer tells of the past.
#[derive(Deserialize)]
struct Past {
    name: String,
    verdict_history: Vec<VerdictChange>,
    history: Vec<Transition>,
}

fn history_lines(output: &Output, past: &Past) -> Vec<String> {
    let name = output.tone(Tone::Strong, &past.name);
    let mut lines = vec![format!("{name}: when answers became other ones, newest first")];
    if past.verdict_history.is_empty() {
        lines.push("  none kept yet".to_owned());
    }
    lines.extend(past.verdict_history.iter().map(|change| answer_line(output, change)));
    lines.push("what happened to it".to_owned());
    if past.history.is_empty() {
        lines.push("  nothing since it is watched".to_owned());
    }
    lines.extend(past.history.iter().map(|change| change_line(output, change)));
    lines
}

fn answer_line(output: &Output, change: &VerdictChange) -> String {
    let word = output.tone(may::tone(&change.verdict), &change.verdict.replace('_', " "));
    let could_begin = change.verdict != "allowed" && change.may_start == "allowed";
    let begin = if could_begin { ", would clear during an operation" } else { "" };
    let why = match change.codes.join(", ") {
        none if none.is_empty() => String::new(),
        codes => clean(&format!(": {} ({codes})", change.sentence)),
    };
    format!("  {:.0} {} {word}{begin}{why}", change.at, clean(&change.action))
}

fn change_line(output: &Output, change: &Transition) -> String {
    output.tone(
        Tone::Quiet,
        &format!("  {:.0} {} is {}: {}", change.at, change.what, change.to, change.sentence),
    )
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
    for build in node.living_tasks.builds.iter().filter(|build| build.task.is_none()) {
        output.line(clean(&format!("  build {} on {}, in no living task", build.name, build.computer)))?;
    }
    for seen in &node.outside {
        let word = output.tone(tone(seen.status.as_str()), seen.status.as_str());
        output.line(format!("  {word} {}: {}", seen.source.title(), clean(&seen.sentence)))?;
    }
    for line in not_seen(&node.cannot_see) {
        output.line(output.tone(Tone::Quiet, &format!("  {line}")))?;
    }
    for change in node.history.iter().take(HISTORY) {
        output.line(change_line(output, change))?;
    }
    let name = &summary.name;
    output.line(format!("  ask: millwright may reboot {name}; earlier: millwright node {name} --history"))
}

fn is_source(what: &str) -> bool {
    Source::ALL.iter().any(|source| source.as_str() == what)
}

/// What nobody asks, since policy requires it of nobody, in one line; everything else with its sentence.
fn not_seen(all: &[CannotSee]) -> Vec<String> {
    let (unasked, others): (Vec<&CannotSee>, Vec<&CannotSee>) =
        all.iter().partition(|unseen| unseen.not_configured && is_source(&unseen.what));
    let names: Vec<&str> = unasked.iter().map(|unseen| unseen.what.as_str()).collect();
    let one = format!("not seen, since the policy requires none of them: {}", names.join(", "));
    let others = others.iter().map(|unseen| format!("not seen: {}", unseen.sentence));
    (!names.is_empty()).then_some(one).into_iter().chain(others).collect()
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
        task.runtime_seconds.map_or_else(String::new, |ran| format!(", running for {}", words::seconds(ran)));
    let cost = task.kill_cost_seconds.map_or_else(String::new, |cost| {
        format!("; killing it costs {}", words::kill_cost(cost, task.runtime_seconds))
    });
    let build = task.build.as_ref().map_or_else(String::new, |build| format!(", building {build}"));
    let end = task.expected_end.map_or_else(String::new, |end| format!(", usually done at {end:.0}"));
    let rule = task.rule.as_deref().unwrap_or("no rule knows it");
    output.line(clean(&format!(
        "  task {} ({}: {rule}; {}{build}{ran}{end}{cost})",
        task.id,
        task.class.as_str(),
        task.framework
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        let said = |at: &str, verdict: &str, codes: &[&str], sentence: &str| {
            json!({ "at": at, "node": "alibuild10", "key": "alibuild10", "action": "reboot", "verdict": verdict,
                "may_start": "allowed", "codes": codes, "sentence": sentence })
        };
        json!({ "name": "alibuild10", "key": "alibuild10", "asked_at": "2026-01-31T10:00:00Z", "state": "healthy",
            "history": [], "verdict_history": [
                said("2026-01-31T04:10:00Z", "allowed", &[], ""),
                said("2026-01-31T02:00:00Z", "wait", &["task_protected", "views_disagree"], "a \u{1b}build runs"),
            ] })
    }

    #[test]
    fn why_not_last_night_is_answered_with_time_verdict_sentence_and_codes() {
        let lines = history_lines(&Output::plain(), &Past::deserialize(answer()).unwrap());
        assert_eq!(
            lines,
            [
                "alibuild10: when answers became other ones, newest first",
                "  2026-01-31T04:10:00Z reboot allowed",
                "  2026-01-31T02:00:00Z reboot wait, would clear during an operation: a \u{fffd}build runs (task_protected, views_disagree)",
                "what happened to it",
                "  nothing since it is watched",
            ]
        );
    }

    #[test]
    fn for_programs_the_past_is_what_the_coordinator_sends() {
        let past = only_past(&answer());
        assert_eq!(past["verdict_history"], answer()["verdict_history"]);
        assert_eq!(past.as_object().unwrap().len(), 5, "and nothing of today: {past}");
    }

    #[test]
    fn what_nobody_asks_is_one_line() {
        let unseen = |what: &str, not_configured, sentence: &str| CannotSee {
            what: what.to_owned(),
            not_configured,
            sentence: sentence.to_owned(),
        };
        let all = [
            unseen("jenkins", true, "the policy requires no jenkins, so nobody asks it"),
            unseen("marathon", true, "the policy requires no marathon, so nobody asks it"),
            unseen("puppet", false, "its agent has seen no Puppet run"),
        ];
        assert_eq!(
            not_seen(&all),
            [
                "not seen, since the policy requires none of them: jenkins, marathon",
                "not seen: its agent has seen no Puppet run"
            ]
        );
    }

    #[test]
    fn no_spelling_of_a_node_reaches_another_resource() {
        assert_eq!(path_segment("alibuild03.cern.ch"), "alibuild03.cern.ch");
        assert_eq!(path_segment("a/../b?c#d"), "a%2F..%2Fb%3Fc%23d");
    }
}
