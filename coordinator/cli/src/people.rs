//! What a person says: about a node, about a finding.

use crate::{
    arguments::{About, Say},
    client::Client,
    done,
    page::{Look, Output},
};
use anyhow::{Context, anyhow};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use millwright_coordinator::config::parse_length;
use serde_json::{Value, json};
use std::process::ExitCode;

/// `millwright node accept|forget|dead NAME`.
pub async fn say(client: &Client, output: Output, say: &Say) -> anyhow::Result<ExitCode> {
    let (what, About { node, reason }) = match say {
        Say::Accept(about) => ("accept", about),
        Say::Forget(about) => ("forget", about),
        Say::Dead(about) => ("dead", about),
    };
    let path = format!("/api/v1/nodes/{node}/{what}");
    let answer = client.post(&path, &json!({ "reason": reason, "by": person() })).await?;
    if output.json {
        return done(output, &output.json_page(&answer));
    }
    let mut page = output.page();
    page.add(Look::Strong, answer.get("node").and_then(Value::as_str).unwrap_or(node.as_str()));
    page.line(&format!(": {what}, recorded"));
    for change in answer.get("transitions").and_then(Value::as_array).into_iter().flatten() {
        page.line(&format!("  {}", change.get("sentence").and_then(Value::as_str).unwrap_or_default()));
    }
    done(output, &page)
}

/// `millwright ack FINDING --until …`.
pub async fn acknowledge(
    client: &Client,
    output: Output,
    finding: &str,
    until: &str,
    reason: &str,
) -> anyhow::Result<ExitCode> {
    let until = moment(until, Timestamp::now(), &TimeZone::system())?;
    let word = json!({ "finding": finding, "until": until, "reason": reason, "by": person() });
    let answer = client.post("/api/v1/acknowledgements", &word).await?;
    if output.json {
        return done(output, &output.json_page(&answer));
    }
    let mut page = output.page();
    page.line(&format!("{finding} is not told again until {until}; verdicts stay as they are"));
    done(output, &page)
}

/// Who types, as far as `sudo` tells.
fn person() -> Option<String> {
    std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty())
}

/// "2d", "2026-02-01" (the end of that day, here), "2026-02-01T12:00:00Z".
fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> anyhow::Result<Timestamp> {
    if let Ok(length) = parse_length(text) {
        let length = SignedDuration::try_from(length)?;
        return now.checked_add(length).with_context(|| format!("--until {text}: that is too far away"));
    }
    if let Ok(date) = text.parse::<Date>() {
        let after = date.tomorrow().with_context(|| format!("--until {text}: that is too far away"))?;
        return Ok(zone
            .to_ambiguous_timestamp(after.to_datetime(jiff::civil::Time::midnight()))
            .compatible()?);
    }
    text.parse().map_err(|_| {
        anyhow!("--until {text:?} is no time; write a length such as 2d, a date such as 2026-02-01, or a time such as 2026-02-01T12:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(text: &str) -> String {
        let now = "2026-01-31T10:00:00Z".parse().unwrap();
        moment(text, now, &TimeZone::UTC).map_or_else(|error| error.to_string(), |at| at.to_string())
    }

    #[test]
    fn until_is_a_length_a_date_or_a_time() {
        assert_eq!(until("2d"), "2026-02-02T10:00:00Z");
        assert_eq!(until("2026-02-01"), "2026-02-02T00:00:00Z", "the whole day");
        assert_eq!(until("2026-02-01T12:00:00+01:00"), "2026-02-01T11:00:00Z");
        assert!(until("tomorrow").contains("write a length such as 2d"), "{}", until("tomorrow"));
    }
}
