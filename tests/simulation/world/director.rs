//! The director: has trouble come in the very step in which it would hurt, each kind to each step about as often.
//!
//! Left to chance, a machine dies a thousand times while somebody waits and never while its server is being deleted. So
//! whenever an operation comes to another step, or moves on within one, the director may choose a kind and a moment.

use super::*;

/// Every kind that can be had on demand.
pub const DIRECTED: [&str; 32] = [
    "crash_coordinator",
    "journal",
    "disk_full",
    "partition",
    "node_death",
    "docker",
    "agent_restart",
    "hand_reboot",
    "mesos",
    "mesos_leader",
    "clock",
    "own_clock",
    "restored_store",
    "second_coordinator",
    "damaged_record",
    "policy",
    "hang",
    "one_way",
    "agent_disk",
    "foreign",
    "replay",
    "pause",
    "upgrade",
    "mesos_id",
    "liar",
    "called_off",
    "held",
    "source_silent",
    "jenkins_forgets",
    "member_lost",
    "server_locked",
    "server_twin",
];

/// Those that change the rest of a history, or end what they come to: how many in ten thousand of them come true.
fn share(kind: &str) -> u64 {
    match kind {
        "restored_store" | "damaged_record" => 2000,
        "called_off" | "foreign" => 4000,
        _ => 10_000,
    }
}

/// How often a step is meant, in ten thousand: the seldom ones more often.
fn weight(step: Step) -> u64 {
    match step {
        Step::MaskAlarms
        | Step::Quarantine
        | Step::Rest
        | Step::DeleteServer
        | Step::DeleteVolumes
        | Step::Ledger
        | Step::Create => 4000,
        Step::HardReboot | Step::Rebuild | Step::NewBoot | Step::FirstReport | Step::Converge => 900,
        Step::Reboot | Step::PullImages | Step::Compare | Step::Baseline => 500,
        _ => 200,
    }
}

/// Why a kind of trouble cannot come in a step, where it cannot.
pub fn never(kind: &str, step: Step) -> Option<&'static str> {
    let is_off =
        matches!(step, Step::Rest | Step::DeleteServer | Step::DeleteVolumes | Step::Ledger | Step::Create);
    match (kind, step) {
        (_, Step::MoveTasks) => {
            Some("it is over in the round in which it begins, unless a service has to move")
        }
        (_, Step::Baseline | Step::Compare | Step::LiftHold) => {
            Some("it is over in the round in which it begins, so nothing can come in between")
        }
        (_, Step::MaskAlarms) if kind == "damaged_record" || kind == "restored_store" => None,
        ("cloud_lies", _) if !matches!(step, Step::HardReboot | Step::Rebuild) => {
            Some("the cloud has nothing to lie about, or what it says is not looked at again")
        }
        ("partition" | "foreign", Step::DeleteVolumes | Step::Ledger | Step::Create) => {
            Some("there is no server that anybody could reach")
        }
        ("partition", Step::Rest | Step::DeleteServer) => Some("the machine is off"),
        (kind, _) if is_off && OF_MACHINES.contains(&kind) => Some("the machine is off"),
        _ => None,
    }
}

impl World {
    /// An operation has come to a step, or moved on within it.
    pub(super) fn direct(&mut self, step: Step, node: &NodeName, id: &str) {
        if self.is_quiet || self.now >= self.calm_from || !self.chance.happens(weight(step)) {
            return;
        }
        let Some(kind) = self.chance.one_of(&DIRECTED).copied() else { return };
        if never(kind, step).is_some() || !self.chance.happens(share(kind)) {
            return;
        }
        let longest = (step.patience().as_secs() / 2).max(10);
        let seconds = match self.chance.below(4) {
            0 | 1 => 0,
            2 => self.chance.between(0, 20),
            _ => self.chance.between(0, longest),
        };
        self.after(seconds, Happening::Strike(kind, node.clone(), id.to_owned()));
    }

    /// Operations that have moved since the last round.
    pub(super) fn moved(&mut self) {
        let Some(coordinator) = &self.coordinator else { return };
        let mut moved = Vec::new();
        for tracked in coordinator.operations.list() {
            let operation = &tracked.operation;
            let Some((step, record)) = operation.current_step().filter(|_| !operation.is_over()) else {
                continue;
            };
            let stands = (operation.at, record.state.as_str());
            if self.stands.get(&operation.id) != Some(&stands) {
                self.stands.insert(operation.id.clone(), stands);
                moved.push((step, operation.wish.node.clone(), operation.id.clone()));
            }
        }
        for (step, node, id) in moved {
            self.direct(step, &node, &id);
        }
    }
}
