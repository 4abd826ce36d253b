//! Promises that hold for every fleet, not only for those of a story.

use crate::world::World;
use jiff::SignedDuration;
use millwright_decision::{
    Action, Protection, Request, Severity, Source, TaskMatch, Verdict, Volumes,
    example::ExampleFleet,
    fleet::{Attestation, Hold, Listing, Operation, Progress, SourceState, SshProbe, View},
    judge,
};
use millwright_protocol::NodeName;
use proptest::prelude::*;

const AGENTS: usize = 8;

/// The nodes of every property: three masters, then agents, alibuild03 among them.
fn name(index: usize) -> NodeName {
    let spelled =
        if index < 3 { format!("alimesos0{}", index + 1) } else { format!("alibuild0{}", index - 2) };
    spelled.parse().unwrap()
}

fn nodes() -> impl Strategy<Value = usize> {
    0..3 + AGENTS
}

/// Something that happened to the fleet.
#[derive(Debug, Clone)]
enum Happened {
    Crit(usize),
    UnknownFinding(usize),
    Task(usize, &'static str),
    Stray(usize),
    Hold(usize),
    Operation(usize, bool),
    Attested(usize),
    Disagree(usize),
    Ssh(usize, bool),
    Deactivated(usize),
    Dead(usize),
    Returned(usize),
    Label(usize),
}

fn happened() -> impl Strategy<Value = Happened> {
    let frameworks = prop_oneof![Just("marathon"), Just("TwitterScheduler"), Just("unheard of")];
    prop_oneof![
        nodes().prop_map(Happened::Crit),
        nodes().prop_map(Happened::UnknownFinding),
        (nodes(), frameworks).prop_map(|(node, framework)| Happened::Task(node, framework)),
        nodes().prop_map(Happened::Stray),
        nodes().prop_map(Happened::Hold),
        (nodes(), any::<bool>()).prop_map(|(node, out)| Happened::Operation(node, out)),
        nodes().prop_map(Happened::Attested),
        nodes().prop_map(Happened::Disagree),
        (nodes(), any::<bool>()).prop_map(|(node, answers)| Happened::Ssh(node, answers)),
        nodes().prop_map(Happened::Deactivated),
        nodes().prop_map(Happened::Dead),
        nodes().prop_map(Happened::Returned),
        nodes().prop_map(Happened::Label),
    ]
}

fn happen(fleet: &mut ExampleFleet, event: &Happened) {
    let now = fleet.now;
    match *event {
        Happened::Crit(node) => fleet.gating(&name(node), "docker", true, SignedDuration::from_mins(3)),
        Happened::UnknownFinding(node) => {
            fleet.gating(&name(node), "docker", false, SignedDuration::from_mins(3))
        }
        Happened::Task(node, framework) => {
            fleet.runs(
                &name(node),
                TaskMatch { id: "t1", name: "mesostest/x", framework, ..Default::default() },
            );
        }
        Happened::Stray(node) => {
            fleet.node(&name(node)).agent_empty = None;
            if let View::Known(containers) = &mut fleet.agent(&name(node)).containers {
                containers
                    .stray
                    .push(millwright_decision::fleet::StrayContainer { name: "c".into(), image: "i".into() });
            }
        }
        Happened::Hold(node) => fleet.snapshot.holds.push(Hold {
            id: "h".into(),
            node: name(node),
            author: "bob".into(),
            reason: "r".into(),
            since: now,
            expires_at: None,
            operation: None,
        }),
        Happened::Operation(node, out) => fleet.snapshot.operations.push(Operation {
            id: format!("o{node}"),
            action: Action::Reboot,
            nodes: [name(node)].into(),
            requester: "alice".into(),
            progress: if out { Progress::Out } else { Progress::Draining },
            since: now,
            cordoned_at: Some(now),
            announced_at: Some(fleet.ago(SignedDuration::from_hours(13))),
            is_silent_repair: false,
            is_parked: false,
            grants: Vec::new(),
        }),
        Happened::Attested(node) => fleet.snapshot.attestations.push(Attestation {
            node: name(node),
            source: Source::Agent,
            by: "carol".into(),
            until: now + SignedDuration::from_mins(5),
        }),
        Happened::Disagree(node) => fleet.node(&name(node)).views_disagree_since = Some(now),
        Happened::Ssh(node, answered) => {
            let probe = SshProbe { at: now, answered: Some(answered), story: "n:22".into(), ping: None };
            fleet.node(&name(node)).ssh = Some(probe);
        }
        Happened::Deactivated(node) => {
            if let Some(view) = &mut fleet.node(&name(node)).master {
                (view.listing, view.deactivated) = (Listing::Inactive, true);
            }
        }
        Happened::Dead(node) => fleet.node(&name(node)).known_dead = Some("x".into()),
        Happened::Returned(node) => fleet.node(&name(node)).returned_at = Some(now),
        Happened::Label(node) => {
            fleet.policy.nodes.get_mut(&name(node)).unwrap().labels.insert("gpu".into());
        }
    }
}

/// A fact that is lost, or grows old.
#[derive(Debug, Clone)]
enum Lost {
    Report(usize),
    Age(usize, i64),
    Verification(usize),
    HealthySince(usize),
    Tasks(usize),
    Containers(usize),
    MasterView(usize),
    EmptyProofs(usize),
    MesosMaster(i64),
}

fn lost() -> impl Strategy<Value = Lost> {
    prop_oneof![
        nodes().prop_map(Lost::Report),
        (nodes(), 61_i64..4000).prop_map(|(node, age)| Lost::Age(node, age)),
        nodes().prop_map(Lost::Verification),
        nodes().prop_map(Lost::HealthySince),
        nodes().prop_map(Lost::Tasks),
        nodes().prop_map(Lost::Containers),
        nodes().prop_map(Lost::MasterView),
        nodes().prop_map(Lost::EmptyProofs),
        (0_i64..4000).prop_map(Lost::MesosMaster),
    ]
}

fn lose(fleet: &mut ExampleFleet, fact: &Lost) {
    let now = fleet.now;
    match *fact {
        Lost::Report(node) => {
            let node = fleet.node(&name(node));
            (node.agent, node.agent_empty) = (None, None);
        }
        Lost::Age(node, age) => fleet.report_age(&name(node), SignedDuration::from_secs(age)),
        Lost::Verification(node) => fleet.agent(&name(node)).verified_at = None,
        Lost::HealthySince(node) => fleet.agent(&name(node)).healthy_since = None,
        Lost::Tasks(node) => {
            fleet.agent(&name(node)).tasks = View::Unknown;
            fleet.node(&name(node)).agent_empty = None;
        }
        Lost::Containers(node) => {
            fleet.agent(&name(node)).containers = View::Unknown;
            fleet.node(&name(node)).agent_empty = None;
        }
        Lost::MasterView(node) => {
            let node = fleet.node(&name(node));
            (node.master, node.master_empty) = (None, None);
        }
        Lost::EmptyProofs(node) => {
            let node = fleet.node(&name(node));
            (node.agent_empty, node.master_empty) = (None, None);
        }
        Lost::MesosMaster(age) => {
            let since = Some(now - SignedDuration::from_secs(age));
            let state = SourceState { last_answer: since, unknown_since: since };
            fleet.snapshot.sources.insert(Source::MesosMaster, state);
        }
    }
}

fn question() -> impl Strategy<Value = Request> {
    let actions = proptest::sample::select(Action::DISRUPTIVE.to_vec());
    (actions, proptest::collection::btree_set(nodes(), 1..3), any::<bool>(), proptest::option::of(nodes()))
        .prop_map(|(action, nodes, volumes, operation)| Request {
            volumes: if volumes { Volumes::Delete } else { Volumes::Keep },
            operation: operation.map(|node| format!("o{node}")),
            ..Request::set(action, nodes.into_iter().map(name))
        })
}

fn world() -> ExampleFleet {
    World::build("", &[format!("fleet masters=3 agents={AGENTS}")]).fleet
}

fn answer(fleet: ExampleFleet, request: &Request) -> Verdict {
    let (snapshot, policy, now) = fleet.snapshot();
    judge(request, &snapshot, &policy, now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), max_global_rejects: 1 << 20, failure_persistence: None, ..ProptestConfig::default() })]

    /// S6, S7: unknown is never idle and never healthy.
    #[test]
    fn losing_or_ageing_a_fact_never_turns_a_refusal_into_permission(
        events in proptest::collection::vec(happened(), 0..8),
        facts in proptest::collection::vec(lost(), 1..4),
        request in question(),
    ) {
        let mut before = world();
        events.iter().for_each(|event| happen(&mut before, event));
        let mut after = before.clone();
        facts.iter().for_each(|fact| lose(&mut after, fact));
        let (before, after) = (answer(before, &request), answer(after, &request));
        prop_assert!(
            before.verdict == Severity::Allowed || after.verdict != Severity::Allowed,
            "with the fact: {:?}", before.reasons
        );
    }

    /// S4: nobody gains anything by protecting more.
    #[test]
    fn adding_a_protection_never_loosens(
        events in proptest::collection::vec(happened(), 0..8),
        protected in nodes(),
        protection in proptest::sample::select(Protection::ALL.to_vec()),
        request in question(),
    ) {
        let mut before = world();
        events.iter().for_each(|event| happen(&mut before, event));
        let mut after = before.clone();
        after.policy.nodes.get_mut(&name(protected)).unwrap().protections.insert(protection);
        let (before, after) = (answer(before, &request), answer(after, &request));
        prop_assert!(after.verdict >= before.verdict && after.may_start >= before.may_start);
    }

    /// S1, S2: trouble elsewhere never makes a node easier to take.
    #[test]
    fn trouble_elsewhere_never_loosens(
        events in proptest::collection::vec(happened(), 0..8),
        troubled in nodes(),
        request in question(),
    ) {
        prop_assume!(!request.nodes.contains(&name(troubled)));
        let mut before = world();
        events.iter().for_each(|event| happen(&mut before, event));
        let mut after = before.clone();
        happen(&mut after, &Happened::Crit(troubled));
        let (before, after) = (answer(before, &request), answer(after, &request));
        prop_assert!(before.verdict == Severity::Allowed || after.verdict != Severity::Allowed);
    }

    #[test]
    fn neither_order_nor_spelling_of_nodes_matters(
        events in proptest::collection::vec(happened(), 0..8),
        action in proptest::sample::select(Action::ALL.to_vec()),
    ) {
        let mut fleet = world();
        events.iter().for_each(|event| happen(&mut fleet, event));
        let spelled = |names: [&str; 3]| Request::set(action, names.map(|name| name.parse().unwrap()));
        let one = answer(fleet.clone(), &spelled(["alibuild01", "alibuild04", "alimesos02"]));
        let other = answer(fleet, &spelled(["ALIMESOS2.cern.ch", "alibuild004", "alibuild1"]));
        prop_assert_eq!(one, other);
    }

    /// L1: there is always a way forward in a fleet that is well.
    #[test]
    fn an_idle_healthy_fleet_always_has_something_allowed(masters in 0_usize..4, agents in 1_usize..30) {
        let fleet = World::build("", &[format!("fleet masters={masters} agents={agents}")]).fleet;
        let (snapshot, policy, now) = fleet.snapshot();
        let allowed = policy
            .nodes
            .keys()
            .any(|name| judge(&Request::one(Action::Reboot, name.clone()), &snapshot, &policy, now).verdict == Severity::Allowed);
        prop_assert!(allowed);
    }

    /// S1: masters never go two at a time, whatever people have agreed to.
    #[test]
    fn two_masters_never_go_together(events in proptest::collection::vec(happened(), 0..8), request in question()) {
        let masters = request.nodes.iter().filter(|name| name.as_str().starts_with("alimesos")).count();
        let mut fleet = world();
        events.iter().for_each(|event| happen(&mut fleet, event));
        let out = fleet.clone().snapshot().0.counts.class(millwright_decision::Class::Master).out.clone();
        let taken = out.iter().filter(|name| !request.nodes.contains(*name)).count();
        let verdict = answer(fleet, &request);
        if masters + taken >= 2 && masters >= 1 {
            prop_assert!(verdict.verdict != Severity::Allowed);
        }
    }
}
