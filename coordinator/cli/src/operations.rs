//! `millwright operations`: what runs and what ran; one operation with its steps, what it waits for and what may be said.

use crate::{
    client::{Client, is_passing},
    output::{Output, Tone, clean},
    watch,
};
use anyhow::Result;
use clap::Args;
use millwright_coordinator::view::{OperationSummary, OperationView, OperationsView, StepView};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, process::ExitCode, time::Duration};

/// How often a list is looked at again.
const EVERY: Duration = Duration::from_secs(1);

/// Which, and how.
#[derive(Debug, Args)]
pub struct Which {
    /// One operation, such as op-17, with everything about it; without it a list, the newest first.
    operation: Option<String>,
    /// Only those that are not over.
    #[arg(long, conflicts_with = "operation")]
    open: bool,
    /// Only those of this node.
    #[arg(long, value_name = "NODE", conflicts_with = "operation")]
    node: Option<String>,
    /// Go on looking: one operation until it ends, stands still or needs people; a list until Ctrl-C, a line for each change.
    #[arg(long)]
    watch: bool,
}

/// Asks and prints.
pub async fn run(client: &Client, output: &Output, which: Which, json: bool) -> Result<ExitCode> {
    match &which.operation {
        Some(id) if which.watch => watch::follow(client, output, id, json).await,
        Some(id) => {
            let (answer, view) = watch::read(client, id).await?;
            if json {
                output.json(&answer)?;
            } else {
                one(output, &view).iter().try_for_each(|line| output.line(line))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        None if which.watch => changes(client, output, &which, json).await,
        None => {
            let answer = list(client, &which).await?;
            if json {
                output.json(&answer)?;
                return Ok(ExitCode::SUCCESS);
            }
            let found = OperationsView::deserialize(&answer)?.operations;
            if found.is_empty() {
                output.line(
                    "no such operations; `millwright drain NODE --reason \"…\"` and its like begin one",
                )?;
            }
            found.iter().try_for_each(|summary| output.line(line(output, summary)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn list(client: &Client, which: &Which) -> Result<Value> {
    let mut query = Vec::new();
    query.extend(which.open.then_some(("open", "true")));
    query.extend(which.node.as_deref().map(|node| ("node", node)));
    client.get("/api/v1/operations", &query).await
}

/// A line for each operation that has changed, until Ctrl-C.
async fn changes(client: &Client, output: &Output, which: &Which, json: bool) -> Result<ExitCode> {
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    let mut is_away = false;
    loop {
        match list(client, which).await {
            Ok(answer) => {
                if std::mem::take(&mut is_away) {
                    output.complain("the coordinator answers again");
                }
                // The oldest change first, as in a log.
                for summary in OperationsView::deserialize(&answer)?.operations.iter().rev() {
                    let line = line(output, summary);
                    if told.insert(summary.id.clone(), line.clone()).as_ref() != Some(&line) {
                        output.line(if json { serde_json::to_string(summary)? } else { line })?;
                    }
                }
            }
            Err(error) if is_passing(&error) => {
                if !std::mem::replace(&mut is_away, true) {
                    output.complain(&format!("{error:#}; it is asked until it answers"));
                }
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}

fn tone(summary: &OperationSummary) -> Tone {
    match summary.state.as_str() {
        _ if summary.needs_people() => Tone::Bad,
        "succeeded" => Tone::Good,
        "running" | "parked" | "undoing" => Tone::Careful,
        _ => Tone::Quiet,
    }
}

/// Where it stands, in words.
fn stands(summary: &OperationSummary) -> String {
    match (&summary.broken, &summary.ended, &summary.waiting) {
        (Some(why), _, _) => format!("its record is damaged, so it stands still: {why}"),
        (None, Some(ended), _) => ended.clone(),
        (None, None, Some(waiting)) => watch::waits(waiting),
        (None, None, None) => format!("at {}", summary.step.as_deref().unwrap_or("its end")),
    }
}

/// One operation of a list.
fn line(output: &Output, summary: &OperationSummary) -> String {
    clean(&format!(
        "{}  {} {}  {} ({} of {})  {}  by {}: {}",
        summary.id,
        summary.action,
        summary.node,
        summary.state,
        summary.steps_done,
        summary.steps_all,
        stands(summary),
        summary.by,
        summary.reason
    ))
    .replacen(&summary.id, &output.tone(tone(summary), &summary.id), 1)
}

/// Everything about one.
fn one(output: &Output, view: &OperationView) -> Vec<String> {
    let summary = &view.summary;
    let id = &summary.id;
    let mut lines = vec![
        format!(
            "{}: {} {} ({}), {}",
            output.tone(Tone::Strong, id),
            summary.action,
            summary.node,
            view.class,
            output.tone(tone(summary), &summary.state)
        ),
        clean(&format!("  {} wanted it at {:.0}: {}", summary.by, summary.requested_at, summary.reason)),
        clean(&format!("  {}", stands(summary))),
    ];
    for reason in summary.waiting.iter().flat_map(|waiting| &waiting.reasons) {
        lines.push(clean(&format!(
            "    - {} [{}]; this would help: {}",
            reason.sentence, reason.code, reason.unblocked_by
        )));
    }
    lines.push(format!("  {}", terms(view)));
    lines.extend(view.steps.iter().flat_map(|step| step_lines(output, step)));
    if let Some(permit) = &view.permit {
        lines.push(format!(
            "  a permit for {} since {:.0}, good until {:.0}",
            permit.step, permit.at, permit.expires_at
        ));
    }
    for grant in &view.grants {
        let about = grant
            .task
            .as_ref()
            .map_or_else(|| grant.code.clone(), |task| format!("{} of {task}", grant.code));
        let counts = if grant.counts { "" } else { " (counts no more: something else is planned now)" };
        lines.push(clean(&format!("  {} said yes to {about} at {:.0}{counts}", grant.by, grant.at)));
    }
    lines.push("  what happened".to_owned());
    lines.extend(
        view.story
            .iter()
            .map(|line| output.tone(Tone::Quiet, &format!("    {:.0} {}", line.at, line.sentence))),
    );
    lines.extend(view.may.iter().map(|word| clean(&format!("  next: {}", command_for(word, view)))));
    lines
}

/// What an approval binds.
fn terms(view: &OperationView) -> String {
    let mut terms = vec![format!("digest {}", view.digest), format!("executor {}", view.executor)];
    if view.summary.action == "delete" {
        terms.push(format!("volumes {}", view.volumes));
    }
    terms.extend(view.image.as_ref().map(|image| format!("image {image}")));
    terms.extend(view.is_silent.then(|| "the node is silent for good".to_owned()));
    terms.extend(view.let_go.iter().map(|task| format!("{task} may end")));
    clean(&terms.join(", "))
}

fn step_lines(output: &Output, step: &StepView) -> Vec<String> {
    let mark = match step.state.as_str() {
        "done" => output.tone(Tone::Good, "[x]"),
        "unknown" | "not_done" => output.tone(Tone::Bad, "[?]"),
        _ if step.is_current => output.tone(Tone::Careful, "[>]"),
        _ => "[ ]".to_owned(),
    };
    let mut words = vec![step.state.replace('_', " ")];
    words.extend(step.was_so.then(|| "was so already".to_owned()));
    words.extend(step.is_irreversible.then(|| "no way back".to_owned()));
    words.extend((step.attempt > 1).then(|| format!("attempt {}", step.attempt)));
    words.extend(step.by.as_ref().map(|by| format!("by {by}")));
    words.extend(step.changed_at.map(|at| format!("{at:.0}")));
    let mut lines = vec![format!("  {mark} {}  {}", step.step, output.tone(Tone::Quiet, &words.join(", ")))];
    let more = step.why.iter().cloned().chain(match step.command.is_empty() {
        true => None,
        false => Some(format!("ran: {}", quoted(&step.command))),
    });
    lines.extend(more.map(|text| clean(&format!("        {text}"))));
    for fact in &step.evidence {
        lines.push(
            output
                .tone(Tone::Quiet, &format!("        {}: {} (says {})", fact.fact, fact.value, fact.source)),
        );
    }
    lines
}

/// What to type to say that word.
fn command_for(word: &str, view: &OperationView) -> String {
    let id = &view.summary.id;
    match word {
        "approve" => format!(
            "`millwright approve {id} --digest {} --reason …`, by somebody else than {}",
            view.digest, view.summary.by
        ),
        "cancel" => format!("`millwright cancel {id} --reason …` calls it off"),
        "abandon" => {
            format!("`millwright cancel {id} --abandon --reason …` takes {} over as it is", view.summary.node)
        }
        "retry" => format!("`millwright retry {id} --reason …` has it tried again"),
        "begin" => match view.command.is_empty() {
            true => format!("`millwright step {id}` has it begun"),
            false => format!("`millwright step {id}` runs `{}`", quoted(&view.command)),
        },
        "done" | "not_run" => format!("`millwright confirm {id} {word} --reason …`"),
        other => other.to_owned(),
    }
}

/// Words so that a shell gives the same words.
pub fn quoted(words: &[String]) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter);
    let quote = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::example::{view, waiting};

    #[test]
    fn an_operation_in_a_list_says_where_it_stands_and_who_wanted_it() {
        let view = view("running", &[], waiting("a build\u{1b} runs", false));
        assert_eq!(
            line(&Output::plain(), &view.summary),
            "op-3  rebuild alibuild10  running (1 of 2)  waits: a build\u{fffd} runs (for operators)  by ann: kernel"
        );
    }

    #[test]
    fn one_operation_shows_its_steps_and_what_may_be_typed_next() {
        let mut view = view("running", &["requested"], waiting("nobody has agreed", true));
        view.may = ["approve", "cancel", "begin"].map(str::to_owned).to_vec();
        view.command = ["ai-rebuild", "ali build"].map(str::to_owned).to_vec();
        let text = one(&Output::plain(), &view).join("\n");
        for part in [
            "[x] announce  done",
            "[>] rebuild  pending, no way back",
            "`millwright approve op-3 --digest 0a1b --reason …`, by somebody else than ann",
            "`millwright step op-3` runs `ai-rebuild 'ali build'`",
            "needs people: nobody has agreed",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn a_shell_reads_quoted_words_as_they_were() {
        let words = ["a b", "it's", "$(reboot)", "", "plain-1.2"].map(str::to_owned);
        let shell = std::process::Command::new("sh")
            .args(["-c", &format!("printf '%s\\n' {}", quoted(&words))])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(shell.stdout).unwrap(), "a b\nit's\n$(reboot)\n\nplain-1.2\n");
    }
}
