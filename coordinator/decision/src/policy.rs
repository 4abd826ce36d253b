//! The policy: what people decided beforehand. Names, zones, protections and limits live here, never in code.
//!
//! This is the checked, complete form. Reading a policy file, and saying what is wrong with one, is the
//! coordinator's business.

mod calendar;
mod tasks;

pub use calendar::{Freeze, WeeklyWindow};
pub use tasks::{TaskClass, TaskMatch, TaskRule, Tasks};

use crate::{action::Action, operation::Executors};
use jiff::{SignedDuration, Timestamp};
use millwright_protocol::NodeName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

macro_rules! words {
    ($(#[doc = $head:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $head])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them, in reading order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in policy, API and pages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a node is for.
    Class {
        /// Runs the five containers of a master.
        Master = "master",
        /// Runs builds, with a data volume.
        Agent = "agent",
        /// Runs builds, without one.
        AgentNoVolume = "agent-no-volume",
        /// Runs one named service.
        Dedicated = "dedicated",
        /// Seen through Mesos only, never acted on.
        Physical = "physical",
    }
}

words! {
    /// How far the coordinator may go with a class. Never changes a verdict.
    Mode {
        /// Looks, and starts nothing.
        Observe = "observe",
        /// Runs operations; people take every irreversible step.
        Advise = "advise",
        /// Takes them itself.
        Act = "act",
    }
}

words! {
    /// Where facts come from.
    Source {
        /// The node's own agent.
        Agent = "agent",
        /// The leading Mesos master.
        MesosMaster = "mesos_master",
        /// The members of ZooKeeper's ensembles, each asked from outside.
        ZooKeeper = "zookeeper",
        /// Jenkins.
        Jenkins = "jenkins",
        /// Marathon.
        Marathon = "marathon",
        /// Aurora.
        Aurora = "aurora",
        /// Mesos-DNS.
        MesosDns = "mesos_dns",
        /// OpenStack.
        OpenStack = "openstack",
        /// Foreman.
        Foreman = "foreman",
        /// PuppetDB.
        PuppetDb = "puppetdb",
        /// Roger, which wakes people.
        Roger = "roger",
    }
}

impl Source {
    /// Whether a person may vouch for what it would say: not for what the Mesos master is about to launch, nor for a
    /// quorum (DESIGN 3.2).
    pub fn can_be_attested(self) -> bool {
        !matches!(self, Self::MesosMaster | Self::ZooKeeper)
    }

    /// What people call it, for sentences.
    pub fn title(self) -> &'static str {
        match self {
            Self::Agent => "the node's agent",
            Self::MesosMaster => "the Mesos master",
            Self::ZooKeeper => "ZooKeeper",
            Self::Jenkins => "Jenkins",
            Self::Marathon => "Marathon",
            Self::Aurora => "Aurora",
            Self::MesosDns => "Mesos-DNS",
            Self::OpenStack => "OpenStack",
            Self::Foreman => "Foreman",
            Self::PuppetDb => "PuppetDB",
            Self::Roger => "Roger",
        }
    }
}

words! {
    /// What nobody may do, whatever they pass on a command line.
    Protection {
        /// R9.
        NeverRebuild = "never_rebuild",
        /// R10.
        NeverDelete = "never_delete",
        /// R10, for the volume.
        NeverDeleteVolume = "never_delete_volume",
        /// A reboot needs a person's word.
        ConfirmReboot = "confirm_reboot",
    }
}

/// Who has to agree before the irreversible step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Nobody.
    None,
    /// Announced; colleagues can object for so long.
    ObjectionWindow(SignedDuration),
    /// A second person, or an announced wait of so long that anyone can cancel.
    SecondPerson(SignedDuration),
}

impl Consent {
    /// For how long colleagues may object or agree; `None` where nobody has to be asked.
    pub fn window(self) -> Option<SignedDuration> {
        match self {
            Self::None => None,
            Self::ObjectionWindow(window) | Self::SecondPerson(window) => Some(window),
        }
    }
}

/// Part of a class: at most the larger of a number and a percentage of it, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// This many in any case.
    pub at_least: u32,
    /// Percent of the listed nodes.
    pub percent: u32,
}

impl Share {
    /// How many of `listed` nodes it allows.
    pub fn of(self, listed: u32) -> u32 {
        (u64::from(listed) * u64::from(self.percent) / 100).try_into().unwrap_or(u32::MAX).max(self.at_least)
    }
}

/// What holds for all nodes of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassPolicy {
    /// How far the coordinator may go.
    pub mode: Mode,
    /// Sources that must be known; all others count as `none`.
    pub required: BTreeSet<Source>,
    /// How many may be out.
    pub out: Share,
    /// How many may drain while they still build.
    pub draining: Share,
    /// Quiet time after a return.
    pub settle: SignedDuration,
    /// How long a stopped and locked server waits before it is deleted.
    pub quarantine: SignedDuration,
    /// Disruption is allowed inside these only; none means any time.
    pub windows: Vec<WeeklyWindow>,
    /// No disruption inside these.
    pub quiet_hours: Vec<WeeklyWindow>,
    /// No disruption during these.
    pub freezes: Vec<Freeze>,
    /// Who agrees to a reboot.
    pub reboot_consent: Consent,
    /// Who agrees to a rebuild.
    pub rebuild_consent: Consent,
    /// Who agrees to a delete.
    pub delete_consent: Consent,
    /// The smallest acceptable size of the data volume, in bytes, where one is expected (R13).
    pub volume_bytes: Option<u64>,
    /// Images a node needs before it counts as ready (R16).
    pub images: Vec<String>,
    /// What the site's commands say of a node of this class, by the name that stands in their braces, such as `flavor` (R13).
    pub words: BTreeMap<String, String>,
}

impl ClassPolicy {
    /// Who has to agree before this is done. A node that is silent for good is repaired at once.
    pub fn consent(&self, action: Action, is_silent: bool) -> Consent {
        match action {
            Action::Reboot if !is_silent => self.reboot_consent,
            Action::Rebuild => self.rebuild_consent,
            Action::Delete => self.delete_consent,
            _ => Consent::None,
        }
    }
}

/// One listed node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePolicy {
    /// The spelling people use.
    pub display: String,
    /// What it is for.
    pub class: Class,
    /// Its availability zone, where it has one.
    pub zone: Option<String>,
    /// What it can do, for "the last one that can".
    pub labels: BTreeSet<String>,
    /// What nobody may do to it.
    pub protections: BTreeSet<Protection>,
    /// Its OpenStack project (R20).
    pub project: Option<String>,
    /// Mesos attributes it must announce (R13, R25).
    pub attributes: BTreeMap<String, String>,
}

/// One volume that policy knows by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumePolicy {
    /// For people, such as `alibuild03_vol_001`.
    pub name: String,
    /// The node it belongs to.
    pub node: NodeName,
    /// Cinder's id of it.
    pub cinder: Option<String>,
    /// The UUID of its file system.
    pub uuid: Option<String>,
    /// What nobody may do to it.
    pub protections: BTreeSet<Protection>,
}

impl VolumePolicy {
    /// Whether an attached volume with this file-system UUID and disk serial is this one. Virtual disks show the first
    /// 20 characters of Cinder's id as their serial (virtio-blk's limit).
    pub fn is(&self, uuid: Option<&str>, serial: Option<&str>) -> bool {
        let same_uuid =
            matches!((&self.uuid, uuid), (Some(ours), Some(seen)) if ours.eq_ignore_ascii_case(seen));
        let same_serial = matches!((&self.cinder, serial), (Some(id), Some(seen))
            if seen.len() >= 20 && id.get(..seen.len()).is_some_and(|head| head.eq_ignore_ascii_case(seen)));
        same_uuid || same_serial
    }
}

/// Why the policy in force is not the one on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with the file, in one line.
    pub why: String,
    /// The file, where it is known.
    pub path: Option<String>,
    /// When it was first seen to be wrong, where known.
    pub since: Option<Timestamp>,
}

impl<T: Into<String>> From<T> for Unreadable {
    fn from(why: T) -> Self {
        Self { why: why.into(), path: None, since: None }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.path {
            Some(path) => write!(formatter, "the policy {path} cannot be read: {}", self.why),
            None => write!(formatter, "the policy cannot be read: {}", self.why),
        }
    }
}

/// Everything people decided.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Why the policy in force is not the one on disk; then everything is protected.
    pub unreadable: Option<Unreadable>,
    /// A digest of the file; empty where no good one was ever read.
    pub version: String,
    /// The cluster's name.
    pub cluster: String,
    /// The host the coordinator runs on.
    pub coordinator: NodeName,
    /// R2: the zones there are.
    pub zones: BTreeSet<String>,
    /// What holds per class; a class without an entry has no nodes.
    pub classes: BTreeMap<Class, ClassPolicy>,
    /// Every listed node.
    pub nodes: BTreeMap<NodeName, NodePolicy>,
    /// Every known volume.
    pub volumes: Vec<VolumePolicy>,
    /// How tasks are told apart.
    pub tasks: Tasks,
    /// Checks of things outside the node; when many nodes fail one, the outside is blamed.
    pub external_checks: BTreeSet<String>,
    /// Who runs what needs the cloud's credentials, and what exactly.
    pub executors: Executors,
    /// R22: how to reboot by hand.
    pub reboot_hint: Option<String>,
    /// R23: which rights it takes.
    pub rights_hint: Option<String>,
}

impl Policy {
    /// A policy that lists nobody and forbids everything, for when there is none (DESIGN 3.7).
    pub fn unreadable(why: impl Into<Unreadable>, coordinator: NodeName) -> Self {
        Self {
            unreadable: Some(why.into()),
            version: String::new(),
            cluster: String::new(),
            coordinator,
            zones: BTreeSet::new(),
            classes: BTreeMap::new(),
            nodes: BTreeMap::new(),
            volumes: Vec::new(),
            tasks: Tasks::default(),
            external_checks: BTreeSet::new(),
            executors: Executors::default(),
            reboot_hint: None,
            rights_hint: None,
        }
    }

    /// Whether a good file was ever read; without one nobody knows which nodes and sources there should be.
    pub fn is_known(&self) -> bool {
        self.unreadable.is_none() || !self.version.is_empty()
    }

    /// The policy of the class of a listed node.
    pub fn class_of(&self, node: &NodePolicy) -> Option<&ClassPolicy> {
        self.classes.get(&node.class)
    }

    /// The spelling people use for a node, listed or not.
    pub fn spell<'a>(&'a self, name: &'a NodeName) -> &'a str {
        self.nodes.get(name).map_or(name.as_str(), |node| node.display.as_str())
    }

    /// Listed nodes of a class.
    pub fn nodes_of(&self, class: Class) -> impl Iterator<Item = (&NodeName, &NodePolicy)> {
        self.nodes.iter().filter(move |(_, node)| node.class == class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_round_down_and_keep_their_floor() {
        let tenth = Share { at_least: 1, percent: 10 };
        for (listed, allowed) in [(0, 1), (3, 1), (19, 1), (20, 2), (40, 4), (49, 4)] {
            assert_eq!(tenth.of(listed), allowed, "{listed} listed");
        }
    }

    #[test]
    fn a_volume_is_known_by_uuid_or_by_the_cut_cinder_id() {
        let volume = VolumePolicy {
            name: "alibuild03_vol_001".into(),
            node: "alibuild03".parse().unwrap(),
            cinder: Some("6edbc2f4-1507-44f8-ac0d-eed1d2608d38".into()),
            uuid: Some("0a1b".into()),
            protections: BTreeSet::new(),
        };
        assert!(volume.is(None, Some("6edbc2f4-1507-44f8-a")));
        assert!(volume.is(Some("0A1B"), None));
        assert!(!volume.is(None, Some("6edb")), "a stub of a serial proves nothing");
        assert!(!volume.is(Some("ffff"), Some("7edbc2f4-1507-44f8-a")));
        assert!(!volume.is(None, None));
    }
}
