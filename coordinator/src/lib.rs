//! The coordinator: knows the fleet, decides, answers.
//!
//! [`app`] builds everything; [`api`] and [`dashboard`] are two ways in that do not know each other.

pub mod app;

pub mod api;
pub mod dashboard;

pub mod events;
pub mod fleet;
pub mod integrations;
pub mod notice;
pub mod operations;
pub mod people;
pub mod policy;
pub mod store;
pub mod tasks;
pub mod view;

pub mod clock;
pub mod config;
pub mod metrics;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod troubles;
pub mod trusted;
pub mod words;
mod written;
