//! The one shape of every error over HTTP.

use serde::{Deserialize, Serialize};

/// What a refused request gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A word from a closed list, for programs.
    pub code: String,
    /// What was tried, what was found, what to do next, for people.
    pub message: String,
    /// Names the request in the coordinator's log.
    pub request_id: String,
}
