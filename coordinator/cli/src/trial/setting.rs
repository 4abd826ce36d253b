//! What this machine has, and the three files that say so.

use anyhow::{Context, Result};
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where Docker listens unless somebody moved it.
const DOCKER: &str = "/var/run/docker.sock";
/// Folders of Puppet's last run, old and new.
const PUPPET: [&str; 5] = [
    "/opt/puppetlabs/puppet/public",
    "/opt/puppetlabs/puppet/cache/state",
    "/var/lib/puppet/state",
    "/var/cache/puppet/public",
    "/var/cache/puppet/state",
];

/// One machine.
pub struct Setting {
    pub folder: PathBuf,
    pub node: String,
    docker: bool,
    mesos_agent: bool,
    mesos_master: bool,
    puppet: bool,
    build_volume: bool,
    /// Ports that are fixed for production, where they are free; 0 otherwise.
    operators: u16,
    agents: u16,
    status: u16,
}

impl Setting {
    /// Looks around.
    pub fn of_this_machine(folder: PathBuf, once: bool) -> Result<Self> {
        let host = nix::unistd::gethostname().context("read the host name")?;
        let short = host.to_string_lossy().split('.').next().unwrap_or_default().to_lowercase();
        let node = if short.parse::<millwright_protocol::NodeName>().is_ok() {
            short
        } else {
            "this-machine".to_owned()
        };
        let usual = |port| if once || !is_free(port) { 0 } else { port };
        Ok(Self {
            folder,
            node,
            docker: std::os::unix::net::UnixStream::connect(DOCKER).is_ok(),
            mesos_agent: answers(5051),
            mesos_master: answers(5050),
            puppet: PUPPET.iter().any(|folder| Path::new(folder).join("last_run_summary.yaml").exists()),
            build_volume: Path::new("/build").exists(),
            operators: usual(8480),
            agents: usual(8482),
            status: usual(8481),
        })
    }

    pub fn coordinator_toml(&self) -> PathBuf {
        self.folder.join("coordinator.toml")
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("coordinator.sock")
    }

    pub fn agent_toml(&self) -> PathBuf {
        self.folder.join("agent.toml")
    }

    /// What is looked at here, in words.
    pub fn story(&self) -> String {
        let parts = [
            (self.docker, "Docker"),
            (self.mesos_agent, "a Mesos agent"),
            (self.mesos_master, "a Mesos master"),
            (self.puppet, "Puppet"),
            (self.build_volume, "/build"),
        ];
        let some = |wanted: bool| {
            let names: Vec<&str> =
                parts.iter().filter(|(has, _)| *has == wanted).map(|(_, name)| *name).collect();
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        };
        format!("looked at beside the system itself: {}; not here: {}", some(true), some(false))
    }

    /// The coordinator's file and the policy: this node as an agent, absent systems `none`.
    pub fn write_coordinator(&self) -> Result<()> {
        let mesos_master = if self.mesos_master { "required" } else { "none" };
        let node = &self.node;
        let policy = format!(
            "# Written by `millwright try` for this machine.\n\
             protections = \"none\"\n\n\
             [cluster]\nname = \"try\"\ncoordinator = \"try\"\n\n\
             [classes.agent]\nmode = \"observe\"\n\n\
             [classes.agent.sources]\nagent = \"required\"\nmesos_master = \"{mesos_master}\"\n\
             jenkins = \"none\"\nmarathon = \"none\"\naurora = \"none\"\nmesos_dns = \"none\"\n\
             openstack = \"none\"\nforeman = \"none\"\npuppetdb = \"none\"\nroger = \"none\"\n\n\
             [[nodes]]\nclass = \"agent\"\nnames = [\"{node}\"]\n"
        );
        let folder = self.folder.display();
        let masters = if self.mesos_master { "[mesos]\nmasters = [\"http://127.0.0.1:5050\"]\n" } else { "" };
        let coordinator = format!(
            "host = \"try\"\nstate_dir = \"{folder}/coordinator\"\npolicy = \"{folder}/policy.toml\"\n\n\
             [listen]\noperators = \"127.0.0.1:{}\"\nagents = \"127.0.0.1:{}\"\nsocket = \"{}\"\n\n{masters}",
            self.operators,
            self.agents,
            self.socket().display()
        );
        fs::create_dir_all(self.folder.join("coordinator")).context("make the coordinator's folder")?;
        self.write("policy.toml", &policy)?;
        self.write("coordinator.toml", &coordinator)
    }

    /// The agent's file: it reports to the address that the coordinator announced.
    pub fn write_agent(&self, agents: &str) -> Result<()> {
        let folder = self.folder.display();
        let volumes = if self.build_volume { "" } else { "expected = []\n" };
        let images = if self.docker { "" } else { "images = []\n" };
        fs::create_dir_all(self.folder.join("agent")).context("make the agent's folder")?;
        let machine_id = self.machine_id()?;
        let agent = format!(
            "[node]\nname = \"{node}\"\nclass = \"agent\"\n\n\
             [coordinator]\nurl = \"{agents}\"\n\n\
             [status]\nlisten = \"127.0.0.1:{status}\"\n\n\
             [paths]\nstate = \"{folder}/agent\"\n{machine_id}\n\
             [checks.volumes]\n{volumes}\n\
             [checks.docker]\nenabled = {docker}\n\n\
             [checks.containers]\nenabled = {docker}\n\n\
             [checks.mesos_agent]\nenabled = {mesos_agent}\n\n\
             [checks.puppet]\nenabled = {puppet}\n\n\
             # A trial does not fill anybody's disk.\n[prepull]\nenabled = false\n{images}",
            node = self.node,
            status = self.status,
            docker = self.docker,
            mesos_agent = self.mesos_agent,
            puppet = self.puppet,
        );
        self.write("agent.toml", &agent)
    }

    /// A bare container has no machine id; one that lasts as long as the trial will do.
    fn machine_id(&self) -> Result<String> {
        if fs::read_to_string("/etc/machine-id").is_ok_and(|id| !id.trim().is_empty()) {
            return Ok(String::new());
        }
        let boot =
            fs::read_to_string("/proc/sys/kernel/random/boot_id").context("read the id of this boot")?;
        self.write("machine-id", &boot.replace('-', ""))?;
        Ok(format!("machine_id = \"{}/machine-id\"\n", self.folder.display()))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        // Neither agent nor coordinator reads what a group could change, and some people's umask lets theirs.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
            .with_context(|| format!("set the mode of {}", path.display()))
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn answers(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_millis(500)).is_ok()
}
