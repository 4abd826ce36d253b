//! What is attached to nodes: operations, holds, attestations, found by node without a search.

use crate::{
    fleet::{Attestation, Hold, Operation},
    in_order::InOrder,
};
use millwright_protocol::NodeName;
use std::collections::BTreeMap;

/// Something that concerns one node or several.
pub trait Attached {
    /// Those nodes.
    fn nodes(&self) -> impl Iterator<Item = &NodeName>;
}

impl Attached for Operation {
    fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.iter()
    }
}

impl Attached for Hold {
    fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        std::iter::once(&self.node)
    }
}

impl Attached for Attestation {
    fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        std::iter::once(&self.node)
    }
}

/// Attached things in the order they came, with an index by node. Things cannot be changed in place, since that
/// could change their nodes behind the index.
#[derive(Debug, Clone)]
pub struct PerNode<T> {
    all: Vec<T>,
    places: BTreeMap<NodeName, Vec<usize>>,
}

impl<T> Default for PerNode<T> {
    fn default() -> Self {
        Self { all: Vec::new(), places: BTreeMap::new() }
    }
}

impl<T: Attached> PerNode<T> {
    /// Adds one.
    pub fn push(&mut self, one: T) {
        for node in one.nodes() {
            self.places.entry(node.clone()).or_default().push(self.all.len());
        }
        self.all.push(one);
    }

    /// Keeps those that `wanted` likes.
    pub fn retain(&mut self, wanted: impl FnMut(&T) -> bool) {
        let mut all = std::mem::take(self).all;
        all.retain(wanted);
        self.extend(all);
    }

    /// Those of one node, in the order they came.
    pub fn on(&self, node: &NodeName) -> impl Iterator<Item = &T> {
        self.places.get(node).into_iter().flatten().filter_map(|place| self.all.get(*place))
    }

    /// Places of those of each node, for a walk over all nodes in the order of their names.
    pub(crate) fn in_order(&self) -> InOrder<'_, Vec<usize>> {
        InOrder::new(&self.places)
    }

    /// The first that came of those at these places.
    pub(crate) fn first_of(&self, places: &[usize]) -> Option<&T> {
        places.first().and_then(|place| self.all.get(*place))
    }

    /// All of them, in the order they came.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.all.iter()
    }
}

impl<T: Attached> Extend<T> for PerNode<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, more: I) {
        for one in more {
            self.push(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn hold(id: &str, node: &str) -> Hold {
        Hold {
            id: id.into(),
            node: node.parse().unwrap(),
            author: "bob".into(),
            reason: "core dump".into(),
            since: Timestamp::UNIX_EPOCH,
            expires_at: None,
            operation: None,
        }
    }

    fn ids(holds: &PerNode<Hold>, node: &str) -> Vec<String> {
        holds.on(&node.parse().unwrap()).map(|hold| hold.id.clone()).collect()
    }

    #[test]
    fn things_are_found_by_node_in_the_order_they_came_also_after_some_have_gone() {
        let mut holds = PerNode::default();
        holds.extend([hold("h1", "n1"), hold("h2", "n2"), hold("h3", "n1")]);
        assert_eq!(ids(&holds, "N01"), ["h1", "h3"]);
        holds.retain(|hold| hold.id != "h1");
        assert_eq!((ids(&holds, "n1"), ids(&holds, "n2")), (vec!["h3".into()], vec!["h2".into()]));
        assert!(ids(&holds, "n3").is_empty());
        assert_eq!(holds.iter().count(), 2);
    }
}
