//! The journal in the store's file: damage is named, copies carry it along, it shares the file with the other writer.

use super::*;
use crate::store::{backup, restore::restore, testing};
use rusqlite::Connection;
use std::{fs, path::Path};

/// A store with a journal of three operations, closed.
fn written() -> testing::Place {
    let place = testing::Place::on("mw");
    let journal = place.open().journal().unwrap();
    let mut last = 0;
    for number in 1..=20 {
        last = journal.append(last, &drafts(&[("op-1", number), ("op-2", number)])).unwrap();
    }
    journal.append(last, &drafts(&[("op-3", 1)])).unwrap();
    place
}

fn change(place: &testing::Place, sql: &str) {
    let connection = Connection::open(place.path("store")).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// What can be believed, which streams cannot, and everything `verify` says.
fn found(place: &testing::Place) -> (Read, Vec<String>, String) {
    let read = place.open().journal().unwrap().read().unwrap();
    let broken = read.broken.iter().map(|(stream, _)| stream.clone()).collect();
    let damage = verify(&place.path("store"), false).unwrap().damage;
    let told: Vec<String> = damage.into_iter().map(|damage| damage.sentence).collect();
    (read, broken, told.join("; "))
}

#[test]
fn a_journal_that_is_whole_is_said_to_be() {
    let place = written();
    let verified = verify(&place.path("store"), false).unwrap();
    assert_eq!((verified.entries, verified.streams, verified.damage), (41, 3, Vec::new()));
    assert_eq!((verified.first.unwrap().position, verified.last.unwrap().position), (1, 41));
    assert_eq!(verify(&place.path("nothing"), false).unwrap(), Verified::default());
}

#[test]
fn an_entry_that_was_changed_stops_its_operation_and_no_other() {
    for column in
        ["payload = '{}'", "kind = 'x'", "at = at + 1", "generation = 3", "number = 9", "digest = ''"]
    {
        let place = written();
        change(&place, &format!("UPDATE journal SET {column} WHERE position = 7"));
        let (read, broken, told) = found(&place);
        assert!(broken.contains(&"op-1".to_owned()) && !broken.contains(&"op-3".to_owned()), "{broken:?}");
        assert!(told.contains("position 7, does not fit its digest"), "{column}: {told}");
        assert_eq!(seen(&read).iter().filter(|(stream, _)| *stream == "op-1").count(), 3, "{column}");
        let others = seen(&read).iter().filter(|(stream, _)| *stream == "op-2").count();
        // Without the digest the entry after it cannot be proven either.
        assert_eq!(others, if column.starts_with("digest") { 3 } else { 20 }, "{column}");
    }
}

#[test]
fn an_entry_that_was_changed_together_with_its_digest_breaks_the_chain_behind_it() {
    let place = written();
    let forged = Draft { payload: r#"{"by":"nobody"}"#.into(), ..draft("op-1", 4) };
    let before = place.open().journal().unwrap().read().unwrap().entries.remove(5);
    let digest = chain::digest(&before.digest, 7, before.fence, &forged);
    change(
        &place,
        &format!("UPDATE journal SET payload = '{}', digest = '{digest}' WHERE position = 7", forged.payload),
    );
    let (_, broken, told) = found(&place);
    assert_eq!(broken, ["op-2"]);
    assert!(told.contains("position 8, does not fit"), "{told}");
}

#[test]
fn missing_positions_stop_whoever_goes_on_there_or_lost_its_end() {
    let place = written();
    change(&place, "DELETE FROM journal WHERE position IN (39, 40)");
    let (read, broken, told) = found(&place);
    assert_eq!(broken, ["op-1", "op-2", "op-3"], "two lost their end, one goes on behind");
    assert!(told.contains("positions 39 to 40 are missing"), "{told}");
    assert_eq!((read.entries.len(), read.last), (38, 41));
}

#[test]
fn an_operation_that_ended_before_missing_positions_or_began_behind_them_is_whole() {
    let place = testing::Place::on("mw");
    let journal = place.open().journal().unwrap();
    let written =
        [("op-1", 1), ("fleet", 1), ("op-2", 1), ("op-2", 2), ("fleet", 2), ("op-3", 1), ("op-3", 2)];
    journal.append(0, &drafts(&written)).unwrap();
    drop(journal);
    change(&place, "DELETE FROM journal WHERE position = 3");
    let (read, broken, _) = found(&place);
    assert_eq!(broken, ["fleet", "op-2"], "nobody knows that the hole held nothing of the fleet");
    assert_eq!(seen(&read), [("op-1", 1), ("fleet", 1), ("op-3", 1), ("op-3", 2)]);
    assert_eq!(place.open().journal().unwrap().append(7, &drafts(&[("op-4", 1)])).unwrap(), 8);
    assert_eq!(found(&place).1, ["fleet", "op-2"], "what begins now is not stopped by what was lost then");
}

#[test]
fn the_entry_right_behind_missing_positions_cannot_be_proven() {
    let place = testing::Place::on("mw");
    place.open().journal().unwrap().append(0, &drafts(&[("op-1", 1), ("op-2", 1), ("op-3", 1)])).unwrap();
    change(&place, "DELETE FROM journal WHERE position = 1; DELETE FROM journal_stream WHERE position = 1");
    let (read, broken, told) = found(&place);
    assert_eq!((seen(&read), broken), (vec![("op-3", 1)], vec!["op-2".to_owned()]));
    assert_eq!(told, "position 1 is missing");
}

#[test]
fn entries_that_are_lost_at_the_end_are_missed_and_nothing_is_written_over_them() {
    let place = written();
    change(&place, "DELETE FROM journal WHERE position = 41");
    let (read, broken, told) = found(&place);
    assert_eq!((broken, read.last), (vec!["op-3".to_owned()], 41));
    assert!(told.contains("position 41 is missing"), "{told}");
    let refused = place.open().journal().unwrap().append(41, &drafts(&[("op-4", 1)])).unwrap_err();
    assert!(refused.to_string().contains("position 41 is missing"), "{refused}");
}

#[test]
fn what_an_older_coordinator_wrote_after_it_was_replaced_is_noticed() {
    let place = written();
    let last = place.open().journal().unwrap().read().unwrap().entries.pop().unwrap();
    let stale = Fence { epoch: 0, ..last.fence };
    let digest = chain::digest(&last.digest, 42, stale, &draft("op-4", 1));
    let Draft { stream, number, at, kind, payload } = draft("op-4", 1);
    change(
        &place,
        &format!(
            "INSERT INTO journal VALUES (42, 1, 0, '{stream}', {number}, {}, '{kind}', '{payload}', '{digest}');
             INSERT INTO journal_stream VALUES ('{stream}', {number}, 42)",
            at.as_millisecond()
        ),
    );
    let (_, broken, told) = found(&place);
    assert_eq!(broken, ["op-4"]);
    assert!(told.contains("as generation 1 epoch 0, after generation 1 epoch 1 had begun"), "{told}");
}

/// Spreads well enough over a file.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn a_bit_that_flips_anywhere_is_named_or_has_changed_no_entry() {
    let place = written();
    let whole = fs::read(place.path("store")).unwrap();
    let entries = place.open().journal().unwrap().read().unwrap().entries;
    let (mut state, mut named) = (1, 0);
    for _ in 0..300 {
        let (byte, bit) = (next(&mut state) % whole.len(), next(&mut state) % 8);
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << bit;
        let path = place.path("flipped");
        fs::write(&path, &flipped).unwrap();
        if verify(&path, false).is_ok_and(|verified| verified.damage.is_empty()) {
            let kept = read_only(&path).entries;
            assert!(kept == entries, "bit {bit} of byte {byte} changed what is read, and nobody noticed");
        } else {
            named += 1;
        }
    }
    assert!(named > 20, "only {named} of 300 flips hit anything");
}

fn read_only(path: &Path) -> Read {
    let connection = crate::store::schema::open_for_a_look(path, false).unwrap().unwrap();
    sqlite::check(&connection).unwrap().0
}

/// So large may the file grow, in pages.
fn limit(journal: &SqliteJournal, pages: u32) {
    let sql = format!("PRAGMA max_page_count = {pages}");
    journal.connection(|connection| connection.query_row(&sql, [], |_| Ok(())).unwrap());
}

#[test]
fn on_a_full_disk_nothing_is_written_and_when_there_is_room_it_goes_on() {
    let place = testing::Place::on("mw");
    let journal = place.open().journal().unwrap();
    let large = |number| Draft { payload: format!("{:?}", "x".repeat(10_000)), ..draft("op-1", number) };
    journal.append(0, &[large(1)]).unwrap();
    limit(&journal, 1);
    let refused = journal.append(1, &[large(2), large(3)]).unwrap_err();
    assert!(matches!(&refused, JournalError::Failed { why, .. } if why.contains("full")), "{refused}");
    assert_eq!(journal.read().unwrap().last, 1);
    limit(&journal, 1_000_000);
    assert_eq!(journal.append(1, &[large(2), large(3)]).unwrap(), 3);
    assert_eq!(journal.read().unwrap().broken, []);
}

#[test]
fn each_append_is_synced() {
    let place = testing::Place::on("mw");
    let journal = place.open().journal().unwrap();
    let synchronous: u32 = journal
        .connection(|connection| connection.query_row("PRAGMA synchronous", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(synchronous, 2, "FULL");
}

#[test]
fn after_a_commit_that_failed_halfway_something_is_written_in_its_place_before_it_is_read() {
    let place = testing::Place::on("mw");
    let journal = place.open().journal().unwrap();
    let settled = || -> u32 {
        let sql = "SELECT COALESCE(SUM(value), 0) FROM meta WHERE key = 'settled'";
        Connection::open(place.path("store")).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    journal.read().unwrap();
    assert_eq!(settled(), 0);
    journal.unsettle();
    journal.read().unwrap();
    journal.append(0, &drafts(&[("op-1", 1)])).unwrap();
    assert_eq!(settled(), 1);
    journal.unsettle();
    journal.append(1, &drafts(&[("op-1", 2)])).unwrap();
    assert_eq!(settled(), 2);
}

#[tokio::test]
async fn it_waits_for_the_other_writer_of_the_file_and_that_one_for_it() {
    let place = testing::Place::on("mw");
    let store = place.open();
    let journal = store.journal().unwrap();
    let appending = std::thread::spawn(move || {
        (1..=100).fold(0, |last, number| journal.append(last, &drafts(&[("op-1", number)])).unwrap())
    });
    for number in 0..100 {
        let reason = number.to_string();
        let entry = crate::store::moving::said("ann", "dead", "n01", &reason, at(number));
        store.keep_audit(entry).await.unwrap();
    }
    assert_eq!(appending.join().unwrap(), 100);
    assert_eq!(store.audit(1_000).unwrap().len(), 100);
}

#[test]
fn a_writer_that_never_ends_is_waited_for_only_so_long() {
    let place = testing::Place::on("mw");
    let journal = place.open().journal().unwrap();
    let other = Connection::open(place.path("store")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    journal.connection(|connection| connection.busy_timeout(std::time::Duration::from_millis(1))).unwrap();
    let refused = journal.append(0, &drafts(&[("op-1", 1)])).unwrap_err();
    assert!(matches!(&refused, JournalError::Failed { why, .. } if why.contains("locked")), "{refused}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(journal.append(0, &drafts(&[("op-1", 1)])).unwrap(), 1);
}

#[test]
fn an_older_copy_that_is_restored_goes_on_from_its_end_under_a_new_generation() {
    let place = testing::Place::on("mw");
    let store = place.open();
    let first = store.journal().unwrap();
    first.append(0, &drafts(&[("op-1", 1), ("op-1", 2)])).unwrap();
    backup::copy(store.path(), &place.path("copy")).unwrap();
    first.append(2, &drafts(&[("op-1", 3)])).unwrap();
    let lost = first.fence();
    drop((store, first));
    restore(&place.path("copy"), place.desk(), at(0)).unwrap();

    let journal = place.open().journal().unwrap();
    assert_eq!(journal.fence().generation, 2);
    assert!(journal.fence() > lost, "whoever compares both never takes one for the other");
    let read = journal.read().unwrap();
    assert_eq!((seen(&read), read.last), (vec![("op-1", 1), ("op-1", 2)], 2));
    assert_eq!(journal.append(2, &drafts(&[("op-1", 3)])).unwrap(), 3);
    drop(journal);
    assert_eq!(verify(&place.path("store"), false).unwrap().damage, []);
    assert_eq!(verify(&place.path("copy"), false).unwrap().entries, 2);
}

#[test]
fn a_copy_for_another_host_carries_the_journal_along() {
    let (here, there) = (written(), testing::Place::on("new"));
    let copy = crate::store::moving::send(&here.path("store"), "new", &"new".parse().unwrap(), "root", at(0));
    restore(&copy.unwrap(), there.desk(), at(1)).unwrap();
    let journal = there.open().journal().unwrap();
    assert_eq!((journal.read().unwrap().entries.len(), journal.fence().generation), (41, 2));
    assert_eq!(journal.append(41, &drafts(&[("op-3", 2)])).unwrap(), 42);
}

#[test]
fn a_generation_that_was_raised_meanwhile_fences_off_as_well() {
    let place = testing::Place::on("mw");
    let journal = place.open().journal().unwrap();
    crate::store::raise::raise_generation(place.desk(), "by hand", at(0)).unwrap();
    let refused = journal.append(0, &drafts(&[("op-1", 1)])).unwrap_err();
    assert!(refused.to_string().contains("has taken over with generation 2"), "{refused}");
}
