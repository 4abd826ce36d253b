//! Counts over the whole fleet, computed once per change so that one verdict costs the same at any size.

use crate::{
    fleet::{Progress, Snapshot},
    in_order::InOrder,
    policy::{Class, Policy, TaskClass},
};
use jiff::Timestamp;
use millwright_protocol::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// One class in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Listed, without known-dead and quarantined nodes.
    pub listed: u32,
    /// Out: not proven healthy, or past the emptiness proof of an operation.
    pub out: BTreeSet<NodeName>,
    /// Draining: cordoned by an operation, not yet empty. One that falls ill or silent meanwhile is out as well, and keeps
    /// its place here: what is known less about it must not let another drain begin.
    pub draining: BTreeSet<NodeName>,
    /// Nodes that operations have taken out, by zone.
    pub taken: BTreeMap<String, BTreeSet<NodeName>>,
    /// The latest return of a node of this class.
    pub last_return: Option<(Timestamp, NodeName)>,
}

/// The fleet in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetCounts {
    classes: BTreeMap<Class, ClassCounts>,
    /// Every listed master, whatever its state.
    pub masters: Vec<NodeName>,
    /// In-service nodes per label.
    pub capable: BTreeMap<String, u32>,
    /// Where the instances of each service run on in-service nodes: (framework, name) → nodes.
    pub services: BTreeMap<(String, String), Vec<NodeName>>,
    /// Nodes whose silent repair is open.
    pub silent_repairs: BTreeSet<NodeName>,
    /// Outside checks that many nodes fail at once.
    pub blamed: BTreeSet<String>,
}

/// So many nodes, and this share of those that report, failing one outside check blame the outside
/// (domain.md 13.2: 30 %, at least 3).
const BLAME_AT_LEAST: u32 = 3;
const BLAME_PERCENT: u32 = 30;

impl FleetCounts {
    /// The numbers of a class.
    pub fn class(&self, class: Class) -> &ClassCounts {
        static NONE: ClassCounts = ClassCounts {
            listed: 0,
            out: BTreeSet::new(),
            draining: BTreeSet::new(),
            taken: BTreeMap::new(),
            last_return: None,
        };
        self.classes.get(&class).unwrap_or(&NONE)
    }

    /// Counts everything again.
    pub fn recount(snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Self {
        let mut counts = Self::default();
        let mut failing: BTreeMap<&str, u32> = BTreeMap::new();
        let mut reporting = 0;
        let mut nodes = InOrder::new(&snapshot.nodes);
        let mut operations = snapshot.operations.in_order();
        for (name, listed) in &policy.nodes {
            if listed.class == Class::Master {
                counts.masters.push(name.clone());
            }
            let class = counts.classes.entry(listed.class).or_default();
            let node = nodes.get(name).map(Box::as_ref);
            if listed.class == Class::Physical || node.is_some_and(super::fleet::Node::is_uncounted) {
                continue;
            }
            class.listed += 1;
            let healthy = node.is_some_and(|node| node.is_proven_healthy(now));
            let operation = operations.get(name).and_then(|on_it| snapshot.operations.first_of(on_it));
            let taken = operation.is_some_and(|operation| operation.progress >= Progress::Out);
            if let Some(at) = node.and_then(|node| node.returned_at)
                && class.last_return.as_ref().is_none_or(|(latest, _)| *latest < at)
            {
                class.last_return = Some((at, name.clone()));
            }
            if taken && let Some(zone) = &listed.zone {
                class.taken.entry(zone.clone()).or_default().insert(name.clone());
            }
            if !healthy || taken {
                class.out.insert(name.clone());
            }
            if !taken && operation.is_some_and(|operation| operation.progress == Progress::Draining) {
                class.draining.insert(name.clone());
            }
            let Some(agent) = node.filter(|node| node.is_fresh(now)).and_then(|node| node.agent.as_ref())
            else {
                continue;
            };
            reporting += 1;
            for check in &agent.failing_checks {
                if policy.external_checks.contains(check) {
                    *failing.entry(check).or_default() += 1;
                }
            }
            // What others say fails on a node is outside its own sight.
            for place in node.into_iter().flat_map(|node| &node.places).filter(|place| place.fails) {
                *failing.entry(place.source.as_str()).or_default() += 1;
            }
            if healthy && !taken {
                for label in &listed.labels {
                    *counts.capable.entry(label.clone()).or_default() += 1;
                }
                for task in
                    agent.tasks.known().into_iter().flatten().filter(|task| task.class == TaskClass::Service)
                {
                    counts.services.entry(task.service()).or_default().push(name.clone());
                }
            }
        }
        counts.silent_repairs = snapshot
            .operations
            .iter()
            .filter(|operation| operation.is_silent_repair)
            .flat_map(|operation| operation.nodes.iter().cloned())
            .collect();
        counts.blamed = failing
            .into_iter()
            .filter(|(_, nodes)| *nodes >= BLAME_AT_LEAST && *nodes * 100 >= reporting * BLAME_PERCENT)
            .map(|(check, _)| check.to_owned())
            .collect();
        counts
    }
}
