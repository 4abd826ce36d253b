//! The agent: checks one node, reports to the coordinator, pulls builder images, and nothing else.

pub mod board;
pub mod check;
pub mod checks;
pub mod clock;
pub mod config;
pub mod docker;
pub mod identity;
pub mod json;
pub mod ledger;
pub mod mesos;
pub mod pattern;
pub mod prepull;
pub mod probe;
pub mod puppet;
pub mod runner;
pub mod zookeeper;
