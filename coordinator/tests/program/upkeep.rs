//! What happens to the store between runs: copies, upgrades, moves.

use super::*;
use rusqlite::Connection;

const FIRST_TABLES: &str = include_str!("../../src/store/migrations/0001_first.sql");

#[test]
fn a_copy_is_made_while_it_runs_and_put_back_only_while_it_does_not() {
    let place = Place::new();
    let running = place.start();
    running.report();
    let copy = place.path("copy.sqlite");
    let handle = |verb: &str| {
        let Output { status, stdout, stderr } = place.command().arg(verb).arg(&copy).output().unwrap();
        (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
    };
    let (done, said) = handle("backup");
    assert!(done && said.contains("is a whole copy"), "{said}");
    let (done, said) = handle("restore");
    assert!(!done && said.contains("stop it first"), "{said}");
    running.stop();
    let (done, said) = handle("restore");
    assert!(done && said.contains("the store of before is"), "{said}");
    let running = place.start();
    assert!(running.get("/healthz").contains("200 OK"));
    // The first copy is made at the start.
    wait_for("a copy", || std::fs::read_dir(place.path("state/backups")).ok()?.next()).unwrap();
}

/// Runs one command to its end.
fn handle(place: &Place, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = place.command().args(arguments).output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// The line after the one that has this, without its margin: what a person would copy.
fn line_with(said: &str, word: &str) -> String {
    said.lines()
        .map(str::trim)
        .find(|line| line.contains(word))
        .unwrap_or_else(|| panic!("{word}: {said}"))
        .to_owned()
}

#[test]
fn a_coordinator_moves_to_another_host_and_never_runs_on_both() {
    let (here, there) = (Place::new(), Place::on("elsewhere"));
    let running = here.start();
    assert!(running.report().starts_with("HTTP/1.1 200"));
    let (done, said) = handle(&here, &["move", "--to", "elsewhere"]);
    assert!(!done && said.contains("systemctl stop millwright-coordinator"), "{said}");
    assert_eq!(running.stop(), Some(0));
    let (done, said) = handle(&here, &["move", "--to", "MW"]);
    assert!(!done && said.contains("is on mw already"), "{said}");
    let (done, said) = handle(&here, &["move", "--to", "no host"]);
    assert!(!done && said.contains("move the coordinator to no host"), "{said}");

    let (done, said) = handle(&here, &["move", "--to", "elsewhere"]);
    assert!(done, "{said}");
    let copy = line_with(&said, "scp").split(' ').nth(1).map(PathBuf::from).unwrap();
    for part in
        ["systemctl disable", "cluster.coordinator = \"elsewhere\"", "http://elsewhere:0", "move --undo"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let words = here.refused();
    assert!(words.contains("was moved to elsewhere"), "{words}");
    let (done, said) = handle(&here, &["--check-config"]);
    assert!(!done && said.contains("was moved to elsewhere"), "{said}");
    let (done, said) = handle(&here, &["restore", copy.to_str().unwrap()]);
    assert!(!done && said.contains("this host is mw"), "{said}");

    // The file comes into force there only by the command that was printed.
    std::fs::create_dir(there.path("state")).unwrap();
    std::fs::copy(&copy, there.path("state/coordinator.sqlite")).unwrap();
    assert!(there.refused().contains("millwright-coordinator restore"));
    std::fs::remove_file(there.path("state/coordinator.sqlite")).unwrap();
    let (done, said) = handle(&there, &["restore", copy.to_str().unwrap()]);
    assert!(done && said.contains("as generation 2"), "{said}");
    let moved = there.start();
    let seen = moved.get("/api/v1/nodes/n01");
    assert!(seen.contains("\"is_stale\":true"), "what was known is known there: {seen}");
    assert!(here.refused().contains("was moved to elsewhere"));
}

#[test]
fn a_move_is_called_off_where_it_began() {
    let place = Place::new();
    assert_eq!(place.start().stop(), Some(0));
    let (done, said) = handle(&place, &["move", "--undo"]);
    assert!(!done && said.contains("has not been moved"), "{said}");
    assert!(handle(&place, &["move", "--to", "elsewhere"]).0);
    let (done, said) = handle(&place, &["move", "--undo"]);
    assert!(done && said.contains("as generation 3"), "{said}");
    assert_eq!(place.start().stop(), Some(0));
    let (done, said) = handle(&place, &["move"]);
    assert!(!done && said.contains("--to <HOST>"), "{said}");
}

#[test]
fn a_store_that_was_put_back_by_hand_gets_a_new_generation_while_it_does_not_run() {
    let place = Place::new();
    let raise = ["raise-generation", "--reason", "put back by hand"];
    let (done, said) = handle(&place, &raise);
    assert!(!done && said.contains("there is no store"), "{said}");
    let running = place.start();
    let (done, said) = handle(&place, &raise);
    assert!(!done && said.contains("stop it first"), "{said}");
    assert_eq!(running.stop(), Some(0));
    for given in [&["raise-generation"][..], &["raise-generation", "--reason", ""]] {
        let (done, said) = handle(&place, given);
        assert!(!done && said.contains("--reason <TEXT>"), "{said}");
    }
    let (done, said) = handle(&place, &raise);
    assert!(done && said.contains("as generation 2"), "{said}");
    assert!(place.start().get("/api/v1/audit").contains("put back by hand"));
}

#[test]
fn a_journal_that_was_changed_is_named_by_the_check_before_a_start() {
    let place = Place::new();
    assert_eq!(place.start().stop(), Some(0));
    let (done, said) = handle(&place, &["--check-config"]);
    assert!(done, "{said}");
    Connection::open(place.path("state/coordinator.sqlite"))
        .unwrap()
        .execute_batch(
            "INSERT INTO journal VALUES (1, 1, 1, 'op-1', 1, 0, 'begun', '{}', 'no digest');
             INSERT INTO journal_stream VALUES ('op-1', 1, 1)",
        )
        .unwrap();
    let (done, said) = handle(&place, &["--check-config"]);
    assert!(!done && said.contains("number 1 of op-1, at position 1, does not fit its digest"), "{said}");
}

/// Leaves a store as the first version did, larger than `bytes`.
fn store_of_version_1(path: &Path, bytes: usize) {
    let old = Connection::open(path).unwrap();
    old.execute_batch(&format!(
        "PRAGMA application_id = 0x4D57434F; PRAGMA journal_mode = WAL; {FIRST_TABLES} PRAGMA user_version = 1;"
    ))
    .unwrap();
    let sentence = "burnt".repeat(bytes / 5);
    old.execute("INSERT INTO audit VALUES (1, unixepoch() * 1000, 'ann', 'dead', 'n01', ?1)", [sentence])
        .unwrap();
}

fn version_of(path: &Path) -> u32 {
    Connection::open(path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_store_of_an_older_version_is_kept_beside_the_converted_one() {
    let place = Place::new();
    std::fs::create_dir(place.path("state")).unwrap();
    let store = place.path("state/coordinator.sqlite");
    store_of_version_1(&store, 5);
    let running = place.start();
    assert!(running.get("/api/v1/audit").contains("burnt"));
    assert_eq!(running.stop(), Some(0));
    assert!(version_of(&store) > 1);
    assert_eq!(version_of(&place.path("state/coordinator.sqlite.version-1")), 1);
}

#[test]
fn on_a_full_disk_an_older_store_is_not_converted() {
    let place = Place::new();
    std::fs::create_dir(place.path("state")).unwrap();
    let store = place.path("state/coordinator.sqlite");
    store_of_version_1(&store, 400_000);
    let before = std::fs::read(&store).unwrap();
    // Files of more than 128 KiB cannot be written: what is needed beside the store fits, a copy of it does not.
    let program = place.command();
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$@\"", "sh"]);
    limited.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
    let Output { status, stderr, .. } = limited.output().unwrap();
    let words = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{words}");
    for part in ["coordinator.sqlite.version-1", "nothing has been changed", "make room"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(std::fs::read(&store).unwrap(), before);
    let left = std::fs::read_dir(place.path("state")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<String> = left.map(|name| name.into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.contains("version-1")), "half a copy takes room: {left:?}");
    // As soon as there is room it starts.
    assert_eq!(place.start().stop(), Some(0));
    assert_eq!(version_of(&place.path("state/coordinator.sqlite.version-1")), 1);
}
