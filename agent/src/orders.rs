//! Orders: what the coordinator asks this node to do, the checks before anything is done, and what becomes of it.
//!
//! `machine` decides and remembers, and is pure but for its memory; `check` is its fourteen questions in their order;
//! `bound` tells the coordinator's clock from ours; `local` is what the node itself has to say, `look` asks it. `poll`
//! fetches orders and tells what became of them, `driver` carries them out with one file in `verbs` for each verb.
//!
//! The agent acts on nothing but these verbs, and on nothing at all by itself: without a coordinator it goes on checking,
//! and never begins anything.

pub mod bound;
pub mod check;
pub mod driver;
pub mod local;
mod look;
pub mod machine;
pub mod memory_check;
pub mod poll;
mod verbs;

pub use verbs::set_whitelist::in_force as whitelist_in_force;

use crate::memory::FileDisk;
use machine::Machine;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The machine as poller, driver, reports and the status share it. One thread uses it; the lock is for the compiler.
#[derive(Debug, Clone)]
pub struct SharedMachine(Arc<Mutex<Machine<FileDisk>>>);

impl SharedMachine {
    /// Shares it.
    pub fn new(machine: Machine<FileDisk>) -> Self {
        Self(Arc::new(Mutex::new(machine)))
    }

    /// The machine, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Machine<FileDisk>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
