//! `make test-openstack`: three nodes and their servers in a real Keystone, Nova, Cinder and Glance.
//!
//! Coordinator and agents are real, and so is the cloud but for its ends: the guests do not run and the volumes have no disks.
//! Played are the machines: they go down, and boot with the disk that the cloud would have given them. Three stories at once:
//!
//! - `rebuild`: refused while two servers have the name and while Keystone hangs; the coordinator is killed in the middle,
//!   and the server is rebuilt once.
//! - `reset`: a node freezes; its server is reset from outside, though the part of Nova that runs it is away for a while.
//! - `delete`: refused while its volume is unknown, then protected, then while somebody has locked the server; then stopped,
//!   locked and deleted, its volume after it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that tells what it sees")]
#![allow(clippy::indexing_slicing, reason = "a member that an answer in JSON lacks is null")]

mod lab;
#[path = "../crashes/puppet.rs"]
mod puppet;

// The lab of the stories; a path on the folder, since on the file its own modules would not be found.
#[path = "../system"]
mod system {
    #[allow(dead_code, unused_imports, reason = "this needs less than all stories together")]
    pub mod harness;
}

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::{Lab, PROJECT};
use puppet::Puppet;
use serde_json::{Value, json};
use system::harness::{
    DockerDaemon, Node, Scratch, Setup, Site, acting_policy, free_port, step_of, wait_for,
};

/// The longest wait there is: five minutes of silence, and what comes before.
const LIMIT: Duration = Duration::from_secs(600);
/// The only name that leads to this machine without a name server, so that its ssh can be tried.
const FROZEN: &str = "localhost";

fn main() -> ExitCode {
    let began = Instant::now();
    let stories: [(&str, Story); 3] = [("rebuild", rebuild), ("reset", reset), ("delete", delete)];
    let wanted = std::env::args().nth(1);
    let failures = std::thread::scope(|scope| {
        let chosen = stories.iter().filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| wanted == name));
        let tell = |story: &'static str| move |error| eprintln!("test-openstack: {story}: {error:#}");
        let running: Vec<_> = chosen
            .map(|(name, story)| {
                scope.spawn(move || story(&Tell { story: name, began }).map_err(tell(name)).is_ok())
            })
            .collect();
        running.into_iter().map(|story| story.join().unwrap_or(false)).filter(|is_good| !is_good).count()
    });
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Story = fn(&Tell) -> Result<()>;

/// Tells what happens, and when.
struct Tell {
    story: &'static str,
    began: Instant,
}

impl Tell {
    fn say(&self, words: &str) {
        println!("test-openstack: {:4} s  {:8} {words}", self.began.elapsed().as_secs(), self.story);
    }
}

/// A coordinator of its own for a node, with the credentials of the cloud.
fn site(
    node: &str,
    lab: &Lab,
    secrets: &Scratch,
    furnish: impl Fn(Node) -> Node + Send + 'static,
) -> Result<Site> {
    let setup = Setup::new(&policy(node, ""))?
        // Nothing listens there, so that ssh is refused.
        .with(&format!("[probe]\nport = {}", free_port()?))
        .with(&lab.config(secrets)?);
    let (id, folder) = (lab.server(node)?.id, Scratch::new("server")?);
    let uuid = folder.write("uuid", &id)?;
    Site::start(setup, node, move |node: Node| {
        let _kept = &folder;
        furnish(node.text("paths.server_uuid", uuid.display()))
    })
}

/// Its agent knows what Docker runs, so that it can be proven empty.
fn with_docker(node: Node, socket: &Path) -> Node {
    node.with("docker")
        .with("containers")
        .text("checks.docker.socket", socket.display())
        // How full this machine's disk is must not decide a story.
        .set("checks.docker.warn_used_percent", 100)
        .set("checks.docker.crit_used_percent", 100)
}

fn policy(node: &str, more: &str) -> String {
    let consents = "rebuild = { kind = \"none\" }\ndelete = { kind = \"none\" }\nreboot = {";
    acting_policy("none", &[node])
        .replace("project = \"lab\"", &format!("project = {PROJECT:?}"))
        .replace("settle = ", "quarantine = \"10s\"\nsettle = ")
        .replace("reboot = {", consents)
        + "[executors]\nby = \"openstack\"\n"
        + more
}

/// Waits until a step has been refused with that word in its reason.
fn refused(site: &Site, id: &str, step: &str, sentence: &str) -> Result<String> {
    let mut last = Value::Null;
    let found = wait_for(&format!("{step} to be refused: {sentence}"), LIMIT, || {
        let operation = site.operation(id)?;
        let step = step_of(&operation, step).context("find the step")?;
        last = step.clone();
        let why = step["why"].as_str().unwrap_or_default();
        Ok((step["state"] == "not_done" && why.contains(sentence)).then(|| why.to_owned()))
    });
    found.with_context(|| format!("it was last {last:#}"))
}

/// Waits for a step with the patience of the longest pause between two tries.
fn done(site: &Site, id: &str, step: &str) -> Result<Value> {
    let mut last = Value::Null;
    let found = wait_for(&format!("{step} to be done"), LIMIT, || {
        let operation = site.operation(id)?;
        last = operation["steps"].clone();
        Ok(step_of(&operation, step).filter(|step| step["state"] == "done").cloned())
    });
    found.with_context(|| format!("{id} was last {last:#}"))
}

fn rebuild(tell: &Tell) -> Result<()> {
    let (lab, secrets, puppet) = (Lab::find()?, Scratch::new("secrets")?, Puppet::new()?);
    let (node, docker) = ("alibuild10", DockerDaemon::start()?);
    let socket = docker.socket().to_owned();
    let (program, folder) = (puppet.program(), puppet.folder());
    let mut site = site(node, &lab, &secrets, move |node| {
        with_docker(node.text("paths.root", "/"), &socket)
            .with("puppet")
            .set("checks.puppet.folders", format!("[{folder:?}]"))
            .set("orders.puppet_command", format!("[{program:?}]"))
    })?;
    puppet.run()?;
    let server = lab.server(node)?.id;
    let before = lab.actions(&server, "rebuild")?;
    let twin = lab.twin(node)?;
    let id = site.begin("rebuild", &json!({ "image": "ALMA9 - x86_64 (new)" }))?;
    let why = refused(&site, &id, "rebuild", "it is not certain which server")?;
    tell.say(&why);
    lab.cli(&["server", "delete", "--wait", &twin])?;
    lab.halt("keystone")?;
    let why = refused(&site, &id, "rebuild", "no answer within");
    lab.go_on("keystone")?;
    tell.say(&why?);

    lab.takes("spawn", 30)?;
    wait_for("Nova to rebuild it", LIMIT, || Ok((lab.server(node)?.status == "REBUILD").then_some(())))?;
    site.machine.replace()?;
    site.crash()?;
    tell.say("the coordinator was killed in the middle and looks what became of its request");
    let step = done(&site, &id, "rebuild")?;
    lab.takes("spawn", 0)?;
    tell.say(&format!("rebuilt: {}", step["evidence"]));
    ensure!(lab.actions(&server, "rebuild")? == before + 1, "it was rebuilt more than once");
    ensure!(lab.server(node)?.image == lab.image("ALMA9 - x86_64 (new)")?, "another image");
    puppet.forget()?;
    site.machine.boot()?;
    done(&site, &id, "first_report")?;
    wait_for("Puppet to converge", LIMIT, || {
        puppet.run()?;
        let operation = site.operation(&id)?;
        Ok(step_of(&operation, "converge").filter(|step| step["state"] == "done").map(drop))
    })?;
    site.wait_end(&id, "succeeded")?;
    ensure!(lab.actions(&server, "rebuild")? == before + 1, "it was rebuilt more than once");
    tell.say("succeeded: one rebuild, converged, compared, verified");
    Ok(())
}

fn reset(tell: &Tell) -> Result<()> {
    let (lab, secrets) = (Lab::find()?, Scratch::new("secrets")?);
    let mut site = site(FROZEN, &lab, &secrets, |node| node)?;
    let server = lab.server(FROZEN)?.id;
    let before = lab.actions(&server, "reboot")?;
    site.coordinator()?.wait_for("its verification", &format!("nodes/{FROZEN}"), |node| {
        node["boot"]["verified_at"].as_str().map(drop)
    })?;
    site.machine.go_down()?;
    tell.say("the node froze; after five minutes it counts as silent");
    wait_for("the verdict on a silent node", LIMIT, || {
        let verdict = site.coordinator()?.verdict("reboot", FROZEN)?;
        Ok(verdict.to_string().contains("\"silent_node\"").then_some(()))
    })?;
    lab.halt("nova-compute-a")?;
    let begun = site.begin("reboot", &json!({ "confirm": ["silent_node"] }));
    let taken = begun.and_then(|id| {
        wait_for("Nova to take it", LIMIT, || {
            Ok((lab.server(FROZEN)?.status == "HARD_REBOOT").then_some(()))
        })?;
        site.crash()?;
        Ok(id)
    });
    lab.go_on("nova-compute-a")?;
    let id = taken?;
    tell.say("Nova took the request while its compute was away; the coordinator was killed meanwhile");
    let step = done(&site, &id, "hard_reboot")?;
    tell.say(&format!("reset: {}", step["evidence"]));
    ensure!(lab.actions(&server, "reboot")? == before + 1, "it was reset more than once");
    site.machine.boot()?;
    site.wait_end(&id, "succeeded")?;
    tell.say("succeeded: one reset, a new boot, verified");
    Ok(())
}

fn delete(tell: &Tell) -> Result<()> {
    let (lab, secrets) = (Lab::find()?, Scratch::new("secrets")?);
    let (node, docker) = ("alibuild03", DockerDaemon::start()?);
    let socket = docker.socket().to_owned();
    let mut site = site(node, &lab, &secrets, move |node| with_docker(node, &socket))?;
    let server = lab.server(node)?.id;
    let volume = lab.volume("alibuild03-data")?.context("find its volume")?;
    let entry = |protections: &str| {
        format!(
            "[[volumes]]\nname = \"data\"\nnode = {node:?}\ncinder = {volume:?}\nprotections = [{protections}]\n"
        )
    };
    let say_done = |site: &Site, id: &str, step: &str| {
        let what = format!("{step} to be for people");
        site.wait_operation(id, &what, |operation| (operation["step"] == step).then_some(()))?;
        let said = json!({ "what": "done", "reason": "seen to", "by": "jane" });
        let (status, answer) = site.coordinator()?.post(&format!("operations/{id}/confirm"), &said)?;
        ensure!(status == 200, "confirm {step}: {status}: {answer:#}");
        Ok(())
    };
    let rewrite = |site: &Site, more: &str| site.coordinator()?.setup().write_policy(&policy(node, more));

    let id = site.begin("delete", &json!({ "typed": node, "volumes": "delete" }))?;
    say_done(&site, &id, "mask_alarms")?;
    tell.say(&refused(&site, &id, "quarantine", "no entry for the volume")?);
    rewrite(&site, &entry("\"never_delete_volume\""))?;
    lab.cli(&["server", "lock", "--reason", "kept for a debug", &server])?;
    // By now the decision itself refuses, so that the step is not even begun again.
    let waits = site.wait_operation(&id, "its volume to be protected", |operation| {
        let waiting = operation["waiting"].to_string();
        waiting.contains("volume_protected").then_some(waiting)
    })?;
    tell.say(&waits);
    rewrite(&site, &entry(""))?;
    tell.say(&refused(&site, &id, "quarantine", "kept for a debug")?);
    ensure!(lab.server(node)?.status == "ACTIVE", "it was stopped all the same");
    lab.cli(&["server", "unlock", &server])?;
    let step = done(&site, &id, "quarantine")?;
    tell.say(&format!("in quarantine: {}", step["evidence"]));
    site.machine.go_down()?;
    let seen = lab.server(node)?;
    ensure!(seen.status == "SHUTOFF" && seen.lock.contains(&id), "it is not in quarantine: {seen:?}");
    let step = done(&site, &id, "delete_server")?;
    tell.say(&format!("deleted: {}", step["evidence"]));
    ensure!(lab.server(node).is_err(), "it is still there");
    done(&site, &id, "delete_volumes")?;
    ensure!(lab.volume("alibuild03-data")?.is_none(), "its volume is still there");
    say_done(&site, &id, "ledger")?;
    site.wait_end(&id, "succeeded")?;
    tell.say("succeeded: server and volume are gone, each after one more look at what policy says");
    Ok(())
}
