//! Personal tokens: made for somebody, listed, withdrawn. The secret of one is told once, in the answer that makes it.

use super::{
    body,
    error::{ErrorCode, Refusal},
    nodes::LONGEST_WORD,
    person::Person,
};
use crate::{
    app::{App, Wanted, Which},
    people::Rights,
    view::TokenView,
};
use axum::{
    Json,
    extract::{Request, State},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Tokens, the youngest first.
#[derive(Debug, Serialize)]
pub struct Tokens {
    tokens: Vec<TokenView>,
}

/// `GET /api/v1/tokens`: the asker's own, an administrator's everybody's.
pub async fn list(State(app): State<Arc<App>>, Person(caller): Person) -> Json<Tokens> {
    Json(Tokens { tokens: app.token_views(&caller) })
}

/// What is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Make {
    /// Whose; without it the asker's own.
    #[serde(default)]
    person: Option<String>,
    /// What it is for.
    #[serde(default)]
    label: String,
    /// Such as `["operate:agent"]`.
    may: Vec<String>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    /// Who, where root speaks for somebody.
    #[serde(default)]
    by: Option<String>,
}

/// A token, and for this once its secret.
#[derive(Debug, Serialize)]
pub struct Made {
    secret: String,
    token: TokenView,
}

/// `POST /api/v1/tokens`.
pub async fn make(
    person: Person,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Made>, Refusal> {
    let make: Make = body::json(request, LONGEST_WORD).await?;
    let rights = Rights::of_words(make.may.iter().map(String::as_str))
        .map_err(|why| Refusal::new(ErrorCode::BadParameter, format!("may: {why}")))?;
    let wanted =
        Wanted { person: make.person.as_deref(), label: &make.label, rights, expires_at: make.expires_at };
    let by = person.author(make.by.as_deref());
    let (secret, token) = app.make_token(&person.0, &by, wanted).await?;
    Ok(Json(Made { secret: secret.text().to_owned(), token: TokenView::of(&token, app.clock.now()) }))
}

/// Which to withdraw: one, or all of somebody's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    person: Option<String>,
    #[serde(default)]
    reason: String,
    /// Who, where root speaks for somebody.
    #[serde(default)]
    by: Option<String>,
}

/// `POST /api/v1/tokens/revoke`. Their sessions end as well.
pub async fn revoke(
    person: Person,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Tokens>, Refusal> {
    let revoke: Revoke = body::json(request, LONGEST_WORD).await?;
    let which = match (&revoke.id, &revoke.person) {
        (Some(id), None) => Which::One(id),
        (None, Some(person)) => Which::Of(person),
        _ => {
            let message =
                "say which: {\"id\": \"…\"} for one token, or {\"person\": \"…\"} for all of somebody's";
            return Err(Refusal::new(ErrorCode::BadParameter, message));
        }
    };
    let by = person.author(revoke.by.as_deref());
    let revoked = app.revoke_tokens(&person.0, &by, which, revoke.reason.trim()).await?;
    let now = app.clock.now();
    Ok(Json(Tokens { tokens: revoked.iter().map(|token| TokenView::of(token, now)).collect() }))
}
