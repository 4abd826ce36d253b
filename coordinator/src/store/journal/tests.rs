//! What every journal promises, on a disk and in memory.

mod disk;
mod faults;
mod survival;

use super::*;
use crate::store::{Retention, Store};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Draft number `number` of `stream`.
fn draft(stream: &str, number: u64) -> Draft {
    Draft {
        stream: stream.to_owned(),
        number,
        at: at(1_700_000_000),
        kind: "step_begun".to_owned(),
        payload: format!(r#"{{"step":"cordon","of":{number}}}"#),
    }
}

fn drafts(of: &[(&str, u64)]) -> Vec<Draft> {
    of.iter().map(|(stream, number)| draft(stream, *number)).collect()
}

/// Stream and number of what can be believed, in order.
fn seen(read: &Read) -> Vec<(&str, u64)> {
    read.entries.iter().map(|entry| (entry.draft.stream.as_str(), entry.draft.number)).collect()
}

/// A place with a journal; each opening is a coordinator that takes over.
enum Place {
    Disk(tempfile::TempDir),
    Memory(MemoryJournal),
}

impl Place {
    fn open(&self) -> Box<dyn Journal> {
        match self {
            Self::Disk(folder) => {
                let (store, _) = Store::open(&folder.path().join("store"), Retention::default()).unwrap();
                Box::new(store.journal().unwrap())
            }
            Self::Memory(journal) => Box::new(journal.reopen()),
        }
    }
}

fn on_each(test: impl Fn(&Place)) {
    test(&Place::Disk(tempfile::tempdir().unwrap()));
    test(&Place::Memory(MemoryJournal::default()));
    test(&Place::Memory(MemoryJournal::new(false)));
}

#[test]
fn what_was_appended_is_read_back_in_order_by_the_next_coordinator() {
    on_each(|place| {
        let journal = place.open();
        assert_eq!(journal.read().unwrap(), Read::default());
        assert_eq!(journal.append(0, &drafts(&[("op-1", 1), ("op-1", 2), ("fleet", 1)])).unwrap(), 3);
        assert_eq!(journal.append(3, &drafts(&[("op-2", 1)])).unwrap(), 4);
        let next = place.open();
        let read = next.read().unwrap();
        assert_eq!(seen(&read), [("op-1", 1), ("op-1", 2), ("fleet", 1), ("op-2", 1)]);
        assert_eq!((read.last, &read.broken), (4, &Vec::new()));
        let positions: Vec<u64> = read.entries.iter().map(|entry| entry.position).collect();
        assert_eq!(positions, [1, 2, 3, 4]);
        assert!(read.entries.iter().all(|entry| entry.fence == journal.fence()));
        assert_eq!(read.entries[1].draft, draft("op-1", 2));
        assert_eq!(next.append(4, &drafts(&[("op-1", 3)])).unwrap(), 5);
        assert_eq!(next.read().unwrap().entries[4].fence, next.fence());
    });
}

#[test]
fn a_moment_is_kept_in_whole_milliseconds() {
    on_each(|place| {
        let journal = place.open();
        let given = Draft { at: "2026-01-31T10:00:00.123456789Z".parse().unwrap(), ..draft("op-1", 1) };
        journal.append(0, &[given]).unwrap();
        let kept = &journal.read().unwrap().entries[0].draft;
        assert_eq!(kept.at, "2026-01-31T10:00:00.123Z".parse().unwrap());
        assert_eq!(journal.read().unwrap().broken, []);
    });
}

#[test]
fn every_coordinator_that_opens_it_has_an_epoch_of_its_own() {
    on_each(|place| {
        let fences: Vec<Fence> = (0..3).map(|_| place.open().fence()).collect();
        assert!(fences.is_sorted_by(|one, next| one.epoch + 1 == next.epoch), "{fences:?}");
        assert!(fences.iter().all(|fence| fence.generation == 1));
    });
}

#[test]
fn of_two_coordinators_only_the_later_one_writes() {
    on_each(|place| {
        let first = place.open();
        assert_eq!(first.append(0, &drafts(&[("op-1", 1)])).unwrap(), 1);
        let second = place.open();
        let refused = first.append(1, &drafts(&[("op-1", 2)])).unwrap_err();
        assert_eq!(refused, JournalError::Fenced { ours: first.fence(), found: second.fence() });
        assert_eq!(second.append(1, &drafts(&[("op-1", 2)])).unwrap(), 2);
        assert!(matches!(first.append(2, &drafts(&[("op-1", 3)])), Err(JournalError::Fenced { .. })));
        assert_eq!(second.read().unwrap().last, 2);
    });
}

#[test]
fn what_rests_on_an_older_end_is_not_written() {
    on_each(|place| {
        let journal = place.open();
        journal.append(0, &drafts(&[("op-1", 1)])).unwrap();
        for after in [0, 2] {
            let refused = journal.append(after, &drafts(&[("op-2", 1)])).unwrap_err();
            assert_eq!(refused, JournalError::Conflict { expected: after, found: 1 });
        }
        assert_eq!(seen(&journal.read().unwrap()), [("op-1", 1)]);
    });
}

#[test]
fn a_number_that_is_not_the_next_refuses_all_that_came_with_it() {
    on_each(|place| {
        let journal = place.open();
        journal.append(0, &drafts(&[("op-1", 1)])).unwrap();
        for (number, next) in [(1, 2), (3, 2), (0, 2)] {
            let refused = journal.append(1, &drafts(&[("fleet", 1), ("op-1", number)])).unwrap_err();
            assert_eq!(refused, JournalError::Gap { stream: "op-1".into(), given: number, next });
        }
        let twice = journal.append(1, &drafts(&[("op-1", 2), ("op-1", 2)])).unwrap_err();
        assert_eq!(twice, JournalError::Gap { stream: "op-1".into(), given: 2, next: 3 });
        assert_eq!(seen(&journal.read().unwrap()), [("op-1", 1)]);
        assert_eq!(journal.append(1, &drafts(&[("fleet", 1), ("op-1", 2)])).unwrap(), 3);
    });
}

#[test]
fn nothing_to_write_is_checked_and_leaves_the_end_where_it_is() {
    on_each(|place| {
        let journal = place.open();
        assert_eq!(journal.append(0, &[]).unwrap(), 0);
        assert!(matches!(journal.append(1, &[]), Err(JournalError::Conflict { .. })));
    });
}

#[test]
fn what_is_no_json_stops_its_stream_and_no_other() {
    on_each(|place| {
        let journal = place.open();
        journal.append(0, &drafts(&[("op-1", 1), ("op-2", 1)])).unwrap();
        journal.append(2, &[Draft { payload: "{\"half".into(), ..draft("op-1", 2) }]).unwrap();
        journal.append(3, &drafts(&[("op-1", 3), ("op-2", 2)])).unwrap();
        let read = journal.read().unwrap();
        assert_eq!(seen(&read), [("op-1", 1), ("op-2", 1), ("op-2", 2)]);
        assert_eq!(read.last, 5);
        let [(stream, why)] = &read.broken[..] else { panic!("{:?}", read.broken) };
        assert!(stream == "op-1" && why.contains("number 2 of op-1, at position 3, is no JSON"), "{why}");
    });
}
