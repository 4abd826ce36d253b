//! The coordinator: knows the fleet, decides, answers.

pub mod integrations;
pub mod policy;
