//! `millwright may`: the verdict, for a person who wants to know why not.

use crate::{
    client::Client,
    output::{Output, Tone, clean},
};
use anyhow::Result;
use jiff::Timestamp;
use millwright_coordinator::words;
use millwright_decision::Action;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, process::ExitCode};

/// What is asked.
pub struct Question {
    pub action: Action,
    pub nodes: Vec<String>,
    pub volumes: String,
}

/// What is shown of a verdict; fields of later versions are left alone.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    action: String,
    #[serde(default)]
    nodes: Vec<String>,
    pub verdict: String,
    may_start: String,
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// Codes of reasons that do not keep an operation from beginning.
    #[serde(default)]
    pub waits: Vec<String>,
    #[serde(default)]
    notes: Vec<Note>,
    #[serde(default)]
    not_configured: Vec<String>,
    cost: Option<Cost>,
}

/// What objects.
#[derive(Debug, Deserialize)]
pub struct Reason {
    pub code: String,
    #[serde(default)]
    pub severity: String,
    rule: Option<String>,
    sentence: String,
    #[serde(default)]
    evidence: Vec<Evidence>,
    #[serde(default)]
    owner: String,
    since: Option<Timestamp>,
    #[serde(default)]
    unblocked_by: String,
    expected_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct Evidence {
    fact: String,
    value: String,
    source: String,
    #[serde(default)]
    age_seconds: u64,
}

#[derive(Debug, Deserialize)]
struct Note {
    sentence: String,
}

#[derive(Debug, Default, Deserialize)]
struct Cost {
    #[serde(default)]
    tasks_lost: Vec<TaskLost>,
    #[serde(default)]
    images_to_pull_bytes: u64,
    #[serde(default)]
    capacity_left: BTreeMap<String, Capacity>,
}

#[derive(Debug, Deserialize)]
struct Capacity {
    #[serde(default)]
    listed: u32,
    #[serde(default)]
    in_service: u32,
}

#[derive(Debug, Deserialize)]
struct TaskLost {
    id: String,
    class: String,
    runtime_seconds: Option<u64>,
    kill_cost_seconds: Option<u64>,
}

/// Asks, prints, and turns the verdict into the exit code.
pub async fn ask(client: &Client, output: &Output, question: &Question, json: bool) -> Result<ExitCode> {
    let mut query = vec![("action", question.action.as_str()), ("volumes", question.volumes.as_str())];
    query.extend(question.nodes.iter().map(|node| ("node", node.as_str())));
    let answer: Value = client.get("/api/v1/verdicts", &query).await?;
    let verdict = Verdict::deserialize(&answer)?;
    if json {
        output.json(&answer)?;
    } else {
        print(output, &verdict)?;
    }
    Ok(exit_code(&verdict.verdict))
}

impl Verdict {
    /// Ids of the tasks that would be lost and that somebody would miss.
    pub fn lost(&self) -> impl Iterator<Item = &str> {
        let tasks = self.cost.iter().flat_map(|cost| &cost.tasks_lost);
        tasks.filter(|task| task.class != "disposable").map(|task| task.id.as_str())
    }
}

/// DESIGN section 6.
pub fn exit_code(verdict: &str) -> ExitCode {
    ExitCode::from(match verdict {
        "allowed" => 0,
        "wait" => 10,
        "needs_people" => 11,
        "refused" => 12,
        _ => 1,
    })
}

/// The tone of a verdict's word.
pub fn tone(verdict: &str) -> Tone {
    match verdict {
        "allowed" => Tone::Good,
        "wait" => Tone::Careful,
        _ => Tone::Bad,
    }
}

/// One verdict for people.
pub fn print(output: &Output, verdict: &Verdict) -> Result<()> {
    let word = output.tone(tone(&verdict.verdict), &verdict.verdict.replace('_', " "));
    let nodes = clean(&verdict.nodes.join(", "));
    let start = match verdict.may_start.as_str() {
        start if start == verdict.verdict => String::new(),
        "allowed" => "; what is in the way clears during the operation, which may begin".to_owned(),
        start => format!("; to begin: {}", start.replace('_', " ")),
    };
    output.line(format!("{word}: {} {nodes}{start}", verdict.action))?;
    for reason in &verdict.reasons {
        print_reason(output, reason)?;
    }
    for note in &verdict.notes {
        output.line(format!("  note: {}", clean(&note.sentence)))?;
    }
    print_cost(output, verdict.cost.as_ref().unwrap_or(&Cost::default()))?;
    if !verdict.not_configured.is_empty() {
        let cannot = format!("  not seen here: {}", verdict.not_configured.join(", "));
        output.line(output.tone(Tone::Quiet, &cannot))?;
    }
    Ok(())
}

fn print_reason(output: &Output, reason: &Reason) -> Result<()> {
    let rule = reason.rule.as_ref().map_or_else(String::new, |rule| format!(", {rule}"));
    let label = output.tone(Tone::Quiet, &format!("[{}{rule}]", reason.code));
    output.line(format!("  - {}  {label}", output.tone(Tone::Strong, &reason.sentence)))?;
    for evidence in &reason.evidence {
        let age = if evidence.age_seconds > 0 {
            format!(", {} ago", words::seconds(evidence.age_seconds))
        } else {
            String::new()
        };
        let line = format!("      {}: {} (says {}{age})", evidence.fact, evidence.value, evidence.source);
        output.line(output.tone(Tone::Quiet, &line))?;
    }
    if let Some(since) = reason.since {
        output.line(format!("      since: {since:.0}"))?;
    }
    output.line(clean(&format!("      unblocked by: {} ({})", reason.unblocked_by, reason.owner)))?;
    if let Some(expected) = reason.expected_at {
        output.line(format!("      expected at: {expected:.0}"))?;
    }
    Ok(())
}

fn would_end(task: &TaskLost) -> String {
    let ran =
        task.runtime_seconds.map_or_else(String::new, |ran| format!(", running for {}", words::seconds(ran)));
    let cost = task.kill_cost_seconds.map_or_else(String::new, |cost| {
        format!("; killing it costs {}", words::kill_cost(cost, task.runtime_seconds))
    });
    format!("  would end: {} ({}{ran}{cost})", task.id, task.class)
}

/// Classes of which less than half would be left.
fn little_left(cost: &Cost) -> impl Iterator<Item = String> {
    cost.capacity_left.iter().filter(|(_, left)| left.in_service < left.listed.div_ceil(2)).map(
        |(class, left)| {
            format!("  {} of {} {class} nodes would stay in service", left.in_service, left.listed)
        },
    )
}

fn print_cost(output: &Output, cost: &Cost) -> Result<()> {
    for task in &cost.tasks_lost {
        output.line(clean(&would_end(task)))?;
    }
    if cost.images_to_pull_bytes > 0 {
        let gigabytes = cost.images_to_pull_bytes / 1_000_000_000;
        output.line(format!("  would pull again: {gigabytes} GB of images"))?;
    }
    for line in little_left(cost) {
        output.line(clean(&line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_task_that_would_end_is_named_with_what_that_costs_and_why() {
        let task = json!({ "id": "t", "class": "checker", "runtime_seconds": 85, "kill_cost_seconds": 1885 });
        assert_eq!(
            would_end(&TaskLost::deserialize(task).unwrap()),
            "  would end: t (checker, running for 85 s; killing it costs 31 min, of which 30 min until its successor is warm)"
        );
        let unknown = json!({ "id": "t", "class": "protected" });
        assert_eq!(would_end(&TaskLost::deserialize(unknown).unwrap()), "  would end: t (protected)");
    }

    #[test]
    fn what_is_left_of_a_class_is_told_when_it_is_less_than_half() {
        let told = |listed: u32, in_service: u32| -> Vec<String> {
            let left =
                json!({ "capacity_left": { "agent": { "listed": listed, "in_service": in_service } } });
            little_left(&Cost::deserialize(left).unwrap()).collect()
        };
        assert_eq!(told(2, 0), ["  0 of 2 agent nodes would stay in service"]);
        assert_eq!(told(3, 1), ["  1 of 3 agent nodes would stay in service"]);
        assert!(told(2, 1).is_empty() && told(40, 39).is_empty() && told(0, 0).is_empty());
    }
}
