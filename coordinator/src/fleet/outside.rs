//! Outside systems beside Mesos: what each last said, and since when one does not answer.
//!
//! What a system says about nodes is taken apart in a file of its own; here is what they have in common. One that policy
//! requires and that does not answer is unknown; one that is only asked is shown, and is never a reason.

mod cloud;
mod jenkins;
mod mesos_dns;
mod moves;
pub mod openstack;
mod owners;
mod places;
mod schedulers;
mod zookeeper;

pub use jenkins::{Computer, Jenkins, RunningBuild};
pub use mesos_dns::MesosDns;
pub use moves::Place;
pub use owners::OwnerQuestion;
pub use places::{HostAlarms, HostFacts, HostSeen, Known, Places, RogerSet};
pub use schedulers::{Instance, Part, Scheduler, Service};
pub use zookeeper::{EnsembleSeen, MemberSaid};

use super::{Fleet, report::add};
use crate::view::Transition;
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{Source, fleet::SourceState};
use millwright_protocol::NodeName;
use std::collections::BTreeMap;

/// An answer that is older than this proves nothing any more.
const STALE: SignedDuration = SignedDuration::from_secs(60);
/// The same of systems that are slow to ask and tell of things that change slowly.
const SLOW_STALE: SignedDuration = SignedDuration::from_mins(5);

/// How old an answer of a source may be.
fn stale(source: Source) -> SignedDuration {
    match source {
        Source::Jenkins | Source::ZooKeeper | Source::Marathon | Source::Aurora | Source::MesosDns => STALE,
        _ => SLOW_STALE,
    }
}

/// What one look at an outside system brought, in our words.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// What Jenkins runs where.
    Jenkins(Jenkins),
    /// What the members of each ensemble say.
    ZooKeeper(Vec<EnsembleSeen>),
    /// Servers and volumes of the cloud.
    OpenStack(openstack::OpenStackSeen),
    /// What Marathon keeps running where.
    Marathon(Scheduler),
    /// What Aurora keeps running where.
    Aurora(Scheduler),
    /// Whom Mesos-DNS takes for the leading master.
    MesosDns(MesosDns),
    /// What Foreman thinks of each node as a host.
    Foreman(Places),
    /// What PuppetDB knows of each.
    PuppetDb(Places),
    /// What Roger has set for each.
    Roger(BTreeMap<NodeName, HostAlarms>),
}

impl Observation {
    /// Who says so.
    pub fn source(&self) -> Source {
        match self {
            Self::Jenkins(_) => Source::Jenkins,
            Self::ZooKeeper(_) => Source::ZooKeeper,
            Self::OpenStack(_) => Source::OpenStack,
            Self::Marathon(_) => Source::Marathon,
            Self::Aurora(_) => Source::Aurora,
            Self::MesosDns(_) => Source::MesosDns,
            Self::Foreman(_) => Source::Foreman,
            Self::PuppetDb(_) => Source::PuppetDb,
            Self::Roger(_) => Source::Roger,
        }
    }
}

/// What they said.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Each one's answer in a sentence.
    sentences: BTreeMap<Source, String>,
    /// Why the last question was not answered.
    errors: BTreeMap<Source, String>,
    /// Where the computers of Jenkins are.
    pub jenkins: jenkins::Computers,
    /// Ensembles by name.
    pub ensembles: BTreeMap<String, zookeeper::Kept>,
    /// The cloud's servers.
    pub cloud: cloud::CloudSeen,
    /// What Marathon and Aurora last said, and when they were asked.
    pub schedulers: BTreeMap<Source, (Timestamp, Scheduler)>,
    /// What Mesos-DNS last said, and when it was asked.
    pub mesos_dns: Option<(Timestamp, MesosDns)>,
    /// What Foreman and PuppetDB last said, and when they were asked.
    pub places: BTreeMap<Source, (Timestamp, Places)>,
    /// What Roger last said, and when it was asked.
    pub roger: Option<(Timestamp, BTreeMap<NodeName, HostAlarms>)>,
}

impl Outside {
    /// What a source last said, in a sentence.
    pub fn sentence(&self, source: Source) -> Option<&str> {
        self.sentences.get(&source).map(String::as_str)
    }

    /// Why it did not answer the last time it was asked.
    pub fn error(&self, source: Source) -> Option<&str> {
        self.errors.get(&source).map(String::as_str)
    }
}

impl Fleet {
    /// Takes in what an outside system answered to a question asked `at`, or why it did not.
    pub fn take_observation(
        &mut self,
        source: Source,
        seen: Result<Observation, String>,
        at: Timestamp,
    ) -> Vec<Transition> {
        let mut transitions = Vec::new();
        match seen {
            Ok(seen) => self.take_answer(seen, at, &mut transitions),
            Err(why) => {
                self.outside.errors.insert(source, why);
                let unheard =
                    SourceState { last_answer: None, unknown_since: Some(self.snapshot.started_at) };
                self.snapshot.sources.entry(source).or_insert(unheard);
                self.age_outside(at, &mut transitions);
            }
        }
        transitions
    }

    fn take_answer(&mut self, seen: Observation, at: Timestamp, transitions: &mut Vec<Transition>) {
        let source = seen.source();
        let answered = SourceState { last_answer: Some(at), unknown_since: None };
        let before = self.snapshot.sources.insert(source, answered);
        if before.is_some_and(|state| state.last_answer.is_some() && state.unknown_since.is_some()) {
            transitions.push(about(source, at, format!("{} answers again", source.title()), "fresh"));
        }
        self.outside.errors.remove(&source);
        let sentence = match seen {
            Observation::Jenkins(seen) => self.take_jenkins(seen, at),
            Observation::ZooKeeper(seen) => self.take_zookeeper(seen, at),
            Observation::OpenStack(seen) => self.take_openstack(seen, at),
            Observation::Marathon(seen) => self.take_scheduler(source, seen, "app", at),
            Observation::Aurora(seen) => self.take_scheduler(source, seen, "job", at),
            Observation::MesosDns(seen) => self.take_mesos_dns(seen, at),
            Observation::Foreman(seen) | Observation::PuppetDb(seen) => self.take_places(seen, at),
            Observation::Roger(seen) => self.take_roger(seen, at),
        };
        self.outside.sentences.insert(source, sentence);
        let boundary = add(at, stale(source));
        self.next_boundary = Some(self.next_boundary.map_or(boundary, |next| next.min(boundary)));
    }

    /// Silent for too long, and what one said is unknown: it proves nothing any more.
    pub(super) fn age_outside(&mut self, now: Timestamp, transitions: &mut Vec<Transition>) {
        let mut silent = Vec::new();
        for (source, state) in &mut self.snapshot.sources {
            if matches!(source, Source::Agent | Source::MesosMaster) || state.unknown_since.is_some() {
                continue;
            }
            if let Some(since) =
                state.last_answer.map(|at| add(at, stale(*source))).filter(|since| *since <= now)
            {
                state.unknown_since = Some(since);
                silent.push(*source);
            }
        }
        for source in silent {
            if source == Source::Jenkins {
                self.forget_jenkins_empty();
            }
            let why = self.outside.error(source).unwrap_or("nobody has asked it");
            let sentence = format!("{} does not answer: {why}", source.title());
            transitions.push(about(source, now, sentence, "unknown"));
        }
    }

    /// The computers of Jenkins that are on a node.
    pub fn computers_on(&self, node: &NodeName) -> Vec<String> {
        self.outside.jenkins.on(node).iter().map(|computer| computer.name.clone()).collect()
    }

    /// The next moment at which an answer is too old.
    pub(super) fn outside_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        let outside = self
            .snapshot
            .sources
            .iter()
            .filter(|(source, _)| !matches!(source, Source::Agent | Source::MesosMaster));
        let answers = outside.filter_map(|(source, state)| Some(add(state.last_answer?, stale(*source))));
        answers.filter(|at| *at > now).min()
    }
}

fn about(source: Source, at: Timestamp, sentence: String, to: &str) -> Transition {
    Transition {
        at,
        node: String::new(),
        key: String::new(),
        what: format!("source {source}"),
        from: None,
        to: to.to_owned(),
        gating: false,
        sentence,
    }
}
