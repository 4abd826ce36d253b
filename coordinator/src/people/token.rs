//! A personal token: who may do what until when, and by which secret they are known.

use super::{Digest, Rights, Unrecognised};
use jiff::Timestamp;

/// A token. The secret itself is known to its owner only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Names it in lists and in the audit.
    pub id: String,
    /// Of its secret.
    pub digest: Digest,
    /// Whose it is.
    pub person: String,
    /// What it is for, in its owner's words.
    pub label: String,
    /// What it allows.
    pub rights: Rights,
    /// Since when there is one.
    pub made_at: Timestamp,
    /// Who made it.
    pub made_by: String,
    /// Good until then.
    pub expires_at: Timestamp,
    /// Who withdrew it, and when.
    pub revoked: Option<Revoked>,
    /// Its last use, to within an hour.
    pub used: Option<Used>,
}

/// The end of a token before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
}

/// A use of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub from: String,
}

impl Token {
    /// What its secret begins with.
    pub const PREFIX: &str = "mwt_";

    /// Whether it is good now.
    ///
    /// # Errors
    /// It is revoked, or its time is over.
    pub fn good(&self, now: Timestamp) -> Result<(), Unrecognised> {
        let (id, person) = (self.id.clone(), self.person.clone());
        if let Some(Revoked { at, by }) = &self.revoked {
            return Err(Unrecognised::Revoked { id, person, at: *at, by: by.clone() });
        }
        if now >= self.expires_at {
            return Err(Unrecognised::Expired { id, person, at: self.expires_at });
        }
        Ok(())
    }
}
