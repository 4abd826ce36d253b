//! `millwright hold`: "keep this node as it is", said, listed and taken back.

use crate::{
    client::Client,
    node::path_segment,
    output::{Output, Tone, clean},
    words,
};
use anyhow::Result;
use clap::Subcommand;
use jiff::Timestamp;
use millwright_coordinator::view::{HoldView, HoldsView};
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::ExitCode;

/// A word about holds.
#[derive(Debug, Subcommand)]
pub enum HoldWord {
    /// Keep a node as it is: it is neither returned nor rebooted, rebuilt or deleted until the hold is lifted.
    Add {
        /// The node, in any spelling.
        node: String,
        /// Why; colleagues read it.
        #[arg(value_name = "WHY", value_parser = words::why)]
        reason: String,
        /// For so long ("2h", "3d"), until a moment or a day; then its author is asked. It never lifts by itself.
        #[arg(long = "for", value_name = "LENGTH", value_parser = words::until)]
        until: Option<Timestamp>,
    },
    /// Those that stand.
    List,
    /// Take a hold back; somebody else's takes the role `approve`.
    Lift {
        /// Its id; `millwright hold list` shows it. That of a drain is the operation's.
        hold: String,
        /// Why; kept for ever.
        #[arg(long, value_name = "WHY", value_parser = words::why)]
        reason: String,
    },
}

/// Says it, or lists them.
pub async fn run(client: &Client, output: &Output, word: HoldWord, json: bool) -> Result<ExitCode> {
    let (answer, lines) = match word {
        HoldWord::Add { node, reason, until } => {
            let word = json!({ "node": node, "reason": reason, "until": until, "by": words::author() });
            let answer: Value = client.post("/api/v1/holds", &word).await?;
            let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
            let told =
                format!("{node} is held as {id}; `millwright hold lift {id} --reason …` takes it back");
            (answer.clone(), vec![clean(&told)])
        }
        HoldWord::List => {
            let answer: Value = client.get("/api/v1/holds", &[]).await?;
            let lines = listed(output, &HoldsView::deserialize(&answer)?.holds);
            (answer, lines)
        }
        HoldWord::Lift { hold, reason } => {
            let path = format!("/api/v1/holds/{}/lift", path_segment(&hold));
            let answer: Value =
                client.post(&path, &json!({ "reason": reason, "by": words::author() })).await?;
            (answer, vec![clean(&format!("{hold} is lifted"))])
        }
    };
    if json {
        output.json(&answer)?;
    } else {
        lines.iter().try_for_each(|line| output.line(line))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(output: &Output, holds: &[HoldView]) -> Vec<String> {
    if holds.is_empty() {
        return vec!["no node is held".to_owned()];
    }
    let line = |hold: &HoldView| {
        let until = hold.until.map_or_else(String::new, |until| format!(", to be looked at by {until:.0}"));
        let whence = match (hold.is_local, &hold.operation) {
            (true, _) => " (set on the node; `millwright-agent hold lift` there lifts it)",
            (false, Some(_)) => " (of a drain)",
            (false, None) => "",
        };
        let said = format!("{} since {:.0}{until}: {}{whence}", hold.by, hold.since, hold.reason);
        format!("{}  {}  {}", clean(&hold.id), output.tone(Tone::Strong, &hold.node), clean(&said))
    };
    holds.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_says_whose_it_is_why_and_where_it_can_be_lifted() {
        let hold = |id: &str, is_local: bool, until: Option<&str>| -> HoldView {
            let hold = json!({ "id": id, "node": "n01", "by": "ann", "reason": "looking", "since": "2026-01-31T10:00:00Z",
                "until": until, "operation": null, "is_local": is_local });
            HoldView::deserialize(hold).unwrap()
        };
        let holds = [hold("hold-1", false, Some("2026-02-01T10:00:00Z")), hold("n01/a", true, None)];
        let lines = listed(&Output::plain(), &holds);
        assert_eq!(
            lines[0],
            "hold-1  n01  ann since 2026-01-31T10:00:00Z, to be looked at by 2026-02-01T10:00:00Z: looking"
        );
        assert!(lines[1].contains("`millwright-agent hold lift`"), "{}", lines[1]);
        assert_eq!(listed(&Output::plain(), &[]), ["no node is held"]);
    }
}
