//! Outside systems, one module each: readers of what they say, and later clients.

pub mod mesos;
