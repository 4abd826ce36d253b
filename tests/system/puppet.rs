//! The agent beside a real Puppet: runs that succeed, fail and never begin, a reason left behind, a lock left over.

use std::fs;
use std::process::Command;

use millwright_protocol::Status;

use super::harness::{Agent, Node, Puppet, PuppetRun, find, ready};

fn node_of(puppet: &Puppet) -> Node {
    let public = puppet.summary().parent().unwrap().display().to_string();
    let folders = [puppet.state_folder().display().to_string(), public];
    Node::named("alibuild10").unwrap().with("puppet").set("checks.puppet.folders", format!("{folders:?}"))
}

#[test]
fn puppet_is_told_as_it_ran_last_also_when_its_counters_hide_the_failure() {
    let Some(puppet) = ready(Puppet::new()) else { return };
    let Some(agent) = ready(node_of(&puppet).start()) else { return };
    let never = agent.wait_finding("puppet", Status::Unknown).unwrap();
    assert!(never.sentence.contains("nothing is known about Puppet's runs"), "{}", never.sentence);

    puppet.run_clean().unwrap();
    let clean = agent.wait_finding("puppet", Status::Ok).unwrap();
    assert!(clean.sentence.ends_with("and was clean"), "{}", clean.sentence);
    let gate = agent.wait_finding("puppet/failing", Status::Ok).unwrap();
    assert!(gate.gating && !clean.gating, "only failing for a day keeps a node out");

    puppet.run_failing().unwrap();
    let failed = agent.wait_finding("puppet", Status::Warn).unwrap();
    assert!(failed.sentence.contains("1 resource failed"), "{}", failed.sentence);
    assert!(failed.next.is_some_and(|next| next.contains("puppet agent -t")));

    puppet.run_clean().unwrap();
    agent.wait_finding("puppet", Status::Ok).unwrap();
    assert_eq!(puppet.run_stopped_early().unwrap(), PuppetRun::NotCompiled);
    let summary = fs::read_to_string(puppet.summary()).unwrap();
    assert!(summary.contains("failed: 0") && summary.contains("failure: 0"), "{summary}");
    let broken = agent.wait_finding("puppet", Status::Warn).unwrap();
    assert!(broken.sentence.contains("could not be applied"), "{}", broken.sentence);
    let facts = agent.status().unwrap().facts.puppet.unwrap();
    assert_eq!((facts.clean, facts.clean_streak, facts.failed_streak), (Some(false), 0, 1));
    let gate = agent.wait_finding("puppet/failing", Status::Ok).unwrap();
    assert!(gate.sentence.contains("less than 24 h"), "{}", gate.sentence);
}

#[test]
fn clean_runs_are_counted_over_a_restart_of_the_agent() {
    let Some(puppet) = ready(Puppet::new()) else { return };
    let Some(mut agent) = ready(node_of(&puppet).start()) else { return };
    for streak in [1, 2] {
        puppet.run_clean().unwrap();
        wait_streak(&agent, streak);
    }
    agent = agent.stop().start().unwrap();
    wait_streak(&agent, 2);
}

fn wait_streak(agent: &Agent, streak: u32) {
    agent
        .wait_for(&format!("{streak} clean runs in a row"), |view| {
            (view.facts.puppet.as_ref()?.clean_streak == streak).then_some(())
        })
        .unwrap();
}

#[test]
fn a_disabled_puppet_is_told_with_the_reason_until_it_is_enabled() {
    let Some(puppet) = ready(Puppet::new()) else { return };
    puppet.disable("kernel tests until Friday, ask Giulio").unwrap();
    let Some(agent) = ready(node_of(&puppet).start()) else { return };
    let told = agent.wait_finding("puppet/disabled", Status::Warn).unwrap();
    assert_eq!(told.sentence, "Puppet is disabled: \"kernel tests until Friday, ask Giulio\"");
    let reason = agent.status().unwrap().facts.puppet.unwrap().disabled;
    assert_eq!(reason.as_deref(), Some("kernel tests until Friday, ask Giulio"));
    puppet.enable().unwrap();
    agent
        .wait_for("no word of it", |view| find(&view.findings, "puppet/disabled").is_none().then_some(()))
        .unwrap();
}

#[test]
fn a_lock_whose_process_is_gone_is_told_with_what_to_remove() {
    let Some(puppet) = ready(Puppet::new()) else { return };
    puppet.run_clean().unwrap();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let lock = puppet.state_folder().join("agent_catalog_run.lock");
    fs::write(&lock, ended.id().to_string()).unwrap();
    let Some((view, code)) = ready(node_of(&puppet).check()) else { return };
    let told = find(&view.findings, "puppet/lock").unwrap();
    assert_eq!((told.status, code), (Status::Warn, 1));
    assert_eq!(told.sentence, format!("Puppet's lock names process {}, which is gone", ended.id()));
    assert_eq!(told.next, Some(format!("remove {}", lock.display())));
}
