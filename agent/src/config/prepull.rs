//! Which images are kept on the node.

use super::{Fault, units};
use crate::prepull::ImageName;
use serde::Deserialize;
use std::time::Duration;

/// `[prepull]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrePullConfig {
    /// Whether missing and stale images are pulled; when not, they are only looked at.
    pub enabled: bool,
    /// The images; a name without a tag means `:latest`.
    pub images: Vec<ImageName>,
    /// An image is pulled again when it was last verified longer ago.
    #[serde(with = "units::duration")]
    pub stale_after: Duration,
    /// The first look waits up to this long, so that a fleet does not ask the registry all at once.
    #[serde(with = "units::duration")]
    pub start_jitter: Duration,
    /// How long one pull may take.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// The wait after a first failure; it doubles with each further one, up to `retry_at_most`.
    #[serde(with = "units::duration")]
    pub retry_after: Duration,
    /// The longest wait between tries.
    #[serde(with = "units::duration")]
    pub retry_at_most: Duration,
    /// Room that must be free where Docker keeps images; at least twice the image's last size is asked for too.
    #[serde(with = "units::size")]
    pub room: u64,
}

impl Default for PrePullConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            images: ImageName::parse("alisw/slc7-builder:latest").into_iter().collect(),
            stale_after: Duration::from_secs(24 * 3600),
            start_jitter: Duration::from_secs(300),
            deadline: Duration::from_secs(2 * 3600),
            retry_after: Duration::from_secs(60),
            retry_at_most: Duration::from_secs(3600),
            room: 10 << 30,
        }
    }
}

impl PrePullConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.retry_after > self.retry_at_most {
            faults.push(Fault::new(
                "prepull.retry_after",
                "is longer than `retry_at_most`; accepted is at most `retry_at_most`",
            ));
        }
        faults
    }
}
