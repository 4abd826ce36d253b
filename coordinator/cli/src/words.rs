//! What people say: acknowledge a finding; accept, forget or declare dead a node. Takes somebody with a name.

use crate::{
    client::Client,
    node::path_segment,
    output::{Output, Tone, clean},
};
use anyhow::Result;
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
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
    /// The node is dead: it leaves every count until somebody accepts it again. Its reports do not change that.
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
            "accept" => "is accepted as it is now",
            "forget" => "is forgotten",
            _ => "counts as dead until somebody accepts it again",
        };
        output.line(clean(&format!("{spelled} {what}")))?;
        if let Some(note) = answer.get("note").and_then(Value::as_str) {
            output.line(output.tone(Tone::Careful, &format!("note: {note}")))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Acknowledges a finding.
pub async fn acknowledge(
    client: &Client,
    output: &Output,
    finding: &str,
    until: Timestamp,
    reason: &str,
    json: bool,
) -> Result<ExitCode> {
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
pub fn author() -> Option<String> {
    ["SUDO_USER", "LOGNAME", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
}

/// A reason that says something.
///
/// # Errors
/// There is nothing in it.
pub fn why(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err(SAY_WHY.to_owned()),
        reason => Ok(reason.to_owned()),
    }
}

/// What somebody is told who gives no reason.
pub const SAY_WHY: &str = "say why, such as --reason \"kernel update\": colleagues will read it";

/// "2d" or "12h" from now, a moment, or the beginning of a day.
///
/// # Errors
/// Anything else, with the accepted forms.
pub fn until(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now(), &TimeZone::system())
}

fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    if let Ok(day) = text.parse::<Date>()
        && let Ok(begins) = day.to_zoned(zone.clone())
    {
        return Ok(begins.timestamp());
    }
    let length = match text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok()) {
        Some(days) => SignedDuration::from_hours(days.clamp(0, 3_650) * 24),
        None => text.parse::<SignedDuration>().map_err(|_| {
            "write a length such as \"2d\" or \"12h\", a moment such as \"2026-02-01T08:00:00Z\", or a day such as \
             \"2026-02-01\""
                .to_owned()
        })?,
    };
    now.checked_add(length).map_err(|_| "it lies too far in the future".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_is_a_length_a_moment_or_a_day() {
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        for (text, until) in [
            ("2d", "2026-02-02T10:00:00Z"),
            ("12h", "2026-01-31T22:00:00Z"),
            ("2026-02-01T08:00:00Z", "2026-02-01T08:00:00Z"),
            ("2026-12-01", "2026-12-01T00:00:00Z"),
        ] {
            assert_eq!(moment(text, now, &TimeZone::UTC).unwrap(), until.parse().unwrap(), "{text}");
        }
        assert!(moment("tomorrow", now, &TimeZone::UTC).unwrap_err().contains("a length such as"));
    }
}
