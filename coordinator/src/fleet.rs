//! The fleet in memory: takes what agents, Mesos and people say, and keeps the snapshot that decisions rest on.
//!
//! ```text
//!  report ─┐                       ┌─▶ judge ─▶ Verdict
//!  master ─┼─▶ records + snapshot ─┼─▶ views
//!  people ─┤   (counts when asked) └─▶ Transitions ─▶ store, event stream, notices
//!  time   ─┘
//! ```
//!
//! Plain and synchronous: no I/O, no clock; time is an argument, so a simulator runs the same code. Whoever owns a
//! `Fleet` puts it behind one lock and never holds that across an await. Taking a report costs the same at any
//! size of fleet: counts over all nodes are marked as stale and made anew when somebody asks or a second passes.

mod again;
mod age;
mod brake;
mod conditions;
mod door;
mod frozen;
mod master;
mod operations;
pub mod outside;
mod packed;
mod people;
mod record;
mod remember;
mod report;
mod show;
mod tasks;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod warm_up;

pub use again::Again;
pub use door::{Door, Knock};
pub use master::{
    CordonWay, ForeignNote, Held, Holding, MasterAgent, MasterAnswer, Offers, SeenAgent, TAKES_EFFECT,
};
pub use operations::{Ask as OperationAsk, Said as OperationsSaid};
pub use outside::{
    Computer, EnsembleSeen, HostAlarms, HostFacts, HostSeen, Instance, Jenkins, Known, MemberSaid, MesosDns,
    Observation, OwnerQuestion, Part, Place, Places, RogerSet, RunningBuild, Scheduler, Service,
};
pub use people::NotTaken;
pub use record::{Identity, Said};
pub use remember::{NodeRecord, Remembered};

use crate::view::{Acknowledgement, FleetView, NodeDetail, OwnTrouble, Transition};
use jiff::Timestamp;
use master::Mesos;
use millwright_decision::{
    Action, Class, FleetCounts, Policy, Request, Snapshot, Source, Verdict,
    fleet::{CrlExpired, Hold, SourceState},
};
use millwright_protocol::{Fence, NodeName, Report};
use packed::Words;
use record::Record;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};
use warm_up::Rounds;

/// Nodes that no policy lists are kept up to this number, so that a stranger cannot fill the memory.
const MOST_UNLISTED: usize = 1_000;

/// Everything known about the fleet.
pub struct Fleet {
    policy: Arc<Policy>,
    /// Where the policy is read from, for people who have to put it right.
    policy_path: PathBuf,
    snapshot: Snapshot,
    // Boxed, because a tree keeps room for nearly twice as many entries as it has.
    records: BTreeMap<NodeName, Box<Record>>,
    unlisted: usize,
    words: Words,
    scratch: Vec<u8>,
    mesos: Mesos,
    outside: outside::Outside,
    rounds: Rounds,
    acknowledgements: BTreeMap<String, Acknowledgement>,
    /// Since when newly bad nodes count for the brake of a class; moved by its reset.
    brake_armed_at: BTreeMap<Class, Timestamp>,
    /// Whether something that the counts rest on has changed.
    counts_stale: bool,
    /// The next moment at which age alone changes something.
    next_boundary: Option<Timestamp>,
    /// Changes noticed while answering a question; handed out with the next tick.
    pending: Vec<Transition>,
    /// Holds that people set here; those set on nodes are in their records.
    people_holds: Vec<Hold>,
    /// Operations that wait for somebody.
    asks: Vec<OperationAsk>,
    /// As whom the store is written to, and where its journal ends.
    store: Option<(Fence, u64)>,
    /// When each order of the store's journal was made.
    ordered: Arc<BTreeSet<Timestamp>>,
    /// Who has seen more than the store holds, as was found before.
    was_behind: Option<(NodeName, String)>,
}

/// What became of a report.
#[derive(Debug, Default)]
pub struct Taken {
    /// Whether the node stands in the policy.
    pub listed: bool,
    /// Whether it was the same as one taken before, or overtaken by a newer one, and left aside.
    pub late: bool,
    /// Whether its living tasks are not those of the report before.
    pub tasks_changed: bool,
    /// What changed.
    pub transitions: Vec<Transition>,
}

/// A request that names a node nobody has heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownNode {
    name: NodeName,
    asked: String,
    is_policy_unreadable: bool,
}

impl UnknownNode {
    /// Spells the node as it was asked for, if one of `asked` names it.
    #[must_use]
    pub fn as_asked<'a>(mut self, asked: impl IntoIterator<Item = &'a str>) -> Self {
        let asked =
            asked.into_iter().find(|asked| asked.parse().is_ok_and(|name: NodeName| name == self.name));
        if let Some(asked) = asked {
            self.asked = asked.trim().to_owned();
        }
        self
    }
}

impl fmt::Display for UnknownNode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = &self.asked;
        if self.is_policy_unreadable {
            return write!(
                formatter,
                "{asked} has never been heard of, and the policy that may list it cannot be read; `millwright nodes` says why"
            );
        }
        write!(
            formatter,
            "{asked} is neither in the policy nor has it ever been heard of; `millwright nodes` lists every node"
        )
    }
}

impl std::error::Error for UnknownNode {}

impl Fleet {
    /// A fleet of which nothing is known but who is listed.
    pub fn new(policy: Arc<Policy>, started_at: Timestamp) -> Self {
        let mut fleet = Self {
            policy,
            policy_path: "policy.toml".into(),
            snapshot: Snapshot::new(started_at),
            records: BTreeMap::new(),
            unlisted: 0,
            words: Words::default(),
            scratch: Vec::new(),
            mesos: Mesos::default(),
            outside: outside::Outside::default(),
            rounds: Rounds::default(),
            acknowledgements: BTreeMap::new(),
            brake_armed_at: BTreeMap::new(),
            counts_stale: true,
            next_boundary: None,
            pending: Vec::new(),
            people_holds: Vec::new(),
            asks: Vec::new(),
            store: None,
            ordered: Arc::default(),
            was_behind: None,
        };
        fleet.list_sources();
        fleet.warm_up(started_at);
        fleet
    }

    /// Says where the policy is read from.
    #[must_use]
    pub fn with_policy_path(self, path: &Path) -> Self {
        Self { policy_path: path.to_owned(), ..self }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Puts another policy in force: tasks are told apart anew, nodes and sources listed anew.
    pub fn set_policy(&mut self, policy: Arc<Policy>, now: Timestamp) -> Vec<Transition> {
        self.policy = policy;
        self.list_sources();
        self.mesos.rules_changed = true;
        let names: Vec<NodeName> = self.snapshot.nodes.keys().cloned().collect();
        for name in &names {
            self.look_again(name, now);
        }
        self.unlisted = names.iter().filter(|name| !self.policy.nodes.contains_key(*name)).count();
        self.counts_stale = true;
        self.next_boundary = Some(now);
        self.tick(now)
    }

    /// Says whether the list of revoked certificates is too old to be relied on.
    pub fn set_crl_expired(&mut self, expired: Option<CrlExpired>) {
        self.snapshot.crl_expired = expired;
    }

    /// Sources that policy requires and nobody has heard yet are unknown since the start.
    fn list_sources(&mut self) {
        let required = self.policy.classes.values().flat_map(|class| class.required.iter().copied());
        for source in required.filter(|source| *source != Source::Agent) {
            let unheard = SourceState { last_answer: None, unknown_since: Some(self.snapshot.started_at) };
            self.snapshot.sources.entry(source).or_insert(unheard);
        }
    }

    /// Takes in what a node's agent says. `name` is whom the transport proved the agent to be.
    pub fn take_report(&mut self, name: &NodeName, report: Report, now: Timestamp) -> Taken {
        self.take(name, report, now)
    }

    /// Takes in the leading Mesos master's answer, or why there is none.
    pub fn take_master_state(
        &mut self,
        answer: Result<&MasterAnswer, &str>,
        now: Timestamp,
    ) -> Vec<Transition> {
        match answer {
            Ok(answer) => self.take_master_answer(answer, now),
            Err(why) => self.take_master_silence(why, now),
        }
    }

    /// Lets time pass: called every second. Everything that changes by age alone changes here.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Transition> {
        self.refresh(now);
        self.warm_up(now);
        self.acknowledgements.retain(|_, given| now < given.until);
        std::mem::take(&mut self.pending)
    }

    /// Whether the request may be carried out now, and every reason why not.
    ///
    /// # Errors
    /// The request names a node that is neither listed nor heard of. What is to be created is new, and nobody knows
    /// what a policy that cannot be read lists, so these are judged.
    pub fn judge(&mut self, request: &Request, now: Timestamp) -> Result<Verdict, UnknownNode> {
        let may_be_new = request.action == Action::Create || self.policy.unreadable.is_some();
        if let Some(unknown) = request.nodes.iter().find(|name| !may_be_new && !self.knows(name)) {
            return Err(self.unknown(unknown));
        }
        self.refresh(now);
        Ok(millwright_decision::judge(request, &self.snapshot, &self.policy, now))
    }

    /// Whether a node is listed or was ever heard of.
    pub fn knows(&self, name: &NodeName) -> bool {
        self.policy.nodes.contains_key(name) || self.snapshot.nodes.contains_key(name)
    }

    /// The word for a node that is neither.
    pub fn unknown(&self, name: &NodeName) -> UnknownNode {
        UnknownNode {
            name: name.clone(),
            asked: name.as_str().to_owned(),
            is_policy_unreadable: self.policy.unreadable.is_some(),
        }
    }

    /// The whole fleet for people. `own_troubles` come from the rest of the coordinator.
    pub fn fleet_view(&mut self, now: Timestamp, own_troubles: Vec<OwnTrouble>) -> FleetView {
        self.refresh(now);
        show::fleet(self, now, own_troubles)
    }

    /// Everything about one node; `None` when it is neither listed nor heard of.
    pub fn node_detail(&mut self, name: &NodeName, now: Timestamp) -> Option<NodeDetail> {
        self.refresh(now);
        self.knows(name).then(|| show::node(self, name, now))
    }

    /// What decisions rest on; its counts are those of the last `tick` or question.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Makes the counts true for `now`; costs nothing while they are.
    fn refresh(&mut self, now: Timestamp) {
        if self.next_boundary.is_some_and(|at| at <= now) {
            self.let_age(now);
        }
        if self.counts_stale {
            self.snapshot.counts = FleetCounts::recount(&self.snapshot, &self.policy, now);
            self.counts_stale = false;
            self.brake(now);
        }
    }
}
