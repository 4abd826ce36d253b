//! The Jenkins that stands beside its client, running in a thread of its own. A real one is not to be had here.

use anyhow::{Context, Result};
use fake::FakeJenkins;
use std::ops::Deref;
use tokio::runtime::{Builder, Runtime};

#[path = "../../../coordinator/src/integrations/jenkins/fake.rs"]
#[allow(dead_code, reason = "the client's own tests use all of it")]
mod fake;

/// A running one; it ends when it is dropped.
pub struct Jenkins {
    fake: FakeJenkins,
    url: String,
    _runtime: Runtime,
}

impl Jenkins {
    /// Listens on a free port.
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let fake = FakeJenkins::default();
        let url = runtime.block_on(fake.start()).context("start a Jenkins")?;
        Ok(Self { fake, url, _runtime: runtime })
    }

    /// Its section in `coordinator.toml`.
    pub fn section(&self) -> String {
        format!("[jenkins]\nurl = {:?}\nevery = \"2s\"\ntimeout = \"2s\"", self.url)
    }
}

impl Deref for Jenkins {
    type Target = FakeJenkins;

    fn deref(&self) -> &FakeJenkins {
        &self.fake
    }
}
