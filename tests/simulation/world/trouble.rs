//! What goes wrong, and when.

use super::*;
use millwright_decision::Action;

impl World {
    pub(super) fn fault(&mut self) {
        let after = self.chance.between(500, 5600);
        self.after(after, Happening::Fault);
        let agents: Vec<NodeName> = self.nodes.keys().cloned().collect();
        let Some(name) = self.chance.one_of(&agents).cloned() else { return };
        let is_agent = self.nodes.get(&name).is_some_and(SimNode::takes_tasks);
        match self.chance.below(23) {
            0 | 1 if self.trouble("node_death", 10_000) => {
                self.note("node_death", Some(&name));
                self.take_down(&name);
                if self.chance.happens(5000) || !is_agent {
                    let seconds = self.chance.between(600, 7200);
                    self.boot_after(&name, seconds);
                } else if let Some(node) = self.nodes.get_mut(&name) {
                    node.is_dead = true;
                }
            }
            2 if self.trouble("docker", 10_000) => {
                self.note("docker", Some(&name));
                let now = self.now;
                // A volume that is gone leaves the node able to say that nothing runs.
                let is_volume = self.chance.happens(5000);
                if let Some(node) = self.nodes.get_mut(&name) {
                    let broken = if is_volume { &mut node.volume_ok } else { &mut node.docker_ok };
                    *broken = false;
                    node.changed_at = now;
                    node.ill_since.get_or_insert(now);
                }
                let after = self.chance.between(600, 20_000);
                self.after(after, Happening::Repair(name));
            }
            3 | 4 if self.trouble("partition", 10_000) => {
                self.note("partition", Some(&name));
                let seconds = self.chance.between(30, 3600);
                self.cut_off(&name, seconds);
            }
            5 | 6 if self.trouble("agent_restart", 10_000) => {
                self.note("agent_restart", Some(&name));
                let now = self.now;
                if let Some(node) = self.nodes.get_mut(&name).filter(|node| node.is_up) {
                    node.start_agent(now);
                }
                self.recover(&name);
            }
            7 if self.trouble("hand_reboot", 10_000) => self.goes_down(&name, 180),
            8 if self.trouble("mesos", 10_000) => {
                self.note("mesos_down", None);
                let most = if self.chance.happens(3000) { 10_000 } else { 1500 };
                self.mesos_down_until = self.now + SignedDuration::from_secs(self.chance.between(30, most));
                self.after(1500, Happening::MesosBack);
            }
            9 if self.trouble("clock", 10_000) => {
                self.note("clock", Some(&name));
                let offset = SignedDuration::from_secs(self.chance.between(-3600, 3600));
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.offset = offset;
                }
            }
            10 if self.trouble("crash_coordinator", 10_000) => {
                let seconds = self.chance.between(5, 3600);
                self.crash_coordinator(seconds);
            }
            11 if self.trouble("restored_store", 1500) => self.restore_an_older_store(),
            12 if self.trouble("second_coordinator", 10_000) => self.start_second(),
            13 if self.trouble("policy", 10_000) => self.edit_policy(&name),
            14 if self.trouble("hang", 10_000) => {
                self.note("hang", Some(&name));
                self.hang(&name);
            }
            15 if self.trouble("damaged_record", 1500) => self.damage_a_record(),
            16 if self.trouble("one_way", 10_000) => {
                self.note("one_way", Some(&name));
                let until = self.now + SignedDuration::from_secs(self.chance.between(30, 3600));
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.deaf_until = until;
                }
            }
            17 if self.trouble("agent_disk", 10_000) => self.break_agent_disk(&name),
            18 if self.trouble("mesos_leader", 5000) => self.change_mesos_leader(),
            19 if self.trouble("foreign", 2000) => self.rebuilt_by_hand(&name),
            20 if self.trouble("replay", 10_000) => self.replay(name),
            21 if self.trouble("pause", 10_000) => self.pause(),
            22 if self.trouble("disk_full", 5000) => {
                let seconds = self.chance.between(10, 3000);
                self.fill_disk(seconds);
            }
            _ => self.copies.push(self.journal.read().unwrap().last),
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
        self.policy = Arc::new(policy);
        self.policy_changed_at = self.now;
        let old = self.old.as_ref().map(|(old, _)| old);
        for coordinator in self.coordinator.iter().chain(old) {
            coordinator.fleet().set_policy(Arc::clone(&self.policy), self.now);
        }
    }

    /// Nodes that are to be made anew or deleted: whoever has read so may want to protect them.
    fn threatened(&self) -> Vec<NodeName> {
        let open = self.coordinator.iter().flat_map(|coordinator| coordinator.operations.list());
        open.filter(|tracked| {
            !tracked.operation.is_over()
                && matches!(tracked.operation.wish.action, Action::Rebuild | Action::Delete)
        })
        .map(|tracked| tracked.operation.wish.node.clone())
        .collect()
    }

    /// The disk has changed a record that no other one rests on; the next start finds it.
    fn damage_a_record(&mut self) {
        let Some(coordinator) = &self.coordinator else { return };
        let open: Vec<(String, u64)> = coordinator
            .operations
            .list()
            .filter(|tracked| !tracked.operation.is_over() && tracked.broken.is_none())
            .map(|tracked| (tracked.operation.id.clone(), tracked.position))
            .collect();
        let Some((stream, position)) = self.chance.one_of(&open).cloned() else { return };
        self.note("damaged_record", None);
        self.writes.lock().unwrap().damage(stream, position);
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
