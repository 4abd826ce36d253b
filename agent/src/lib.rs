//! The agent: checks one node, reports to the coordinator, pulls builder images, and nothing else.

pub mod board;
pub mod check;
pub mod checks;
pub mod clock;
pub mod config;
pub mod identity;
pub mod ledger;
pub mod probe;
pub mod runner;
