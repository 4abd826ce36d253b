//! Systems that know nodes as hosts: Foreman and PuppetDB, and Roger with their alarms.

use crate::{fleet::Fleet, words};
use jiff::Timestamp;
use millwright_decision::{Alarms, AlarmsView, Place, Source};
use millwright_protocol::{NodeName, Status};
use std::collections::BTreeMap;

/// What such a system says of the hosts it was asked about. Of those that are missing it said nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    /// Which system.
    pub source: Source,
    /// By our names.
    pub hosts: BTreeMap<NodeName, HostSeen>,
}

/// One host there.
#[derive(Debug, Clone, PartialEq)]
pub struct HostSeen {
    /// The exact name under which it was asked for.
    pub host: String,
    /// Whether it is known, and what of it.
    pub known: Known,
}

/// Whether a host is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// There is none of that name.
    No,
    /// Somebody has taken it out of use; in words.
    Retired(String),
    /// It is there.
    Yes(HostFacts),
}

/// What is known of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostFacts {
    /// Puppet's state there, in words.
    pub state: String,
    /// How good that is.
    pub status: Status,
    /// Whether it says that Puppet fails.
    pub fails: bool,
    /// When Puppet last reported.
    pub last_report: Option<Timestamp>,
    /// More of it, in words.
    pub more: Vec<String>,
}

/// One host of Roger's.
#[derive(Debug, Clone, PartialEq)]
pub struct HostAlarms {
    /// The exact name under which it was asked for.
    pub host: String,
    /// What is set; `None` where it is not known.
    pub set: Option<RogerSet>,
}

/// What is set for a host.
#[derive(Debug, Clone, PartialEq)]
pub struct RogerSet {
    /// What masking changes.
    pub set: Alarms,
    /// The alarms that are off.
    pub off: Vec<String>,
    /// Who set it.
    pub by: Option<String>,
}

impl Fleet {
    /// Takes in an answer; the sentence that tells of it.
    pub(super) fn take_places(&mut self, seen: Places, at: Timestamp) -> String {
        let source = seen.source;
        let known = seen.hosts.values().filter(|seen| matches!(seen.known, Known::Yes(_))).count();
        let failing = seen.hosts.values().filter(|seen| seen.known.fails()).count();
        for (name, seen) in &seen.hosts {
            if !self.policy.nodes.contains_key(name) {
                continue;
            }
            let place = Place {
                source,
                at,
                host: seen.host.as_str().into(),
                known: matches!(seen.known, Known::Yes(_)),
                fails: seen.known.fails(),
            };
            let node = self.snapshot.nodes.entry(name.clone()).or_default();
            node.places.retain(|before| before.source != source);
            node.places.push(place);
        }
        self.counts_stale = true;
        let fails = match failing {
            0 => "Puppet fails on none".to_owned(),
            failing => format!("Puppet fails on {failing}"),
        };
        let sentence = format!("{} knows {} of ours; {fails}", source.title(), words::count(known, "host"));
        self.outside.places.insert(source, (at, seen));
        sentence
    }

    /// Takes in an answer; the sentence that tells of it.
    pub(super) fn take_roger(&mut self, seen: BTreeMap<NodeName, HostAlarms>, at: Timestamp) -> String {
        let known = seen.values().filter(|seen| seen.set.is_some()).count();
        let masked =
            seen.values().filter(|seen| seen.set.as_ref().is_some_and(|set| !set.off.is_empty())).count();
        for (name, seen) in &seen {
            if self.policy.nodes.contains_key(name) {
                let set = seen.set.as_ref().map(|set| set.set.clone());
                let view = AlarmsView { at, host: seen.host.as_str().into(), set };
                self.snapshot.nodes.entry(name.clone()).or_default().alarms = Some(Box::new(view));
            }
        }
        self.outside.roger = Some((at, seen));
        format!("Roger knows {} of ours; alarms are off on {masked}", words::count(known, "host"))
    }
}

impl Known {
    fn fails(&self) -> bool {
        matches!(self, Self::Yes(facts) if facts.fails)
    }
}
