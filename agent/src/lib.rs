//! The agent: checks one node, reports to the coordinator, pulls builder images, carries out a short list of orders, and
//! nothing else.
//!
//! Each check looks in its own rhythm (`runner`); a ledger turns looks into findings; the board holds findings
//! and facts; reports and the local status are views of the board.

pub mod agent;
pub mod board;
pub mod check;
pub mod checks;
pub mod clock;
pub mod config;
pub mod coordinator_client;
pub mod docker;
pub mod heartbeat;
pub mod holds;
pub mod http;
pub mod identity;
pub mod json;
pub mod ledger;
pub mod memory;
pub mod mesos;
pub mod orders;
pub mod pattern;
pub mod prepull;
pub mod probe;
pub mod puppet;
pub mod runner;
pub mod sequence;
mod state_file;
pub mod status;
pub mod telemetry;
pub mod zookeeper;
