//! The coordinator: knows the fleet, decides, answers.

pub mod fleet;
pub mod view;
