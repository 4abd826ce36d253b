//! The closed list of reason and note codes.
//!
//! Every code has a page in the manual (`packaging/manual/reasons/CODE.md`); a test compares the two lists.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+) => {
        /// Why something objects, or what is worth knowing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of the manual.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in API, log and manual.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

codes! {
    /// The policy could not be read: everything is protected.
    PolicyUnreadable = "policy_unreadable",
    /// The node is not in the policy.
    NodeUnlisted = "node_unlisted",
    /// The node is physical: seen, never touched.
    NotManaged = "not_managed",
    /// R9, R10: the node is protected.
    NodeProtected = "node_protected",
    /// R10: a volume is protected.
    VolumeProtected = "volume_protected",
    /// An attached volume that nobody identifies.
    VolumeUnknown = "volume_unknown",
    /// Rebooting this node needs a confirmation.
    ConfirmReboot = "confirm_reboot",
    /// R25: the node is dedicated to one service.
    DedicatedNode = "dedicated_node",
    /// The coordinator runs here.
    CoordinatorLivesHere = "coordinator_lives_here",
    /// The machine is not the one it was.
    IdentityChanged = "identity_changed",
    /// Somebody pressed the off switch.
    Paused = "paused",
    /// The storm brake is on.
    BrakeTripped = "brake_tripped",
    /// The list of revoked certificates expired long ago: nobody knows whose reports can be trusted.
    CrlExpired = "crl_expired",
    /// The coordinator has just started.
    WarmingUp = "warming_up",
    /// Mesos has just changed its leader.
    LeaderChanged = "leader_changed",
    /// R12: the node's report is old.
    FactStale = "fact_stale",
    /// R12: a required source does not answer.
    SourceUnknown = "source_unknown",
    /// R12: two sources contradict each other.
    ViewsDisagree = "views_disagree",
    /// R21: the node is silent for good; a person may have it rebooted.
    SilentNode = "silent_node",
    /// Another silent node is being repaired.
    SilentRepairRunning = "silent_repair_running",
    /// R11: a task that must finish.
    TaskProtected = "task_protected",
    /// A checker at work.
    TaskChecker = "task_checker",
    /// A service that has to move.
    TaskService = "task_service",
    /// A task that cannot move.
    TaskPinned = "task_pinned",
    /// The owner of a task has not said that it may end.
    OwnerObjects = "owner_objects",
    /// A container without an owner.
    OrphanContainer = "orphan_container",
    /// Empty has not been seen twice.
    EmptyNotProven = "empty_not_proven",
    /// The node still gets new work.
    NotCordoned = "not_cordoned",
    /// R3, R4: the other masters are not healthy enough.
    MasterQuorum = "master_quorum",
    /// R3, R4: an ensemble would lose its majority.
    EnsembleQuorum = "ensemble_quorum",
    /// A member of an ensemble takes no part yet.
    EnsembleSyncing = "ensemble_syncing",
    /// R24: a master is out, so nothing else goes.
    MasterOut = "master_out",
    /// Too many nodes of the class are out.
    BudgetSpent = "budget_spent",
    /// Too many nodes of the class are draining.
    DrainBudget = "drain_budget",
    /// Another zone already has a node out.
    OtherZoneOut = "other_zone_out",
    /// The last node that can do something.
    LastOfLabel = "last_of_label",
    /// A node has just come back.
    Settling = "settling",
    /// In mode `advise` a person begins each irreversible step.
    GoAhead = "go_ahead",
    /// S9: agents have seen a newer store than this one.
    StoreBehind = "store_behind",
    /// A part of the journal cannot be read: nobody knows which node it is about.
    JournalDamaged = "journal_damaged",
    /// Another operation has this node.
    OperationRunning = "operation_running",
    /// Outside the maintenance windows.
    OutsideWindow = "outside_window",
    /// A freeze is on.
    Freeze = "freeze",
    /// The quiet hours of the nightly builds.
    QuietHours = "quiet_hours",
    /// Somebody wants the node kept as it is.
    HoldPresent = "hold_present",
    /// R6: a second person has not agreed.
    ApprovalMissing = "approval_missing",
    /// R6: colleagues can still object.
    ObjectionWindow = "objection_window",
    /// R18: a delete is for good, and nobody said so.
    IntentMissing = "intent_missing",
    /// R20: the OpenStack project is not known.
    ProjectUnknown = "project_unknown",
    /// R20: more than one server has the node's name.
    ServerDoubtful = "server_doubtful",
    /// Somebody has locked the server.
    ServerLocked = "server_locked",
    /// R8, R14: the node is not proven healthy.
    NotHealthy = "not_healthy",
    /// R14: Puppet has not converged.
    PuppetNotConverged = "puppet_not_converged",
    /// R15: Puppet keeps failing.
    PuppetFailing = "puppet_failing",
    /// R16: the builder image is missing.
    ImageMissing = "image_missing",
    /// R13: the node is not what it should be.
    SpecMismatch = "spec_mismatch",
    /// R17: a rebuilt node is silent, as expected or too long.
    RebuildSilence = "rebuild_silence",
    /// R1: another master is in that zone.
    ZoneTaken = "zone_taken",
    /// R1, R2: the zone is missing or unknown.
    ZoneUnknown = "zone_unknown",
    /// The node is there already.
    NodeExists = "node_exists",
    /// R5: this master leads; the leadership moves by itself.
    IsLeader = "is_leader",
    /// R19: these volumes stay behind.
    VolumesLeft = "volumes_left",
    /// R18: a rebuild repairs as well.
    RebuildInstead = "rebuild_instead",
    /// R22: how to reboot when nothing else works.
    RebootHint = "reboot_hint",
    /// R23: which rights it takes.
    RightsNeeded = "rights_needed",
    /// Many nodes fail the same outside check.
    OutsideBlamed = "outside_blamed",
    /// No node of the class would stay in service.
    LastOfClass = "last_of_class",
    /// A person has said that the node is dead.
    KnownDead = "known_dead",
    /// A person has vouched for a source.
    Attested = "attested",
}

impl Code {
    /// Whether it stands for something that clears while an operation runs, so that it does not forbid beginning one
    /// (DESIGN section 6, `waits`).
    pub fn clears_on_the_way(self) -> bool {
        matches!(
            self,
            Self::TaskProtected
                | Self::TaskChecker
                | Self::TaskService
                | Self::TaskPinned
                | Self::OwnerObjects
                | Self::EmptyNotProven
                | Self::ApprovalMissing
                | Self::ObjectionWindow
                | Self::BudgetSpent
                | Self::Settling
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == word)
            .ok_or_else(|| serde::de::Error::custom(format!("{word:?} is not a reason code")))
    }
}
