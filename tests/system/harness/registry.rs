//! A Docker registry on loopback, which engines trust without TLS.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::docker::DockerDaemon;
use super::http::get;
use super::machine::needs_program;
use super::ports::free_port;
use super::process::Daemon;
use super::scratch::Scratch;

/// A running registry with nothing in it.
#[derive(Debug)]
pub struct Registry {
    port: u16,
    _daemon: Daemon,
    scratch: Scratch,
}

impl Registry {
    /// Starts an empty registry.
    pub fn start() -> Result<Self> {
        let program = needs_program("docker-registry", "docker-registry")?;
        let scratch = Scratch::new("registry")?;
        let port = free_port()?;
        let config = scratch.write("registry.yml", &configuration(port, &scratch))?;
        let mut command: Command = Daemon::leashed(&program);
        command.arg("serve").arg(config);
        let mut daemon = Daemon::start("docker-registry", &mut command, &scratch.join("registry.log"))?;
        let url = format!("http://127.0.0.1:{port}/v2/");
        daemon.wait_for("the registry's answer", Duration::from_secs(30), || {
            get(&url).is_ok_and(|(status, _)| status == 200).then_some(())
        })?;
        Ok(Self { port, _daemon: daemon, scratch })
    }

    /// How an image is called when it lies here: `127.0.0.1:20001/alisw/slc7-builder`.
    pub fn name(&self, image: &str) -> String {
        format!("127.0.0.1:{}/{image}", self.port)
    }

    /// Where its HTTP API is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port of that API.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Loses everything larger than `bytes` that was ever offered, while its manifests stay.
    pub fn lose_layers(&self, bytes: u64) -> Result<()> {
        let blobs = self.scratch.join("images/docker/registry/v2/blobs/sha256");
        for group in fs::read_dir(&blobs).context("list the registry's blobs")? {
            for blob in fs::read_dir(group?.path())? {
                let data = blob?.path().join("data");
                if data.metadata()?.len() > bytes {
                    fs::remove_file(&data).with_context(|| format!("remove {}", data.display()))?;
                }
            }
        }
        Ok(())
    }

    /// Copies an image the engine has to the registry as `name`, and makes the engine forget that name, so that
    /// it can be pulled. Returns the full name.
    pub fn offer(&self, docker: &DockerDaemon, image: &str, name: &str) -> Result<String> {
        let full_name = self.name(name);
        docker.tag(image, &full_name)?;
        docker.cli(&["push", &full_name]).context("push to the registry")?;
        docker.cli(&["rmi", &full_name])?;
        Ok(full_name)
    }
}

fn configuration(port: u16, scratch: &Scratch) -> String {
    let folder = scratch.join("images");
    format!(
        "version: 0.1\n\
         log:\n  level: warn\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
         http:\n  addr: 127.0.0.1:{port}\n",
        folder.display()
    )
}
