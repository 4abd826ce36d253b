//! Outside systems, one module each. Who looks (`Observe…`) and who changes something (`…Act`) are different traits.

pub mod authority;
pub mod mesos;
pub mod peer;
pub mod ssh;
pub mod webhook;
