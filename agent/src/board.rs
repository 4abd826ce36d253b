//! Everything the agent knows right now: findings and facts. Reports and the local status are views of it.

use crate::{
    check::{Check, FactPart, Look},
    clock::Moment,
    identity::Identity,
    ledger::{Change, Ledger},
};
use millwright_protocol::{Container, Facts, Finding, PROTOCOL_VERSION, Report, Status, Task};
use std::{
    mem::Discriminant,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Findings of every check and the newest facts.
#[derive(Debug, Default)]
pub struct Board {
    ledgers: Vec<Ledger>,
    facts: Vec<(FactPart, Moment)>,
}

/// Which check speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(usize);

/// What a look changed.
#[derive(Debug, Default, PartialEq)]
pub struct Posted {
    /// Findings whose status changed.
    pub changes: Vec<Change>,
    /// Whether tasks or containers are others than before, so that the coordinator should hear at once.
    pub work_changed: bool,
}

impl Board {
    /// Gives a check its place; until it looks, its finding is `unknown`.
    pub fn add(&mut self, check: &dyn Check, now: Moment) -> Slot {
        let ledger = Ledger::new(check.name(), check.item(), check.is_gating(), check.rhythm().deadline, now);
        self.ledgers.push(ledger.when_silent(check.when_silent()));
        Slot(self.ledgers.len() - 1)
    }

    /// A look came home.
    pub fn looked(&mut self, slot: Slot, look: Look, now: Moment) -> Posted {
        let Some(ledger) = self.ledgers.get_mut(slot.0) else { return Posted::default() };
        let changes = ledger.looked(look.observations, now);
        let mut work_changed = false;
        for part in look.facts {
            work_changed |= self.post(part, now);
        }
        Posted { changes, work_changed }
    }

    /// A look did not come home.
    pub fn timed_out(&mut self, slot: Slot, now: Moment) -> Posted {
        let ledger = self.ledgers.get_mut(slot.0);
        Posted {
            changes: ledger.map(|ledger| ledger.timed_out(now)).unwrap_or_default(),
            work_changed: false,
        }
    }

    /// Replaces a part of the facts; tells whether work came or went.
    fn post(&mut self, part: FactPart, now: Moment) -> bool {
        let kind: Discriminant<FactPart> = std::mem::discriminant(&part);
        match self.facts.iter_mut().find(|(known, _)| std::mem::discriminant(known) == kind) {
            Some(known) => {
                let changed = work_differs(&known.0, &part);
                *known = (part, now);
                changed
            }
            None => {
                let changed = has_work(&part);
                self.facts.push((part, now));
                changed
            }
        }
    }

    /// All findings, in the order of the checks.
    pub fn findings(&self, now: Moment) -> Vec<Finding> {
        self.ledgers.iter().flat_map(|ledger| ledger.findings(now)).collect()
    }

    /// Whether every check has looked at least once, or missed its first deadline.
    pub fn is_complete(&self) -> bool {
        self.ledgers.iter().all(Ledger::has_looked)
    }

    /// The worst status of all findings.
    pub fn worst(&self, now: Moment) -> Status {
        self.ledgers
            .iter()
            .flat_map(|ledger| ledger.findings(now))
            .map(|finding| finding.status)
            .max()
            .unwrap_or(Status::Ok)
    }

    /// All facts, with their ages at `now`.
    pub fn facts(&self, now: Moment) -> Facts {
        let mut facts = Facts::default();
        for (part, read_at) in &self.facts {
            put(&mut facts, part.clone(), now.since(*read_at).as_secs());
        }
        facts
    }

    /// The report as it would be sent at `now`.
    pub fn report(&self, identity: &Identity, sequence: u64, now: Moment) -> Report {
        Report {
            protocol: PROTOCOL_VERSION,
            node: identity.name.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: identity.boot_id.clone(),
            machine_id: identity.machine_id.clone(),
            server_uuid: identity.server_uuid.clone(),
            sequence,
            sent_at: now.wall,
            uptime_seconds: now.uptime.as_secs(),
            findings: self.findings(now),
            facts: self.facts(now),
            seen: None,
            local_holds: Vec::new(),
            whitelist: None,
        }
    }
}

fn put(facts: &mut Facts, part: FactPart, age: u64) {
    // A check may hand on facts that were already old when it looked.
    match part {
        FactPart::MesosAgent(part) => {
            facts.mesos_agent = part.map(|mut part| {
                part.age_seconds += age;
                part
            });
        }
        FactPart::MesosMaster(part) => {
            facts.mesos_master = part.map(|mut part| {
                part.age_seconds += age;
                part
            });
        }
        FactPart::Containers(part) => {
            facts.containers = part.map(|mut part| {
                part.age_seconds += age;
                part
            });
        }
        FactPart::ZooKeeper(part) => {
            facts.zookeeper = part.map(|mut part| {
                part.age_seconds += age;
                part
            });
        }
        FactPart::Volumes(part) => facts.volumes = part,
        FactPart::Images(part) => facts.images = part,
        FactPart::Puppet(part) => facts.puppet = part,
        FactPart::System(part) => facts.system = Some(part),
    }
}

/// Whether two readings of the same part tell of different work. Ages and restart counts are no work.
fn work_differs(before: &FactPart, after: &FactPart) -> bool {
    match (before, after) {
        (FactPart::MesosAgent(before), FactPart::MesosAgent(after)) => {
            before.as_ref().map(living_tasks) != after.as_ref().map(living_tasks)
        }
        (FactPart::Containers(before), FactPart::Containers(after)) => {
            before.as_ref().map(running_containers) != after.as_ref().map(running_containers)
        }
        _ => false,
    }
}

fn has_work(part: &FactPart) -> bool {
    match part {
        FactPart::MesosAgent(facts) => facts.as_ref().is_some_and(|facts| !facts.tasks.is_empty()),
        FactPart::Containers(facts) => facts.as_ref().is_some_and(|facts| !facts.containers.is_empty()),
        _ => false,
    }
}

fn living_tasks(facts: &millwright_protocol::MesosAgentFacts) -> Vec<(&str, u8)> {
    let of = |task: &'_ Task| task.state as u8;
    let mut tasks: Vec<_> = facts.tasks.iter().map(|task| (task.id.as_str(), of(task))).collect();
    tasks.sort_unstable();
    tasks
}

fn running_containers(facts: &millwright_protocol::ContainerFacts) -> Vec<(&str, &str)> {
    let mut names: Vec<_> = facts
        .containers
        .iter()
        .filter(|container| Container::is_running(container))
        .map(|one| (one.name.as_str(), one.state.as_str()))
        .collect();
    names.sort_unstable();
    names
}

/// The board as checks, reports and the status server share it. One thread uses it; the lock is for the
/// compiler, and nobody waits while holding it.
#[derive(Debug, Clone, Default)]
pub struct SharedBoard(Arc<Mutex<Board>>);

impl SharedBoard {
    /// The board, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Looking, Observation, Rhythm};
    use jiff::Timestamp;
    use millwright_protocol::{ContainerFacts, ContainerRole, MesosAgentFacts, TaskState, VolumeFact};
    use std::time::Duration;

    struct Docker;

    impl Check for Docker {
        fn name(&self) -> &'static str {
            "docker"
        }
        fn is_gating(&self) -> bool {
            true
        }
        fn rhythm(&self) -> Rhythm {
            Rhythm { every: Duration::from_secs(10), deadline: Duration::from_secs(10) }
        }
        fn look(&mut self, _now: Timestamp) -> Looking<'_> {
            Box::pin(async { Look::default() })
        }
    }

    fn start() -> Moment {
        Moment { wall: "2026-01-31T10:00:00Z".parse().unwrap(), uptime: Duration::from_secs(500) }
    }

    fn task(id: &str, state: TaskState) -> Task {
        Task {
            id: id.into(),
            name: String::new(),
            framework: String::new(),
            framework_id: String::new(),
            role: None,
            state,
            resources: millwright_protocol::Resources::default(),
            labels: std::collections::BTreeMap::default(),
            started_at_secs: None,
        }
    }

    fn tasks(tasks: &[(&str, TaskState)]) -> Look {
        let tasks = tasks.iter().map(|(id, state)| task(id, *state)).collect();
        let facts = MesosAgentFacts { tasks, ..MesosAgentFacts::default() };
        Look { facts: vec![FactPart::MesosAgent(Some(facts))], ..Look::default() }
    }

    fn board() -> (Board, Slot) {
        let mut board = Board::default();
        let slot = board.add(&Docker, start());
        (board, slot)
    }

    #[test]
    fn a_report_before_the_first_look_is_not_healthy() {
        let (board, _) = board();
        let report = board.report(&Identity::default(), 1, start());
        assert!(report.findings.iter().any(|finding| finding.gating && !finding.status.is_healthy()));
    }

    #[test]
    fn facts_grow_old_until_a_look_replaces_them() {
        let (mut board, slot) = board();
        board.looked(slot, tasks(&[]), start());
        let age = |board: &Board, seconds| {
            board.facts(start().after(Duration::from_secs(seconds))).mesos_agent.unwrap().age_seconds
        };
        assert_eq!(age(&board, 30), 30);
        board.timed_out(slot, start().after(Duration::from_secs(40)));
        assert_eq!(age(&board, 45), 45);
        board.looked(slot, tasks(&[]), start().after(Duration::from_secs(50)));
        assert_eq!(age(&board, 52), 2);
    }

    #[test]
    fn a_look_leaves_other_parts_alone() {
        let (mut board, slot) = board();
        board.looked(slot, tasks(&[("t", TaskState::Running)]), start());
        let volumes = vec![VolumeFact { mount: "/build".into(), ..VolumeFact::default() }];
        board.looked(slot, Look { facts: vec![FactPart::Volumes(volumes)], ..Look::default() }, start());
        let facts = board.facts(start());
        assert_eq!((facts.volumes.len(), facts.mesos_agent.unwrap().tasks.len()), (1, 1));
    }

    #[test]
    fn work_that_comes_goes_or_changes_state_is_told_at_once_and_the_same_work_is_not() {
        let (mut board, slot) = board();
        let steps: [(&[(&str, TaskState)], bool); 6] = [
            (&[], false),
            (&[("a", TaskState::Staging)], true),
            (&[("a", TaskState::Running)], true),
            (&[("a", TaskState::Running), ("b", TaskState::Running)], true),
            (&[("b", TaskState::Running), ("a", TaskState::Running)], false),
            (&[], true),
        ];
        for (now, told) in steps {
            assert_eq!(board.looked(slot, tasks(now), start()).work_changed, told, "{now:?}");
        }
    }

    #[test]
    fn a_container_that_stops_is_told_at_once() {
        let (mut board, slot) = board();
        let containers = |state: &str| Look {
            observations: vec![Observation::new(Status::Ok, "fine")],
            facts: vec![FactPart::Containers(Some(ContainerFacts {
                containers: vec![Container {
                    name: "mesos-1".into(),
                    image: String::new(),
                    state: state.into(),
                    role: ContainerRole::Task,
                    started_at: None,
                    restarts: 0,
                }],
                ..ContainerFacts::default()
            }))],
        };
        let told = ["running", "running", "exited"]
            .map(|state| board.looked(slot, containers(state), start()).work_changed);
        assert_eq!(told, [true, false, true]);
    }
}
