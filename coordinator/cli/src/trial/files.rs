//! The folder of a trial: a policy, two configurations, state, logs.

use super::found::Found;
use anyhow::Context;
use millwright_protocol::NodeName;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is written where.
pub struct Files {
    folder: PathBuf,
    /// What this machine is called.
    pub node: NodeName,
    /// What there is to look at.
    pub found: Found,
}

impl Files {
    /// For this machine.
    ///
    /// # Errors
    /// When its name is not to be had or is no node's name.
    pub fn new(folder: &Path, found: Found) -> anyhow::Result<Self> {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").context("read this machine's name")?;
        let node = name.trim().parse().context("use this machine's name as a node's name")?;
        Ok(Self { folder: folder.to_owned(), node, found })
    }

    pub fn coordinator_toml(&self) -> String {
        self.path("coordinator.toml")
    }

    pub fn agent_toml(&self) -> String {
        self.path("agent.toml")
    }

    /// Where a program's words go.
    pub fn log(&self, program: &str) -> PathBuf {
        self.folder.join(format!("{program}.log"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Writes the policy and the coordinator's configuration.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_coordinator(&self) -> anyhow::Result<()> {
        self.write("policy.toml", &policy(&self.node, self.found))?;
        self.write("coordinator.toml", &coordinator(&self.folder, self.found))
    }

    /// Writes the agent's configuration.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_agent(&self, coordinator: &str) -> anyhow::Result<()> {
        self.write("agent.toml", &agent(&self.folder, &self.node, self.found, coordinator))
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}

/// This machine as an agent; nothing is protected, and what is not there is `none`.
fn policy(node: &NodeName, found: Found) -> String {
    let master = if found.mesos_master { "required" } else { "none" };
    format!(
        r#"# Written by `millwright try`.
protections = "none"

[cluster]
name = "try"
coordinator = "try"

[classes.agent]
mode = "observe"

[classes.agent.sources]
agent = "required"
mesos_master = "{master}"
jenkins = "none"
marathon = "none"
aurora = "none"
mesos_dns = "none"
openstack = "none"
foreman = "none"
puppetdb = "none"

[[nodes]]
class = "agent"
names = ["{node}"]
"#
    )
}

fn coordinator(folder: &Path, found: Found) -> String {
    let masters = if found.mesos_master { r#""http://127.0.0.1:5050""# } else { "" };
    let state = quoted(&folder.join("coordinator"));
    let policy = quoted(&folder.join("policy.toml"));
    let socket = quoted(&folder.join("coordinator.sock"));
    format!(
        r#"# Written by `millwright try`.
host = "try"
state_dir = {state}
policy = {policy}

[listen]
operators = "127.0.0.1:0"
agents = "127.0.0.1:0"
socket = {socket}

[mesos]
masters = [{masters}]
"#
    )
}

/// Images are looked at and not pulled: a trial does not fill somebody's disk.
fn agent(folder: &Path, node: &NodeName, found: Found, coordinator: &str) -> String {
    let Found { docker, mesos_agent, puppet, build, .. } = found;
    let state = quoted(&folder.join("agent"));
    let volumes = if build { "" } else { "expected = []" };
    let images = if docker { "" } else { "images = []" };
    format!(
        r#"# Written by `millwright try`.
[node]
name = "{node}"
class = "agent"

[coordinator]
url = "{coordinator}"

[status]
listen = "127.0.0.1:0"

[paths]
state = {state}

[checks.volumes]
{volumes}

[checks.docker]
enabled = {docker}

[checks.containers]
enabled = {docker}

[checks.mesos_agent]
enabled = {mesos_agent}

[checks.puppet]
enabled = {puppet}

[prepull]
enabled = false
{images}
"#
    )
}

/// As TOML writes a path.
fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwright_coordinator::{config::Config, policy as policy_file};

    const NOTHING: Found =
        Found { docker: false, mesos_agent: false, mesos_master: false, puppet: false, build: false };
    const EVERYTHING: Found =
        Found { docker: true, mesos_agent: true, mesos_master: true, puppet: true, build: true };

    #[test]
    fn what_is_written_is_read_by_the_programs_it_is_for() {
        let node: NodeName = "n01".parse().unwrap();
        let folder = Path::new("/tmp/with \"quotes\"");
        for found in [NOTHING, EVERYTHING] {
            let policy = policy_file::parse(&policy(&node, found), Path::new("policy.toml")).unwrap();
            assert_eq!(policy.coordinator.as_str(), "try");
            assert!(policy.nodes.contains_key(&node));
            let config = Config::parse(&coordinator(folder, found), Path::new("coordinator.toml")).unwrap();
            assert_eq!(config.host.unwrap().as_str(), "try");
            assert_eq!(config.mesos.masters.len(), usize::from(found.mesos_master));
            let agent: toml::Table = agent(folder, &node, found, "http://127.0.0.1:1").parse().unwrap();
            assert_eq!(agent["prepull"]["enabled"].as_bool(), Some(false));
        }
    }
}
