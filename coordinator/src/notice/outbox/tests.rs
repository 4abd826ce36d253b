//! An outbox on its own, with a clock that is turned by hand.

use super::*;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + 60 * minutes).unwrap()
}

fn outbox(channels: &[&str]) -> Outbox {
    Outbox::open(&[], channels.iter().map(|name| (*name).to_owned()), 0)
}

/// As a start would find it, whatever was written before.
fn again(outbox: &mut Outbox, rows: &mut Vec<NoticeRow>, channels: &[&str]) -> Outbox {
    for row in outbox.take_changes() {
        rows.retain(|old| (&old.kind, &old.key) != (&row.kind, &row.key));
        rows.extend(row.value.is_some().then_some(row));
    }
    Outbox::open(rows, channels.iter().map(|name| (*name).to_owned()), 1_000)
}

fn tell(position: u64, what: &'static str) -> Tell {
    Tell {
        position,
        at: at(0),
        what,
        operation: Some("op-1".into()),
        node: "alibuild01".into(),
        sentence: format!("{what} at {position}"),
        needs_people: what == "asked",
    }
}

fn sick(node: &str) -> Condition {
    Condition {
        subject: format!("{node}/docker"),
        node: Some(node.into()),
        operation: None,
        what: String::new(),
        level: Level::Crit,
        sentence: format!("{node}: Docker hangs"),
    }
}

fn notice(text: &str) -> Notice {
    Notice {
        at: at(0),
        level: Level::Warn,
        node: None,
        subject: "op-1".into(),
        operation: Some("op-1".into()),
        text: text.into(),
    }
}

/// Everything that a channel takes now.
fn takes(outbox: &mut Outbox, channel: &str, now: Timestamp) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(parcel) = outbox.next_for(channel, now) {
        let root = Some(format!("root {}", parcel.id));
        outbox.taken(channel, &parcel, Taken { root }, now);
        texts.push(parcel.notice.text);
    }
    texts
}

fn fails(outbox: &mut Outbox, channel: &str, why: NotTold, now: Timestamp) {
    let parcel = outbox.next_for(channel, now).unwrap();
    outbox.refused(channel, &parcel, &why, now);
}

fn later() -> NotTold {
    NotTold::Later("it is away".into())
}

#[test]
fn each_channel_is_told_everything_once_and_in_order_and_one_that_is_away_holds_up_no_other() {
    let mut outbox = outbox(&["chat", "mail"]);
    for position in 1..=3 {
        outbox.tell(tell(position, "granted"));
    }
    fails(&mut outbox, "chat", later(), at(0));
    let all = ["granted at 1", "granted at 2", "granted at 3"];
    assert_eq!(takes(&mut outbox, "mail", at(0)), all);
    assert_eq!(takes(&mut outbox, "chat", at(0)), Vec::<String>::new(), "it rests");
    assert!(outbox.trouble().unwrap().contains("chat: it is away; not told yet: 3 notices"));
    assert_eq!(takes(&mut outbox, "chat", at(1)), all);
    assert_eq!((takes(&mut outbox, "mail", at(1)), outbox.trouble()), (Vec::new(), None));
}

#[test]
fn a_restart_forgets_nothing_and_tells_nothing_twice() {
    let (mut before, mut rows) = (outbox(&["chat", "mail"]), Vec::new());
    before.tell(tell(1, "requested"));
    before.tell(tell(2, "granted"));
    before.compare(&[sick("alibuild01")], false, at(0));
    assert_eq!(takes(&mut before, "mail", at(0)).len(), 3);
    let first = before.next_for("chat", at(0)).unwrap();
    before.taken("chat", &first, Taken { root: Some("m1".into()) }, at(0));
    let mut after = again(&mut before, &mut rows, &["chat", "mail"]);
    // The journal is read anew from its beginning.
    for position in 1..=3 {
        after.tell(tell(position, "granted"));
    }
    after.compare(&[sick("alibuild01")], false, at(1));
    let next = after.next_for("chat", at(1)).unwrap();
    assert_eq!((next.notice.text.as_str(), next.root.as_deref()), ("granted at 2", Some("m1")));
    assert_eq!(
        takes(&mut after, "chat", at(1)),
        ["granted at 2", "alibuild01: Docker hangs", "granted at 3"]
    );
    assert_eq!(takes(&mut after, "mail", at(1)), ["granted at 3"]);
    let mut once_more = again(&mut after, &mut rows, &["mail"]);
    assert_eq!(takes(&mut once_more, "mail", at(1)), Vec::<String>::new());
}

#[test]
fn what_operations_did_before_there_was_an_outbox_is_not_told() {
    let mut outbox = Outbox::open(&[], ["chat".to_owned()], 7);
    outbox.tell(tell(7, "ended"));
    outbox.tell(tell(8, "requested"));
    assert_eq!(takes(&mut outbox, "chat", at(0)), ["requested at 8"]);
}

#[test]
fn who_has_not_heard_of_a_beginning_hears_of_no_end() {
    let mut outbox = outbox(&["chat", "mail"]);
    outbox.compare(&[sick("alibuild01")], false, at(0));
    assert_eq!(takes(&mut outbox, "mail", at(0)).len(), 1);
    outbox.compare(&[], false, at(1));
    assert_eq!(takes(&mut outbox, "mail", at(1)), ["back to normal: alibuild01/docker"]);
    assert_eq!(takes(&mut outbox, "chat", at(1)), Vec::<String>::new());
}

#[test]
fn who_has_heard_of_a_beginning_hears_of_its_end_though_a_repetition_still_waits() {
    let mut outbox = outbox(&["chat"]);
    outbox.compare(&[sick("alibuild01")], false, at(0));
    assert_eq!(takes(&mut outbox, "chat", at(0)).len(), 1);
    outbox.compare(&[sick("alibuild01")], false, at(61));
    outbox.compare(&[], false, at(62));
    assert_eq!(takes(&mut outbox, "chat", at(62)), ["back to normal: alibuild01/docker"]);
}

#[test]
fn what_was_dropped_is_said_once_the_channel_answers_again() {
    let mut outbox = outbox(&["chat"]);
    let many: Vec<Condition> = (0..MOST + 5).map(|number| sick(&format!("node{number}"))).collect();
    outbox.compare(&many, false, at(0));
    fails(&mut outbox, "chat", later(), at(0));
    let texts = takes(&mut outbox, "chat", at(1));
    assert_eq!(texts.len(), MOST + 1);
    assert!(texts[0].starts_with("5 notices could not be told here"), "{}", texts[0]);
    assert_eq!(texts[1], "node5: Docker hangs", "the oldest went");
}

#[test]
fn after_a_day_a_message_is_pointless_and_one_that_comes_late_says_when_it_was_so() {
    let mut outbox = outbox(&["chat"]);
    outbox.tell(tell(1, "granted"));
    outbox.tell(Tell { at: at(60), ..tell(2, "granted") });
    outbox.tidy(at(24 * 60));
    let texts = takes(&mut outbox, "chat", at(24 * 60));
    assert!(texts[0].starts_with("1 notice could not"), "{texts:?}");
    assert_eq!(texts[1..], ["granted at 2 (at 2026-02-02 03:40 UTC)"]);
}

#[test]
fn a_message_that_is_refused_for_ever_does_not_keep_the_others() {
    let mut outbox = outbox(&["chat"]);
    outbox.tell(tell(1, "granted"));
    outbox.tell(tell(2, "granted"));
    for minute in 0..i64::from(MOST_REFUSALS) {
        fails(&mut outbox, "chat", NotTold::Refused("too rude".into()), at(10 * minute));
    }
    let texts = takes(&mut outbox, "chat", at(200));
    assert_eq!(texts.len(), 2);
    assert!(texts[0].starts_with("1 notice could not") && texts[1].starts_with("granted at 2"), "{texts:?}");
}

#[test]
fn a_channel_that_keeps_failing_rests_ever_longer_and_five_minutes_at_most() {
    let mut outbox = outbox(&["chat"]);
    outbox.tell(tell(1, "granted"));
    let mut now = at(0);
    for rest in [10, 20, 40, 80, 160, 300, 300] {
        fails(&mut outbox, "chat", later(), now);
        let until = now + SignedDuration::from_secs(rest);
        assert!(outbox.next_for("chat", until - SignedDuration::from_secs(1)).is_none(), "{rest} s");
        assert!(outbox.next_for("chat", until).is_some(), "{rest} s");
        now = until;
    }
}

#[test]
fn a_thread_whose_beginning_is_gone_begins_anew_at_once() {
    let mut outbox = outbox(&["chat"]);
    outbox.tell(tell(1, "requested"));
    takes(&mut outbox, "chat", at(0));
    outbox.tell(tell(2, "ended"));
    assert!(outbox.next_for("chat", at(0)).unwrap().root.is_some());
    fails(&mut outbox, "chat", NotTold::ThreadGone("no such message".into()), at(0));
    assert_eq!(outbox.next_for("chat", at(0)).unwrap().root, None);
}

#[test]
fn an_announcement_is_told_once_however_often_it_is_tried_also_after_a_restart() {
    let (mut before, mut rows) = (outbox(&["chat", "mail"]), Vec::new());
    assert!(!before.announce("op-1", notice("until 10:30")));
    assert!(!before.announce("op-1", notice("until 10:40")), "nobody has taken it");
    let parcel = before.next_for("chat", at(0)).unwrap();
    assert_eq!(parcel.notice.text, "until 10:40");
    assert_eq!(before.taken("chat", &parcel, Taken::default(), at(0)).as_deref(), Some("op-1"));
    let mut after = again(&mut before, &mut rows, &["chat", "mail"]);
    assert!(after.announce("op-1", notice("until 10:50")));
    assert_eq!(takes(&mut after, "chat", at(0)), Vec::<String>::new());
    assert_eq!(takes(&mut after, "mail", at(0)), ["until 10:40"]);
}

#[test]
fn what_an_operation_asks_is_told_as_a_question_and_not_as_an_event_too() {
    let mut outbox = outbox(&["chat"]);
    outbox.tell(tell(1, "asked"));
    outbox.tell(tell(2, "stuck"));
    assert_eq!(takes(&mut outbox, "chat", at(0)), Vec::<String>::new());
}

#[test]
fn rows_that_cannot_be_read_are_dropped_and_nothing_else() {
    let bad = |kind: &str| NoticeRow { kind: kind.into(), key: "x".into(), value: Some("{".into()) };
    let mut outbox = Outbox::open(&[bad("letter"), bad("told"), bad("mark")], ["chat".to_owned()], 0);
    outbox.tell(tell(1, "granted"));
    assert_eq!(takes(&mut outbox, "chat", at(0)), ["granted at 1"]);
    assert!(
        outbox.take_changes().iter().any(|row| row.kind == "letter" && row.key == "x" && row.value.is_none())
    );
}
