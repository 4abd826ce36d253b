//! One operation with one kill in it: what it takes, where the coordinator dies, and how it must end.

use std::fmt;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::Chance;
use super::system::harness::{
    DockerDaemon, Mesos, Node, Registry, Setup, Site, TEST_IMAGE, acting_policy, post, step_of, story_of,
};

const NODE: &str = "alibuild10";
/// Two minutes of proofs, a start that warms up, and a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(420);

/// What all of them share.
pub struct Lab {
    mesos: Mesos,
    _registry: Registry,
    docker: DockerDaemon,
    images: Vec<String>,
}

impl Lab {
    /// Starts it with as many agents of Mesos and images to pull.
    pub fn start(count: usize) -> Result<Self> {
        let docker = DockerDaemon::start()?;
        let registry = Registry::start()?;
        let offer = |number: usize| registry.offer(&docker, TEST_IMAGE, &format!("builder:{number}"));
        let images = (0..count).map(offer).collect::<Result<_>>()?;
        let mesos = Mesos::start(&docker, count)?;
        Ok(Self { mesos, _registry: registry, docker, images })
    }
}

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Drain,
    Return,
    Reboot,
    Prepull,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.word())
    }
}

impl Kind {
    /// All of them. They share the agents of Mesos, one after the other: what a drain leaves cordoned, a return needs so.
    pub const ALL: [Self; 4] = [Self::Reboot, Self::Drain, Self::Return, Self::Prepull];

    fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Return => "return",
            Self::Reboot => "reboot",
            Self::Prepull => "prepull",
        }
    }

    /// How it ends when nothing comes in between.
    fn end(self) -> &'static str {
        if self == Self::Drain { "parked" } else { "succeeded" }
    }

    /// After how many events of its story a kill can come, before the last one.
    fn events(self) -> u64 {
        match self {
            Self::Drain => 5,
            Self::Return => 6,
            Self::Reboot => 22,
            Self::Prepull => 2,
        }
    }

    /// Begins it on a node of its own, kills the coordinator, and looks how it ends. Returns after how many events of its
    /// story the kill came.
    pub fn carry_through(self, lab: &Lab, number: usize, chance: &mut Chance) -> Result<usize> {
        let mut site = self.site(lab, number)?;
        let agent_id = lab.mesos.agent_id(number + 1)?;
        if self == Self::Return {
            deactivate(&lab.mesos, &agent_id)?;
        }
        let id = site.begin(self.word(), &json!({}))?;
        let kill_after = chance.below(self.events()) + 1;
        let pause = Duration::from_millis(chance.below(800));
        let began = Instant::now();
        let mut killed_after = None;
        let ended = loop {
            ensure!(began.elapsed() < LIMIT, "{id} has not ended: {:#}", site.operation(&id)?);
            let operation = site.operation(&id)?;
            let events = story_of(&operation).len();
            let is_over = operation["state"] == self.end() || !operation["ended"].is_null();
            if killed_after.is_none() && (events as u64 >= kill_after || is_over) {
                sleep(pause);
                site.crash()?;
                killed_after = Some(events);
                continue;
            }
            if is_over {
                break operation;
            }
            if site.machine.reboots_asked() > 0 && site.machine.boots() == 1 {
                site.machine.reboot()?;
            }
            sleep(Duration::from_millis(20));
        };
        self.is_right(&ended, &site, lab, &agent_id)?;
        lab.docker.cli(&["version"]).context("ask the Docker that all share")?;
        killed_after.context("it was never killed")
    }

    fn site(self, lab: &Lab, number: usize) -> Result<Site> {
        let policy = acting_policy("required", &[NODE]);
        let image = lab.images.get(number).context("find the node's image")?.clone();
        let policy = match self {
            Self::Prepull => policy.replace("settle = ", &format!("images = [{image:?}]\nsettle = ")),
            _ => policy,
        };
        let setup = Setup::new(&policy)?.with_mesos(&lab.mesos.master_url());
        let (agent, socket): (String, PathBuf) = (lab.mesos.agent_url(number + 1), lab.docker.socket());
        Site::start(setup, NODE, move |node: Node| {
            // A dozen on one machine are slower than one.
            let node = node.looking_every("5s").with("mesos_agent").text("checks.mesos_agent.url", &agent);
            match self {
                // Left to itself it would pull the image some day.
                Self::Prepull => node
                    // Room is looked for where Docker keeps its images.
                    .text("paths.root", "/")
                    .text("checks.docker.socket", socket.display())
                    .set("prepull.enabled", true)
                    .text("prepull.start_jitter", "24h")
                    .text("prepull.room", "1MiB")
                    .set("prepull.images", format!("[{image:?}]")),
                _ => node,
            }
        })
    }

    /// Whether the end is the one that it comes to when nobody is killed.
    fn is_right(self, ended: &Value, site: &Site, lab: &Lab, agent_id: &str) -> Result<()> {
        ensure!(ended["state"] == self.end(), "it came to another end: {ended:#}");
        let asked = usize::from(self == Self::Reboot);
        ensure!(
            site.machine.reboots_asked() == asked,
            "it was rebooted {} times",
            site.machine.reboots_asked()
        );
        ensure!(
            is_deactivated(&lab.mesos, agent_id)? == (self == Self::Drain),
            "Mesos says otherwise: {ended:#}"
        );
        let steps = ended["steps"].as_array().context("find its steps")?;
        if let Some(open) = steps.iter().find(|step| step["state"] != "done") {
            bail!("a step is not done: {open:#}");
        }
        if self == Self::Reboot {
            let evidence = step_of(ended, "new_boot").map(|step| step["evidence"].to_string());
            ensure!(evidence.is_some_and(|told| told.contains(&site.machine.boot_id())), "{ended:#}");
        }
        site.copy_of_store().map(drop)
    }
}

fn deactivate(mesos: &Mesos, agent_id: &str) -> Result<()> {
    let body = json!({"type": "DEACTIVATE_AGENT", "deactivate_agent": {"agent_id": {"value": agent_id}}});
    let (status, said) = post(&format!("{}/api/v1", mesos.master_url()), &body)?;
    ensure!(status == 200, "deactivate {agent_id}: {status}: {said}");
    Ok(())
}

fn is_deactivated(mesos: &Mesos, agent_id: &str) -> Result<bool> {
    let state = mesos.state()?;
    let agents = state["slaves"].as_array().context("find the agents of Mesos")?;
    let agent = agents.iter().find(|agent| agent["id"] == agent_id).context("find the agent of Mesos")?;
    Ok(agent["deactivated"] == true)
}
