//! OpenStack: Keystone says who we are, Nova has the servers, Cinder the volumes, Glance the images.
//!
//! ```text
//!  secret file ─▶ Session (one per project) ─token─▶ Nova, Cinder, Glance
//!                     │
//!        ┌────────────┼───────────────────┐
//!   ObserveOpenStack  OpenStackAct   OpenStackDelete (its own credential, off by default)
//! ```
//!
//! Whoever looks, whoever acts and whoever deletes are three: a rehearsal is built from the first alone. An accepted
//! request (202) means nothing yet: every act is followed in Nova's own log of actions until nothing is being done to the
//! server any more and its status is the wanted one. After a crash that log tells whether we had asked already.

mod act;
mod create;
mod delete;
#[cfg(test)]
mod fake;
mod follow;
mod observe;
mod session;
#[cfg(test)]
mod tests;
mod wire;

pub use act::{Intent, OpenStackAct, OpenStackOperator, Outcome, Refusal, Target, lock_reason};
pub use create::{Order, Volume as OrderedVolume};
pub use delete::{OpenStackDelete, OpenStackRemover};
pub use observe::{ObserveOpenStack, OpenStackObserver};
pub use session::{CloudError, Sessions};
