//! Stories against the real systems: Docker, a registry, Mesos, ZooKeeper, Puppet, file systems, a browser.
//! `README.md` beside this file says how to run them and how to add one.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a story ends, loudly, where its expectation does"
)]

mod builds;
mod certificates;
mod command_line;
mod configuration;
mod coordinator;
mod cordon;
mod dashboard;
mod docker;
mod harness;
mod hostile;
mod lab;
mod mesos;
mod monitoring;
mod moves;
mod notices;
mod operations;
mod operations_cli;
mod operations_pages;
mod operators;
mod orders;
mod people;
mod puppet;
mod registry;
mod remains;
mod reports;
mod revocation;
mod silence;
mod tls;
mod volumes;
mod whitelist;
mod zookeeper;
