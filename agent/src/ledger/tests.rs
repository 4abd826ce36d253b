//! What is believed when: debounce, silence, what is forgotten, and what is told.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn start() -> Moment {
    Moment { wall: "2026-01-31T10:00:00Z".parse().unwrap(), uptime: Duration::from_secs(5000) }
}

fn at(seconds: u64) -> Moment {
    start().after(Duration::from_secs(seconds))
}

fn ledger() -> Ledger {
    Ledger::new("docker", None, true, Duration::from_secs(10), start())
}

fn saw(status: Status) -> Observation {
    Observation::new(status, format!("it is {}", status.as_str())).gating()
}

fn only(ledger: &Ledger, now: Moment) -> Finding {
    let findings: Vec<Finding> = ledger.findings(now).collect();
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.into_iter().next().unwrap()
}

#[test]
fn a_check_that_has_not_looked_is_unknown_and_gates() {
    let finding = only(&ledger(), at(3));
    assert_eq!((finding.status, finding.gating), (Status::Unknown, true));
    assert_eq!(finding.sentence, "docker has not been looked at yet");
}

#[test]
fn a_first_look_replaces_not_yet_looked() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Ok).item("a"), saw(Status::Ok).item("b")], at(1));
    let keys: Vec<String> = ledger.findings(at(2)).map(|finding| finding.key()).collect();
    assert_eq!(keys, ["docker/a", "docker/b"]);
}

#[test]
fn since_stays_while_the_status_stays_and_the_sentence_follows() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Crit)], at(10));
    let changes = ledger.looked(vec![Observation::new(Status::Crit, "it is worse").gating()], at(20));
    let finding = only(&ledger, at(25));
    assert_eq!(changes, []);
    assert_eq!((finding.since, finding.age_seconds), (at(10).wall, 5));
    assert_eq!(finding.sentence, "it is worse");
}

#[test]
fn the_same_trouble_taken_more_seriously_began_when_it_began() {
    let mut ledger = ledger();
    let hangs = |status| vec![Observation::new(status, "it hangs").gating()];
    ledger.looked(hangs(Status::Unknown), at(10));
    ledger.looked(hangs(Status::Crit), at(70));
    assert_eq!(only(&ledger, at(70)).since, at(10).wall);
    ledger.looked(vec![saw(Status::Warn)], at(80));
    assert_eq!(only(&ledger, at(80)).since, at(80).wall, "other words are another trouble");
}

#[test]
fn one_change_is_told_per_change_and_none_per_look() {
    let mut ledger = ledger();
    let told: Vec<usize> = [Status::Ok, Status::Ok, Status::Crit, Status::Crit, Status::Ok, Status::Ok]
        .into_iter()
        .zip(0..)
        .map(|(status, tick)| ledger.looked(vec![saw(status)], at(tick * 10)).len())
        .collect();
    assert_eq!(told, [0, 0, 1, 0, 1, 0]);
}

#[test]
fn a_bad_sight_is_believed_only_after_its_debounce_and_dated_back() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Ok)], at(0));
    for second in [10, 69] {
        ledger.looked(vec![saw(Status::Crit).debounce(MINUTE)], at(second));
        assert_eq!(only(&ledger, at(second)).status, Status::Ok, "after {second} s");
    }
    assert_eq!(only(&ledger, at(69)).sentence, "it is crit (seen for 59 s, counts as crit after 60 s)");
    ledger.looked(vec![saw(Status::Crit).debounce(MINUTE)], at(70));
    let finding = only(&ledger, at(70));
    assert_eq!((finding.status, finding.since), (Status::Crit, at(10).wall));
    assert_eq!(finding.sentence, "it is crit");
}

#[test]
fn what_has_yet_to_last_can_be_a_warning_at_once() {
    let mut ledger = ledger();
    let pending = || vec![saw(Status::Crit).debounce(MINUTE).warning_meanwhile()];
    ledger.looked(vec![saw(Status::Ok)], at(0));
    ledger.looked(pending(), at(10));
    let finding = only(&ledger, at(15));
    assert_eq!((finding.status, finding.since), (Status::Warn, at(10).wall));
    assert_eq!(finding.sentence, "it is crit (seen for 5 s, counts as crit after 60 s)");
    ledger.looked(pending(), at(40));
    assert_eq!(only(&ledger, at(40)).since, at(10).wall);
    ledger.looked(pending(), at(70));
    let finding = only(&ledger, at(70));
    assert_eq!((finding.status, finding.since), (Status::Crit, at(10).wall));
    ledger.looked(vec![saw(Status::Ok)], at(80));
    ledger.looked(pending(), at(90));
    ledger.looked(vec![saw(Status::Ok)], at(95));
    assert_eq!(only(&ledger, at(95)).status, Status::Ok);
}

#[test]
fn one_good_look_starts_the_debounce_anew() {
    let mut ledger = ledger();
    for (second, status) in
        [(0, Status::Ok), (10, Status::Crit), (60, Status::Ok), (65, Status::Crit), (75, Status::Crit)]
    {
        ledger.looked(vec![saw(status).debounce(MINUTE)], at(second));
    }
    assert_eq!(only(&ledger, at(75)).status, Status::Ok);
}

#[test]
fn changing_between_bad_statuses_does_not_start_the_debounce_anew() {
    let mut ledger = ledger();
    for (second, status) in [(0, Status::Ok), (10, Status::Crit), (40, Status::Warn), (70, Status::Crit)] {
        ledger.looked(vec![saw(status).debounce(MINUTE)], at(second));
    }
    assert_eq!(only(&ledger, at(70)).status, Status::Crit);
}

#[test]
fn getting_better_is_believed_at_once() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Crit)], at(0));
    ledger.looked(vec![saw(Status::Warn).debounce(MINUTE)], at(10));
    let finding = only(&ledger, at(10));
    assert_eq!((finding.status, finding.since), (Status::Warn, at(10).wall));
}

#[test]
fn at_first_sight_an_unproven_fault_leaves_a_gating_finding_unknown_and_others_ok() {
    let mut ledger = ledger();
    let load = Observation::new(Status::Warn, "busy").item("load").debounce(MINUTE);
    ledger.looked(vec![saw(Status::Crit).item("a").debounce(MINUTE), load], at(0));
    let statuses: Vec<Status> = ledger.findings(at(1)).map(|finding| finding.status).collect();
    assert_eq!(statuses, [Status::Unknown, Status::Ok]);
}

#[test]
fn a_missed_deadline_is_unknown_and_says_so() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Ok).item("a"), saw(Status::Ok).item("b")], at(0));
    let changes = ledger.timed_out(at(20));
    assert_eq!(changes.len(), 2);
    for finding in ledger.findings(at(25)) {
        assert_eq!((finding.status, finding.since, finding.age_seconds), (Status::Unknown, at(20).wall, 25));
        assert!(finding.sentence.ends_with("did not answer within 10 s"), "{}", finding.sentence);
    }
}

#[test]
fn three_missed_deadlines_over_a_minute_are_crit() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Ok)], at(0));
    let statuses: Vec<Status> = [10, 40, 69, 70]
        .map(|second| {
            ledger.timed_out(at(second));
            only(&ledger, at(second)).status
        })
        .to_vec();
    assert_eq!(statuses, [Status::Unknown, Status::Unknown, Status::Unknown, Status::Crit]);
    let finding = only(&ledger, at(70));
    assert_eq!(finding.since, at(10).wall);
    assert_eq!(finding.sentence, "docker did not answer within 10 s, 4 times in a row over 60 s");
}

#[test]
fn two_missed_deadlines_are_never_crit_however_far_apart() {
    let mut ledger = ledger();
    ledger.timed_out(at(0));
    ledger.timed_out(at(3600));
    assert_eq!(only(&ledger, at(3600)).status, Status::Unknown);
}

#[test]
fn a_look_that_comes_home_ends_the_count() {
    let mut ledger = ledger();
    for second in [0, 30, 90] {
        ledger.timed_out(at(second));
    }
    assert_eq!(only(&ledger, at(90)).status, Status::Crit);
    ledger.looked(vec![saw(Status::Ok)], at(100));
    let finding = only(&ledger, at(100));
    assert_eq!((finding.status, finding.since), (Status::Ok, at(100).wall));
    ledger.timed_out(at(200));
    assert_eq!(only(&ledger, at(200)).status, Status::Unknown);
}

#[test]
fn after_silence_an_unproven_fault_stays_unknown_where_it_gates() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Ok)], at(0));
    ledger.timed_out(at(10));
    ledger.looked(vec![saw(Status::Crit).debounce(MINUTE)], at(20));
    assert_eq!(only(&ledger, at(20)).status, Status::Unknown);
}

#[test]
fn silence_does_not_let_a_long_debounce_pass() {
    let mut ledger = Ledger::new("system", None, false, Duration::from_secs(5), start());
    let load = |status| vec![Observation::new(status, "load").debounce(30 * MINUTE)];
    ledger.looked(load(Status::Ok), at(0));
    ledger.timed_out(at(10));
    ledger.looked(load(Status::Warn), at(20));
    assert_eq!(only(&ledger, at(20)).status, Status::Ok);
}

#[test]
fn a_gating_check_gates_by_its_silence_even_if_nothing_it_named_did() {
    let mut ledger = ledger();
    ledger.looked(vec![Observation::new(Status::Ok, "fine").item("speed")], at(0));
    ledger.timed_out(at(10));
    assert!(ledger.findings(at(10)).any(|finding| finding.gating && finding.status == Status::Unknown));
}

#[test]
fn silence_is_told_once_and_again_when_it_becomes_crit() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Ok)], at(0));
    let told: Vec<usize> = [10, 30, 50, 80, 100].map(|second| ledger.timed_out(at(second)).len()).to_vec();
    assert_eq!(told, [1, 0, 0, 1, 0]);
}

#[test]
fn an_item_no_longer_named_is_forgotten_and_told_if_it_was_bad() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Crit).item("a"), saw(Status::Ok).item("b")], at(0));
    let changes = ledger.looked(Vec::new(), at(10));
    assert_eq!(ledger.findings(at(10)).count(), 0);
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].from, changes[0].to), (Some(Status::Crit), None));
}

#[test]
fn an_item_named_twice_is_as_bad_as_the_worse() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Crit), saw(Status::Ok)], at(0));
    assert_eq!(only(&ledger, at(0)).status, Status::Crit);
}

#[test]
fn a_wall_clock_that_jumps_changes_no_age_and_no_debounce() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Ok)], at(0));
    let back = |seconds| Moment { wall: "1970-01-01T00:00:00Z".parse().unwrap(), ..at(seconds) };
    ledger.looked(vec![saw(Status::Crit).debounce(MINUTE)], back(10));
    ledger.looked(vec![saw(Status::Crit).debounce(MINUTE)], at(20));
    assert_eq!(only(&ledger, back(25)).status, Status::Ok);
    assert_eq!(only(&ledger, back(25)).age_seconds, 5);
}

#[test]
fn evidence_ages_with_its_finding() {
    let mut ledger = ledger();
    ledger.looked(vec![saw(Status::Ok).evidence("version", "1.13", "docker")], at(0));
    assert_eq!(only(&ledger, at(40)).evidence[0].age_seconds, 40);
}
