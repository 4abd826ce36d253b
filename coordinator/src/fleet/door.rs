//! The knock at a silent node's door: whose, where, and what came of it.

use super::Fleet;
use jiff::Timestamp;
use millwright_decision::{
    Class,
    fleet::{SILENT, SshProbe},
};
use millwright_protocol::NodeName;

/// Where the ssh of a node is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The host name.
    pub host: String,
    /// Whether an address of the coordinator's own machine may be the node's.
    pub may_be_here: bool,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knock {
    /// Whether ssh answered; `None` when it could not be tried, which says nothing about the node.
    pub answered: Option<bool>,
    /// Host and port, and what happened.
    pub story: String,
    /// Whether it answers ping where ssh does not; `None` when that was not or could not be tried.
    pub ping: Option<bool>,
}

impl Fleet {
    /// Managed nodes whose last report is older than 90 s, or which never reported; those are asked on TCP 22.
    pub fn silent_nodes(&self, now: Timestamp) -> Vec<NodeName> {
        let is_silent = |name: &NodeName| {
            let node = self.snapshot.nodes.get(name);
            let age = node
                .and_then(|node| node.report_age(now))
                .unwrap_or_else(|| now.duration_since(self.snapshot.started_at));
            age > SILENT && node.is_none_or(|node| !node.is_uncounted())
        };
        self.policy
            .nodes
            .iter()
            .filter(|(name, listed)| listed.class != Class::Physical && is_silent(name))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Where a node's ssh is: under the host name that its Mesos agent announces if that is a name of the node, else
    /// as policy spells it. Any other name, such as `localhost`, would lead to another machine, which must not vouch
    /// for this one.
    pub fn door_of(&self, name: &NodeName) -> Door {
        let announced = self.records.get(name).and_then(|record| {
            let (_, facts) = record.packed.open(&self.words);
            let names_it = |host: &String| host.parse().is_ok_and(|host: NodeName| host == *name);
            facts.mesos_agent.map(|agent| agent.hostname).filter(names_it)
        });
        let host = announced.unwrap_or_else(|| self.policy.spell(name).to_owned());
        // Only who is listed as localhost is meant to be this machine, and the coordinator's own host is.
        let may_be_here = *name == self.policy.coordinator || name.as_str() == "localhost";
        Door { host, may_be_here }
    }

    /// Takes in whether TCP 22 of a silent node answered, and what happened there.
    pub fn take_ssh(&mut self, name: &NodeName, knock: Knock, now: Timestamp) {
        // A listed node that was never heard of is tried as well, and has no entry yet.
        if self.policy.nodes.contains_key(name) || self.snapshot.nodes.contains_key(name) {
            let node = self.snapshot.nodes.entry(name.clone()).or_default();
            let Knock { answered, story, ping } = knock;
            node.ssh = Some(SshProbe { at: now, answered, story: story.into(), ping });
        }
    }
}
