//! A person's word: to an operation (`approve`, `cancel`, `retry`, `confirm`), for a source (`attest`), to everything
//! (`pause`, `resume`, `brake`).

use crate::{
    client::Client,
    node::path_segment,
    output::{Output, Tone, clean},
    words,
};
use anyhow::Result;
use clap::Subcommand;
use jiff::Timestamp;
use millwright_coordinator::view::OperationView;
use millwright_decision::{Class, Source};
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What somebody says.
#[derive(Debug, Subcommand)]
pub enum Say {
    /// Agree to what somebody else's operation would do, as its digest names it.
    Approve {
        /// The operation, such as op-17.
        operation: String,
        /// The digest of what you have looked at; `millwright operations OP` shows it.
        #[arg(long)]
        digest: String,
        /// Why; kept for ever.
        #[arg(long, value_name = "WHY", value_parser = words::why)]
        reason: String,
    },
    /// Call an operation off. Past the point of no return it can only be taken over as it is.
    Cancel {
        /// The operation, such as op-17.
        operation: String,
        /// Take the node over as it is: nothing more is done for it until it is returned.
        #[arg(long)]
        abandon: bool,
        /// Why; kept for ever.
        #[arg(long, value_name = "WHY", value_parser = words::why)]
        reason: String,
    },
    /// Have an operation that is stuck tried again.
    Retry {
        /// The operation, such as op-17.
        operation: String,
        /// Why; kept for ever.
        #[arg(long, value_name = "WHY", value_parser = words::why)]
        reason: String,
    },
    /// Say whether the step that nobody knows about has happened.
    Confirm {
        /// The operation, such as op-17.
        operation: String,
        /// It has happened (done), or it has not and will not (not_run).
        #[arg(value_name = "WHAT", value_parser = ["done", "not_run"])]
        what: String,
        /// How you know; kept for ever.
        #[arg(long, value_name = "WHY", value_parser = words::why)]
        reason: String,
    },
    /// Vouch for what a source would say about one node, for 15 minutes.
    Attest {
        /// The node, in any spelling.
        node: String,
        /// The source, such as jenkins; the Mesos master's view and ZooKeeper's quorum cannot be vouched for.
        #[arg(value_parser = source)]
        source: Source,
        /// What you have seen; kept for ever.
        #[arg(long, value_name = "WHY", value_parser = words::why)]
        reason: String,
    },
    /// The off switch: nothing is started any more until somebody resumes.
    Pause {
        /// Why; colleagues read it.
        #[arg(long, value_name = "WHY", value_parser = words::why)]
        reason: String,
    },
    /// Release the off switch.
    Resume {
        /// Why; colleagues read it.
        #[arg(long, value_name = "WHY", value_parser = words::why)]
        reason: String,
    },
    /// The storm brakes that are on; or reset one whose cause is understood.
    Brake {
        #[command(subcommand)]
        word: Option<BrakeWord>,
    },
}

/// A word about a brake.
#[derive(Debug, Subcommand)]
pub enum BrakeWord {
    /// Let healthy nodes of a class be taken away again. It arms anew from how many are bad now.
    Reset {
        /// The class, such as agent.
        #[arg(value_parser = class)]
        class: Class,
        /// What the cause was; colleagues read it.
        #[arg(long, value_name = "WHY", value_parser = words::why)]
        reason: String,
    },
}

fn source(text: &str) -> Result<Source, String> {
    one_of(Source::ALL, |source| source.as_str(), text)
}

fn class(text: &str) -> Result<Class, String> {
    one_of(Class::ALL, |class| class.as_str(), text)
}

fn one_of<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str, text: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| word(*one) == text);
    found.ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|one| word(*one)).collect();
        format!("write one of {}", known.join(", "))
    })
}

/// Says it and prints what came of it.
pub async fn run(client: &Client, output: &Output, say: Say, json: bool) -> Result<ExitCode> {
    match say {
        Say::Approve { operation, digest, reason } => {
            let word = json!({ "digest": digest, "reason": reason, "by": words::author() });
            to_operation(client, output, &operation, "approve", &word, json).await
        }
        Say::Cancel { operation, abandon, reason } => {
            let word = json!({ "abandon": abandon, "reason": reason, "by": words::author() });
            to_operation(client, output, &operation, "cancel", &word, json).await
        }
        Say::Retry { operation, reason } => {
            let word = json!({ "reason": reason, "by": words::author() });
            to_operation(client, output, &operation, "retry", &word, json).await
        }
        Say::Confirm { operation, what, reason } => {
            let word = json!({ "what": what, "reason": reason, "by": words::author() });
            to_operation(client, output, &operation, "confirm", &word, json).await
        }
        Say::Attest { node, source, reason } => {
            let word =
                json!({ "node": node, "source": source.as_str(), "reason": reason, "by": words::author() });
            let answer: Value = client.post("/api/v1/attestations", &word).await?;
            let told = clean(&format!("you vouch for {source} about {node} for 15 min"));
            told_or_json(output, &answer, json, vec![told])
        }
        Say::Pause { reason } => {
            let word = json!({ "on": true, "reason": reason, "by": words::author() });
            let answer: Value = client.post("/api/v1/pause", &word).await?;
            let told = "paused: nothing is started; checks, reports and what is under way go on until `millwright resume`";
            told_or_json(output, &answer, json, vec![told.to_owned()])
        }
        Say::Resume { reason } => {
            let word = json!({ "on": false, "reason": reason, "by": words::author() });
            let answer: Value = client.post("/api/v1/pause", &word).await?;
            told_or_json(output, &answer, json, vec!["resumed: operations go on".to_owned()])
        }
        Say::Brake { word: None } => {
            let answer: Value = client.get("/api/v1/brake", &[]).await?;
            let lines = brakes(output, &answer)?;
            told_or_json(output, &answer, json, lines)
        }
        Say::Brake { word: Some(BrakeWord::Reset { class, reason }) } => {
            let word = json!({ "class": class.as_str(), "reason": reason, "by": words::author() });
            let answer: Value = client.post("/api/v1/brake", &word).await?;
            let told = format!("the brake of class {class} is reset, and armed from what is bad now");
            told_or_json(output, &answer, json, vec![told])
        }
    }
}

/// What came of a word to an operation.
#[derive(Deserialize)]
pub struct Said {
    /// The operation afterwards.
    pub operation: OperationView,
    /// The exact command to be run now, where there is one.
    #[serde(default)]
    pub command: Vec<String>,
}

/// Says something to an operation.
///
/// # Errors
/// As [`Client::post`].
pub async fn post(client: &Client, operation: &str, verb: &str, word: &Value) -> Result<(Value, Said)> {
    let path = format!("/api/v1/operations/{}/{verb}", path_segment(operation));
    let answer: Value = client.post(&path, word).await?;
    let said = Said::deserialize(&answer)?;
    Ok((answer, said))
}

async fn to_operation(
    client: &Client,
    output: &Output,
    operation: &str,
    verb: &str,
    word: &Value,
    json: bool,
) -> Result<ExitCode> {
    let (answer, said) = post(client, operation, verb, word).await?;
    let summary = &said.operation.summary;
    let state = match &summary.ended {
        Some(ended) => ended.clone(),
        None => format!("it is {}", summary.state),
    };
    let told = format!("{verb}: {} ({} {}) has taken it; {state}", summary.id, summary.action, summary.node);
    let told = clean(&told);
    told_or_json(
        output,
        &answer,
        json,
        vec![told, format!("  `millwright operations {} --watch` follows it", summary.id)],
    )
}

fn told_or_json(output: &Output, answer: &Value, json: bool, lines: Vec<String>) -> Result<ExitCode> {
    if json {
        output.json(answer)?;
    } else {
        lines.iter().try_for_each(|line| output.line(line))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn brakes(output: &Output, answer: &Value) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Brake {
        class: String,
        since: Timestamp,
        why: String,
    }
    let brakes: Vec<Brake> = match answer.get("brakes") {
        Some(brakes) => Deserialize::deserialize(brakes)?,
        None => Vec::new(),
    };
    if brakes.is_empty() {
        return Ok(vec!["no brake is on".to_owned()]);
    }
    let line = |brake: &Brake| {
        format!("{}  since {:.0}: {}", output.tone(Tone::Bad, &brake.class), brake.since, clean(&brake.why))
    };
    Ok(brakes.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_source_and_no_class_are_answered_with_those_that_are() {
        assert_eq!(source("jenkins"), Ok(Source::Jenkins));
        assert!(source("weather").unwrap_err().contains("jenkins"));
        assert_eq!(class("agent-no-volume"), Ok(Class::AgentNoVolume));
        assert!(class("agents").unwrap_err().contains("agent-no-volume"));
    }

    #[test]
    fn a_brake_that_is_on_says_since_when_and_why() {
        let answer =
            json!({ "brakes": [{ "class": "agent", "since": "2026-01-31T10:00:00Z", "why": "9 went bad" }] });
        assert_eq!(
            brakes(&Output::plain(), &answer).unwrap(),
            ["agent  since 2026-01-31T10:00:00Z: 9 went bad"]
        );
        assert_eq!(brakes(&Output::plain(), &json!({ "brakes": [] })).unwrap(), ["no brake is on"]);
    }
}
