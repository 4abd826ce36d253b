//! `make story-masters`: a master is rebooted by an operation, beside a real ZooKeeper ensemble of three of which its
//! member goes down with it and comes back with an empty disk. Its own program, because the other two have to be well for ten
//! minutes first, and nothing makes those shorter.
//!
//! Coordinator, agents and ZooKeeper are real. The reboot is played: the machine gets another boot id.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that tells what it sees")]
#![allow(clippy::indexing_slicing, reason = "a member that an answer in JSON lacks is null")]

// The lab of the stories; a path on the folder, since on the file its own modules would not be found.
#[path = "../system"]
mod system {
    #[allow(dead_code, unused_imports, reason = "this needs less than all stories together")]
    pub mod harness;
}

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system::harness::played::PlayedMachine;
use system::harness::{Node, Setup, Site, ZooKeeperEnsemble, codes, step_of, wait_for};

/// The one that is rebooted, and its member.
const MASTER: &str = "alimesos02";
const MEMBER: usize = 2;
const OTHERS: [(&str, usize); 2] = [("alimesos01", 1), ("alimesos03", 3)];
const AGENT: &str = "alibuild10";
/// R4's ten minutes, and some.
const LIMIT: Duration = Duration::from_secs(900);

fn main() -> ExitCode {
    match story() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("story-masters: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn story() -> Result<()> {
    let began = Instant::now();
    let say = |words: &str| println!("story-masters: {:4} s  {words}", began.elapsed().as_secs());
    let mut zookeeper = ZooKeeperEnsemble::start()?;
    let mut site = site(&zookeeper)?;
    let mut others = Vec::new();
    for (name, member) in OTHERS {
        others.push(machine(&site, name, master(&zookeeper, member)?)?);
    }
    others.push(machine(&site, AGENT, |node| node)?);
    site.coordinator()?.wait_for("the ensemble", "nodes", |fleet| {
        fleet.to_string().contains("ensemble mesos: 3 of 3 take part").then_some(())
    })?;
    let verdict = site.coordinator()?.verdict("reboot", MASTER)?;
    let asked = codes(&verdict);
    ensure!(asked.iter().any(|code| code == "ensemble_quorum"), "{verdict:#}");
    ensure!(asked.iter().any(|code| code == "master_quorum"), "{verdict:#}");
    say(
        "three masters and a real ensemble of three; a reboot has to wait until the others are well for ten minutes",
    );

    let id = wait_for("the reboot to be accepted", LIMIT, || {
        let (status, answer) = site.ask("reboot", &json!({}))?;
        Ok(answer["id"].as_str().filter(|_| status == 200).map(str::to_owned))
    })?;
    say("accepted; it waits for a second person");
    ensure!(approve(&site, &id, "jane")?.0 != 200, "whoever asks agrees with themselves");
    let (status, answer) = approve(&site, &id, "ben")?;
    ensure!(status == 200, "ben cannot agree: {answer:#}");
    wait_for("the master to be told to reboot", LIMIT, || {
        Ok((site.machine.reboots_asked() > 0).then_some(()))
    })?;

    say("it goes down, and its member with it; the disk of the member is lost");
    site.machine.go_down()?;
    zookeeper.stop(MEMBER)?;
    zookeeper.wipe(MEMBER)?;
    frozen_while_one_is_out(&site)?;
    say("meanwhile nothing else is taken: no other master, and no agent is drained");
    site.crash()?;
    site.machine.boot()?;
    let waiting = site.wait_operation(&id, "the wait for its member", |operation| {
        let waiting = operation["waiting"].to_string();
        (waiting.contains("ensemble_syncing") || waiting.contains("not_healthy")).then(|| waiting.clone())
    })?;
    ensure!(!waiting.contains("\"needs_people\":true"), "people are asked at once: {waiting}");
    say("it is back without its member, and is not returned");
    zookeeper.start_again(MEMBER)?;
    let ended = wait_for("its settling", LIMIT, || {
        let operation = site.operation(&id)?;
        let settles = operation["step"] == "settle";
        Ok((settles || !operation["ended"].is_null()).then_some(operation))
    })?;
    ensure!(ended["step"] == "settle", "it ended otherwise: {ended:#}");
    for step in ["new_boot", "verify"] {
        let found = step_of(&ended, step).context("find the step")?;
        ensure!(found["state"] == "done", "{step}: {found:#}");
    }
    ensure!(
        site.machine.reboots_asked() == 1,
        "it was told to reboot {} times",
        site.machine.reboots_asked()
    );
    let next = site.coordinator()?.verdict("reboot", OTHERS[0].0)?;
    ensure!(next["verdict"] != "allowed", "the next master goes at once: {next:#}");
    say(
        "its member has copied everything and takes part: returned, and settling for an hour before the next one",
    );
    site.verify_journal()
}

/// While a master is out neither another one goes nor is an agent taken out of service (R4, R24).
fn frozen_while_one_is_out(site: &Site) -> Result<()> {
    for (action, node, code) in [
        ("reboot", OTHERS[0].0, "ensemble_quorum"),
        ("reboot", OTHERS[1].0, "master_quorum"),
        ("drain", AGENT, "master_out"),
    ] {
        wait_for(&format!("{action} of {node} to be {code}"), LIMIT, || {
            let verdict = site.coordinator()?.verdict(action, node)?;
            Ok(codes(&verdict).iter().any(|found| found == code).then_some(()))
        })?;
    }
    Ok(())
}

fn approve(site: &Site, id: &str, by: &str) -> Result<(u16, Value)> {
    let digest = site.operation(id)?["digest"].clone();
    let word = json!({ "by": by, "reason": "its kernel is old", "digest": digest });
    site.coordinator()?.post(&format!("operations/{id}/approve"), &word)
}

fn site(zookeeper: &ZooKeeperEnsemble) -> Result<Site> {
    let masters = [OTHERS[0], (MASTER, MEMBER), OTHERS[1]];
    let names = masters.map(|(name, _)| name);
    let policy = format!(
        "protections = \"none\"\n[cluster]\nname = \"lab\"\ncoordinator = \"lab\"\nproject = \"lab\"\n\
         [classes.master]\nmode = \"act\"\n[classes.master.sources]\nagent = \"required\"\nzookeeper = \"required\"\n\
         [classes.agent]\nmode = \"act\"\n[classes.agent.sources]\nagent = \"required\"\n\
         [[nodes]]\nclass = \"master\"\nnames = {names:?}\n[[nodes]]\nclass = \"agent\"\nnames = [{AGENT:?}]\n"
    );
    let mut members = Vec::new();
    for (name, member) in masters {
        members.push(format!("{name} = \"{}\"", zookeeper.address(member)?));
    }
    let section = format!(
        "[zookeeper]\nevery = \"2s\"\ntimeout = \"2s\"\nensembles = {{ mesos = {{ {} }} }}",
        members.join(", ")
    );
    Site::start(Setup::new(&policy)?.with(&section), MASTER, master(zookeeper, MEMBER)?)
}

/// What a master's agent looks at: the member beside it.
fn master(zookeeper: &ZooKeeperEnsemble, member: usize) -> Result<impl Fn(Node) -> Node + Send + 'static> {
    let address = zookeeper.address(member)?;
    Ok(move |node: Node| {
        node.text("node.class", "master").with("zookeeper").text("checks.zookeeper.address", address)
    })
}

fn machine(
    site: &Site,
    name: &str,
    furnish: impl Fn(Node) -> Node + Send + 'static,
) -> Result<PlayedMachine> {
    let mut machine = PlayedMachine::new(name, site.coordinator()?, furnish)?;
    machine.boot()?;
    Ok(machine)
}
