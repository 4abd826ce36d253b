//! A browser's session: begun with a token, ended by its owner, by time, or with its token.

use super::{Digest, Limits};
use jiff::Timestamp;

/// A session. It never allows more than its token does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Of its cookie.
    pub digest: Digest,
    /// The id of the token it was begun with.
    pub token: String,
    /// Since when there is one.
    pub begun_at: Timestamp,
    /// Its last use, to within a minute.
    pub seen_at: Timestamp,
}

impl Session {
    /// Whether neither of its limits is reached. A clock that was turned back ends nothing.
    pub fn is_good(&self, limits: &Limits, now: Timestamp) -> bool {
        now.duration_since(self.seen_at) < limits.idle && now.duration_since(self.begun_at) < limits.session
    }
}
