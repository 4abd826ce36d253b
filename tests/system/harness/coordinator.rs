//! Our own coordinator: set up for one story, with a policy of its own, and asked over its real addresses.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::http::{get_json, post, post_to_socket};
use super::machine::needs_binary;
use super::process::{Daemon, output_of};
use super::scratch::Scratch;
use super::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(60);
/// Two emptiness proofs are at least a minute apart, and so are two clean reports.
const VERDICT_LIMIT: Duration = Duration::from_secs(180);

/// A coordinator before it starts: what it is told, and where it keeps its state.
#[derive(Debug)]
pub struct Setup {
    settings: String,
    environment: Vec<(String, String)>,
    scratch: Scratch,
}

impl Setup {
    /// A coordinator on the host `lab`, with this policy and free ports.
    pub fn new(policy: &str) -> Result<Self> {
        let scratch = Scratch::new("coordinator")?;
        let policy = scratch.write("policy.toml", policy)?;
        let settings = format!(
            "host = \"lab\"\nstate_dir = {:?}\npolicy = {policy:?}\n[listen]\noperators = \"127.0.0.1:0\"\n\
             agents = \"127.0.0.1:0\"\nsocket = {:?}\n",
            scratch.join("state"),
            scratch.join("coordinator.sock"),
        );
        Ok(Self { settings, environment: Vec::new(), scratch })
    }

    /// Adds a section of `coordinator.toml`.
    pub fn with(mut self, section: &str) -> Self {
        self.settings.push_str(section);
        self.settings.push('\n');
        self
    }

    /// Adds a variable to the environment that it starts in.
    #[allow(dead_code, reason = "only `make crashes` needs it")]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Listens for operators there instead.
    pub fn with_operators(mut self, address: &str) -> Self {
        self.settings = self.settings.replacen("127.0.0.1:0", address, 1);
        self
    }

    /// Listens for agents there instead.
    pub fn with_agents(mut self, address: &str) -> Self {
        self.settings =
            self.settings.replacen("agents = \"127.0.0.1:0\"", &format!("agents = {address:?}"), 1);
        self
    }

    /// Asks these Mesos masters every two seconds.
    pub fn with_mesos(self, master: &str) -> Self {
        self.with(&format!("[mesos]\nmasters = [\"{master}\"]\nevery = \"2s\"\ntimeout = \"2s\""))
    }

    /// Replaces the policy on the disk, which a running coordinator notices.
    pub fn write_policy(&self, policy: &str) -> Result<()> {
        self.scratch.write("policy.toml", policy).map(drop)
    }

    /// Where it keeps its state.
    pub fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.scratch.join("state/coordinator.sqlite")
    }

    /// Runs the coordinator's program with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        let config = self.scratch.write("coordinator.toml", &self.settings)?;
        let mut command = Command::new(needs_binary("millwright-coordinator")?);
        output_of(command.arg("--config").arg(config).args(arguments), LIMIT)
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> Result<Coordinator> {
        let program = needs_binary("millwright-coordinator")?;
        let config = self.scratch.write("coordinator.toml", &self.settings)?;
        let log = self.scratch.join("coordinator.log");
        // The log of a former run has an announcement too.
        let _ = fs::remove_file(&log);
        let mut command = Daemon::leashed(&program);
        command.arg("--config").arg(config).args(["run", "--announce"]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut daemon = Daemon::start("millwright-coordinator", &mut command, &log)?;
        let announced = daemon.wait_for("its addresses", LIMIT, || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok())
        })?;
        let address = |whom: &str| {
            let address = announced.get(whom).and_then(Value::as_str);
            address.map(str::to_owned).with_context(|| format!("find {whom} in {announced}"))
        };
        Ok(Coordinator {
            operators: address("operators")?,
            agents: address("agents")?,
            socket: address("socket")?.into(),
            daemon,
            setup: self,
        })
    }
}

/// A running coordinator.
#[derive(Debug)]
pub struct Coordinator {
    operators: String,
    agents: String,
    socket: PathBuf,
    daemon: Daemon,
    setup: Setup,
}

impl Coordinator {
    /// Where dashboard and API are, without a path.
    pub fn url(&self) -> &str {
        &self.operators
    }

    /// Where agents report, without a path.
    pub fn agents_url(&self) -> &str {
        &self.agents
    }

    /// The Unix socket, for root.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// Everything it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.setup.scratch.join("coordinator.log")).unwrap_or_default()
    }

    /// What it was started with.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// What a GET of this path of the API says.
    pub fn ask(&self, path: &str) -> Result<Value> {
        get_json(&format!("{}/api/v1/{path}", self.operators))
    }

    /// A node with everything that is known about it.
    pub fn node(&self, name: &str) -> Result<Value> {
        self.ask(&format!("nodes/{name}"))
    }

    /// Whether this may be done to the node, and why not.
    pub fn verdict(&self, action: &str, node: &str) -> Result<Value> {
        self.ask(&format!("verdicts?action={action}&node={node}"))
    }

    /// Writes as root on the Unix socket; the status and what was answered.
    pub fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        post_to_socket(&self.socket, &format!("/api/v1/{path}"), body)
    }

    /// The same over TCP.
    pub fn post_over_tcp(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        post(&format!("{}/api/v1/{path}", self.operators), body)
    }

    /// Waits for the answer of a GET to be as wanted and returns what `look` takes out of it.
    pub fn wait_for<T>(&self, what: &str, path: &str, look: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let mut last = Value::Null;
        let found = wait_for(what, VERDICT_LIMIT, || {
            last = self.ask(path)?;
            Ok(look(&last))
        });
        found.with_context(|| format!("{path} said last: {last:#}\n{}", self.daemon.log_tail()))
    }

    /// Waits until the verdict is this word, such as `allowed`, and returns the whole.
    pub fn wait_verdict(&self, action: &str, node: &str, word: &str) -> Result<Value> {
        let path = format!("verdicts?action={action}&node={node}");
        self.wait_for(&format!("{action} {node} to be {word}"), &path, |verdict| {
            (verdict.get("verdict")? == word).then(|| verdict.clone())
        })
    }

    /// Ends it and gives its setup and state back, to start it again.
    pub fn stop(mut self) -> Setup {
        self.daemon.stop();
        self.setup
    }

    /// Ends it without a word, as a crash would, and gives its setup and state back.
    pub fn kill(mut self) -> Result<Setup> {
        self.daemon.signal(nix::sys::signal::Signal::SIGKILL)?;
        self.daemon.stop();
        Ok(self.setup)
    }
}

/// The codes of a verdict's reasons.
pub fn codes(verdict: &Value) -> Vec<String> {
    let reasons = verdict.get("reasons").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    reasons.iter().filter_map(|reason| Some(reason.get("code")?.as_str()?.to_owned())).collect()
}
