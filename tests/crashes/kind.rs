//! The kinds of operation: what each takes, where the coordinator can die in it, and how it must end.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::lab::{Lab, is_deactivated};
use super::puppet::Puppet;
use super::system::harness::{Mesos, Node, Setup, Site, acting_policy, step_of};

/// The node that all of them are about, each at a site of its own.
pub const NODE: &str = "alibuild10";

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Drain,
    Return,
    Reboot,
    Prepull,
    Rebuild,
    Create,
    Delete,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.word())
    }
}

impl Kind {
    /// All of them. They share the agents of Mesos, one after the other: what a drain leaves cordoned, a return needs so, and
    /// nobody wants what a delete leaves.
    pub const ALL: [Self; 7] =
        [Self::Reboot, Self::Drain, Self::Return, Self::Prepull, Self::Rebuild, Self::Create, Self::Delete];

    /// As it is asked for.
    pub fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Return => "return",
            Self::Reboot => "reboot",
            Self::Prepull => "prepull",
            Self::Rebuild => "rebuild",
            Self::Create => "create",
            Self::Delete => "delete",
        }
    }

    /// What else is said with the request.
    pub fn request(self) -> Value {
        if self == Self::Delete { json!({ "typed": NODE, "volumes": "delete" }) } else { json!({}) }
    }

    /// How it ends when nothing comes in between.
    pub fn end(self) -> &'static str {
        if self == Self::Drain { "parked" } else { "succeeded" }
    }

    /// After how many events of its story a kill can come, before the last one.
    pub fn events(self) -> u64 {
        match self {
            Self::Drain => 5,
            Self::Return => 6,
            Self::Reboot => 22,
            Self::Prepull => 2,
            Self::Rebuild => 24,
            Self::Create => 18,
            Self::Delete => 22,
        }
    }

    /// The steps of it that a command carries out.
    pub fn commands(self) -> &'static [&'static str] {
        match self {
            Self::Rebuild => &["rebuild"],
            Self::Create => &["create"],
            Self::Delete => &["mask_alarms", "quarantine", "delete_server", "delete_volumes", "ledger"],
            _ => &[],
        }
    }

    /// Whether another machine has the node's name at its end.
    pub fn makes_a_machine(self) -> bool {
        matches!(self, Self::Rebuild | Self::Create)
    }

    /// The site with its node; a node that is still to be made has no agent yet.
    pub fn site(
        self,
        lab: &Lab,
        mesos: &Mesos,
        number: usize,
        cloud: &Cloud,
        puppet: &Puppet,
    ) -> Result<Site> {
        let image = lab.images.get(number).context("find the node's image")?.clone();
        let setup = Setup::new(&self.policy(&image, cloud))?.with_mesos(&mesos.master_url());
        let (agent, socket) = (mesos.agent_url(lab.place(self, number)), lab.docker.socket());
        let (program, folder) = (puppet.program(), puppet.folder());
        let furnish = move |node: Node| {
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
                Self::Rebuild | Self::Create => node
                    .text("paths.root", "/")
                    .with("puppet")
                    .set("checks.puppet.folders", format!("[{folder:?}]"))
                    .set("orders.puppet_command", format!("[{program:?}]")),
                _ => node,
            }
        };
        if self == Self::Create {
            return Site::without_machine(setup, NODE, furnish);
        }
        Site::start(setup, NODE, furnish)
    }

    fn policy(self, image: &str, cloud: &Cloud) -> String {
        let policy = acting_policy("required", &[NODE]) + &cloud.policy();
        match self {
            Self::Prepull => policy.replace("settle = ", &format!("images = [{image:?}]\nsettle = ")),
            // Thirty minutes in which colleagues may object are not what is tried here.
            Self::Rebuild => policy.replace("reboot = {", "rebuild = { kind = \"none\" }\nreboot = {"),
            _ => policy,
        }
    }

    /// Whether the end is the one that it comes to when nobody is killed.
    pub fn is_right(
        self,
        ended: &Value,
        site: &Site,
        mesos: &Mesos,
        agent_id: &str,
        cloud: &Cloud,
    ) -> Result<()> {
        ensure!(ended["state"] == self.end(), "it came to another end: {ended:#}");
        let asked = usize::from(self == Self::Reboot);
        ensure!(
            site.machine.reboots_asked() == asked,
            "it was rebooted {} times",
            site.machine.reboots_asked()
        );
        ensure!(
            is_deactivated(mesos, agent_id)? == matches!(self, Self::Drain | Self::Delete),
            "Mesos says otherwise: {ended:#}"
        );
        let steps = ended["steps"].as_array().context("find its steps")?;
        if let Some(open) = steps.iter().find(|step| step["state"] != "done") {
            bail!("a step is not done: {open:#}");
        }
        for step in self.commands() {
            let attempts = step_of(ended, step).and_then(|step| step["attempt"].as_u64());
            cloud.is_done_once(step, attempts.unwrap_or_default())?;
        }
        let rests_on = |step: &str, id: &str| {
            let evidence = step_of(ended, step).map(|step| step["evidence"].to_string()).unwrap_or_default();
            ensure!(evidence.contains(id), "{step} does not rest on {id}: {evidence}");
            Ok(())
        };
        if self == Self::Reboot {
            rests_on("new_boot", &site.machine.boot_id())?;
        }
        if self.makes_a_machine() {
            rests_on("first_report", &site.machine.machine_id())?;
        }
        site.verify_journal()
    }
}
