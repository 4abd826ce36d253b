//! Finds names that are asked for in their order: each takes a step instead of a search, so that a walk over the
//! whole fleet stays linear.

use millwright_protocol::NodeName;
use std::{cmp::Ordering, collections::btree_map, iter::Peekable};

/// What a tree holds, asked for in the order of names; a name that comes after a later one is not found.
pub(crate) struct InOrder<'a, T> {
    rest: Peekable<btree_map::Iter<'a, NodeName, T>>,
}

impl<'a, T> InOrder<'a, T> {
    pub fn new(tree: &'a btree_map::BTreeMap<NodeName, T>) -> Self {
        Self { rest: tree.iter().peekable() }
    }

    pub fn get(&mut self, name: &NodeName) -> Option<&'a T> {
        loop {
            let (next, value) = self.rest.peek()?;
            // Equal names mostly are one text in memory, and then need not be read.
            let order = if *next == name { Ordering::Equal } else { (*next).cmp(name) };
            match order {
                Ordering::Less => self.rest.next(),
                Ordering::Equal => return Some(*value),
                Ordering::Greater => return None,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn names_are_found_in_their_order_with_gaps_on_either_side() {
        let name = |text: &str| text.parse::<NodeName>().unwrap();
        let tree: BTreeMap<NodeName, u32> =
            [("b", 1), ("d", 2), ("e", 3)].map(|(key, value)| (name(key), value)).into();
        let mut in_order = InOrder::new(&tree);
        let found: Vec<Option<u32>> =
            ["a", "b", "b", "c", "e", "f"].iter().map(|key| in_order.get(&name(key)).copied()).collect();
        assert_eq!(found, [None, Some(1), Some(1), None, Some(3), None]);
    }
}
