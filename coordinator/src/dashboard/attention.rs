//! What needs a human, in lines: what is the same for many nodes is said once.

use super::{
    markdown::{self, Span},
    words::{self, Mark, Moment},
};
use crate::view::Attention;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// From so many nodes on, one line speaks for all of them.
const TOGETHER_FROM: usize = 3;
/// So many of them are named in the line.
const NAMED: usize = 12;

/// One line: about one node, about several, or about the fleet.
pub struct Line {
    /// How bad.
    pub mark: Mark,
    /// The nodes' names with their canonical names.
    pub nodes: Vec<(String, String)>,
    /// How many nodes there are beside those.
    pub more: usize,
    /// "45 nodes", where it is about several.
    pub together: Option<String>,
    /// In words.
    pub sentence: Vec<Span>,
    /// Since when; the longest of several.
    pub since: Option<Moment>,
    /// What to do next.
    pub next: Option<Vec<Span>>,
    /// The finding's id, where it is one.
    pub finding: Option<String>,
    /// The operation's id, where it is one.
    pub operation: Option<String>,
}

/// The lines, in the order of the first of each.
pub fn lines(attention: &[Attention], now: Timestamp) -> Vec<Line> {
    let mut groups: Vec<Vec<&Attention>> = Vec::new();
    let mut places: BTreeMap<_, usize> = BTreeMap::new();
    for one in attention {
        let key = (one.status, sentence(one), next(one, "NODE"), one.node.is_some(), &one.operation);
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let apart = |group: Vec<&Attention>| -> Vec<Line> {
        if group.len() < TOGETHER_FROM {
            group.chunks(1).filter_map(|one| line(one, now)).collect()
        } else {
            line(&group, now).into_iter().collect()
        }
    };
    groups.into_iter().flat_map(apart).collect()
}

/// One line for all of `group`, which say the same.
fn line(group: &[&Attention], now: Timestamp) -> Option<Line> {
    let first = *group.first()?;
    let mut nodes: Vec<(String, String)> =
        group.iter().filter_map(|one| one.node.clone().zip(one.key.clone())).collect();
    nodes.sort_by_cached_key(|(name, _)| words::natural(name));
    let more = nodes.split_off(nodes.len().min(NAMED)).len();
    let is_one = group.len() == 1;
    let spelled = first.node.as_deref().filter(|_| is_one).unwrap_or("NODE");
    Some(Line {
        mark: first.status.into(),
        nodes,
        more,
        together: (!is_one).then(|| words::count(group.len(), "node")),
        sentence: markdown::line(sentence(first)),
        since: group.iter().filter_map(|one| one.since).min().map(|at| Moment::new(at, now)),
        next: next(first, spelled).as_deref().map(markdown::line),
        finding: first.finding.clone().filter(|_| is_one),
        operation: first.operation.clone().filter(|_| is_one),
    })
}

/// The sentence without the node's name, which stands before it as a link.
fn sentence(attention: &Attention) -> &str {
    let named = attention.node.as_deref().and_then(|node| attention.sentence.strip_prefix(node));
    named.and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&attention.sentence)
}

/// What to do next, with the node's name spelled like this.
fn next(attention: &Attention, spelled: &str) -> Option<String> {
    match (&attention.next, &attention.node) {
        (Some(next), Some(node)) => Some(next.replace(node.as_str(), spelled)),
        (next, _) => next.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwright_protocol::Status;

    fn attention(number: usize, sentence: &str) -> Attention {
        Attention {
            node: Some(format!("node{number:02}")),
            key: Some(format!("node{number}")),
            status: Status::Unknown,
            finding: None,
            operation: None,
            sentence: format!("node{number:02}: {sentence}"),
            since: None,
            next: Some(format!("ask `millwright may reboot node{number:02}`")),
        }
    }

    fn now() -> Timestamp {
        "2026-01-31T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_is_the_same_for_many_nodes_is_said_once() {
        let mut all: Vec<Attention> =
            (1..=45).map(|number| attention(number, "no report has ever come")).collect();
        all.insert(1, attention(46, "/build is full"));
        let lines = lines(&all, now());
        let [together, alone] = lines.as_slice() else { panic!("two lines") };
        assert_eq!(together.together.as_deref(), Some("45 nodes"));
        assert_eq!((together.nodes.len(), together.more), (12, 33));
        assert_eq!(together.next, Some(markdown::line("ask `millwright may reboot NODE`")));
        assert_eq!((&alone.sentence, &alone.together), (&markdown::line("/build is full"), &None));
        assert_eq!(alone.next, Some(markdown::line("ask `millwright may reboot node46`")));
    }

    #[test]
    fn two_nodes_keep_a_line_each() {
        let all = [attention(1, "x"), attention(2, "x")];
        let lines = lines(&all, now());
        assert_eq!(lines.iter().map(|line| line.nodes.len()).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn troubles_of_the_fleet_have_no_node() {
        let all = [Attention { node: None, key: None, ..attention(1, "x") }];
        let lines = lines(&all, now());
        assert!(lines.iter().all(|line| line.nodes.is_empty() && line.together.is_none()));
        assert_eq!(lines.len(), 1);
    }
}
