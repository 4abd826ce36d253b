//! Jenkins' computers and which nodes they are on, so that every build has its place.
//!
//! A computer that Mesos made is called as its task; one that stands for a machine is called as that. What has once been
//! placed keeps its place for as long as Jenkins lists it: a task may have gone from every list while its build still ends.

use crate::fleet::{Fleet, tasks::watch};
use jiff::Timestamp;
use millwright_decision::{
    Node, TaskClass,
    fleet::{Build, JenkinsView, NodeTask},
};
use millwright_protocol::NodeName;
use std::collections::BTreeMap;

/// What Jenkins says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Jenkins {
    /// Its version.
    pub version: String,
    /// Whoever runs builds.
    pub computers: Vec<Computer>,
    /// How many builds wait for one.
    pub queued: usize,
    /// Whether it starts no new builds.
    pub is_quieting: bool,
}

/// Who runs builds for Jenkins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Computer {
    /// Its name there.
    pub name: String,
    /// Whether it takes no builds.
    pub offline: bool,
    /// Why, where somebody said.
    pub offline_reason: Option<String>,
    /// What it runs.
    pub builds: Vec<RunningBuild>,
}

/// What a computer runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunningBuild {
    /// Such as `daily-tags #123`.
    pub name: String,
    /// When it began.
    pub since: Option<Timestamp>,
    /// When builds of its job usually end.
    pub expected_end: Option<Timestamp>,
}

/// Which computers are where.
#[derive(Debug, Default)]
pub(in crate::fleet) struct Computers {
    place: BTreeMap<String, NodeName>,
    all: BTreeMap<NodeName, Vec<Computer>>,
}

impl Computers {
    /// Those on a node.
    pub fn on(&self, node: &NodeName) -> &[Computer] {
        self.all.get(node).map_or(&[], Vec::as_slice)
    }
}

impl Fleet {
    /// Takes in an answer; the sentence that tells of it.
    pub(super) fn take_jenkins(&mut self, seen: Jenkins, at: Timestamp) -> String {
        let running = seen.computers.iter().map(|computer| computer.builds.len()).sum::<usize>();
        let quiet = if seen.is_quieting { ", starts no new ones" } else { "" };
        self.place_computers(&seen);
        let mut unplaced = 0;
        let mut all: BTreeMap<NodeName, Vec<Computer>> = BTreeMap::new();
        for computer in seen.computers {
            match self.outside.jenkins.place.get(&computer.name) {
                Some(node) => all.entry(node.clone()).or_default().push(computer),
                None => unplaced += computer.builds.len(),
            }
        }
        for (name, node) in &mut self.snapshot.nodes {
            let on_it = all.get(name).map_or(&[][..], Vec::as_slice);
            node.jenkins = Some(Box::new(view(node, on_it, at)));
        }
        self.outside.jenkins.all = all;
        let elsewhere =
            if unplaced > 0 { format!(", {unplaced} of them on none of our nodes") } else { String::new() };
        format!(
            "Jenkins {} answers and runs {running} builds{elsewhere}; {} wait{quiet}",
            seen.version, seen.queued
        )
    }

    /// Nothing that Jenkins said before its silence proves that a node is empty.
    pub(super) fn forget_jenkins_empty(&mut self) {
        for node in self.snapshot.nodes.values_mut() {
            if let Some(view) = &mut node.jenkins {
                view.empty = None;
            }
        }
    }

    fn place_computers(&mut self, seen: &Jenkins) {
        let mut before = std::mem::take(&mut self.outside.jenkins.place);
        let listed: BTreeMap<&str, ()> =
            seen.computers.iter().map(|computer| (computer.name.as_str(), ())).collect();
        let mut place = BTreeMap::new();
        for (name, node) in &self.snapshot.nodes {
            for task in tasks(node) {
                for word in [&task.id, &task.name] {
                    if listed.contains_key(word.as_str()) {
                        place.insert(word.clone(), name.clone());
                    }
                }
            }
        }
        for computer in &seen.computers {
            if place.contains_key(&computer.name) {
                continue;
            }
            let stands_for = computer.name.parse().ok().filter(|name| self.policy.nodes.contains_key(name));
            if let Some(node) = before.remove(&computer.name).or(stands_for) {
                place.insert(computer.name.clone(), node);
            }
        }
        self.outside.jenkins.place = place;
    }
}

fn tasks(node: &Node) -> impl Iterator<Item = &NodeTask> {
    let own = node.agent.as_ref().and_then(|agent| agent.tasks.known()).into_iter().flatten();
    own.chain(node.master.iter().flat_map(|view| &view.tasks))
}

/// Jenkins' account of one node. A build of a task that may be killed at any time keeps nobody waiting.
fn view(node: &Node, computers: &[Computer], at: Timestamp) -> JenkinsView {
    let builds: Vec<Build> = computers
        .iter()
        .flat_map(|computer| computer.builds.iter().map(move |build| (computer, build)))
        .map(|(computer, build)| Build {
            name: build.name.clone(),
            computer: computer.name.clone(),
            since: build.since,
            expected_end: build.expected_end,
        })
        .collect();
    let is_spare =
        |build: &Build| tasks(node).any(|task| task.class == TaskClass::Disposable && build.is_of(task));
    let before = node.jenkins.as_ref().and_then(|view| view.empty);
    let empty = watch(before, builds.iter().all(is_spare), at);
    JenkinsView { at, builds, empty }
}
