//! Ensembles: members that decide by majority, seen from outside, member by member.

use jiff::Timestamp;
use millwright_protocol::NodeName;

/// One ensemble of ZooKeeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensemble {
    /// As configured.
    pub name: String,
    /// When its members were asked.
    pub at: Timestamp,
    /// Every member that has a vote, by configuration, whatever it says.
    pub members: Vec<Member>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The node it runs on.
    pub node: NodeName,
    /// Since when it has taken part without a break: it leads, or follows the one leader in its epoch. `None` while it does not.
    pub in_quorum_since: Option<Timestamp>,
    /// Whether it leads.
    pub leads: bool,
    /// What it says, or why it says nothing, for people.
    pub story: String,
}

impl Ensemble {
    /// How many members a decision takes.
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Its member on a node.
    pub fn member_on(&self, node: &NodeName) -> Option<&Member> {
        self.members.iter().find(|member| member.node == *node)
    }
}
