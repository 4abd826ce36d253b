//! The coordinator: knows the fleet, decides, answers.

pub mod policy;
