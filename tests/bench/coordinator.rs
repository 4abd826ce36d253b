//! The real coordinator, on a processor of its own.

use crate::{
    authority::Authority,
    lab::harness::Scratch,
    programs::{on_processor, ours},
    sample_fleet,
    watched::Watched,
};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;

/// The name in its certificate.
pub const HOST: &str = "coordinator";

/// One that answers.
pub struct Coordinator {
    /// The program.
    pub watched: Watched,
    /// Its port for operators.
    pub operators: u16,
    /// Its port for agents.
    pub agents: u16,
}

/// The line of `run --announce`, as far as we need it.
#[derive(Deserialize)]
struct Announcement {
    operators: String,
    agents: String,
}

impl Coordinator {
    /// Starts it with a fleet of so many nodes, in the state in which an earlier one left `scratch`; with mutual TLS where
    /// there is an authority. `ports` are those of operators and agents, 0 for any.
    pub fn start(
        scratch: &Scratch,
        nodes: u32,
        authority: Option<&Authority>,
        [operators, agents]: [u16; 2],
    ) -> Result<Self> {
        let policy = scratch.write("policy.toml", &sample_fleet::policy_text(nodes, false)?)?;
        let state = scratch.make("state")?;
        let config = scratch.write(
            "coordinator.toml",
            &format!(
                "host = \"bench-coordinator\"\nstate_dir = {state:?}\npolicy = {policy:?}\n[listen]\n\
                 operators = \"127.0.0.1:{operators}\"\nagents = \"127.0.0.1:{agents}\"\nsocket = {socket:?}\n{tls}",
                state = state.display().to_string(),
                policy = policy.display().to_string(),
                socket = scratch.join("socket").display().to_string(),
                tls = authority.map_or_else(String::new, |authority| format!(
                    "{}domains = [{:?}]\n",
                    authority.section(HOST),
                    crate::authority::DOMAIN
                )),
            ),
        )?;
        let mut command = on_processor(0, &ours("millwright-coordinator")?);
        // Each change of a node is a line of the log; that is part of the price, and goes where the journal would be.
        command.arg("--config").arg(config).args(["run", "--announce"]);
        let mut watched = Watched::start("coordinator", &command, scratch.path())?;
        let log = scratch.join("coordinator.log");
        let announced = || -> Option<Announcement> {
            let text = fs::read_to_string(&log).ok()?;
            text.lines().find_map(|line| serde_json::from_str(line).ok())
        };
        watched.wait_for("its announcement", || announced().is_some())?;
        let announcement = announced().context("read the announcement")?;
        let port = |address: &str| address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let operators = port(&announcement.operators).context("read the operators' port")?;
        let agents = port(&announcement.agents).context("read the agents' port")?;
        Ok(Self { watched, operators, agents })
    }
}
