//! Who somebody is, and tokens: never a secret.

use crate::people::{Caller, How, Token};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeView {
    /// Their name; absent for nobody in particular.
    pub name: Option<String>,
    /// How that is known: `root`, `token`, `session`, `proxy`, `nobody`.
    pub how: String,
    /// What they may do, such as `view` or `operate:agent`.
    pub rights: Vec<String>,
    /// The token they are known by, or began their session with.
    pub token: Option<TokenView>,
}

impl MeView {
    /// Of a caller, with the token that they are known by.
    pub fn of(caller: &Caller, token: Option<TokenView>) -> Self {
        Self {
            name: caller.is_somebody().then(|| caller.name.clone()),
            how: caller.how.as_str().to_owned(),
            rights: caller.rights.words(),
            token,
        }
    }
}

/// The id of the token by which somebody is known.
pub fn token_of(caller: &Caller) -> Option<&str> {
    match &caller.how {
        How::Token { id } | How::Session { token: id, .. } => Some(id),
        _ => None,
    }
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Names it.
    pub id: String,
    /// Whose it is.
    pub person: String,
    /// What it is for.
    pub label: String,
    /// What it allows.
    pub rights: Vec<String>,
    /// `good`, `expired` or `revoked`.
    pub state: String,
    /// Since when there is one.
    pub made_at: Timestamp,
    /// Who made it.
    pub made_by: String,
    /// Good until then.
    pub expires_at: Timestamp,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
    /// By whom.
    pub revoked_by: Option<String>,
    /// Its last use, to within an hour.
    pub used_at: Option<Timestamp>,
    /// From where.
    pub used_from: Option<String>,
}

impl TokenView {
    /// As it is now.
    pub fn of(token: &Token, now: Timestamp) -> Self {
        let (revoked, used) = (token.revoked.as_ref(), token.used.as_ref());
        let state = match token.good(now) {
            Ok(()) => "good",
            Err(_) if revoked.is_some() => "revoked",
            Err(_) => "expired",
        };
        Self {
            id: token.id.clone(),
            person: token.person.clone(),
            label: token.label.clone(),
            rights: token.rights.words(),
            state: state.to_owned(),
            made_at: token.made_at,
            made_by: token.made_by.clone(),
            expires_at: token.expires_at,
            revoked_at: revoked.map(|revoked| revoked.at),
            revoked_by: revoked.map(|revoked| revoked.by.clone()),
            used_at: used.map(|used| used.at),
            used_from: used.map(|used| used.from.clone()),
        }
    }
}
