//! Outside systems, one module each. Who looks (`Observe…`) and who changes something (`…Act`) are different traits.

pub mod aurora;
pub mod authority;
pub mod channels;
pub mod foreman;
pub mod hosts;
pub mod jenkins;
pub mod mail;
pub mod marathon;
pub mod mesos;
pub mod mesos_dns;
pub mod moving;
pub mod openstack;
pub mod owners;
pub mod peer;
mod ping;
pub mod puppetdb;
#[cfg(test)]
mod recorded;
pub mod roger;
mod servers;
pub mod ssh;

pub mod zookeeper;

use crate::fleet::Observation;
use futures_util::future::BoxFuture;
use millwright_decision::Source;

/// An outside system that is looked at.
pub trait Observe: Send + Sync {
    /// Which.
    fn source(&self) -> Source;

    /// Looks once.
    ///
    /// # Errors
    /// What was asked and what came instead, for people.
    fn look(&self) -> BoxFuture<'_, Result<Observation, String>>;
}

/// An error with everything below it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut story = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        story = format!("{story}: {cause}");
        source = cause.source();
    }
    story
}
