//! Our own agent: configured for one story, asked once or left running.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use millwright_agent::status::view::StatusView;
use millwright_protocol::{Finding, Status};

use super::docker::DockerDaemon;
use super::http::{get, get_json};
use super::machine::{needs_binary, needs_program};
use super::process::{Daemon, output_of};
use super::scratch::Scratch;
use super::wait::wait_for;

/// The first words of an agent come within this, and every single command of it ends.
const LIMIT: Duration = Duration::from_secs(60);
/// Beyond the longest wait the product itself has: a minute of silence, and the looks before and after it.
const FINDING_LIMIT: Duration = Duration::from_secs(150);

/// Every check there is; a story switches on what it is about.
const CHECKS: [&str; 11] = [
    "system",
    "processes",
    "certificate",
    "volumes",
    "mounts",
    "docker",
    "containers",
    "mesos_agent",
    "mesos_master",
    "zookeeper",
    "puppet",
];

/// A node of the cluster as its `agent.toml` describes it, before an agent runs on it.
#[derive(Debug)]
pub struct Node {
    settings: BTreeMap<String, String>,
    rhythm: &'static str,
    hidden: Vec<PathBuf>,
    scratch: Scratch,
}

impl Node {
    /// A node on which nothing is checked yet, with ids of its own and nobody to report to.
    pub fn named(name: &str) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let mut node = Self { settings: BTreeMap::new(), rhythm: "1s", hidden: Vec::new(), scratch };
        let state = node.scratch.make("state")?;
        let id = |kind: &str| format!("{name}-{kind}");
        let machine = node.scratch.write("machine-id", &id("machine"))?;
        let boot = node.scratch.write("boot-id", &id("boot"))?;
        // A file that is not there: virtual machines of the cluster have no such id either.
        let server = node.scratch.join("server-uuid");
        node = node.text("node.name", name).text("node.class", "agent").text("status.listen", "127.0.0.1:0");
        for (key, path) in
            [("state", state), ("machine_id", machine), ("boot_id", boot), ("server_uuid", server)]
        {
            node = node.text(&format!("paths.{key}"), path.display());
        }
        for check in CHECKS {
            node = node.set(&format!("checks.{check}.enabled"), false);
        }
        Ok(node.set("prepull.enabled", false).set("prepull.images", "[]"))
    }

    /// Sets a key to a number, a truth value or a list, as TOML writes it.
    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        self.settings.insert(key.to_owned(), value.to_string());
        self
    }

    /// Sets a key to a text, such as a path or a duration.
    pub fn text(self, key: &str, value: impl Display) -> Self {
        self.set(key, format!("{:?}", value.to_string()))
    }

    /// Checks switched on from here look this often, and may take as long.
    pub fn looking_every(self, rhythm: &'static str) -> Self {
        Self { rhythm, ..self }
    }

    /// Switches a check on, looking every second unless told otherwise before.
    pub fn with(self, check: &str) -> Self {
        let rhythm = self.rhythm;
        self.set(&format!("checks.{check}.enabled"), true)
            .text(&format!("checks.{check}.every"), rhythm)
            .text(&format!("checks.{check}.deadline"), rhythm)
    }

    /// Checks this Docker and the containers in it.
    pub fn with_docker(self, docker: &DockerDaemon) -> Self {
        self.with("docker")
            .with("containers")
            .text("checks.docker.socket", docker.socket().display())
            // How full this machine's disk is must not decide a story.
            .set("checks.docker.warn_used_percent", 100)
            .set("checks.docker.crit_used_percent", 100)
    }

    /// Its agent does not see what is mounted here: several nodes on one machine each have volumes of their own. What
    /// is mounted or unmounted elsewhere after the agent's start it does not see either.
    pub fn without(mut self, mount_point: &Path) -> Self {
        self.hidden.push(mount_point.to_owned());
        self
    }

    /// Its configuration, as written.
    pub fn config(&self) -> String {
        self.settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
    }

    /// Looks once with every check and ends.
    pub fn check(&self) -> Result<(StatusView, i32)> {
        let output = self.run(&["check", "--json"])?;
        let said = String::from_utf8_lossy(&output.stdout);
        let view = serde_json::from_str(&said).with_context(|| {
            format!("read what `check` said: {said}{}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok((view, output.status.code().context("ask for the exit code of `check`")?))
    }

    /// Runs the agent with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        let config = self.scratch.write("agent.toml", &self.config())?;
        let mut command = Command::new(needs_binary("millwright-agent")?);
        output_of(command.arg("--config").arg(config).args(arguments), LIMIT)
    }

    /// Starts the agent and waits until it shows its status.
    pub fn start(self) -> Result<Agent> {
        let program = needs_binary("millwright-agent")?;
        let config = self.scratch.write("agent.toml", &self.config())?;
        let log = self.scratch.join("agent.log");
        let mut command = self.command(&program)?;
        command.arg("--config").arg(config);
        // A node that is started again has the lines of the run before.
        let before = fs::read_to_string(&log).unwrap_or_default().lines().count();
        let mut daemon = Daemon::start("millwright-agent", &mut command, &log)?;
        let url = daemon.wait_for("its status", LIMIT, || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            Some(said.lines().skip(before).find_map(|line| line.strip_prefix("status on "))?.to_owned())
        })?;
        Ok(Agent { url, daemon, log, node: self })
    }

    fn command(&self, program: &Path) -> Result<Command> {
        if self.hidden.is_empty() {
            return Ok(Daemon::leashed(program));
        }
        // A view of the mounts of its own, from its start on.
        let mut command = Daemon::leashed(&needs_program("unshare", "util-linux")?);
        let script = r#"until [ "$1" = -- ]; do umount "$1" || exit; shift; done; shift; exec "$@""#;
        // What is mounted and unmounted outside later happens in there too; what it unmounts stays its own affair.
        command.args(["--mount", "--propagation", "slave", "sh", "-c", script, "sh"]);
        command.args(&self.hidden).arg("--").arg(program);
        Ok(command)
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    url: String,
    daemon: Daemon,
    log: PathBuf,
    node: Node,
}

impl Agent {
    /// Where its status is, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The node it looks after.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its status now.
    pub fn status(&self) -> Result<StatusView> {
        let status = get_json(&format!("{}/status", self.url))?;
        serde_json::from_value(status).context("read the agent's status")
    }

    /// Its page for people.
    pub fn page(&self) -> Result<String> {
        Ok(get(&format!("{}/", self.url))?.1)
    }

    /// Everything it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for the status to be as wanted and returns what `look` takes out of it.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&StatusView) -> Option<T>) -> Result<T> {
        let mut last = None;
        let found = wait_for(what, FINDING_LIMIT, || {
            let view = self.status()?;
            let found = look(&view);
            last = Some(view);
            Ok(found)
        });
        found.with_context(|| match &last {
            Some(view) => format!("{} said last:\n{}", view.node, told(&view.findings)),
            None => self.daemon.log_tail(),
        })
    }

    /// Waits until the finding with this key, such as `volume/build`, has this status, and returns it.
    pub fn wait_finding(&self, key: &str, status: Status) -> Result<Finding> {
        self.wait_for(&format!("{key} to be {}", status.as_str()), |view| {
            find(&view.findings, key).filter(|finding| finding.status == status).cloned()
        })
    }

    /// Ends it and gives its node back, to start it again.
    pub fn stop(mut self) -> Node {
        self.daemon.stop();
        self.node
    }

    /// Ends it without a word, as a crash would.
    pub fn kill(self) -> Result<()> {
        self.daemon.signal(nix::sys::signal::Signal::SIGKILL)
    }
}

/// The finding with this key.
pub fn find<'view>(findings: &'view [Finding], key: &str) -> Option<&'view Finding> {
    findings.iter().find(|finding| finding.key() == key)
}

/// The finding with this key, or an error that lists those there are.
pub fn finding<'view>(view: &'view StatusView, key: &str) -> Result<&'view Finding> {
    match find(&view.findings, key) {
        Some(finding) => Ok(finding),
        None => bail!("find {key} among:\n{}", told(&view.findings)),
    }
}

fn told(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| format!("  {:7} {}: {}\n", finding.status.as_str(), finding.key(), finding.sentence))
        .collect()
}
