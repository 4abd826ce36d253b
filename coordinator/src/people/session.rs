//! A browser's session: begun with a token, ended by its owner, by time, or with its token.

use super::{Digest, Limits};
use jiff::{SignedDuration, Timestamp};

/// So far a clock may have been set back.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

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
    /// Whether neither of its limits is reached. One from well ahead, before a clock was set right, is over: it would last
    /// for as long as the clock was wrong.
    pub fn is_good(&self, limits: &Limits, now: Timestamp) -> bool {
        let is_within = |since: Timestamp, limit| {
            let age = now.duration_since(since);
            -AHEAD <= age && age < limit
        };
        is_within(self.seen_at, limits.idle) && is_within(self.begun_at, limits.session)
    }
}
