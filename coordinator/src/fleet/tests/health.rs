//! Verified since boot, healthy since, stale and silent.

use crate::{
    fleet::testing::{Story, at, finding, name},
    view::NodeState,
};
use millwright_protocol::Status;

fn state(story: &mut Story, node: &str) -> NodeState {
    let now = story.now();
    story.fleet.node_detail(&name(node), now).unwrap().summary.state
}

#[test]
fn a_boot_is_verified_by_two_clean_reports_a_minute_apart() {
    let mut story = Story::new(3);
    story.rounds(6);
    assert_eq!(state(&mut story, "alibuild01"), NodeState::Verifying, "50 s apart");
    story.rounds(1);
    assert_eq!(state(&mut story, "alibuild01"), NodeState::Healthy);
    assert_eq!(story.node("alibuild01").agent.as_ref().unwrap().verified_at, Some(at(70)));
}

#[test]
fn an_unclean_report_in_between_starts_the_minute_anew() {
    let mut story = Story::new(3);
    story.rounds(4);
    story.twist("alibuild01", |report| report.findings[0].status = Status::Unknown).rounds(1);
    story.twist.clear();
    story.rounds(6);
    assert_eq!(state(&mut story, "alibuild01"), NodeState::Verifying);
    story.rounds(1);
    assert_eq!(state(&mut story, "alibuild01"), NodeState::Healthy);
}

#[test]
fn a_reboot_by_anybody_has_to_be_verified_again() {
    let mut story = Story::new(3);
    story.rounds(10);
    story.twist("alibuild01", |report| report.boot_id = "another".into()).rounds(1);
    assert_eq!(state(&mut story, "alibuild01"), NodeState::Verifying);
    assert!(story.transitions.iter().any(|change| change.what == "boot" && change.node == "alibuild01"));
    story.rounds(6);
    assert_eq!(state(&mut story, "alibuild01"), NodeState::Healthy);
}

#[test]
fn a_report_without_any_finding_is_no_clean_report() {
    let mut story = Story::new(3);
    story.twist("alibuild01", |report| report.findings.clear()).rounds(10);
    assert_eq!(state(&mut story, "alibuild01"), NodeState::Unknown);
}

#[test]
fn warnings_and_findings_that_do_not_gate_leave_a_node_healthy() {
    let mut story = Story::new(3);
    story.twist("alibuild01", |report| report.findings[3].status = Status::Crit).rounds(10);
    assert_eq!(state(&mut story, "alibuild01"), NodeState::Healthy);
}

#[test]
fn health_is_as_old_as_the_node_says_until_a_gap_or_a_fault_breaks_it() {
    let mut story = Story::new(3);
    story.rounds(2);
    let since = |story: &Story| story.node("alimesos01").agent.as_ref().unwrap().healthy_since;
    assert_eq!(since(&story), Some(at(-7190)), "booted 7200 s before its first report");
    story.quiet.insert(name("alimesos01"));
    story.rounds(7);
    story.quiet.clear();
    story.rounds(1);
    assert_eq!(since(&story), Some(at(100)), "nobody knows what it did for 80 s");
    story.twist("alimesos01", |report| report.findings[0].status = Status::Unknown).rounds(1);
    assert_eq!(since(&story), None);
    story.twist.clear();
    story.rounds(2);
    assert_eq!(since(&story), Some(at(120)));
}

#[test]
fn a_node_that_stops_reporting_grows_stale_then_silent_and_comes_back() {
    let mut story = Story::new(3);
    story.rounds(10);
    story.quiet.insert(name("alibuild02"));
    story.rounds(6);
    assert_eq!(state(&mut story, "alibuild02"), NodeState::Healthy, "60 s is not yet stale");
    story.rounds(1);
    assert_eq!(state(&mut story, "alibuild02"), NodeState::Stale);
    story.rounds(3);
    assert_eq!(state(&mut story, "alibuild02"), NodeState::Silent);
    assert_eq!(story.fleet.silent_nodes(story.now()), [name("alibuild02")]);
    story.quiet.clear();
    story.rounds(1);
    assert_eq!(state(&mut story, "alibuild02"), NodeState::Healthy);
    let words: Vec<&str> = story
        .transitions
        .iter()
        .filter(|change| change.what == "state" && change.node == "alibuild02")
        .map(|change| change.to.as_str())
        .collect();
    assert_eq!(words, ["verifying", "healthy", "stale", "silent", "healthy"]);
}

#[test]
fn a_finding_that_turns_bad_and_good_again_is_told_twice() {
    let mut story = Story::new(1);
    story.rounds(3);
    story.twist("alibuild01", |report| {
        report.findings[0] = finding("docker", None, Status::Crit, true);
    });
    story.rounds(3);
    story.twist.clear();
    story.rounds(3);
    let told: Vec<(Option<&str>, &str, bool)> = story
        .transitions
        .iter()
        .filter(|change| change.what == "docker")
        .map(|change| (change.from.as_deref(), change.to.as_str(), change.gating))
        .collect();
    assert_eq!(told, [(Some("ok"), "crit", true), (Some("crit"), "ok", true)]);
}

#[test]
fn a_finding_that_is_no_longer_reported_is_told_as_gone() {
    let mut story = Story::new(1);
    story.twist("alibuild01", |report| report.findings[0].status = Status::Crit).rounds(2);
    story.twist("alibuild01", |report| drop(report.findings.remove(0))).rounds(1);
    assert!(story.transitions.iter().any(|change| change.what == "docker" && change.to == "gone"));
}
