//! Starts and stops the real systems, one file per system, each in its own temporary folder on its own ports, so
//! that stories run side by side.
//!
//! ```text
//! let Some(docker) = ready(DockerDaemon::start()) else { return };
//! let Some(mesos) = ready(Mesos::start(&docker, 2)) else { return };
//! let task = mesos.run_task(TaskSpec::named("slc7-builder").on_agent(1))?;
//! task.wait_running()?;
//! ```
//!
//! Every constructor returns when its system answers, or with an error that ends in the tail of its log. An error
//! that begins with "needs" says what this machine lacks: `ready` turns it into a skipped story. Every value
//! cleans up when it is dropped: processes by id, mounts, folders. Drop Mesos before its Docker; locals do so by
//! themselves.

mod authority;
mod browser;
mod chat;
mod coordinator;
mod detour;
mod docker;
mod front;
mod http;
mod jenkins;
mod machine;
mod mail;
mod mesos;
mod mesos_task;
mod node;
mod pki;
mod places;
pub mod played;
mod ports;
mod process;
mod puppet;
mod receiver;
mod registry;
mod schedulers;
mod scratch;
mod site;
pub mod visitor;
mod volume;
mod wait;
mod window;
mod zookeeper;

pub use authority::Authority;
pub use browser::{Browser, View};
pub use chat::Chat;
pub use coordinator::{Coordinator, Setup, codes};
pub use detour::{DeafSocket, Gate};
pub use docker::{DockerDaemon, TEST_IMAGE};
pub use front::{Front, USER as FRONT_USER};
pub use http::{get, get_json, get_with, post};
pub use jenkins::Jenkins;
pub use machine::{needs_binary, needs_built, ready};
pub use mail::Mail;
pub use mesos::Mesos;
pub use mesos_task::{MesosTask, TaskSpec};
pub use node::{Agent, Node, find, finding};
pub use pki::Pki;
pub use places::Places;
#[allow(unused_imports, reason = "the program about masters makes some itself")]
pub use ports::free_port;
pub use process::{output_fed, output_of};
pub use puppet::{Puppet, PuppetRun};
pub use receiver::{Received, Receiver};
pub use registry::Registry;
pub use schedulers::{OnKill, Schedulers};
pub use scratch::Scratch;
pub use site::{Site, acting_policy, step_of, story_of};
pub use visitor::{Visitor, address};
pub use volume::{FileSystem, LoopVolume};
pub use wait::wait_for;
pub use window::Window;
pub use zookeeper::ZooKeeperEnsemble;
