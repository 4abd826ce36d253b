//! Whether the offers of a node are stopped, whichever way that is done, and since when.

use super::{super::Fleet, CordonWay, whitelists::Offers};
use jiff::Timestamp;
use millwright_decision::{
    Class,
    fleet::{Listing, Operation},
};
use millwright_protocol::NodeName;
use std::collections::BTreeSet;

/// What an operation has done to the offers of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// They are stopped, and stay so.
    Stopped,
    /// It is stopping them, letting them flow, or has just done so.
    Changing,
}

/// What operations think of the offers of a node; one that is not among those is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What was done.
    pub what: Holding,
    /// When.
    pub since: Timestamp,
    /// Mesos' ids that the master has confirmed; empty where they were stopped by host name.
    pub agent_ids: BTreeSet<String>,
}

impl Fleet {
    /// The masters that policy lists and that are not known to be gone: each must have the same whitelist.
    pub fn whitelist_masters(&self) -> impl Iterator<Item = &NodeName> {
        let is_there =
            |name: &NodeName| self.snapshot.nodes.get(name).is_none_or(|node| !node.is_uncounted());
        self.policy.nodes_of(Class::Master).map(|(name, _)| name).filter(move |name| is_there(name))
    }

    /// What a master's whitelist holds, as last heard; `None` when nobody keeps one there.
    pub fn whitelist_of(&self, master: &NodeName) -> Option<&BTreeSet<String>> {
        self.mesos.whitelists.of(master)
    }

    /// Takes what a master's whitelist holds: from its report, or as it was read back after an order.
    pub fn hear_whitelist(&mut self, master: &NodeName, hosts: Option<BTreeSet<String>>, now: Timestamp) {
        let is_master = self.policy.nodes.get(master).is_some_and(|listed| listed.class == Class::Master);
        self.mesos.whitelists.hear(master, hosts.filter(|_| is_master), now);
    }

    /// What the masters' whitelists mean for a host, where offers are stopped that way.
    pub(super) fn whitelist_says(&self, host: &str, now: Timestamp) -> Offers {
        if self.mesos.cordon_way != Some(CordonWay::Whitelist) {
            return Offers::Flow;
        }
        let is_heard = |name: &NodeName| self.snapshot.nodes.get(name).is_some_and(|node| node.is_fresh(now));
        let masters = self.whitelist_masters().map(|name| (name, is_heard(name)));
        self.mesos.whitelists.offers(host, masters, now)
    }

    /// A cordon that somebody has lifted, or of which nobody can tell, is none, and one that was set again begins when that
    /// was seen: what was seen of the node in between proves nothing.
    pub(in crate::fleet) fn as_seen(&self, operation: Operation) -> Operation {
        let Some(cordoned_at) = operation.cordoned_at else { return operation };
        let views = operation.nodes.iter().filter_map(|name| {
            let view = self.snapshot.nodes.get(name)?.master.as_ref()?;
            Some((name, view))
        });
        let mut since = Some(cordoned_at);
        for (name, view) in views.filter(|(_, view)| view.at > cordoned_at) {
            let stopped = self.mesos.stopped_since.get(name).filter(|_| view.deactivated);
            since = match stopped {
                Some(stopped) => since.max(Some(*stopped)),
                None if view.listing == Listing::Active => {
                    return Operation { cordoned_at: None, ..operation };
                }
                None => since,
            };
        }
        Operation { cordoned_at: since, ..operation }
    }
}
