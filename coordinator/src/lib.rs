//! The coordinator: knows the fleet, decides, answers.

pub mod fleet;
pub mod integrations;
pub mod notice;
pub mod policy;
pub mod store;
pub mod tasks;
pub mod view;
