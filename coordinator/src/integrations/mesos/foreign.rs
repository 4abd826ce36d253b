//! What others did to the offers of our nodes: compares what we hold with what the master says.
//!
//! Nothing is undone on the strength of this: who gave a node back, or took one out, had a reason, and gets asked. Only a
//! new agent id of a node that we hold is nobody's doing: Mesos forgets what it was told about the old one.

use crate::fleet::SeenAgent;
use jiff::Timestamp;
use millwright_protocol::NodeName;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What we think of the offers of a node; a node without an entry is one that we leave alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// We stopped the offers of these ids, and the master has confirmed each.
    Held {
        /// Mesos' ids.
        agent_ids: BTreeSet<String>,
    },
    /// We are stopping its offers or letting them flow right now: whatever is seen may be our own.
    Changing,
}

/// Something that we did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignChange {
    /// Which node.
    pub node: NodeName,
    /// Under which id of Mesos.
    pub agent_id: String,
    /// What it is.
    pub what: ForeignKind,
    /// When it was first seen.
    pub since: Timestamp,
}

/// What others, or Mesos itself, did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForeignKind {
    /// Offers flow of a node whose offers we stopped.
    Reactivated,
    /// A node that we hold has registered under an id that nobody has stopped.
    NewId,
    /// Offers are stopped of a node that we leave alone.
    Deactivated,
    /// Somebody has Mesos drain the node, which ends its tasks.
    Draining,
}

impl fmt::Display for ForeignChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sentence(self.node.as_str()))
    }
}

impl ForeignChange {
    /// For people, with the node as policy spells it.
    pub fn sentence(&self, node: &str) -> String {
        let id = &self.agent_id;
        match self.what {
            ForeignKind::Reactivated => format!(
                "somebody lets Mesos offer {node} again (agent {id}) while an operation holds it; ask who did, then hold it \
                 again or end the operation"
            ),
            ForeignKind::NewId => format!(
                "{node} is back in Mesos under the new id {id} and gets offers, while an operation holds it; they are being \
                 stopped, and if they still flow in a minute, the coordinator's log says why"
            ),
            ForeignKind::Deactivated => format!(
                "somebody has stopped the offers of {node} (agent {id}), and no operation holds it; ask who did"
            ),
            ForeignKind::Draining => {
                format!("somebody has Mesos drain {node} (agent {id}), which ends its tasks; ask who did")
            }
        }
    }
}

/// What differs between what we hold and what the master says.
///
/// `seen` is one answer of the leading master that was *asked for* after the last change of `intents`, since an older one
/// still shows the state before it: leave a node [`Intent::Changing`] until the second answer after its act
/// ([`crate::fleet::Fleet::mesos_answers`]). What was in `before` keeps its `since`. Ids that the master says nothing about, because they
/// are unreachable or have not come back, differ in nothing.
pub fn foreign_changes<'a>(
    intents: &BTreeMap<NodeName, Intent>,
    seen: impl IntoIterator<Item = (&'a NodeName, &'a [SeenAgent])>,
    before: &[ForeignChange],
    now: Timestamp,
) -> Vec<ForeignChange> {
    let mut changes = Vec::new();
    for (node, agents) in seen {
        for agent in agents.iter().filter(|agent| agent.registered) {
            for what in differs(intents.get(node), agent) {
                let was = before.iter().find(|change| {
                    (&change.node, &*change.agent_id, change.what) == (node, &*agent.id, what)
                });
                changes.push(ForeignChange {
                    node: node.clone(),
                    agent_id: agent.id.to_string(),
                    what,
                    since: was.map_or(now, |was| was.since),
                });
            }
        }
    }
    changes
}

fn differs(intent: Option<&Intent>, agent: &SeenAgent) -> Vec<ForeignKind> {
    let stopped = agent.deactivated || agent.draining;
    let offers = match intent {
        Some(Intent::Changing) => None,
        Some(Intent::Held { .. }) if stopped => None,
        Some(Intent::Held { agent_ids }) if agent_ids.contains(&*agent.id) => Some(ForeignKind::Reactivated),
        Some(Intent::Held { .. }) => Some(ForeignKind::NewId),
        None => agent.deactivated.then_some(ForeignKind::Deactivated),
    };
    // We never drain, so whoever does is not us, also where we hold the node.
    offers.into_iter().chain(agent.draining.then_some(ForeignKind::Draining)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + seconds).unwrap()
    }

    fn agent(id: &str, deactivated: bool) -> SeenAgent {
        SeenAgent {
            id: id.into(),
            hostname: "n1.cern.ch".into(),
            registered: true,
            deactivated,
            draining: false,
            offered: false,
        }
    }

    fn held(ids: &[&str]) -> BTreeMap<NodeName, Intent> {
        let agent_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        BTreeMap::from([(name("n1"), Intent::Held { agent_ids })])
    }

    fn kinds(intents: &BTreeMap<NodeName, Intent>, agents: &[SeenAgent]) -> Vec<ForeignKind> {
        let node = name("n1");
        let found = foreign_changes(intents, [(&node, agents)], &[], at(0));
        found.into_iter().map(|change| change.what).collect()
    }

    #[test]
    fn what_is_as_we_left_it_is_nobodys_doing() {
        assert_eq!(kinds(&held(&["S0"]), &[agent("S0", true)]), []);
        assert_eq!(kinds(&BTreeMap::new(), &[agent("S0", false)]), []);
    }

    #[test]
    fn a_node_that_somebody_gave_back_while_we_hold_it_is_told() {
        assert_eq!(kinds(&held(&["S0"]), &[agent("S0", false)]), [ForeignKind::Reactivated]);
    }

    #[test]
    fn a_node_that_somebody_took_out_without_us_is_told() {
        assert_eq!(kinds(&BTreeMap::new(), &[agent("S0", true)]), [ForeignKind::Deactivated]);
    }

    #[test]
    fn a_new_id_of_a_node_that_we_hold_is_told_apart_from_the_one_we_stopped() {
        let agents = [agent("S0", true), agent("S7", false)];
        assert_eq!(kinds(&held(&["S0"]), &agents), [ForeignKind::NewId]);
        assert_eq!(kinds(&held(&["S0"]), &agents[..1]), []);
    }

    #[test]
    fn our_own_change_on_its_way_is_not_taken_for_a_strangers() {
        let changing = BTreeMap::from([(name("n1"), Intent::Changing)]);
        for deactivated in [true, false] {
            assert_eq!(kinds(&changing, &[agent("S0", deactivated)]), []);
        }
    }

    #[test]
    fn a_drain_is_never_ours() {
        let drained = SeenAgent { draining: true, ..agent("S0", true) };
        assert_eq!(kinds(&held(&["S0"]), std::slice::from_ref(&drained)), [ForeignKind::Draining]);
        assert_eq!(kinds(&BTreeMap::new(), &[drained]), [ForeignKind::Deactivated, ForeignKind::Draining]);
    }

    #[test]
    fn an_id_of_which_the_master_says_nothing_differs_in_nothing() {
        let away = SeenAgent { registered: false, ..agent("S0", false) };
        assert_eq!(kinds(&held(&["S0"]), &[away]), []);
        assert_eq!(kinds(&held(&["S0"]), &[]), []);
    }

    #[test]
    fn what_goes_on_keeps_the_moment_it_was_first_seen() {
        let node = name("n1");
        let agents = [agent("S0", false)];
        let first = foreign_changes(&held(&["S0"]), [(&node, &agents[..])], &[], at(0));
        let second = foreign_changes(&held(&["S0"]), [(&node, &agents[..])], &first, at(60));
        assert_eq!(second, first);
        let over = foreign_changes(&held(&["S0"]), [(&node, &[agent("S0", true)][..])], &second, at(120));
        assert_eq!(over, []);
        assert_eq!(foreign_changes(&held(&["S0"]), [(&node, &agents[..])], &over, at(180))[0].since, at(180));
    }
}
