//! What is remembered over restarts, what is not believed, and what is forgotten.

use super::*;
use millwright_protocol::{Evidence, OrderEvent};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_769_850_000 + second).unwrap()
}

fn order(id: &str, second: i64, told: bool) -> Remembered {
    let state = OrderState::Done { evidence: vec![Evidence::new("output", "x".repeat(5000), "agent")] };
    Remembered {
        id: id.into(),
        verb: "set_fact".into(),
        void_at: Some(at(second)),
        begun: None,
        event: OrderEvent { at: at(second), boot_id: "b1".into(), state },
        told,
    }
}

fn memory(disk: &SimDisk) -> Memory<SimDisk> {
    Memory::open(disk.clone(), "b1", Duration::from_secs(100))
}

#[test]
fn everything_is_there_after_a_restart() {
    let disk = SimDisk::default();
    let mut first = memory(&disk);
    let fence = Fence { generation: 2, epoch: 5 };
    let seen = Seen { fence, position: 9, ordered_at: None };
    let boot = Boot { boot_id: "b1".into(), at: at(0), order: Some("r".into()) };
    first
        .add(vec![
            Record::Seen(seen),
            Record::Boot(boot.clone()),
            Record::Order(order("o", 0, false)),
            Record::Whitelist { version: 4 },
        ])
        .unwrap();
    let second = memory(&disk);
    assert_eq!(second.kept, first.kept);
    assert_eq!((second.seen(), second.whitelist()), (Some(seen), Some(4)));
    assert_eq!((second.boots(), second.orders()), (&[boot][..], &[order("o", 0, false)][..]));
}

#[test]
fn an_older_fence_position_or_whitelist_takes_nothing_back() {
    let mut memory = memory(&SimDisk::default());
    let seen =
        |generation, epoch, position| Seen { fence: Fence { generation, epoch }, position, ordered_at: None };
    let fence = |generation, epoch| Fence { generation, epoch };
    memory.add(vec![Record::Seen(seen(2, 5, 9)), Record::Whitelist { version: 4 }]).unwrap();
    memory.add(vec![Record::Seen(seen(1, 8, 99)), Record::Whitelist { version: 3 }]).unwrap();
    assert_eq!((memory.seen(), memory.whitelist()), (Some(seen(2, 5, 9)), Some(4)));
    assert_eq!(memory.newer(fence(2, 5), 9, None), None);
    assert_eq!(memory.newer(fence(1, 99), 99, None), None);
    assert_eq!(memory.newer(fence(2, 4), 10, None), Some(seen(2, 5, 10)));
    assert_eq!(memory.newer(fence(2, 6), 3, None), Some(seen(2, 6, 9)));
    assert_eq!(
        memory.newer(fence(3, 1), 2, None),
        Some(seen(3, 1, 2)),
        "another store counts its positions anew"
    );
}

#[test]
fn a_memory_is_as_old_as_its_beginning_in_this_boot_and_older_than_any_later_boot() {
    let disk = SimDisk::default();
    drop(memory(&disk));
    let again = memory(&disk);
    assert_eq!(again.age("b1", Duration::from_secs(160)), Some(Duration::from_secs(59)));
    assert_eq!(again.age("b2", Duration::from_secs(5)), None);
}

#[test]
fn a_file_that_is_no_memory_is_not_believed_and_left_as_it_is() {
    for bytes in [&b""[..], b"\n", b"{}", b"not a memory\n", b"00000002 00000000 {}\n", &[0; 100]] {
        let disk = SimDisk::of(bytes);
        let mut memory = memory(&disk);
        assert!(matches!(memory.trouble(), Some(Trouble::Damaged { .. })), "{bytes:?}");
        assert!(memory.add(vec![Record::Whitelist { version: 1 }]).is_err());
        memory.mend("b1", Duration::ZERO);
        memory.tidy(Some(at(0)));
        assert!(memory.trouble().is_some());
        assert_eq!(disk.bytes(), bytes);
    }
}

#[test]
fn a_record_of_a_later_version_is_not_passed_over() {
    let disk = SimDisk::default();
    drop(memory(&disk));
    let mut bytes = disk.bytes();
    bytes.extend(line::line("{\"what\":\"something_new\"}").bytes());
    let memory = memory(&SimDisk::of(&bytes));
    assert!(
        memory.trouble().unwrap().to_string().contains("no record of this version"),
        "{:?}",
        memory.trouble()
    );
}

#[test]
fn an_answer_that_was_heard_is_kept_short() {
    let mut memory = memory(&SimDisk::default());
    memory.add(vec![Record::Order(order("o", 0, false))]).unwrap();
    memory.add(vec![Record::Told { id: "o".into() }, Record::Told { id: "nobody".into() }]).unwrap();
    let kept = memory.order("o").unwrap();
    let OrderState::Done { evidence } = &kept.event.state else { panic!("{kept:?}") };
    assert!(kept.told && evidence[0].value.chars().count() == 301, "{}", evidence[0].value.len());
}

#[test]
fn only_what_is_old_void_told_and_no_recent_reboot_is_forgotten() {
    let mut memory = memory(&SimDisk::default());
    let now = 1_000_000;
    let begun =
        |second| Some(Begun { at: at(second), boot_id: "b0".into(), uptime_seconds: 0, undelayed: None });
    let kept = [
        Remembered { told: false, ..order("untold", 0, true) },
        Remembered { void_at: Some(at(now - 10)), ..order("may-come-again", 0, true) },
        Remembered {
            verb: "reboot".into(),
            begun: begun(now - 24 * 3600),
            ..order("rebooted-today", 0, true)
        },
        Remembered {
            event: OrderEvent { at: at(0), boot_id: "b0".into(), state: OrderState::Starting },
            ..order("open", 0, true)
        },
    ];
    let forgotten = Remembered {
        verb: "reboot".into(),
        begun: begun(now - 26 * 3600),
        ..order("rebooted-before", 0, true)
    };
    let newest = (0..KEPT as i64).map(|number| order(&format!("new-{number}"), number, true));
    let all = kept.iter().cloned().chain([forgotten]).chain(newest).chain([order("last", now, true)]);
    memory.add(all.map(Record::Order).collect()).unwrap();
    memory.tidy(None);
    assert_eq!(memory.orders().len(), KEPT + 6, "without a clock nothing is forgotten");
    memory.tidy(Some(at(now)));
    assert!(kept.iter().all(|order| memory.order(&order.id).is_some()));
    assert_eq!(memory.order("rebooted-before"), None);
    assert!(memory.orders().len() >= KEPT && memory.order("last").is_some());
}

#[test]
fn too_many_orders_at_once_fill_the_memory_until_they_are_old() {
    let mut memory = memory(&SimDisk::default());
    let orders = (0..MOST).map(|number| Record::Order(order(&format!("o-{number}"), 0, true)));
    memory.add(orders.collect()).unwrap();
    memory.tidy(Some(at(10)));
    assert!(matches!(memory.trouble(), Some(Trouble::Full { .. })), "{:?}", memory.trouble());
    memory.tidy(Some(at(3601)));
    assert_eq!((memory.trouble(), memory.orders().len()), (None, KEPT));
}

#[test]
fn a_file_that_has_grown_is_written_anew_and_says_the_same() {
    let disk = SimDisk::default();
    let mut first = memory(&disk);
    for version in 0..2 * SPARE as u64 {
        first.add(vec![Record::Whitelist { version }]).unwrap();
        first.tidy(None);
    }
    assert!(first.lines < SPARE + 10, "{}", first.lines);
    assert_eq!(memory(&disk).kept, first.kept);
}
