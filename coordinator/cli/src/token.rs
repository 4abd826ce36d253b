//! `millwright token`: personal tokens are made, listed and withdrawn.

use crate::{
    client::Client,
    output::{Output, Tone, clean},
    words,
};
use anyhow::Result;
use clap::Subcommand;
use jiff::Timestamp;
use millwright_coordinator::view::TokenView;
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Makes one; its secret is printed this once. Takes an administrator, or root on the coordinator's socket.
    Make {
        /// Whose it is; without it your own.
        #[arg(long)]
        person: Option<String>,
        /// What it may do: view, operate, approve, admin, or one of them for a class such as operate:agent. Repeatable.
        #[arg(long, required = true)]
        may: Vec<String>,
        /// What it is for, such as the machine it is kept on.
        #[arg(long, default_value = "")]
        label: String,
        /// For so long ("30d"), until a moment or a day; without it 90 days.
        #[arg(long, value_parser = words::until)]
        until: Option<Timestamp>,
    },
    /// Yours; an administrator sees everybody's.
    List,
    /// Withdraws one, or all of a person's; browser sessions begun with it end as well.
    Revoke {
        /// Its id; `millwright token list` shows it.
        #[arg(required_unless_present = "person", conflicts_with = "person")]
        id: Option<String>,
        /// All of theirs.
        #[arg(long)]
        person: Option<String>,
        /// Why, for the audit.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<TokenView>,
}

#[derive(Deserialize)]
struct Made {
    secret: String,
    token: TokenView,
}

/// Asks the coordinator and prints.
pub async fn run(client: &Client, output: &Output, command: TokenCommand, json: bool) -> Result<ExitCode> {
    let answer: Value = match &command {
        TokenCommand::List => client.get("/api/v1/tokens", &[]).await?,
        TokenCommand::Make { person, may, label, until } => {
            let wanted = json!({ "person": person, "may": may, "label": label, "expires_at": until, "by": words::author() });
            client.post("/api/v1/tokens", &wanted).await?
        }
        TokenCommand::Revoke { id, person, reason } => {
            let which = json!({ "id": id, "person": person, "reason": reason, "by": words::author() });
            client.post("/api/v1/tokens/revoke", &which).await?
        }
    };
    if json {
        output.json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    match command {
        TokenCommand::Make { .. } => {
            let Made { secret, token } = Made::deserialize(&answer)?;
            // On its own on standard output, so that it can be piped into `millwright login`.
            output.complain(&clean(&format!(
                "the token {} of {} may {} until {:.0}; whoever has it is {1}, and it is not shown again:",
                token.id,
                token.person,
                token.rights.join(", "),
                token.expires_at
            )));
            output.line(secret)?;
        }
        TokenCommand::List => print(output, &Tokens::deserialize(&answer)?.tokens)?,
        TokenCommand::Revoke { .. } => {
            for token in Tokens::deserialize(&answer)?.tokens {
                output.line(clean(&format!(
                    "the token {} of {} ({}) is revoked",
                    token.id, token.person, token.label
                )))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(output: &Output, tokens: &[TokenView]) -> Result<()> {
    if tokens.is_empty() {
        output.line(
            "no tokens; an administrator makes one, or root on the coordinator's host: `millwright token make --person NAME --may operate`",
        )?;
    }
    tokens.iter().try_for_each(|token| output.line(line(output, token)))
}

fn line(output: &Output, token: &TokenView) -> String {
    let tone = if token.state == "good" { Tone::Good } else { Tone::Quiet };
    let end = match (&token.revoked_at, &token.revoked_by) {
        (Some(at), Some(by)) => format!("revoked {at:.0} by {by}"),
        _ => format!("until {:.0}", token.expires_at),
    };
    let used = match (&token.used_at, &token.used_from) {
        (Some(at), Some(from)) => format!("last used {at:.0} from {from}"),
        _ => "never used".to_owned(),
    };
    let said = format!(
        "{}  may {}  {end}  {used}  ({}, made by {})",
        token.person,
        token.rights.join(", "),
        token.label,
        token.made_by
    );
    // Colours are control characters themselves.
    format!(
        "{}  {}  {}",
        output.tone(Tone::Strong, &token.id),
        output.tone(tone, &format!("{:7}", token.state)),
        clean(&said)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_in_one_line_with_whose_it_is_and_how_long() {
        let token: TokenView = serde_json::from_value(json!({ "id": "0a1b2c3d", "person": "jane", "label": "lap\u{1b}top",
            "rights": ["operate:agent", "view"], "state": "good", "made_at": "2026-01-31T10:00:00Z", "made_by": "root",
            "expires_at": "2026-05-01T10:00:00Z", "revoked_at": null, "revoked_by": null,
            "used_at": "2026-02-01T09:00:00Z", "used_from": "10.0.0.1" }))
        .unwrap();
        assert_eq!(
            line(&Output::plain(), &token),
            "0a1b2c3d  good     jane  may operate:agent, view  until 2026-05-01T10:00:00Z  last used 2026-02-01T09:00:00Z \
             from 10.0.0.1  (lap\u{fffd}top, made by root)"
        );
    }
}
