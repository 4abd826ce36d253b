//! What the journal in memory does when it is told to fail.

use super::*;

fn begun() -> MemoryJournal {
    let journal = MemoryJournal::default();
    journal.append(0, &drafts(&[("op-1", 1)])).unwrap();
    journal
}

#[test]
fn a_failure_that_is_told_has_no_effect_and_the_next_append_succeeds() {
    let journal = begun();
    journal.fail_next(Failure::NotWritten);
    assert!(matches!(journal.append(1, &drafts(&[("op-1", 2)])), Err(JournalError::Failed { .. })));
    assert_eq!(journal.read().unwrap().last, 1);
    assert_eq!(journal.append(1, &drafts(&[("op-1", 2)])).unwrap(), 2);
}

#[test]
fn when_nobody_knows_whether_it_was_written_reading_tells() {
    for (failure, last) in [(Failure::UnknownWritten, 2), (Failure::UnknownNotWritten, 1)] {
        let journal = begun();
        journal.fail_next(failure);
        let unknown = journal.append(1, &drafts(&[("op-1", 2)])).unwrap_err();
        assert!(matches!(unknown, JournalError::Unknown { .. }), "{unknown}");
        assert_eq!(journal.read().unwrap().last, last, "{failure:?}");
        journal.crash();
        assert_eq!(journal.reopen().read().unwrap().last, last, "{failure:?}: what was read stays true");
    }
}

#[test]
fn a_refused_append_does_not_use_up_a_failure() {
    let journal = begun();
    journal.fail_next(Failure::NotWritten);
    assert!(matches!(journal.append(0, &drafts(&[("op-1", 2)])), Err(JournalError::Conflict { .. })));
    assert!(matches!(journal.append(1, &drafts(&[("op-1", 2)])), Err(JournalError::Failed { .. })));
}

#[test]
fn a_crash_loses_nothing_that_was_acknowledged_unless_the_disk_lies() {
    let journal = begun();
    journal.append(1, &drafts(&[("op-1", 2)])).unwrap();
    journal.crash();
    assert_eq!(journal.read().unwrap().last, 2);
    journal.lose_syncs(true);
    assert_eq!(journal.append(2, &drafts(&[("op-1", 3), ("op-2", 1)])).unwrap(), 4);
    assert_eq!(journal.read().unwrap().last, 4, "as long as the power stays on, nobody sees it");
    journal.crash();
    let read = journal.reopen().read().unwrap();
    assert_eq!(seen(&read), [("op-1", 1), ("op-1", 2)]);
    assert_eq!(read.broken, []);
}

#[test]
fn a_copy_that_is_put_back_knows_nothing_of_what_came_after_it() {
    let first = begun();
    let second = first.reopen();
    second.append(1, &drafts(&[("op-1", 2)])).unwrap();
    second.put_back(1, false);
    let unnoticed = second.reopen();
    assert_eq!(unnoticed.fence(), second.fence(), "the same epoch twice: that is why agents are asked");
    assert_eq!(seen(&unnoticed.read().unwrap()), [("op-1", 1)]);
    unnoticed.put_back(0, true);
    let raised = unnoticed.reopen();
    assert!(raised.fence() > second.fence());
    assert_eq!(raised.append(0, &drafts(&[("op-9", 1)])).unwrap(), 1);
}
