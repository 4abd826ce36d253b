//! Work in the background: each task takes no input, may run twice, and says how its last run went.
//!
//! Tasks know the coordinator through [`Hub`] only, so that they can be tested without one.

mod ask_owners;
mod backup;
mod driver;
mod follow_mesos;
mod notify;
mod observe;
mod observe_mesos;
mod probe_ssh;
mod prune;
mod remember;
mod renew_revoked;
mod tick;
mod watchdog;

pub use ask_owners::AskOwnersTask;
pub use backup::Backup;
pub use driver::{Driver, TaskStatus};
pub use follow_mesos::FollowMesosTask;
pub use notify::Notify;
pub use observe::ObserveTask;
pub use observe_mesos::{MesosNews, ObserveMesosTask};
pub use probe_ssh::ProbeSshTask;
pub use prune::Prune;
pub use remember::Remember;
pub use renew_revoked::RenewRevokedTask;
pub use tick::Tick;
pub use watchdog::Watchdog;

use crate::{fleet::Fleet, view::Transition};
use futures_util::future::BoxFuture;
use jiff::Timestamp;

/// What tasks need of the coordinator.
pub trait Hub: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Looks at the fleet, or changes it. Everybody else waits meanwhile, so the closure is quick.
    fn with_fleet(&self, look: &mut dyn FnMut(&mut Fleet, Timestamp));

    /// Hands changes to store and event stream.
    fn publish(&self, transitions: Vec<Transition>);
}

impl dyn Hub + '_ {
    /// As [`Hub::with_fleet`], with an answer.
    pub fn ask<T>(&self, mut look: impl FnMut(&mut Fleet, Timestamp) -> T) -> Option<T> {
        let mut answer = None;
        self.with_fleet(&mut |fleet, now| answer = Some(look(fleet, now)));
        answer
    }
}

/// One task.
pub trait Task: Send {
    /// A word, for status and log.
    fn name(&self) -> &'static str;

    /// Does it once.
    ///
    /// # Errors
    /// What went wrong, for people. The next run comes all the same.
    fn run(&mut self) -> BoxFuture<'_, Result<(), String>>;
}

#[cfg(test)]
mod testing {
    //! A coordinator of nothing but a fleet and a clock that is turned by hand.

    use super::*;
    use std::sync::Mutex;

    pub(super) struct TestHub {
        pub fleet: Mutex<Fleet>,
        pub now: Mutex<Timestamp>,
        pub published: Mutex<Vec<Transition>>,
    }

    impl TestHub {
        pub fn new(fleet: Fleet, now: Timestamp) -> Self {
            Self { fleet: Mutex::new(fleet), now: Mutex::new(now), published: Mutex::default() }
        }
    }

    impl Hub for TestHub {
        fn now(&self) -> Timestamp {
            *self.now.lock().unwrap()
        }

        fn with_fleet(&self, look: &mut dyn FnMut(&mut Fleet, Timestamp)) {
            look(&mut self.fleet.lock().unwrap(), self.now());
        }

        fn publish(&self, transitions: Vec<Transition>) {
            self.published.lock().unwrap().extend(transitions);
        }
    }
}
