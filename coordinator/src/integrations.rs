//! Outside systems, one module each. Everything here observes; nothing can change a node.

pub mod authority;
pub mod mesos;
pub mod ssh;
pub mod webhook;
