//! Stories against the real systems: Docker, a registry, Mesos, ZooKeeper, Puppet, file systems, a browser.
//! `README.md` beside this file says how to run them and how to add one.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a story ends where its expectation does, and says what it skipped"
)]

mod harness;
mod lab;
