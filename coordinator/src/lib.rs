//! x

pub mod integrations;
