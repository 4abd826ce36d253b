//! What people say: acknowledge a finding; accept, forget or declare dead a node. Written as root on the Unix socket.

use crate::{client::Client, node::path_segment, output::Output};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::process::ExitCode;

/// A word about one node.
#[derive(Debug, Subcommand)]
pub enum NodeWord {
    /// The machine is what it should be, though its identity changed; or it may be missing in the warm-up.
    Accept {
        /// Its name.
        name: String,
        /// Why, for the audit.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// The node is gone for good and is no longer kept in mind.
    Forget {
        /// Its name.
        name: String,
        /// Why, for the audit.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// The node is dead: it leaves every count until it reports again.
    Dead {
        /// Its name.
        name: String,
        /// Why, for the audit.
        #[arg(long)]
        reason: String,
    },
}

/// Says a word about a node.
pub async fn node(client: &Client, output: &Output, word: NodeWord, json: bool) -> Result<ExitCode> {
    let (name, verb, reason) = match word {
        NodeWord::Accept { name, reason } => (name, "accept", reason),
        NodeWord::Forget { name, reason } => (name, "forget", reason),
        NodeWord::Dead { name, reason } => (name, "dead", reason),
    };
    let path = format!("/api/v1/nodes/{}/{verb}", path_segment(&name));
    let answer: Value = client.post(&path, &json!({ "reason": reason, "by": author() })).await?;
    if json {
        output.json(&answer)?;
    } else {
        let spelled = answer.get("node").and_then(Value::as_str).unwrap_or(&name);
        let what = match verb {
            "accept" => "is accepted as it is",
            "forget" => "is forgotten",
            _ => "counts as dead from now on",
        };
        output.line(format!("{spelled} {what}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Acknowledges a finding.
pub async fn acknowledge(
    client: &Client,
    output: &Output,
    finding: &str,
    until: &str,
    reason: &str,
    json: bool,
) -> Result<ExitCode> {
    let until = moment(until, Timestamp::now())?;
    let word = json!({ "finding": finding, "until": until, "reason": reason, "by": author() });
    let answer: Value = client.post("/api/v1/acknowledgements", &word).await?;
    if json {
        output.json(&answer)?;
    } else {
        output.line(format!("{finding} is acknowledged until {until:.0}; it gates as before"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Who is at the keyboard: whoever became root, for the audit.
fn author() -> Option<String> {
    ["SUDO_USER", "LOGNAME", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
}

/// "2d" or "12h" from now, or a moment.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let length = match text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok()) {
        Some(days) => SignedDuration::from_hours(days.clamp(0, 3_650) * 24),
        None => match text.parse::<SignedDuration>() {
            Ok(length) => length,
            Err(_) => bail!(
                "--until {text:?} is neither a length such as \"2d\" or \"12h\" nor a moment such as \"2026-02-01T08:00:00Z\""
            ),
        },
    };
    now.checked_add(length).context("--until lies too far in the future")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_is_a_length_or_a_moment() {
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        for (text, until) in [
            ("2d", "2026-02-02T10:00:00Z"),
            ("12h", "2026-01-31T22:00:00Z"),
            ("2026-02-01T08:00:00Z", "2026-02-01T08:00:00Z"),
        ] {
            assert_eq!(moment(text, now).unwrap(), until.parse().unwrap(), "{text}");
        }
        assert!(moment("tomorrow", now).unwrap_err().to_string().contains("a length such as"));
    }
}
