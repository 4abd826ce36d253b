//! What stands behind the question mark, and names in paths.

use super::error::{ErrorCode, Refusal};
use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use millwright_protocol::NodeName;

/// Query parameters in their order; a key may come more than once.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(pairs)| Self(pairs))
            .map_err(|error| Refusal::new(ErrorCode::BadParameter, format!("read the query: {error}")))
    }
}

impl Parameters {
    /// Refuses keys that mean nothing here: a misspelt one would silently change the question.
    ///
    /// # Errors
    /// For the first such key, with those that are known.
    pub fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.0.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) => {
                let key: String = key.chars().take(40).collect();
                Err(Refusal::new(
                    ErrorCode::BadParameter,
                    format!("{key:?} is no parameter here; known: {}", known.join(", ")),
                ))
            }
        }
    }

    /// The value of a key that may come once.
    ///
    /// # Errors
    /// When it comes more often.
    pub fn one(&self, key: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(key);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Refusal::new(ErrorCode::BadParameter, format!("{key:?} is given twice; give it once"))),
        }
    }

    /// Every value of a key.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A number of entries to answer with.
    ///
    /// # Errors
    /// When it is no number from 1 to `most`.
    pub fn limit(&self, usual: usize, most: usize) -> Result<usize, Refusal> {
        let Some(text) = self.one("limit")? else { return Ok(usual) };
        text.parse().ok().filter(|limit| (1..=most).contains(limit)).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            Refusal::new(ErrorCode::BadParameter, format!("limit={text:?} is not a number from 1 to {most}"))
        })
    }
}

/// A node's name as a stranger spells it.
///
/// # Errors
/// When it cannot be one.
pub fn node_name(given: &str) -> Result<NodeName, Refusal> {
    given.parse().map_err(|error| Refusal::new(ErrorCode::BadNodeName, format!("{error}")))
}
