//! The power goes at any write, with any part of it kept: nothing is begun twice, nothing that was begun is forgotten.

use super::*;
use crate::memory::disk::Fault;

const NOW: u64 = 10 * HOUR;

/// What a node did in one life or several.
#[derive(Debug, Default)]
struct Deeds(Vec<String>);

/// Three orders, of which the second is refused; the deed of the first takes a while, so that a crash may come in between.
fn live(node: &mut Node, deeds: &mut Deeds) {
    for order in [fact("f", NOW), order("x", NOW, json!({"verb": "none"})), reboot("r", NOW)] {
        if let Some(begun) = node.order(&order, NOW) {
            deeds.0.push(begun.id.clone());
            node.machine.ended(&begun.id, done(), now(NOW));
        }
        while let Some((id, event)) = node.machine.untold() {
            node.machine.told(&id, &event);
        }
    }
    if let Some(begun) = node.order(&commit("r", NOW), NOW) {
        deeds.0.push(begun.id);
    }
}

#[test]
fn a_loss_of_power_at_any_write_makes_no_order_run_twice_and_none_forgotten() {
    let mut undisturbed = Node::new();
    let before = undisturbed.disk.writes();
    live(&mut undisturbed, &mut Deeds::default());
    let writes = undisturbed.disk.writes();
    assert!(writes - before >= 6, "{writes}");
    let mut lives = 0;
    for write in before..writes {
        for kept in (0..400).chain([5000]) {
            let mut node = Node::new();
            assert_eq!(node.disk.writes(), before);
            node.disk.break_at(Fault::PowerLoss { write, kept });
            let mut deeds = Deeds::default();
            live(&mut node, &mut deeds);
            // The power comes back, in the same boot after a crash of the agent or in another one.
            for boot in ["b1", "b2"] {
                node.disk.repair();
                node = node.restart(boot, NOW);
                assert_eq!(node.machine.memory().trouble(), None, "write {write}, {kept} bytes kept");
                live(&mut node, &mut deeds);
            }
            for id in ["f", "r"] {
                let times = deeds.0.iter().filter(|deed| *deed == id).count();
                assert!(times <= 1, "{id} was begun {times} times: write {write}, {kept} bytes kept");
                let known = node.machine.memory().order(id);
                assert!(times == 0 || known.is_some(), "{id} is forgotten: write {write}, {kept} bytes kept");
            }
            lives += 1;
        }
    }
    assert!(lives > 2000, "{lives}");
}

#[test]
fn a_damaged_memory_refuses_everything_and_says_so() {
    let mut node = Node::new();
    node.begins(&fact("f", NOW), NOW);
    let whole = node.disk.bytes();
    let mut damaged = 0;
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x04;
        let mut node = Node::of(SimDisk::of(&bytes), "b1", NOW);
        node.hear(NOW);
        // One in the blank end of a line may cost nothing.
        let Some(trouble) = node.machine.memory().trouble().cloned() else {
            assert!(node.machine.memory().order("f").is_some(), "byte {place}");
            continue;
        };
        damaged += 1;
        let (code, sentence) = node.refuses(&fact("g", NOW + 5), NOW + 5);
        assert!(code == RefusalCode::MemoryBroken && sentence.contains("mv "), "{sentence}");
        assert_eq!(node.order(&fact("f", NOW), NOW + 5), None);
        assert!(matches!(node.told("f"), OrderState::Unknown { .. }), "it may have been, and was, begun");
        assert_eq!(
            node.machine.view().memory_trouble.as_deref(),
            Some(&*format!("{trouble}; {}", trouble.next()))
        );
        assert_eq!(node.disk.bytes(), bytes, "what a person has to look at is left as it is");
    }
    assert!(damaged > whole.len() * 9 / 10, "{damaged} of {}", whole.len());
}

#[test]
fn a_full_disk_refuses_until_there_is_room_and_what_was_refused_stays_so() {
    let mut node = Node::new();
    node.disk.break_at(Fault::Full { write: node.disk.writes() });
    assert_eq!(node.refuses(&fact("f", NOW), NOW).0, RefusalCode::MemoryBroken);
    assert_eq!(node.refuses(&fact("g", NOW), NOW + 5).0, RefusalCode::MemoryBroken);
    node.disk.repair();
    node.hear(NOW + 10);
    node.machine.tick(now(NOW + 10));
    assert_eq!(node.machine.memory().trouble(), None);
    let mut node = node.restart("b1", NOW + 11);
    for id in ["f", "g"] {
        assert_eq!(node.order(&fact(id, NOW), NOW + 11), None);
        assert!(matches!(node.told(id), OrderState::Unknown { .. }), "older than the memory");
    }
    node.begins(&fact("h", NOW + 11), NOW + 11);
}

#[test]
fn the_end_of_a_deed_is_told_also_where_it_cannot_be_remembered() {
    let mut node = Node::new();
    node.begins(&fact("f", NOW), NOW);
    node.disk.break_at(Fault::Full { write: node.disk.writes() });
    node.machine.ended("f", done(), now(NOW));
    assert_eq!(node.told("f"), done());
    node.disk.repair();
    let node = node.restart("b1", NOW);
    assert!(matches!(node.told("f"), OrderState::Unknown { .. }), "what is not remembered is not known");
}

#[test]
fn a_memory_that_is_used_for_long_stays_small_and_forgets_nothing_that_may_come_again() {
    let mut node = Node::new();
    let mut largest = 0;
    for number in 0..3000_u64 {
        let at = NOW + number * 10;
        node.hear(at);
        node.begins(&fact(&format!("f-{number}"), at), at);
        node.machine.ended(&format!("f-{number}"), done(), now(at));
        while let Some((id, event)) = node.machine.untold() {
            node.machine.told(&id, &event);
        }
        largest = largest.max(node.disk.bytes().len());
        let still_live = number.saturating_sub(30);
        let order = node.machine.memory().order(&format!("f-{still_live}"));
        assert!(order.is_some(), "{still_live} at {number}");
    }
    assert!(node.machine.memory().orders().len() < 800, "{}", node.machine.memory().orders().len());
    assert!(largest < 1 << 20, "{largest}");
}
