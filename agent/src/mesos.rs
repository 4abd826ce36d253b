//! Mesos, as an agent sees it from its own node: how to ask, and readers of what it says.

mod address;
mod client;
mod containers;
mod metrics;
mod picker;
mod state;

pub use address::{Address, leader};
pub use client::{Answer, Client, next_piece};
pub use containers::{MesosContainer, read_containers};
pub use metrics::{AgentMetrics, MasterMetrics, read_agent_metrics, read_master_metrics};
pub use picker::PickError;
pub use state::{AgentState, StateReader, read_state};
