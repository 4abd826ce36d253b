//! Where the agent shows its own status.

use super::Fault;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};

/// `[status]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatusConfig {
    /// Address and port, loopback only; port 0 takes a free one and prints it.
    pub listen: SocketAddr,
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8481)) }
    }
}

impl StatusConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        if self.listen.ip().is_loopback() {
            return Vec::new();
        }
        vec![Fault::new(
            "status.listen",
            format!(
                "= {} is not a loopback address, and the agent listens nowhere else; write 127.0.0.1:8481",
                self.listen
            ),
        )]
    }
}
