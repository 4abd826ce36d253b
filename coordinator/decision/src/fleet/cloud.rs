//! A node's server, as the cloud tells of it.

use jiff::Timestamp;

/// What the cloud says about one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudView {
    /// When it was asked.
    pub at: Timestamp,
    /// Every server of exactly the node's name. More than one is a doubtful name.
    pub servers: Vec<CloudServer>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudServer {
    /// Nova's id.
    pub id: String,
    /// Why changes are refused, in the words of whoever locked it, which may be none; `None` while they are not.
    pub locked: Option<String>,
    /// Cinder's ids of its volumes.
    pub volumes: Vec<String>,
}
