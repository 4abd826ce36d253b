//! Plans: which steps an operation takes, in which order. A plan is stored with its operation as data, so that another
//! version of this program goes on with the steps that were asked for, and stops at one it does not have.

use crate::Action;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of the steps and their order. An operation of another version is gone on with if every step of it is known.
pub const PLAN_VERSION: u32 = 1;

/// Who does a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doer {
    /// Nobody: it is over when something is seen to be so.
    Sight,
    /// The coordinator tells people.
    People,
    /// The Mesos master.
    Mesos,
    /// The schedulers of services, which start them elsewhere.
    Scheduler,
    /// The node's agent, by an order.
    Agent,
    /// Whoever has the cloud's credentials: a person with `millwright step`, or a command.
    Executor,
}

/// What holds for a step wherever it stands.
struct Facts {
    word: &'static str,
    /// "waits until", "is being": what it is about, for people.
    doing: &'static str,
    doer: Doer,
    /// After this long a person is asked; nothing happens by itself.
    patience: SignedDuration,
    is_irreversible: bool,
}

macro_rules! steps {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal, $doing:literal, $doer:ident, $minutes:literal $(, $irreversible:ident)?;)+) => {
        /// One step.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Step {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl Step {
            /// Every step.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            fn facts(self) -> Facts {
                match self {
                    $(Self::$variant => Facts {
                        word: $word,
                        doing: $doing,
                        doer: Doer::$doer,
                        patience: SignedDuration::from_mins($minutes),
                        is_irreversible: steps!(@flag $($irreversible)?),
                    },)+
                }
            }
        }
    };
    (@flag irreversible) => { true };
    (@flag) => { false };
}

steps! {
    /// Colleagues are told, so that they can object.
    Announce = "announce", "telling colleagues", People, 10;
    /// Everybody who has to agree has agreed.
    Consent = "consent", "waiting for people to agree", Sight, 1440;
    /// No new work comes to the node.
    Cordon = "cordon", "stopping new work", Mesos, 10;
    /// What may move has moved.
    MoveTasks = "move", "having what can run elsewhere moved", Scheduler, 60;
    /// Nothing runs there any more, seen twice from every side.
    ProveEmpty = "prove_empty", "waiting for the node to be empty", Sight, 1440;
    /// What the node has, to be compared with later.
    Baseline = "baseline", "noting what the node has", Sight, 10;
    /// The node reboots itself.
    Reboot = "reboot", "rebooting", Agent, 20, irreversible;
    /// The node is reset from outside.
    HardReboot = "hard_reboot", "resetting from outside", Executor, 60, irreversible;
    /// The node gets a new system disk.
    Rebuild = "rebuild", "rebuilding", Executor, 60, irreversible;
    /// It reports from another boot.
    NewBoot = "new_boot", "waiting for its next boot", Sight, 20;
    /// The new machine reports.
    FirstReport = "first_report", "waiting for its first report", Sight, 60;
    /// Puppet has nothing left to do.
    Converge = "converge", "waiting for Puppet to converge", Sight, 180;
    /// The images builds need are there.
    PullImages = "pull_images", "pulling images", Agent, 120;
    /// It has what it had.
    Compare = "compare", "comparing with what it had", Sight, 30;
    /// It is proven healthy.
    Verify = "verify", "proving it healthy", Sight, 60;
    /// Puppet runs once.
    Puppet = "puppet_run", "running Puppet", Agent, 90;
    /// The hold of its drain is gone.
    LiftHold = "lift_hold", "lifting its own hold", Sight, 10;
    /// New work may come again.
    Uncordon = "uncordon", "letting new work come", Mesos, 30;
    /// It has stayed healthy for a while.
    Settle = "settle", "watching it settle", Sight, 180;
    /// Nobody is woken by what is meant to happen.
    MaskAlarms = "mask_alarms", "masking its alarms", Executor, 240;
    /// The server is stopped and locked, and could come back.
    Quarantine = "quarantine", "stopping and locking the server", Executor, 240, irreversible;
    /// Time in which somebody may miss it.
    Rest = "rest", "resting in quarantine", Sight, 14400;
    /// The server is gone.
    DeleteServer = "delete_server", "deleting the server", Executor, 1440, irreversible;
    /// Volumes that go with it are gone.
    DeleteVolumes = "delete_volumes", "deleting its volumes", Executor, 1440, irreversible;
    /// Every other place that knows it has been seen to, by name.
    Ledger = "ledger", "clearing what still knows it", Executor, 10080;
    /// A new server is made.
    Create = "create", "making the server", Executor, 120, irreversible;
}

impl Step {
    /// The word in journal, API and pages.
    pub fn as_str(self) -> &'static str {
        self.facts().word
    }

    /// What is going on while it lasts, for sentences.
    pub fn doing(self) -> &'static str {
        self.facts().doing
    }

    /// Who does it.
    pub fn doer(self) -> Doer {
        self.facts().doer
    }

    /// After this long a person is asked.
    pub fn patience(self) -> SignedDuration {
        self.facts().patience
    }

    /// Whether there is no way back once it has begun.
    pub fn is_irreversible(self) -> bool {
        self.facts().is_irreversible
    }

    /// Whether a cancelled operation takes it back, where the coordinator did it.
    pub fn has_undo(self) -> bool {
        matches!(self, Self::Cordon | Self::MaskAlarms)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The steps of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// See [`PLAN_VERSION`].
    pub version: u32,
    /// In their order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// How an action is carried out (DESIGN section 7). A node that is silent for good is reset from outside at once.
    pub fn of(action: Action, is_silent: bool) -> Self {
        use Step::*;
        const DRAIN: &[Step] = &[Cordon, MoveTasks, ProveEmpty];
        // Whatever comes back may have a new Mesos id, under which it gets work at once.
        const RETURN: &[Step] = &[Cordon, Verify, Puppet, LiftHold, Uncordon, Settle];
        let parts: &[&[Step]] = match action {
            Action::Drain => &[DRAIN],
            Action::Return => &[&[Verify, Puppet, LiftHold, Uncordon, Settle]],
            Action::Reboot if is_silent => &[&[Announce, Consent, HardReboot, NewBoot], RETURN],
            Action::Reboot => &[&[Announce, Consent], DRAIN, &[Reboot, NewBoot], RETURN],
            Action::Rebuild => &[
                &[Announce, Consent],
                DRAIN,
                &[Baseline, Rebuild, FirstReport, Cordon, Converge, PullImages, Compare],
                &[Verify, Puppet, LiftHold, Uncordon, Settle],
            ],
            Action::Delete => &[
                &[Announce, Consent],
                DRAIN,
                &[MaskAlarms, Quarantine, Rest, DeleteServer, DeleteVolumes, Ledger],
            ],
            Action::Create => &[
                &[Announce, Consent, Create, FirstReport, Cordon, Converge, PullImages],
                &[Verify, Puppet, LiftHold, Uncordon, Settle],
            ],
            Action::Prepull => &[&[PullImages]],
        };
        Self { version: PLAN_VERSION, steps: parts.concat() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_in_a_plan_and_reads_back_from_its_word() {
        let plans: Vec<Plan> = Action::ALL
            .into_iter()
            .flat_map(|action| [Plan::of(action, false), Plan::of(action, true)])
            .collect();
        for step in Step::ALL {
            assert!(plans.iter().any(|plan| plan.steps.contains(step)), "{step} is in no plan");
            let word = serde_json::to_string(step).unwrap();
            assert_eq!(serde_json::from_str::<Step>(&word).unwrap(), *step);
            assert_eq!(word, format!("{:?}", step.as_str()));
        }
    }

    #[test]
    fn only_a_node_that_is_silent_is_reset_from_outside_past_whoever_forbids_a_shutdown() {
        for action in Action::ALL {
            assert!(!Plan::of(action, false).steps.contains(&Step::HardReboot), "{action}");
        }
        assert!(Plan::of(Action::Reboot, true).steps.contains(&Step::HardReboot));
    }

    #[test]
    fn nothing_irreversible_comes_before_the_proof_of_emptiness_and_nothing_returns_unverified() {
        for action in Action::ALL {
            let steps = Plan::of(action, false).steps;
            let place = |wanted: Step| steps.iter().position(|step| *step == wanted);
            if let Some(first) = steps.iter().position(|step| step.is_irreversible())
                && action != Action::Create
            {
                assert!(place(Step::ProveEmpty).unwrap() < first, "{action}");
            }
            if let Some(lifted) = place(Step::Uncordon) {
                assert!(place(Step::Verify).unwrap() < lifted, "{action}");
            }
        }
    }
}
