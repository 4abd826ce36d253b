//! Everything that thinks.
//!
//! [`judge`] takes a request, a snapshot of the fleet, the policy and the time, and returns a verdict with every
//! reason. The same arguments give the same answer: there is no I/O, clock, randomness or environment here, and
//! this crate's `Cargo.toml` and `clippy.toml` show and enforce it. The API, the command line, the dashboard and,
//! later, the executor and the simulator all ask this one function.

mod action;
mod case;
mod code;
pub mod counts;
#[cfg(any(test, feature = "testing"))]
pub mod example;
pub mod fleet;
mod in_order;
mod judge;
pub mod operation;
pub mod per_node;
mod policy;
mod rules;
mod verdict;

pub use action::{Action, Request, Stage, UnknownAction, Volumes};
pub use code::Code;
pub use counts::FleetCounts;
pub use fleet::{Alarms, AlarmsView, Node, Place, Snapshot};
pub use judge::judge;
pub use per_node::PerNode;
pub use policy::{
    Class, ClassPolicy, Consent, Freeze, Mode, NodePolicy, Policy, Protection, Share, Source, TaskClass,
    TaskMatch, TaskRule, Tasks, Unreadable, VolumePolicy, WeeklyWindow,
};
pub use verdict::{Capacity, Cost, Evidence, Note, Reason, Severity, TaskLost, Verdict};
