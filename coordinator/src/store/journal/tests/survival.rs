//! A real process is killed, or its disk ends, in the middle of its appends. The process is this program once more, with
//! one test and a word in its environment.

use super::*;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Where a process that is to be ended appends.
const CHILD: &str = "MILLWRIGHT_TEST_JOURNAL";
/// Before each position that was acknowledged.
const ACKNOWLEDGED: &str = "acknowledged ";
/// Before the position that is read after it was not known whether one was written.
const READ: &str = "read ";

/// Appends until it cannot, and says so of each.
fn append_for_ever(path: OsString) {
    let (store, _) = Store::open(Path::new(&path), Retention::default()).unwrap();
    let journal = store.journal().unwrap();
    let read = journal.read().unwrap();
    let mut out = std::io::stdout();
    let (mut last, mut number) = (read.last, read.entries.len() as u64 / 2);
    loop {
        number += 1;
        match journal.append(last, &drafts(&[("op-1", number), ("op-2", number)])) {
            Ok(position) => last = position,
            Err(error) => {
                assert!(matches!(error, JournalError::Unknown { .. }), "{error}");
                let read = journal.read().map_or("nothing".to_owned(), |read| read.last.to_string());
                return writeln!(out, "{READ}{read}").unwrap();
            }
        }
        writeln!(out, "{ACKNOWLEDGED}{last}").unwrap();
    }
}

/// This program, with the test of that name only; `before` are the words that start it.
fn child(test: &str, path: &Path, before: &[&str]) -> Child {
    let name = format!("store::journal::tests::survival::{test}");
    let program = env::current_exe().unwrap();
    let words = before.iter().map(OsString::from).chain([program.into_os_string()]);
    let words: Vec<OsString> = words.chain(["--exact", &name, "--nocapture"].map(OsString::from)).collect();
    Command::new(&words[0]).args(&words[1..]).env(CHILD, path).stdout(Stdio::piped()).spawn().unwrap()
}

fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix(ACKNOWLEDGED)?.parse().ok()
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_once_and_whole() {
    if let Some(path) = env::var_os(CHILD) {
        return append_for_ever(path);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut told = 0;
    for round in 0..6 {
        let mut child = child("what_was_acknowledged_before_a_kill_is_there_once_and_whole", &path, &[]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let enough = 3 + round * 7;
        let seen = lines.by_ref().filter_map(|line| acknowledged(&line)).take(enough).last();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
        // What it managed to say until it died counts as well.
        let later = lines.filter_map(|line| acknowledged(&line)).last();
        child.wait().unwrap();
        let before = told;
        told = later.or(seen).unwrap();
        assert!(told >= before + 2 * enough as u64);

        let (store, _) = Store::open(&path, Retention::default()).unwrap();
        let read = store.journal().unwrap().read().unwrap();
        assert_eq!(read.broken, []);
        assert!([told, told + 2].contains(&read.last), "{} after {told} was acknowledged", read.last);
        assert_eq!(read.entries.len() as u64, read.last, "none twice, none missing");
        drop(store);
        assert_eq!(verify(&path, false).unwrap().damage, []);
    }
}

#[test]
fn when_the_disk_ends_in_a_commit_nobody_is_told_that_it_was_written_or_was_not() {
    if let Some(path) = env::var_os(CHILD) {
        return append_for_ever(path);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    // Files of more than 256 KiB cannot be written.
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 512; exec \"$@\"", "sh"];
    let test = "when_the_disk_ends_in_a_commit_nobody_is_told_that_it_was_written_or_was_not";
    let mut child = child(test, &path, &limited);
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    child.wait().unwrap();
    let told = lines.iter().filter_map(|line| acknowledged(line)).next_back().unwrap();
    let read_there = lines.iter().find_map(|line| line.strip_prefix(READ)).unwrap();

    let (store, _) = Store::open(&path, Retention::default()).unwrap();
    let journal = store.journal().unwrap();
    let read = journal.read().unwrap();
    assert_eq!(read.broken, []);
    match read_there.parse::<u64>() {
        Ok(last) => assert_eq!(read.last, last, "what could be read stays true"),
        Err(_) => assert!([told, told + 2].contains(&read.last), "{} after {told}", read.last),
    }
    assert!(read.last >= told);
    journal.append(read.last, &drafts(&[("op-1", read.last / 2 + 1)])).unwrap();
}
