//! `make story-silent`: a node freezes with a task on it, stays silent for five minutes, is reset from outside by the
//! command that policy names, and comes back verified. Its own program, because nothing makes five minutes shorter.
//!
//! Coordinator, agent, Mesos 1.11.0 and the task are real. Played are the freeze (the agent is killed, its Mesos agent is
//! gone, its ssh refuses) and the cloud's reset, which is a script that leaves a mark.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that tells what it sees")]
#![allow(clippy::indexing_slicing, reason = "a member that an answer in JSON lacks is null")]

// The lab of the stories; a path on the folder, since on the file its own modules would not be found.
#[path = "../system"]
mod system {
    #[allow(dead_code, unused_imports, reason = "this needs less than all stories together")]
    pub mod harness;
}

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use system::harness::{
    DockerDaemon, Mesos, Node, Scratch, Setup, Site, TaskSpec, acting_policy, free_port, step_of, wait_for,
};

/// The only name that leads to this machine without a name server, so that its ssh can be tried.
const NODE: &str = "localhost";
const SILENCE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    match story() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("story-silent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn story() -> Result<()> {
    let began = Instant::now();
    let say = |words: &str| println!("story-silent: {:4} s  {words}", began.elapsed().as_secs());
    let docker = DockerDaemon::start()?;
    let mut mesos = Mesos::start(&docker, 2)?;
    let cloud = Cloud::new()?;
    let mut site = site(&mesos, &cloud)?;
    let mut task = mesos.run_task(TaskSpec::named("endless").on_agent(2))?;
    task.wait_running()?;
    site.coordinator()?.wait_for("its task to be seen", &format!("nodes/{NODE}"), |node| {
        node["living_tasks"].to_string().contains("endless.0").then_some(())
    })?;
    site.coordinator()?.wait_for("its verification", &format!("nodes/{NODE}"), |node| {
        node["boot"]["verified_at"].as_str().map(drop)
    })?;
    say("the node is healthy and runs endless.0; now it freezes, and the coordinator is killed meanwhile");

    site.machine.go_down()?;
    site.crash_while(|| mesos.start_again_with(1))?;
    let (status, refusal) = site.ask("reboot", &json!({ "confirm": ["silent_node"] }))?;
    ensure!(status == 409, "a node that has just fallen silent is reset from outside: {refusal:#}");
    say("refused for now; a node counts as silent for good after five minutes without a report");
    let verdict = wait_for("the verdict on a silent node", SILENCE, || {
        let verdict = site.coordinator()?.verdict("reboot", NODE)?;
        Ok(verdict.to_string().contains("\"silent_node\"").then_some(verdict))
    })?;
    let reasons = verdict["reasons"].as_array().context("find the reasons")?;
    ensure!(reasons.len() == 1, "not the only reason: {verdict:#}");
    let sentence = reasons[0]["sentence"].as_str().unwrap_or_default();
    ensure!(sentence.contains("endless.0"), "the task that is lost is not named: {sentence}");
    say(sentence);

    let (status, refusal) = site.ask("reboot", &json!({ "confirm": ["silent_node"] }))?;
    ensure!(status == 409, "a protected task is lost without its name: {refusal:#}");
    let id = site.begin("reboot", &json!({ "confirm": ["silent_node"], "let_go": ["endless.0"] }))?;
    wait_for("the reset from outside", SILENCE, || Ok((cloud.resets() > 0).then_some(())))?;
    say("reset from outside; the machine boots and its Mesos agent comes back");
    mesos.start_again_with(2)?;
    site.machine.boot()?;
    let ended = site.wait_end(&id, "succeeded")?;
    ensure!(cloud.resets() == 1, "it was reset {} times", cloud.resets());
    let evidence = step_of(&ended, "new_boot").map(|step| step["evidence"].to_string()).unwrap_or_default();
    ensure!(evidence.contains(&site.machine.boot_id()), "{evidence}");
    say("succeeded: one reset, a new boot, verified, and new work may come");
    Ok(())
}

fn site(mesos: &Mesos, cloud: &Cloud) -> Result<Site> {
    let command = cloud.command();
    let policy = acting_policy("required", &[NODE])
        + &format!(
            "[executors]\nby = \"command\"\n[executors.commands]\nhard_reboot = [{command:?}, \"{{host}}\"]\n"
        );
    // Nothing listens there, so that its ssh refuses.
    let setup = Setup::new(&policy)?
        .with_mesos(&mesos.master_url())
        .with(&format!("[probe]\nport = {}", free_port()?));
    let agent = mesos.agent_url(2);
    Site::start(setup, NODE, move |node: Node| {
        node.with("mesos_agent").text("checks.mesos_agent.url", &agent)
    })
}

/// The cloud's side of a hard reset.
struct Cloud {
    scratch: Scratch,
}

impl Cloud {
    fn new() -> Result<Self> {
        let scratch = Scratch::new("cloud")?;
        let marks = scratch.join("resets");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = {NODE} ] || {{ echo \"No server with a name or ID of '$1' exists.\" >&2; exit 1; }}\n\
             echo \"$1\" >> {}\n",
            marks.display()
        );
        let command = scratch.write("hard-reboot", &script)?;
        fs::set_permissions(command, fs::Permissions::from_mode(0o755))?;
        Ok(Self { scratch })
    }

    fn command(&self) -> String {
        self.scratch.join("hard-reboot").display().to_string()
    }

    fn resets(&self) -> usize {
        fs::read_to_string(self.scratch.join("resets")).unwrap_or_default().lines().count()
    }
}
