//! What the leading Mesos master said, matched with our nodes.
//!
//! A node's Mesos agent is the id that its own agent reads; the host name counts only for nodes that have never told
//! an id, and only for Mesos agents that no node claims. So one host name under two ids is no conflict. A node that is
//! in no policy and known to Mesos only is there for as long as a Mesos agent stands for it.

mod answer;
mod foreign;
mod offers;
mod whitelists;

pub use answer::{CordonWay, MasterAgent, MasterAnswer};
pub use foreign::ForeignNote;
pub use offers::{Held, Holding};
pub use whitelists::{Offers, TAKES_EFFECT};

use super::{
    Fleet, MOST_UNLISTED,
    report::add,
    tasks::{all_disposable, compare_views, told_apart, watch},
};
use crate::view::Transition;
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Class, Source,
    fleet::{Listing, MasterView, SourceState},
};
use millwright_protocol::{NodeName, TaskState};
use std::collections::{BTreeMap, BTreeSet};
use whitelists::Whitelists;

/// The master is asked every five to ten seconds; after more than two misses it is not known any more.
pub(super) const MASTER_STALE: SignedDuration = SignedDuration::from_secs(25);

/// Host names are kept up to this number, which no cluster has.
const MOST_HOSTS: usize = 100_000;

/// A Mesos agent of a node, as far as stopping its offers goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAgent {
    /// Mesos' id of it.
    pub id: Box<str>,
    /// The host name it registered with.
    pub hostname: Box<str>,
    /// Whether the master has it registered and in reach. Of the others nothing is said: neither flag below counts.
    pub registered: bool,
    /// Whether its offers are stopped.
    pub deactivated: bool,
    /// Whether somebody has Mesos drain it, which ends its tasks.
    pub draining: bool,
    /// Whether a framework holds an offer of it: a task may still start. A deactivation takes offers back, a whitelist does
    /// not, so there a node is not empty for good while this is so.
    pub offered: bool,
}

impl From<&MasterAgent> for SeenAgent {
    fn from(agent: &MasterAgent) -> Self {
        Self {
            id: agent.id.as_str().into(),
            hostname: agent.hostname.as_str().into(),
            registered: !agent.unreachable && !agent.recovered && (agent.active || agent.deactivated),
            deactivated: agent.deactivated,
            draining: agent.draining,
            offered: agent.offered,
        }
    }
}

/// What is remembered of Mesos between two answers.
#[derive(Debug, Default)]
pub(super) struct Mesos {
    /// Which node claims which Mesos agent id.
    pub owners: BTreeMap<Box<str>, NodeName>,
    /// Who led when it last answered.
    pub leader: Option<String>,
    /// When that one was elected, where it says.
    pub elected_at_secs: Option<i64>,
    /// Its version.
    pub version: String,
    /// How often it has answered.
    pub answers: u64,
    /// How it is told to stop offers, once it has answered.
    pub cordon_way: Option<CordonWay>,
    /// The Mesos agents of each node in the last answer.
    pub seen: BTreeMap<NodeName, Box<[SeenAgent]>>,
    /// Every host name that was listed since the start, whether it is now or not.
    pub hosts: BTreeSet<Box<str>>,
    /// How often it was asked since the start, up to two.
    pub polls: u8,
    /// Why it did not answer the last time.
    pub error: Option<String>,
    /// Living tasks that it does not list as running; every other one that it lists runs.
    pub not_running: BTreeMap<String, TaskState>,
    /// The policy has changed since its last answer: every task meets the rules again.
    pub rules_changed: bool,
    /// When it answered last, and when before that.
    pub answered_at: (Option<Timestamp>, Option<Timestamp>),
    /// What the masters' whitelists hold.
    pub whitelists: Whitelists,
    /// Since when each node's offers are stopped, without a break.
    pub stopped_since: BTreeMap<NodeName, Timestamp>,
    /// Which nodes operations hold.
    pub held: BTreeMap<NodeName, Held>,
    /// What others did to the offers of nodes.
    pub foreign: Vec<ForeignNote>,
}

impl Fleet {
    /// How many answers of a leading master were taken in. They are asked for one after the other, so the second one from
    /// now on was asked for after this moment, whatever the next one saw.
    pub fn mesos_answers(&self) -> u64 {
        self.mesos.answers
    }

    /// The Mesos agents of a node in the last answer, however old it is; several while an id it has left behind is still listed.
    pub fn mesos_agents(&self, name: &NodeName) -> &[SeenAgent] {
        self.mesos.seen.get(name).map(|agents| &**agents).unwrap_or_default()
    }

    /// The same for every node that has one.
    pub fn all_mesos_agents(&self) -> impl Iterator<Item = (&NodeName, &[SeenAgent])> {
        self.mesos.seen.iter().map(|(name, agents)| (name, &**agents))
    }

    /// Every host name that Mesos has listed since the start. Who is away for a moment is among them: a whitelist without
    /// them would keep them out when they come back.
    pub fn mesos_hosts(&self) -> impl Iterator<Item = &str> {
        self.mesos.hosts.iter().map(|host| &**host)
    }

    /// The host names of one node among them, and those its Mesos agents are listed with now.
    pub fn mesos_hosts_of(&self, name: &NodeName) -> BTreeSet<String> {
        let names_it = |host: &&str| host.parse().is_ok_and(|host: NodeName| host == *name);
        let announced = self.mesos_agents(name).iter().map(|agent| &*agent.hostname);
        let hosts = self.mesos_hosts().filter(names_it).chain(announced.filter(|host| !host.is_empty()));
        hosts.map(str::to_owned).collect()
    }

    /// How Mesos is told to stop offers; `None` until it has answered.
    pub fn cordon_way(&self) -> Option<CordonWay> {
        self.mesos.cordon_way
    }

    pub(super) fn take_master_answer(&mut self, answer: &MasterAnswer, now: Timestamp) -> Vec<Transition> {
        let mut transitions = Vec::new();
        self.note_answer(answer, now, &mut transitions);
        let mut agents_of = self.match_agents(answer);
        let silent_ones: Vec<NodeName> = self
            .policy
            .nodes
            .iter()
            .filter(|(name, listed)| listed.class != Class::Master && !agents_of.contains_key(*name))
            .map(|(name, _)| name.clone())
            .collect();
        let seen = |agents: &Vec<&MasterAgent>| {
            let stopped = |agent: &MasterAgent| {
                agent.deactivated || self.whitelist_says(&agent.hostname, now) == Offers::Stopped
            };
            let see =
                |agent: &&MasterAgent| SeenAgent { deactivated: stopped(agent), ..SeenAgent::from(*agent) };
            agents.iter().map(see).collect()
        };
        let seen = agents_of.iter().map(|(name, agents)| (name.clone(), seen(agents))).collect();
        self.mesos.seen = seen;
        agents_of.extend(silent_ones.into_iter().map(|name| (name, Vec::new())));
        self.leave_strangers(&mut agents_of);
        for (name, agents) in agents_of {
            if self.admit_from_mesos(&name) {
                self.see_listing(&name, &agents, now);
            }
        }
        self.mesos.rules_changed = false;
        let tasks = answer.agents.iter().flat_map(|agent| &agent.tasks);
        let not_running = tasks.filter(|task| task.state.is_living() && task.state != TaskState::Running);
        self.mesos.not_running = not_running.map(|task| (task.id.clone(), task.state)).collect();
        transitions.append(&mut self.pending);
        transitions
    }

    pub(super) fn take_master_silence(&mut self, why: &str, now: Timestamp) -> Vec<Transition> {
        self.mesos.polls = self.mesos.polls.saturating_add(1).min(2);
        self.mesos.error = Some(why.to_owned());
        let mut transitions = Vec::new();
        self.age_master(now, &mut transitions);
        transitions
    }

    fn note_answer(&mut self, answer: &MasterAnswer, now: Timestamp, transitions: &mut Vec<Transition>) {
        let before = self
            .snapshot
            .sources
            .insert(Source::MesosMaster, SourceState { last_answer: Some(now), unknown_since: None });
        if before.is_some_and(|state| state.last_answer.is_some() && state.unknown_since.is_some()) {
            transitions.push(about_mesos(
                now,
                "source",
                "the Mesos master answers again".to_owned(),
                "fresh",
            ));
        }
        self.mesos.polls = self.mesos.polls.saturating_add(1).min(2);
        self.mesos.error = None;
        self.mesos.version.clone_from(&answer.version);
        self.mesos.answers += 1;
        self.mesos.answered_at = (Some(now), self.mesos.answered_at.0);
        self.mesos.cordon_way = Some(answer.cordon_way());
        for agent in answer.agents.iter().filter(|agent| !agent.hostname.is_empty()) {
            if self.mesos.hosts.len() < MOST_HOSTS && !self.mesos.hosts.contains(agent.hostname.as_str()) {
                self.mesos.hosts.insert(agent.hostname.as_str().into());
            }
        }
        let boundary = add(now, MASTER_STALE);
        self.next_boundary = Some(self.next_boundary.map_or(boundary, |at| at.min(boundary)));
        let term = (&answer.leader, answer.elected_at_secs);
        let changed =
            self.mesos.leader.as_ref().is_some_and(|leader| (leader, self.mesos.elected_at_secs) != term);
        if changed {
            self.snapshot.leader_changed_at = Some(now);
            let sentence = format!("Mesos is led by {} now", answer.leader);
            transitions.push(about_mesos(now, "leader", sentence, &answer.leader));
        }
        self.mesos.leader = Some(answer.leader.clone());
        self.mesos.elected_at_secs = answer.elected_at_secs;
    }

    /// Which Mesos agents are which node.
    fn match_agents<'a>(&self, answer: &'a MasterAnswer) -> BTreeMap<NodeName, Vec<&'a MasterAgent>> {
        let mut agents_of: BTreeMap<NodeName, Vec<&MasterAgent>> = BTreeMap::new();
        for agent in &answer.agents {
            let claimed = self.mesos.owners.get(agent.id.as_str()).cloned();
            let by_host = || {
                let name: NodeName = agent.hostname.parse().ok()?;
                let knows_its_id =
                    self.records.get(&name).is_some_and(|record| record.own_mesos_id.is_some());
                (!knows_its_id).then_some(name)
            };
            if let Some(name) = claimed.or_else(by_host) {
                agents_of.entry(name).or_default().push(agent);
            }
        }
        agents_of
    }

    /// Nodes in no policy for which no Mesos agent stands any more: one that is known to Mesos only was never there, or
    /// has turned out to be another node; the others are seen to be absent.
    fn leave_strangers(&mut self, agents_of: &mut BTreeMap<NodeName, Vec<&MasterAgent>>) {
        let is_left =
            |name: &NodeName| !self.policy.nodes.contains_key(name) && !agents_of.contains_key(name);
        let seen = self.snapshot.nodes.iter().filter(|(_, node)| node.master.is_some());
        let left: Vec<NodeName> = seen.map(|(name, _)| name).filter(|name| is_left(name)).cloned().collect();
        for name in left {
            if self.records.contains_key(&name) {
                agents_of.insert(name, Vec::new());
            } else {
                self.snapshot.nodes.remove(&name);
                self.unlisted = self.unlisted.saturating_sub(1);
                self.counts_stale = true;
            }
        }
    }

    /// Nodes that only Mesos knows are shown too, up to a number, and not before our agents had time to say which
    /// Mesos agents are theirs: several may announce the same host name, and none of them be called so.
    fn admit_from_mesos(&mut self, name: &NodeName) -> bool {
        if self.snapshot.nodes.contains_key(name) {
            return true;
        }
        let listed = self.policy.nodes.contains_key(name);
        if !listed && (self.unlisted >= MOST_UNLISTED || self.snapshot.warm_up.is_some()) {
            return false;
        }
        self.unlisted += usize::from(!listed);
        self.snapshot.nodes.insert(name.clone(), Box::default());
        true
    }

    fn see_listing(&mut self, name: &NodeName, agents: &[&MasterAgent], now: Timestamp) {
        // An id that is active speaks for the node before those it has left behind.
        // Mesos calls a deactivated one inactive; it is registered all the same.
        let is_there = |agent: &MasterAgent| agent.active || agent.deactivated;
        let speaker = agents.iter().min_by_key(|agent| (!is_there(agent), agent.unreachable, &agent.id));
        let by_list = speaker.map_or(Offers::Flow, |agent| self.whitelist_says(&agent.hostname, now));
        let Some(node) = self.snapshot.nodes.get_mut(name) else { return };
        let before = node.master.take();
        let known = before.as_ref().filter(|_| !self.mesos.rules_changed);
        let tasks_before = known.map_or(&[][..], |view| &view.tasks);
        let tasks = told_apart(&self.policy, agents.iter().flat_map(|agent| &agent.tasks), tasks_before);
        let listing = match speaker {
            None => Listing::Absent,
            Some(agent) if agent.unreachable => Listing::Unreachable,
            Some(agent) if is_there(agent) => Listing::Active,
            Some(_) => Listing::Inactive,
        };
        // A whitelist takes no offer back: whoever holds one may still start a task.
        let may_start = by_list == Offers::Stopped && agents.iter().any(|agent| agent.offered);
        node.master_empty = watch(node.master_empty, all_disposable(&tasks) && !may_start, now);
        node.master = Some(MasterView {
            at: now,
            listing,
            deactivated: speaker.is_some_and(|agent| agent.deactivated) || by_list == Offers::Stopped,
            undecided: by_list == Offers::Unknown,
            tasks,
            attributes: speaker.map(|agent| agent.attributes.clone()).unwrap_or_default(),
        });
        // While nobody can tell, offers may flow.
        match &node.master {
            Some(view) if view.deactivated => {
                self.mesos.stopped_since.entry(name.clone()).or_insert(now);
            }
            Some(view) if view.listing == Listing::Active => {
                self.mesos.stopped_since.remove(name);
            }
            _ => {}
        }
        compare_views(node, now);
        if let Some(record) = self.records.get_mut(name) {
            let id = speaker.map(|agent| agent.id.as_str());
            if record.listed_mesos_id.as_deref() != id {
                record.listed_mesos_id = id.map(Into::into);
            }
        }
    }

    /// Silent for too long, and the master's view is unknown: nothing it said before proves anything any more.
    pub(super) fn age_master(&mut self, now: Timestamp, transitions: &mut Vec<Transition>) {
        let Some(state) = self.snapshot.sources.get_mut(&Source::MesosMaster) else { return };
        let Some(since) = state.last_answer.map(|at| add(at, MASTER_STALE)) else { return };
        if state.unknown_since.is_some() || now < since {
            return;
        }
        state.unknown_since = Some(since);
        for node in self.snapshot.nodes.values_mut() {
            node.master_empty = None;
        }
        let why = self.mesos.error.as_deref().unwrap_or("nobody has asked it");
        let sentence = format!("the Mesos master does not answer: {why}");
        transitions.push(about_mesos(now, "source", sentence, "unknown"));
    }
}

fn about_mesos(at: Timestamp, what: &str, sentence: String, to: &str) -> Transition {
    Transition {
        at,
        node: String::new(),
        key: String::new(),
        what: what.to_owned(),
        from: None,
        to: to.to_owned(),
        gating: false,
        sentence,
    }
}
