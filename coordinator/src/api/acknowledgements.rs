//! Acknowledgements: a person has seen a finding and does not want to hear of it until a date. Never changes a gate.

use super::{body, error::Refusal, nodes::LONGEST_WORD, person::Person};
use crate::{app::App, people::Role, view::Acknowledgement};
use axum::{
    Json,
    extract::{Request, State},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Those that have not run out.
#[derive(Debug, Serialize)]
pub struct Acknowledgements {
    acknowledgements: Vec<Acknowledgement>,
}

/// `GET /api/v1/acknowledgements`.
pub async fn list(State(app): State<Arc<App>>) -> Json<Acknowledgements> {
    Json(Acknowledgements { acknowledgements: app.with_fleet(|fleet, now| fleet.acknowledgements(now)) })
}

/// What a person says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    /// `node/check[/item]`.
    finding: String,
    /// Until when.
    until: Timestamp,
    /// Why; kept in the audit.
    #[serde(default)]
    reason: String,
    /// Who, where root speaks for somebody.
    #[serde(default)]
    by: Option<String>,
}

/// `POST /api/v1/acknowledgements`.
pub async fn add(
    person: Person,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Acknowledgement>, Refusal> {
    let word: Word = body::json(request, LONGEST_WORD).await?;
    person.still(&app)?;
    let node = word.finding.split('/').next().unwrap_or_default();
    match node.parse() {
        Ok(node) => person.must_for(Role::Operate, &node, &app)?,
        Err(_) => person.must(Role::Operate, None)?,
    }
    let by = person.author(word.by.as_deref());
    let given = app.with_fleet(|fleet, now| fleet.acknowledge(&word.finding, word.until, &by, now))?;
    app.keep_acknowledgement(&given).await?;
    app.record(&by, "acknowledge", &given.finding, word.reason.trim()).await?;
    Ok(Json(given))
}
