//! Mesos-DNS: which master each server's answers lead to, beside the one that leads.

use crate::fleet::Fleet;
use jiff::Timestamp;
use millwright_protocol::NodeName;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// What the servers say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MesosDns {
    /// The name of the leading master there, such as `leader.mesos`.
    pub name: String,
    /// The addresses that each server gives for it, none where it knows no such name, by its node; or why it does not say.
    pub servers: BTreeMap<NodeName, Result<BTreeSet<IpAddr>, String>>,
    /// The addresses of nodes, as far as we know them.
    pub addresses: BTreeMap<NodeName, BTreeSet<IpAddr>>,
}

impl MesosDns {
    /// The node that has one of these addresses.
    pub fn node_of(&self, addresses: &BTreeSet<IpAddr>) -> Option<&NodeName> {
        self.addresses.iter().find(|(_, own)| !own.is_disjoint(addresses)).map(|(node, _)| node)
    }
}

impl Fleet {
    /// Takes in an answer; the sentence that tells of it.
    pub(super) fn take_mesos_dns(&mut self, seen: MesosDns, at: Timestamp) -> String {
        let answer = seen.servers.values().filter(|said| said.is_ok()).count();
        let sentence = format!("{answer} of {} servers of Mesos-DNS answer", seen.servers.len());
        self.outside.mesos_dns = Some((at, seen));
        sentence
    }

    /// The node of the master that leads, as the masters themselves say; `None` while they do not answer.
    pub(in crate::fleet) fn leading_master(&self) -> Option<NodeName> {
        let state = self.snapshot.sources.get(&millwright_decision::Source::MesosMaster);
        let is_known = state.is_some_and(|state| state.unknown_since.is_none());
        self.mesos.leader.as_deref().filter(|_| is_known).and_then(|leader| self.listed(leader))
    }
}
