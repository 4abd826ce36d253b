//! Who this node is, and what must never be done to it.

use super::Fault;
use millwright_protocol::NodeName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `[node]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// The node's name; without it the Puppet certname, and without that the host name.
    pub name: Option<String>,
    /// What kind of node it is; decides what is required of it.
    pub class: NodeClass,
}

impl NodeConfig {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let refusal = self.name.as_ref().and_then(|name| name.parse::<NodeName>().err());
        refusal.map(|why| Fault::new("node.name", format!("= {why}"))).into_iter().collect()
    }
}

/// What kind of node this is (physical nodes have no agent of ours).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeClass {
    /// Runs a Mesos master, ZooKeeper and the schedulers.
    Master,
    /// Builds, on a volume of its own.
    #[default]
    Agent,
    /// Builds without a volume.
    AgentNoVolume,
    /// Serves one purpose, such as the Jenkins master.
    Dedicated,
}

impl NodeClass {
    /// The word of policy, API and log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Agent => "agent",
            Self::AgentNoVolume => "agent-no-volume",
            Self::Dedicated => "dedicated",
        }
    }
}

impl fmt::Display for NodeClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// `[protections]`: this file's own word, whatever the coordinator's policy says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protections {
    /// Its disk must never be written anew.
    pub never_rebuild: bool,
    /// The machine must never be deleted.
    pub never_delete: bool,
    /// Its volumes must never be deleted.
    pub never_delete_volume: bool,
    /// A person confirms each reboot.
    pub confirm_reboot: bool,
}

impl Protections {
    /// The words that hold, for people.
    pub fn words(self) -> Vec<&'static str> {
        [
            (self.never_rebuild, "never_rebuild"),
            (self.never_delete, "never_delete"),
            (self.never_delete_volume, "never_delete_volume"),
            (self.confirm_reboot, "confirm_reboot"),
        ]
        .into_iter()
        .filter_map(|(holds, word)| holds.then_some(word))
        .collect()
    }
}
