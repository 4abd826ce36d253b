//! The contract between agent and coordinator: names, findings, reports, versions.
//!
//! Both sides speak these words and share nothing else. `README.md` beside this crate is the protocol as a
//! document; what is written there and what is here must say the same.

#[cfg(test)]
mod document;
mod error;
mod facts;
mod finding;
mod ids;
pub mod lenient;
mod orders;
mod report;
mod task;

pub use error::ErrorBody;
pub use facts::{
    Container, ContainerFacts, ContainerRole, Facts, ImageFact, MesosAgentFacts, MesosMasterFacts,
    PullProgress, PullState, PuppetFacts, SystemFacts, VolumeFact, ZooKeeperFacts,
};
pub use finding::{Evidence, Finding, Status, finding_id};
pub use ids::{Fence, InvalidName, NodeName};
pub use orders::{Order, OrderEvent, OrderState, Orders, RefusalCode, Seen, Target, Verb};
pub use report::{LocalHold, PROTOCOL_VERSION, Report, ReportAnswer};
pub use task::{Resources, Task, TaskState};
