//! Mesos, as an agent sees it from its own node: readers of its JSON, and how to ask.

mod containers;
mod metrics;
mod picker;
mod state;

pub use containers::{MesosContainer, read_containers};
pub use metrics::{AgentMetrics, MasterMetrics, read_agent_metrics, read_master_metrics};
pub use picker::PickError;
pub use state::{AgentState, StateReader, read_state};
