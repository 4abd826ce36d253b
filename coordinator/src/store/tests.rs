//! The store with real files.

use super::*;
use crate::fleet::{Fleet, testing};
use rusqlite::Connection;
use std::fs;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn change(second: i64, node: &str) -> Transition {
    Transition {
        at: testing::at(second),
        node: node.to_owned(),
        key: testing::name(node).as_str().to_owned(),
        what: "docker".into(),
        from: Some("ok".into()),
        to: "crit".into(),
        gating: true,
        sentence: "Docker does not answer".into(),
    }
}

fn entry(reason: &str) -> AuditEntry {
    AuditEntry {
        at: testing::at(0),
        by: "ann".into(),
        what: "dead".into(),
        about: "alibuild01".into(),
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let mut fleet = Fleet::new(testing::policy(1).into(), testing::at(0));
    fleet.take_report(&testing::name("alibuild01"), testing::report("alibuild01", 1), testing::at(10));
    let nodes = fleet.unsaved(10, testing::at(10));
    let given = Acknowledgement {
        finding: "alibuild1/docker".into(),
        by: "ann".into(),
        at: testing::at(1),
        until: testing::at(3600),
    };
    let (store, remembered) = Store::open(&path, Retention::default()).unwrap();
    assert_eq!(remembered, Remembered::default());
    assert!(store.keep_nodes(nodes.clone()));
    store.keep_changes(vec![change(1, "alibuild01"), change(2, "alibuild02")]);
    store.keep_brakes(vec![crate::view::BrakeView {
        class: millwright_decision::Class::Agent,
        since: testing::at(5),
        why: "a storm".into(),
    }]);
    store.keep_acknowledgement(given.clone()).await.unwrap();
    store.keep_audit(entry("burnt")).await.unwrap();
    drop(store);
    let (store, remembered) = Store::open(&path, Retention::default()).unwrap();
    assert_eq!(remembered.nodes, nodes);
    assert_eq!(remembered.acknowledgements, [given]);
    assert_eq!(remembered.brakes.len(), 1);
    assert_eq!(store.audit(10).unwrap(), [entry("burnt")]);
    assert_eq!(store.history(None, 10).unwrap(), [change(2, "alibuild02"), change(1, "alibuild01")]);
    let one = store.history(Some(&testing::name("ALIBUILD1")), 10).unwrap();
    assert_eq!(one, [change(1, "alibuild01")]);
    store.forget_node(testing::name("alibuild01")).await.unwrap();
    drop(store);
    assert_eq!(Store::open(&path, Retention::default()).unwrap().1.nodes, []);
}

#[tokio::test]
async fn what_is_older_than_the_retention_goes_and_the_audit_stays_longer() {
    let folder = folder();
    let (store, _) = Store::open(&folder.path().join("store.db"), Retention::default()).unwrap();
    let day = 24 * 3600;
    store.keep_changes(vec![change(0, "alibuild01"), change(60 * day, "alibuild01")]);
    store.keep_audit(entry("old")).await.unwrap();
    store.prune(testing::at(100 * day));
    store.keep_audit(entry("new")).await.unwrap();
    assert_eq!(store.history(None, 10).unwrap(), [change(60 * day, "alibuild01")]);
    assert_eq!(store.audit(10).unwrap().len(), 2);
}

#[tokio::test]
async fn verdicts_are_kept_when_they_change_for_why_not_last_night() {
    let folder = folder();
    let (store, _) = Store::open(&folder.path().join("store.db"), Retention::default()).unwrap();
    let mut fleet = Fleet::new(testing::policy(2).into(), testing::at(0));
    let node = testing::name("alibuild01");
    let request = millwright_decision::Request::one(millwright_decision::Action::Reboot, node.clone());
    let verdict = fleet.judge(&request, testing::at(5)).unwrap();
    let seen = VerdictChange::of(&verdict, &node, "alibuild01", testing::at(5));
    store.keep_verdicts(vec![seen.clone()]);
    store.keep_audit(entry("so that it is written")).await.unwrap();
    assert_eq!(store.verdicts(&node, 5).unwrap(), std::slice::from_ref(&seen));
    assert!(seen.codes.contains(&"warming_up".to_owned()), "{:?}", seen.codes);
    assert_eq!(seen.digest(), crate::view::digest(&verdict), "what is read back says the same");
    let other = VerdictChange { codes: Vec::new(), ..seen.clone() };
    assert_ne!(seen.digest(), other.digest());
}

fn said(second: i64, node: &str, action: &str) -> VerdictChange {
    VerdictChange {
        at: testing::at(second),
        node: node.to_owned(),
        key: testing::name(node).as_str().to_owned(),
        action: action.to_owned(),
        verdict: "wait".into(),
        may_start: "allowed".into(),
        codes: vec!["task_protected".into()],
        sentence: format!("said at second {second}"),
    }
}

#[tokio::test]
async fn a_verdict_that_changes_often_does_not_crowd_out_the_others() {
    let folder = folder();
    let (store, _) = Store::open(&folder.path().join("store.db"), Retention::default()).unwrap();
    let delete = said(1, "alibuild01", "delete");
    let often: Vec<VerdictChange> = (2..100).map(|second| said(second, "alibuild01", "reboot")).collect();
    store.keep_verdicts([std::slice::from_ref(&delete), &often].concat());
    store.keep_verdicts(vec![said(100, "alibuild02", "reboot")]);
    store.keep_audit(entry("so that it is written")).await.unwrap();
    let kept = store.verdicts(&testing::name("alibuild01"), 2).unwrap();
    let newest = [often[97].clone(), often[96].clone(), delete.clone()];
    assert_eq!(kept, newest, "newest first, of one node, two of each action");
    let mut last = store.last_verdicts().unwrap();
    last.sort_by_key(|change| change.at);
    assert_eq!(last, [delete, often[97].clone(), said(100, "alibuild02", "reboot")]);
}

#[tokio::test]
async fn the_last_verdict_stays_however_old_it_is() {
    let folder = folder();
    let (store, _) = Store::open(&folder.path().join("store.db"), Retention::default()).unwrap();
    store.keep_verdicts(vec![said(0, "alibuild01", "reboot"), said(1, "alibuild01", "reboot")]);
    store.prune(testing::at(100 * 24 * 3600));
    store.keep_audit(entry("so that it is written")).await.unwrap();
    assert_eq!(store.verdicts(&testing::name("alibuild01"), 5).unwrap(), [said(1, "alibuild01", "reboot")]);
}

#[tokio::test]
async fn verdicts_of_a_node_are_found_without_looking_at_the_others() {
    let folder = folder();
    let path = folder.path().join("store.db");
    drop(Store::open(&path, Retention::default()).unwrap());
    let plan: Vec<String> = Connection::open(&path)
        .unwrap()
        .prepare("EXPLAIN QUERY PLAN SELECT * FROM verdict WHERE node = 'n' AND action = 'a' ORDER BY id DESC LIMIT 1")
        .unwrap()
        .query_map([], |row| row.get("detail"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(
        plan.len() == 1 && plan[0].contains("USING INDEX verdict_by_action (node=? AND action=?)"),
        "{plan:?}"
    );
}

fn refusal(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let refusal = Store::open(path, Retention::default()).err().expect("it must not open").to_string();
    assert!(refusal.contains(path.to_str().unwrap()), "{refusal}");
    assert_eq!(fs::read(path).unwrap(), before, "nothing may be changed");
    refusal
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("store.db");
    for content in [&b"hello, I am a text"[..], &[0; 4096], b"SQLite format 3\0"] {
        fs::write(&path, content).unwrap();
        let refusal = refusal(&path);
        assert!(refusal.contains("no SQLite database") || refusal.contains("damaged"), "{refusal}");
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE mine (a);").unwrap();
    drop(other);
    assert!(refusal(&path).contains("another program"));
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("store.db");
    drop(Store::open(&path, Retention::default()).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    assert!(refusal(&path).contains("newer version (store version 99"));
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let (store, _) = Store::open(&path, Retention::default()).unwrap();
    for number in 0..200 {
        store.keep_changes(vec![change(number, &format!("node{number}"))]);
    }
    store.keep_audit(entry("so that it is written")).await.unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let refusal = refusal(&path);
    assert!(refusal.contains("damaged") && refusal.contains("restore a backup"), "{refusal}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Store::open(Path::new("/nonexistent/store.db"), Retention::default()).err().unwrap();
    assert!(error.to_string().contains("/nonexistent/store.db"), "{error}");
}

async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_stops_nobody_and_is_over_when_there_is_room() {
    let folder = folder();
    let (store, _) = Store::open(&folder.path().join("store.db"), Retention::default()).unwrap();
    store.keep_changes(vec![change(0, "alibuild01")]);
    store.writer.limit(1);
    for number in 0..500 {
        store.keep_changes((0..10).map(|_| change(number, "alibuild01")).collect());
    }
    until(|| store.trouble().is_some()).await;
    assert!(store.trouble().unwrap().sentence.contains("full"), "{:?}", store.trouble());
    let refusal = store.keep_audit(entry("lost")).await.unwrap_err();
    assert!(refusal.to_string().contains("store.db"), "{refusal}");
    for number in 0..5_000 {
        store.keep_changes(vec![change(number, "alibuild01")]);
    }
    assert!(!store.keep_nodes(Vec::new()) || store.trouble().is_some());
    assert!(store.history(None, 10).unwrap().len() <= 10, "readers go on");
    store.writer.limit(1_000_000);
    until(|| store.trouble().is_none()).await;
    store.keep_audit(entry("kept")).await.unwrap();
    assert_eq!(store.audit(10).unwrap(), [entry("kept")], "what was refused is not written later");
}
