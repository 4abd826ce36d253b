//! What all sites share: a Mesos, a Docker, a registry, and the time that goes by.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::kind::Kind;
use super::system::harness::{DockerDaemon, Mesos, Registry, Scratch, Setup, TEST_IMAGE, post};

/// What all of them share.
pub struct Lab {
    /// Of every kind but a rebuild, whose Mesos starts anew.
    pub mesos: Mesos,
    _registry: Registry,
    /// Where tasks would run.
    pub docker: DockerDaemon,
    /// An image for each site.
    pub images: Vec<String>,
    time: Scratch,
}

impl Lab {
    /// Starts it with as many agents of Mesos and images to pull.
    pub fn start(count: usize) -> Result<Self> {
        let docker = DockerDaemon::start()?;
        let registry = Registry::start()?;
        let offer = |number: usize| registry.offer(&docker, TEST_IMAGE, &format!("builder:{number}"));
        let images = (0..count).map(offer).collect::<Result<_>>()?;
        let mesos = Mesos::start(&docker, count)?;
        let time = Scratch::new("time")?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/later.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(time.join("later.so")).arg(source);
        ensure!(compiler.status().context("run cc")?.success(), "compile tests/lab/later.c");
        Ok(Self { mesos, _registry: registry, docker, images, time })
    }

    /// Which agent of its Mesos is the node's. A rebuilt one comes back under a new id, so it has a Mesos of its own.
    pub fn place(&self, kind: Kind, number: usize) -> usize {
        if kind == Kind::Rebuild { 1 } else { number + 1 }
    }

    /// The same coordinator once so many seconds have gone by.
    pub fn later(&self, setup: Setup, seconds: u32) -> Setup {
        let library: PathBuf = self.time.join("later.so");
        setup
            .with_variable("LD_PRELOAD", &library.display().to_string())
            .with_variable("LATER", &seconds.to_string())
    }
}

/// Stops offers of an agent.
pub fn deactivate(mesos: &Mesos, agent_id: &str) -> Result<()> {
    let body = json!({"type": "DEACTIVATE_AGENT", "deactivate_agent": {"agent_id": {"value": agent_id}}});
    let (status, said) = post(&format!("{}/api/v1", mesos.master_url()), &body)?;
    ensure!(status == 200, "deactivate {agent_id}: {status}: {said}");
    Ok(())
}

/// Whether its offers are stopped, as the master says.
pub fn is_deactivated(mesos: &Mesos, agent_id: &str) -> Result<bool> {
    let state = mesos.state()?;
    let agents = state["slaves"].as_array().context("find the agents of Mesos")?;
    let agent = agents.iter().find(|agent| agent["id"] == agent_id).context("find the agent of Mesos")?;
    Ok(agent["deactivated"] == true)
}
