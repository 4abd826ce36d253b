//! What becomes of an order: prepared, begun, ended, told; once, whatever comes again.

use super::*;

const NOW: u64 = 10 * HOUR;

fn rebooting(node: &mut Node) -> Order {
    assert_eq!(node.order(&reboot("r", NOW), NOW), None);
    node.begins(&commit("r", NOW), NOW)
}

#[test]
fn a_known_order_is_answered_again_and_never_begun_again() {
    let mut node = Node::new();
    node.begins(&fact("f", NOW), NOW);
    assert_eq!(node.order(&fact("f", NOW), NOW), None, "while it is carried out");
    assert_eq!(node.told("f"), OrderState::Starting);
    let (id, event) = node.machine.untold().unwrap();
    node.machine.told(&id, &event);
    assert_eq!(node.order(&fact("f", NOW), NOW), None);
    assert_eq!(node.machine.untold(), None, "that it starts is told once");
    node.machine.ended("f", done(), now(NOW));
    for _ in 0..3 {
        let (id, event) = node.machine.untold().unwrap();
        node.machine.told(&id, &event);
        assert_eq!(node.machine.untold(), None);
        // A new leader asks, it is void, it is for another boot: what was done was done.
        node.machine.hear_fence(Fence { generation: 1, epoch: 9 });
        assert_eq!(node.order(&fact("f", NOW), NOW + 1000), None);
        assert_eq!(node.told("f"), done());
        node = node.restart("b2", NOW + 1000);
        assert_eq!(node.order(&fact("f", NOW), NOW + 1000), None);
    }
}

#[test]
fn a_prepared_reboot_does_nothing_and_is_answered_alike_until_its_commit() {
    let mut node = Node::new();
    node.order(&reboot("r", NOW), NOW);
    let facts = idle();
    // Another call has another nonce at hand; a commit to the first may be on its way.
    assert_eq!(node.machine.order(&reboot("r", NOW), &facts, "another", now(NOW + 60)), None);
    assert_eq!(node.told("r"), OrderState::Prepared { nonce: NONCE.into() });
    assert_eq!(node.machine.memory().orders().len(), 0);
    node.begins(&commit("r", NOW), NOW + 60);
}

#[test]
fn a_commit_without_its_preparation_is_refused_for_good() {
    type Prepare = fn(Node) -> Node;
    let cases: [(&str, Prepare); 4] = [
        ("never prepared", |node| node),
        ("too late", |mut node| {
            node.order(&reboot("r", NOW - 61), NOW - 61);
            node
        }),
        ("another since", |mut node| {
            node.order(&reboot("r", NOW), NOW);
            node.order(&reboot("r2", NOW), NOW);
            node
        }),
        ("the agent restarted", |mut node| {
            node.order(&reboot("r", NOW), NOW);
            node.restart("b1", NOW)
        }),
    ];
    for (name, prepare) in cases {
        let mut node = Node::of(SimDisk::default(), "b1", 0);
        node.hear(NOW - 100);
        let mut node = prepare(node);
        assert_eq!(node.refuses(&commit("r", NOW - 61), NOW).0, RefusalCode::PrepareLost, "{name}");
        node.order(&reboot("r", NOW), NOW);
        assert_eq!(node.refuses(&commit("r", NOW), NOW).0, RefusalCode::PrepareLost, "{name}, and again");
    }
    let mut node = Node::new();
    node.order(&reboot("r", NOW), NOW);
    let guessed = with(commit("r", NOW), "/commit", json!("guessed"));
    assert_eq!(node.refuses(&guessed, NOW).0, RefusalCode::PrepareLost);
}

#[test]
fn the_last_look_is_taken_with_the_commit_and_once_more_before_the_deed() {
    let mut node = Node::new();
    node.order(&reboot("r", NOW), NOW);
    node.facts.objections.push("bob is logged in".into());
    assert_eq!(node.refuses(&commit("r", NOW), NOW), (RefusalCode::ChangedMind, "bob is logged in".into()));

    let mut node = Node::new();
    let order = rebooting(&mut node);
    assert!(node.machine.last_look(&order, &idle(), now(NOW)));
    let busy = LocalFacts { tasks: Known::Unknown, ..idle() };
    assert!(!node.machine.last_look(&order, &busy, now(NOW)));
    assert!(matches!(node.told("r"), OrderState::Refused { code: RefusalCode::ChangedMind, .. }));
    // What did not happen counts as no reboot.
    node.order(&reboot("later", NOW), NOW);
    assert!(matches!(node.told("later"), OrderState::Prepared { .. }));
}

#[test]
fn the_next_boot_tells_that_a_reboot_came_about() {
    let mut node = Node::new();
    rebooting(&mut node);
    let node = node.restart("b2", 30);
    let OrderState::Done { evidence } = node.told("r") else { panic!("{:?}", node.told("r")) };
    let boots: Vec<_> = evidence.iter().map(|one| one.value.as_str()).collect();
    assert_eq!(boots, ["b2", "b1"]);
    assert_eq!(node.machine.memory().boots().last().unwrap().order.as_deref(), Some("r"));
    assert_eq!(node.machine.memory().boots().first().unwrap().order, None);
}

#[test]
fn a_reboot_that_does_not_come_about_is_unknown_after_ten_minutes_and_still_counts() {
    let mut node = Node::new();
    rebooting(&mut node);
    node = node.restart("b1", NOW + 599);
    assert_eq!(node.refuses(&fact("f", NOW + 599), NOW + 599).0, RefusalCode::Busy, "the node may go down");
    node.machine.tick(now(NOW + 599));
    assert_eq!(node.machine.memory().order("r").unwrap().event.state, OrderState::Starting);
    node.machine.tick(now(NOW + 600));
    assert!(matches!(node.told("r"), OrderState::Unknown { .. }));
    assert_eq!(node.refuses(&reboot("again", NOW + 600), NOW + 600).0, RefusalCode::TooSoon);
}

#[test]
fn a_reboot_without_a_delay_says_so_with_its_end() {
    for why in [None, Some("no bus")] {
        let mut node = Node::new();
        rebooting(&mut node);
        if let Some(why) = why {
            node.machine.without_delay("r", why);
        }
        assert_eq!(node.told("r"), OrderState::Starting, "it is a reboot like any other");
        let node = node.restart("b2", 60);
        let OrderState::Done { evidence } = node.told("r") else { panic!("{:?}", node.told("r")) };
        let delay = evidence.iter().find(|fact| fact.fact == "shutdown_delay").map(|fact| &*fact.value);
        assert_eq!(delay, why.map(|_| "none: no bus"));
    }
    let mut node = Node::new();
    node.machine.without_delay("nobody", "no bus");
    assert!(node.machine.memory().orders().is_empty());
}

#[test]
fn a_reboot_that_was_not_even_asked_for_counts_as_none() {
    let mut node = Node::new();
    rebooting(&mut node);
    let failed = OrderState::Failed { sentence: "no logind".into(), evidence: vec![] };
    node.machine.ended("r", failed.clone(), now(NOW));
    assert_eq!(node.told("r"), failed);
    node.order(&reboot("again", NOW), NOW);
    assert!(matches!(node.told("again"), OrderState::Prepared { .. }));
}

#[test]
fn what_an_agent_was_at_when_it_ended_is_unknown_and_not_begun_again() {
    for boot in ["b1", "b2"] {
        let mut node = Node::new();
        node.begins(&fact("f", NOW), NOW);
        let mut node = node.restart(boot, NOW);
        assert!(matches!(node.told("f"), OrderState::Unknown { .. }));
        assert_eq!(node.order(&fact("f", NOW), NOW), None);
    }
}

#[test]
fn the_end_of_an_order_is_told_until_it_is_heard_also_after_a_restart() {
    let mut node = Node::new();
    node.begins(&fact("f", NOW), NOW);
    node.refuses(&order("x", NOW, json!({"verb": "none"})), NOW);
    node.machine.ended("f", done(), now(NOW));
    let mut node = node.restart("b1", NOW);
    let mut heard = Vec::new();
    while let Some((id, event)) = node.machine.untold() {
        node.machine.tell_later();
        let other = OrderEvent { state: OrderState::Starting, ..event.clone() };
        node.machine.told(&id, &other);
        assert!(node.machine.is_untold(&id), "another event is not this one");
        node.machine.told(&id, &event);
        heard.push(id);
    }
    heard.sort();
    assert_eq!(heard, ["f", "x"]);
    assert_eq!(node.restart("b1", NOW).machine.untold(), None);
}

#[test]
fn the_end_is_told_only_once_and_an_end_that_comes_later_changes_nothing() {
    let mut node = Node::new();
    node.begins(&fact("f", NOW), NOW);
    node.machine.ended("f", done(), now(NOW));
    node.machine.ended("f", OrderState::Unknown { sentence: "x".into() }, now(NOW));
    node.machine.ended("nobody", done(), now(NOW));
    assert_eq!(node.told("f"), done());
    assert!(!node.machine.is_untold("nobody"));
}
