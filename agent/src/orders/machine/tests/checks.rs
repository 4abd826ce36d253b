//! Each check objects alone, and where several do, the first of them.

use super::*;
use millwright_protocol::ContainerRole;

const NOW: u64 = 10 * HOUR;

/// What objects, and under which code it must be told.
type Objection = (RefusalCode, fn(&mut Node, Value) -> Value);

fn hold() -> LocalHold {
    let since = coordinator(0);
    LocalHold { id: "h".into(), author: "ann".into(), reason: "mine".into(), since, until: None }
}

/// Objections to a reboot, in the order of their checks; every one is the only thing wrong.
const REBOOT_OBJECTIONS: [Objection; 7] = [
    (RefusalCode::NotMe, |_, order| with(order, "/target/machine_id", json!("m2"))),
    (RefusalCode::StaleLeader, |node, order| {
        node.machine.hear_fence(Fence { generation: 1, epoch: 4 });
        order
    }),
    (RefusalCode::Expired, |_, order| with(order, "/issued_at", json!(coordinator(NOW - 300)))),
    (RefusalCode::Protected, |node, order| {
        node.machine.rules.confirm_reboot = true;
        order
    }),
    (RefusalCode::Veto, |node, order| {
        node.facts.holds.push(hold());
        order
    }),
    (RefusalCode::Busy, |node, order| {
        node.facts.tasks = Known::Seen { age_seconds: 1, value: vec!["task-1".into()] };
        order
    }),
    (RefusalCode::TooSoon, |node, order| {
        node.rebooted_half_an_hour_ago();
        order
    }),
];

impl Node {
    /// By an order, in an earlier boot.
    fn rebooted_half_an_hour_ago(&mut self) {
        let begun =
            Begun { at: coordinator(NOW - 1800), boot_id: "b0".into(), uptime_seconds: 0, undelayed: None };
        let event = OrderEvent { at: now(0).wall, boot_id: "b1".into(), state: done() };
        let order = Remembered {
            id: "before".into(),
            verb: "reboot".into(),
            void_at: Some(coordinator(NOW - 1500)),
            begun: Some(begun),
            event,
            told: true,
        };
        self.machine.memory.add(vec![Record::Order(order)]).unwrap();
    }
}

#[test]
fn where_nothing_objects_the_order_is_carried_out() {
    let mut node = Node::new();
    assert_eq!(node.begins(&fact("o", NOW), NOW).verb.as_str(), "set_fact");
    node.machine.ended("o", done(), now(NOW));
    assert_eq!(node.order(&reboot("r", NOW), NOW), None);
    assert_eq!(node.told("r"), OrderState::Prepared { nonce: NONCE.into() });
    assert_eq!(node.begins(&commit("r", NOW), NOW).verb.as_str(), "reboot");
}

#[test]
fn each_check_refuses_alone() {
    for (code, object) in REBOOT_OBJECTIONS {
        let mut node = Node::new();
        let order = object(&mut node, reboot("o", NOW));
        let (found, sentence) = node.refuses(&order, NOW);
        assert_eq!(found, code, "{sentence}");
        assert!(!sentence.is_empty());
    }
}

#[test]
fn of_several_objections_the_first_in_order_is_told() {
    for first in 0..REBOOT_OBJECTIONS.len() {
        let mut node = Node::new();
        let objections = &REBOOT_OBJECTIONS[first..];
        let order = objections.iter().fold(reboot("o", NOW), |order, (_, object)| object(&mut node, order));
        assert_eq!(node.refuses(&order, NOW).0, REBOOT_OBJECTIONS[first].0);
    }
}

#[test]
fn a_refusal_is_final_also_when_what_objected_is_gone() {
    for (code, object) in REBOOT_OBJECTIONS {
        let mut node = Node::new();
        let order = object(&mut node, reboot("o", NOW));
        node.refuses(&order, NOW);
        let mut node = node.restart("b1", NOW + 1);
        assert_eq!(node.refuses(&reboot("o", NOW), NOW + 1).0, code);
        assert_eq!(node.refuses(&commit("o", NOW), NOW + 1).0, code);
    }
}

#[test]
fn an_order_that_misses_an_argument_or_has_a_strange_one_is_malformed() {
    let whitelist =
        |hosts: Value| json!({"verb": "set_whitelist", "hosts": hosts, "version": 1, "may_drop": 9});
    let verbs = [
        json!({"verb": "shell", "command": "rm -rf /"}),
        json!({}),
        json!({"verb": "prepull", "images": []}),
        json!({"verb": "puppet_run", "tries": 0}),
        json!({"verb": "puppet_run", "tries": 6}),
        json!({"verb": "set_fact", "name": "millwright_start"}),
        json!({"verb": "set_fact", "name": "role", "value": "x"}),
        json!({"verb": "set_fact", "name": "millwright_../x", "value": "x"}),
        json!({"verb": "set_fact", "name": "millwright_x", "value": "a\nb"}),
        json!({"verb": "set_fact", "name": "millwright_x", "value": ""}),
        whitelist(json!([])),
        whitelist(json!(["a b"])),
        whitelist(json!(["a\nb"])),
        whitelist(json!(["a".repeat(70_000)])),
        whitelist(json!(vec!["a"; 40_000])),
        json!({"verb": "cleanup"}),
        json!({"verb": "cleanup", "dry_run": false, "ttl_seconds": 0}),
        json!({"verb": "cleanup", "dry_run": false, "ttl_seconds": 86_400}),
        json!({"verb": "cleanup", "dry_run": false, "issued_at": "yesterday"}),
    ];
    let mut node = Node::new();
    for (number, verb) in verbs.into_iter().enumerate() {
        let (code, sentence) = node.refuses(&order(&format!("o-{number}"), NOW, verb), NOW);
        assert_eq!(code, RefusalCode::Malformed, "{number}: {sentence}");
        assert!(sentence.len() < 500, "{number}: {} bytes", sentence.len());
    }
}

#[test]
fn an_order_without_a_usable_id_is_left_aside() {
    let mut node = Node::new();
    for id in [json!(null), json!(7), json!(""), json!("../x"), json!("A"), json!("a".repeat(81))] {
        assert_eq!(node.order(&with(fact("o", NOW), "/id", id), NOW), None);
    }
    assert_eq!((node.machine.untold(), node.machine.memory().orders().len()), (None, 0));
}

#[test]
fn all_that_is_known_of_a_machine_must_be_so() {
    let cases = [
        ("/target/node", json!("alibuild11")),
        ("/target/node", json!("")),
        ("/target/machine_id", json!("M1")),
        ("/target/server_uuid", json!("s2")),
        ("/target/server_uuid", json!(null)),
    ];
    let mut node = Node::new();
    for (number, (path, value)) in cases.into_iter().enumerate() {
        let order = with(fact(&format!("o-{number}"), NOW), path, value);
        assert_eq!(node.refuses(&order, NOW).0, RefusalCode::NotMe, "{path}");
    }
    node.machine.rules.identity.server_uuid = None;
    assert_eq!(node.refuses(&fact("unknown-server", NOW), NOW).0, RefusalCode::NotMe);
}

#[test]
fn only_the_generation_that_is_known_and_no_earlier_epoch_is_obeyed() {
    let mut node = Node::new();
    node.machine.hear_fence(Fence { generation: 2, epoch: 5 });
    let of = |id: &str, generation: u64, epoch: u64| {
        with(with(fact(id, NOW), "/generation", json!(generation)), "/epoch", json!(epoch))
    };
    for (id, generation, epoch) in [("a", 1, 9), ("b", 3, 1), ("c", 2, 4)] {
        assert_eq!(node.refuses(&of(id, generation, epoch), NOW).0, RefusalCode::StaleLeader);
    }
    for (id, epoch) in [("d", 5), ("e", 8)] {
        node.begins(&of(id, 2, epoch), NOW);
        node.machine.ended(id, done(), now(NOW));
    }
    assert_eq!(node.refuses(&of("f", 2, 7), NOW).0, RefusalCode::StaleLeader);
    let mut node = node.restart("b1", NOW);
    assert_eq!(
        node.machine.seen(),
        node.machine.seen().map(|seen| Seen {
            fence: Fence { generation: 2, epoch: 8 },
            position: 7,
            ..seen
        })
    );
    assert_eq!(node.refuses(&of("g", 2, 7), NOW).0, RefusalCode::StaleLeader);
    node.machine.hear_fence(Fence { generation: 3, epoch: 1 });
    node.begins(&of("h", 3, 1), NOW);
}

#[test]
fn nothing_is_learnt_from_an_order_for_somebody_else_or_from_an_old_leader() {
    let mut node = Node::new();
    node.machine.hear_fence(Fence { generation: 1, epoch: 3 });
    let known = node.machine.seen();
    node.refuses(&with(with(fact("a", NOW), "/epoch", json!(99)), "/target/node", json!("n")), NOW);
    node.refuses(&with(with(fact("b", NOW), "/epoch", json!(2)), "/position", json!(99)), NOW);
    assert_eq!(node.machine.seen(), known);
    let late = with(reboot("c", NOW), "/issued_at", json!(coordinator(0)));
    node.refuses(&with(late, "/epoch", json!(4)), NOW);
    assert_eq!(
        node.machine.seen().unwrap().fence.epoch,
        4,
        "a late order of a newer leader still tells who leads"
    );
}

#[test]
fn an_order_is_void_by_the_latest_that_the_coordinators_clock_can_be() {
    for (round_trip, age, is_good) in [(0, 299, true), (0, 300, false), (10, 285, true), (10, 291, false)] {
        let mut node = Node::of(SimDisk::default(), "b1", 0);
        node.machine.hear_clock(coordinator(NOW), seconds(NOW - round_trip), seconds(NOW));
        let order = fact("o", NOW - age);
        match is_good {
            true => drop(node.begins(&order, NOW)),
            false => assert_eq!(node.refuses(&order, NOW).0, RefusalCode::Expired, "{round_trip} {age}"),
        }
    }
}

#[test]
fn a_clock_that_cannot_be_bounded_refuses() {
    let mut node = Node::of(SimDisk::default(), "b1", 0);
    assert_eq!(node.refuses(&fact("never-heard", NOW), NOW).0, RefusalCode::ClockUnknown);
    node.machine.hear_clock(coordinator(NOW), seconds(NOW - 31), seconds(NOW));
    assert_eq!(node.refuses(&fact("wide", NOW), NOW).0, RefusalCode::ClockUnknown);
    node.hear(NOW);
    assert_eq!(node.refuses(&fact("from-the-future", NOW + 60), NOW).0, RefusalCode::ClockUnknown);
    node.begins(&fact("bounded", NOW), NOW);
}

#[test]
fn an_order_older_than_the_memory_is_not_begun_and_nobody_claims_that_it_never_was() {
    let mut node = Node::of(SimDisk::default(), "b1", NOW);
    node.hear(NOW + 10);
    assert_eq!(node.order(&fact("before", NOW - 5), NOW + 10), None);
    assert!(matches!(node.told("before"), OrderState::Unknown { .. }), "{:?}", node.told("before"));
    node.begins(&fact("after", NOW + 5), NOW + 10);
}

#[test]
fn an_order_for_another_boot_is_refused_and_a_reboot_of_it_is_done() {
    let mut node = Node::new();
    let of_b0 = |order: Value| with(order, "/target/boot_id", json!("b0"));
    assert_eq!(node.refuses(&of_b0(fact("o", NOW)), NOW).0, RefusalCode::EarlierBoot);
    for (id, order) in [("r", reboot("r", NOW)), ("c", commit("c", NOW))] {
        assert_eq!(node.order(&of_b0(order), NOW), None);
        assert!(matches!(node.told(id), OrderState::Done { .. }), "{:?}", node.told(id));
    }
}

#[test]
fn the_nodes_own_configuration_is_not_argued_with() {
    let mut node = Node::new();
    node.machine.rules.confirm_reboot = true;
    assert_eq!(node.refuses(&reboot("r", NOW), NOW).0, RefusalCode::Protected);
    node.order(&with(reboot("confirmed", NOW), "/confirmed_by", json!("ann")), NOW);
    assert!(matches!(node.told("confirmed"), OrderState::Prepared { .. }));
    node.machine.rules.enabled = false;
    let diagnostics = order("d", NOW, json!({"verb": "collect_diagnostics"}));
    for order in [fact("f", NOW), reboot("r2", NOW), diagnostics] {
        assert_eq!(node.refuses(&order, NOW).0, RefusalCode::Protected);
    }
}

#[test]
fn a_hold_of_the_node_stops_every_verb_that_changes_it() {
    let mut node = Node::new();
    node.facts.holds.push(hold());
    let verbs = [
        json!({"verb": "reboot"}),
        json!({"verb": "puppet_run", "tries": 1}),
        json!({"verb": "prepull", "images": ["a/b:latest"]}),
        json!({"verb": "set_fact", "name": "millwright_x", "value": null}),
        json!({"verb": "set_whitelist", "hosts": ["a"], "version": 1, "may_drop": 0}),
        json!({"verb": "cleanup", "dry_run": false}),
    ];
    for (number, verb) in verbs.into_iter().enumerate() {
        let (code, sentence) = node.refuses(&order(&format!("o-{number}"), NOW, verb), NOW);
        assert!(code == RefusalCode::Veto && sentence.contains("ann"), "{sentence}");
    }
    for (id, verb) in
        [("d", json!({"verb": "collect_diagnostics"})), ("c", json!({"verb": "cleanup", "dry_run": true}))]
    {
        node.begins(&order(id, NOW, verb), NOW);
    }
}

#[test]
fn people_locks_and_planned_shutdowns_stop_a_reboot_and_nothing_else() {
    for objection in ["bob is logged in", "dpkg is at work"] {
        let mut node = Node::new();
        node.facts.objections.push(objection.into());
        assert_eq!(node.refuses(&reboot("r", NOW), NOW), (RefusalCode::Veto, objection.into()));
        node.begins(&fact("f", NOW), NOW);
    }
    let mut node = Node::new();
    node.facts.puppet = Some("Puppet runs, process 7".into());
    assert_eq!(node.refuses(&reboot("r", NOW), NOW).0, RefusalCode::Veto);
}

#[test]
fn unknown_work_is_not_idle() {
    let unknown: [fn(&mut LocalFacts); 8] = [
        |facts| facts.tasks = Known::Unknown,
        |facts| facts.containers = Known::Unknown,
        |facts| facts.zookeeper = Known::Unknown,
        |facts| facts.tasks = Known::Seen { age_seconds: 31, value: vec![] },
        |facts| facts.containers = Known::Seen { age_seconds: 31, value: vec![] },
        |facts| facts.zookeeper = Known::Seen { age_seconds: 31, value: "follower".into() },
        |facts| facts.raid = Some("recovery = 3 %".into()),
        |facts| {
            let value = vec![("mine".into(), ContainerRole::Other)];
            facts.containers = Known::Seen { age_seconds: 1, value };
        },
    ];
    for (number, unknow) in unknown.into_iter().enumerate() {
        let mut node = Node::new();
        unknow(&mut node.facts);
        assert_eq!(node.refuses(&reboot("r", NOW), NOW).0, RefusalCode::Busy, "{number}");
    }
}

#[test]
fn only_the_tasks_that_were_let_go_may_end_and_infrastructure_is_no_work() {
    let mut node = Node::new();
    let containers =
        vec![("mesos-1".into(), ContainerRole::Task), ("zookeeper".into(), ContainerRole::Infrastructure)];
    node.facts.tasks = Known::Seen { age_seconds: 30, value: vec!["t1".into(), "t2".into()] };
    node.facts.containers = Known::Seen { age_seconds: 30, value: containers };
    let letting_go = |id: &str, tasks: Value| order(id, NOW, json!({"verb": "reboot", "may_end": tasks}));
    let (code, sentence) = node.refuses(&letting_go("one", json!(["t1"])), NOW);
    assert!(code == RefusalCode::Busy && sentence.contains("t2"), "{sentence}");
    node.order(&letting_go("both", json!(["t1", "t2"])), NOW);
    assert!(matches!(node.told("both"), OrderState::Prepared { .. }), "{:?}", node.told("both"));
    node.facts.tasks = Known::Seen { age_seconds: 0, value: vec![] };
    let (code, sentence) = node.refuses(&letting_go("none", json!(["t1"])), NOW);
    assert!(
        code == RefusalCode::Busy && sentence.contains("mesos-1"),
        "a container whose task is gone: {sentence}"
    );
}

#[test]
fn nothing_reboots_while_a_verb_is_carried_out_and_no_verb_runs_twice_at_once() {
    let mut node = Node::new();
    let puppet = |id: &str| order(id, NOW, json!({"verb": "puppet_run", "tries": 1}));
    node.begins(&puppet("p1"), NOW);
    assert_eq!(node.refuses(&puppet("p2"), NOW).0, RefusalCode::Busy);
    assert_eq!(node.refuses(&reboot("r1", NOW), NOW).0, RefusalCode::Busy);
    node.begins(&fact("f1", NOW), NOW);
    for id in ["p1", "f1"] {
        node.machine.ended(id, done(), now(NOW));
    }
    node.order(&reboot("r2", NOW), NOW);
    node.begins(&commit("r2", NOW), NOW);
    assert_eq!(node.refuses(&fact("f2", NOW), NOW).0, RefusalCode::Busy, "the node goes down");
}

#[test]
fn no_reboot_within_ten_minutes_of_a_boot() {
    for (uptime, is_good) in [(599, false), (600, true)] {
        let mut node = Node::of(SimDisk::default(), "b1", 0);
        node.hear(uptime);
        assert_eq!(node.order(&reboot("r", uptime), uptime), None);
        assert_eq!(matches!(node.told("r"), OrderState::Prepared { .. }), is_good, "{:?}", node.told("r"));
    }
}

#[test]
fn one_reboot_by_order_in_two_hours_and_two_in_a_day_whatever_the_nodes_clock_says() {
    let disk = SimDisk::default();
    // Each boot takes its time from the coordinator; the node's own clock runs backwards from boot to boot.
    let attempt = |number: u64, at: u64| {
        let boot = format!("b{number}");
        let wall = now(0).wall - seconds(number * 30 * 24 * HOUR);
        let moment = Moment { wall, uptime: seconds(3 * HOUR) };
        let mut machine = Machine::open(disk.clone(), rules(&boot), moment);
        machine.hear_clock(coordinator(at), moment.uptime, moment.uptime);
        let id = format!("r-{number}");
        [reboot(&id, at), commit(&id, at)].into_iter().any(|order| {
            let order = with(order, "/target/boot_id", json!(boot));
            machine.order(&order, &idle(), NONCE, moment).is_some()
        })
    };
    let minute = 60;
    let times = [0, 119 * minute, 121 * minute, 10 * HOUR, 24 * HOUR - minute, 24 * HOUR + minute];
    let done: Vec<bool> = (1..).zip(times).map(|(number, at)| attempt(number, 1000 * HOUR + at)).collect();
    assert_eq!(done, [true, false, true, false, false, true]);
}

#[test]
fn boots_made_by_hand_are_noted_and_punish_nobody() {
    let mut node = Node::new();
    for number in 2..9 {
        node = node.restart(&format!("b{number}"), HOUR);
    }
    let boots = node.machine.memory().boots();
    assert!(boots.len() == 8 && boots.iter().all(|boot| boot.order.is_none()), "{boots:?}");
    let order = with(reboot("r", HOUR), "/target/boot_id", json!(node.boot));
    assert_eq!(node.order(&order, HOUR), None);
    assert!(matches!(node.told("r"), OrderState::Prepared { .. }));
}

#[test]
fn a_node_refuses_what_it_has_not() {
    let whitelist = json!({"verb": "set_whitelist", "hosts": ["a"], "version": 1, "may_drop": 0});
    type Take = fn(&mut Rules);
    let cases: [(Value, Take); 5] = [
        (json!({"verb": "prepull", "images": ["a/b:latest"]}), |rules| rules.images.clear()),
        (json!({"verb": "prepull", "images": ["a/b:latest", "c/d:1"]}), |_| {}),
        (json!({"verb": "puppet_run", "tries": 1}), |rules| rules.puppet = false),
        (whitelist, |rules| rules.whitelist = false),
        (json!({"verb": "cleanup", "dry_run": true}), |rules| rules.cleanup = false),
    ];
    for (verb, take) in cases {
        let mut node = Node::new();
        take(&mut node.machine.rules);
        let (code, sentence) = node.refuses(&order("o", NOW, verb), NOW);
        assert_eq!(code, RefusalCode::NotHere, "{sentence}");
    }
}

#[test]
fn an_older_whitelist_never_replaces_a_newer_one() {
    let list = |id: &str, version: u64| {
        order(id, NOW, json!({"verb": "set_whitelist", "hosts": ["a"], "version": version, "may_drop": 0}))
    };
    let mut node = Node::new();
    node.begins(&list("w5", 5), NOW);
    // Not even after a restart that forgot how the newer one ended.
    let mut node = node.restart("b1", NOW);
    assert_eq!(node.refuses(&list("w4", 4), NOW).0, RefusalCode::StaleLeader);
    node.begins(&list("w5-again", 5), NOW);
}
