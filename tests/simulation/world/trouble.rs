//! What goes wrong, and when.

use super::*;
use millwright_decision::Action;

/// Kinds of trouble, and how many in ten thousand of them come true when it is their turn: some change a history for good.
const STRIKES: [(&str, u64); 30] = [
    ("node_death", 10_000),
    ("node_death", 10_000),
    ("docker", 10_000),
    ("partition", 10_000),
    ("partition", 10_000),
    ("agent_restart", 10_000),
    ("agent_restart", 10_000),
    ("hand_reboot", 10_000),
    ("mesos", 10_000),
    ("clock", 10_000),
    ("crash_coordinator", 10_000),
    ("restored_store", 1500),
    ("second_coordinator", 10_000),
    ("policy", 10_000),
    ("hang", 10_000),
    ("damaged_record", 1500),
    ("one_way", 10_000),
    ("agent_disk", 10_000),
    ("mesos_leader", 5000),
    ("foreign", 2000),
    ("replay", 10_000),
    ("pause", 10_000),
    ("disk_full", 5000),
    ("own_clock", 5000),
    ("upgrade", 3000),
    ("mesos_id", 5000),
    ("liar", 3000),
    ("crl", 2000),
    ("of_others", 10_000),
    ("", 0),
];

/// Trouble that a machine has, or its agents.
pub const OF_MACHINES: [&str; 10] = [
    "node_death",
    "docker",
    "agent_restart",
    "hand_reboot",
    "clock",
    "hang",
    "one_way",
    "agent_disk",
    "mesos_id",
    "liar",
];

impl World {
    /// From time to time something goes wrong somewhere.
    pub(super) fn fault(&mut self) {
        let after = self.chance.between(500, 5600);
        self.after(after, Happening::Fault);
        let names: Vec<NodeName> = self.nodes.keys().cloned().collect();
        let Some(name) = self.chance.one_of(&names).cloned() else { return };
        let Some((kind, share)) = self.chance.one_of(&STRIKES).copied() else { return };
        let of_others = (kind == "of_others").then(|| self.chance.one_of(&OF_OTHERS).copied()).flatten();
        if self.chance.happens(share) {
            self.strike(of_others.unwrap_or(kind), &name, None);
        } else if let Ok(read) = self.journal.read() {
            self.copies.push(read.last);
        }
    }

    /// Trouble of a kind comes to a node, or to everybody; `id` names the operation that is meant, where one is.
    pub(super) fn strike(&mut self, kind: &'static str, name: &NodeName, id: Option<&str>) {
        let of_people = matches!(kind, "called_off" | "held");
        if !self.trouble(if of_people { "people" } else { kind }, 10_000) {
            return;
        }
        if OF_MACHINES.contains(&kind) {
            return self.strike_machine(kind, name);
        }
        if OF_OTHERS.contains(&kind) {
            return self.strike_others(kind, name);
        }
        match kind {
            "crash_coordinator" => {
                let seconds = self.chance.between(5, 3600);
                self.crash_coordinator(seconds);
            }
            "journal" => self.fail_write(),
            "disk_full" => {
                let seconds = self.chance.between(10, 3000);
                self.fill_disk(seconds);
            }
            "partition" => {
                self.note("partition", Some(name));
                let seconds = self.chance.between(30, 3600);
                self.cut_off(name, seconds);
            }
            "mesos" => {
                self.note("mesos", None);
                let most = if self.chance.happens(3000) { 10_000 } else { 1500 };
                self.mesos_down_until = self.now + SignedDuration::from_secs(self.chance.between(30, most));
            }
            "mesos_leader" => self.change_mesos_leader(),
            "restored_store" => self.restore_an_older_store(),
            "second_coordinator" => self.start_second(),
            "damaged_record" => self.damage_a_record(id),
            "policy" => self.edit_policy(name),
            "foreign" => self.foreign(name),
            "replay" => self.replay(name.clone()),
            "pause" => self.pause(),
            "own_clock" => self.turn_clock(),
            "upgrade" => self.upgrade(),
            "crl" => self.lose_revocations(),
            "called_off" => {
                let Some(id) = id else { return };
                self.note("called_off", Some(name));
                self.called_off(id);
            }
            "held" => {
                self.note("held", Some(name));
                super::super::people::object(self, name);
            }
            _ => {}
        }
    }

    /// Trouble of one machine. While that is down it comes with the next boot; one that is off for good has none.
    pub(super) fn strike_machine(&mut self, kind: &'static str, name: &NodeName) {
        let Some(node) = self.nodes.get(name) else { return };
        if node.is_stopped || node.is_deleted {
            return;
        }
        if kind != "hand_reboot" {
            self.note(kind, Some(name));
        }
        let is_agent = self.nodes.get(name).is_some_and(SimNode::takes_tasks);
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name) else { return };
        if !node.is_up && kind != "node_death" {
            node.at_boot = Some(kind);
            return;
        }
        match kind {
            "node_death" => {
                self.take_down(name);
                if self.chance.happens(5000) || !is_agent {
                    let seconds = self.chance.between(600, 7200);
                    self.boot_after(name, seconds);
                } else if let Some(node) = self.nodes.get_mut(name) {
                    node.is_dead = true;
                    node.is_booting = false;
                }
            }
            "docker" => {
                // A volume that is gone leaves the node able to say that nothing runs.
                let is_volume = self.chance.happens(5000);
                if let Some(node) = self.nodes.get_mut(name) {
                    let broken = if is_volume { &mut node.volume_ok } else { &mut node.docker_ok };
                    *broken = false;
                    node.changed_at = now;
                    node.ill_since.get_or_insert(now);
                }
                let after = self.chance.between(600, 20_000);
                self.after(after, Happening::Repair(name.clone()));
            }
            "agent_restart" => {
                node.start_agent(now);
                self.recover(name);
            }
            "hand_reboot" => self.goes_down(name, 180),
            "clock" => {
                node.offset = SignedDuration::from_secs(self.chance.between(-3600, 3600));
            }
            "hang" => self.hang(name),
            "one_way" => {
                node.deaf_until = now + SignedDuration::from_secs(self.chance.between(30, 3600));
            }
            "agent_disk" => self.break_agent_disk(name),
            "mesos_id" => self.register_anew(name),
            "liar" => self.begin_to_lie(name),
            _ => {}
        }
    }

    /// Somebody edits the policy while operations run; now and then a node is protected that was not.
    pub fn edit_policy(&mut self, name: &NodeName) {
        self.note("policy", None);
        let threatened = self.threatened();
        let is_meant = self.chance.happens(6000);
        let name = self.chance.one_of(&threatened).filter(|_| is_meant).unwrap_or(name);
        let mut policy = Policy::clone(&self.policy);
        policy.version =
            format!("{}+{}", policy.version, self.coverage.counts.get("fault/policy").unwrap_or(&0));
        let protects = self.chance.happens(5000);
        if let Some(node) = policy.nodes.get_mut(name).filter(|node| protects && node.class == Class::Agent) {
            node.protections.extend([Protection::NeverRebuild, Protection::NeverDelete]);
        }
        // Somebody saves half a file: the last good one holds, everything protected, until it is put right.
        if self.chance.happens(1200) {
            policy.unreadable = Some("a bracket is missing".into());
            let seconds = self.chance.between(300, 3600);
            self.after(seconds, Happening::PolicyMended);
        }
        self.put_in_force(policy);
    }

    pub(super) fn mend_policy(&mut self) {
        let mut policy = Policy::clone(&self.policy);
        policy.unreadable = None;
        self.put_in_force(policy);
    }

    fn put_in_force(&mut self, policy: Policy) {
        // One that can be read again says what it said before.
        if policy.version != self.policy.version {
            self.policy_changed_at = self.now;
        }
        self.policy = Arc::new(policy);
        let old = self.old.as_ref().map(|(old, _)| old);
        for coordinator in self.coordinator.iter().chain(old) {
            let now = coordinator.clock.read(self.now);
            coordinator.fleet().set_policy(Arc::clone(&self.policy), now);
        }
    }

    /// Nodes that are to be made anew or deleted: whoever has read so may want to protect them.
    pub(super) fn threatened(&self) -> Vec<NodeName> {
        let open = self.coordinator.iter().flat_map(|coordinator| coordinator.operations.list());
        open.filter(|tracked| {
            !tracked.operation.is_over()
                && matches!(tracked.operation.wish.action, Action::Rebuild | Action::Delete)
        })
        .map(|tracked| tracked.operation.wish.node.clone())
        .collect()
    }

    /// The disk has changed a record; the next start finds it. Mostly no other one rests on it.
    fn damage_a_record(&mut self, id: Option<&str>) {
        let Some(coordinator) = &self.coordinator else { return };
        let open: Vec<(String, u64)> = coordinator
            .operations
            .list()
            .filter(|tracked| !tracked.operation.is_over() && tracked.broken.is_none())
            .filter(|tracked| id.is_none_or(|id| tracked.operation.id == id))
            .map(|tracked| (tracked.operation.id.clone(), tracked.position))
            .collect();
        let Some((stream, last)) = self.chance.one_of(&open).cloned() else { return };
        // Without its first one nobody even knows which node it is about.
        let is_first = self.chance.happens(400);
        let read = self.journal.read().ok().filter(|_| is_first);
        let first = read.and_then(|read| {
            read.entries.iter().find(|entry| entry.draft.stream == stream).map(|entry| entry.position)
        });
        self.note("damaged_record", None);
        self.writes.lock().unwrap().damage(stream, first.unwrap_or(last));
        self.crash_coordinator(60);
    }

    /// Somebody puts an older copy of the store back. Until a person raises the generation nothing may move.
    pub(super) fn restore_an_older_store(&mut self) {
        let Some(last) = self.chance.one_of(&self.copies).copied() else { return };
        self.note("restored_store", None);
        self.coordinator = None;
        self.old = None;
        self.copies.retain(|copy| *copy <= last);
        self.checker.restored(last, &self.journal);
        self.writes.lock().unwrap().put_back(last);
        self.journal.put_back(last, false);
        let seconds = self.chance.between(30, 300);
        self.after(seconds, Happening::CoordinatorStarts);
        // Now and then nobody notices for hours.
        let most = if self.chance.happens(3000) { 14_000 } else { 7200 };
        let seconds = self.chance.between(1800, most);
        self.after(seconds, Happening::RaiseGeneration);
    }

    pub(super) fn raise_generation(&mut self) {
        self.coordinator = None;
        self.old = None;
        let last = self.journal.read().unwrap().last;
        self.journal.put_back(last, true);
        self.checker.generation_raised();
        self.start_coordinator();
    }

    /// Since when a node does not do what it is for; `None` while it does.
    pub fn ill_since(&self, name: &NodeName) -> Option<Timestamp> {
        self.nodes.get(name)?.ill_since
    }
}
