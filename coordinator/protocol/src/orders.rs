//! Orders: what the coordinator asks an agent to do. The list of verbs is closed, and in this version it is empty.

use serde::{Deserialize, Serialize};

/// One order. This version has no verb, so nothing reads as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Order {}

/// `GET /v1/agents/{node}/orders`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// In the order in which they are to be carried out.
    pub orders: Vec<Order>,
}
