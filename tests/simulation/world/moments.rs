//! Trouble in the worst moment: while an order is on its way, while an agent carries one out, right after a start.

use super::*;

/// So many orders are kept for somebody who sends them again.
const KEPT: usize = 64;

impl World {
    pub(super) fn send_order(&mut self, name: NodeName, order: serde_json::Value) {
        if self.trouble("messages", 300) {
            self.note("message_lost", Some(&name));
            return;
        }
        if self.kept_orders.len() >= KEPT {
            self.kept_orders.remove(0);
        }
        self.kept_orders.push((name.clone(), order.clone()));
        let late = if self.chance.happens(120)
            && let Some(late) = self.worst_moment(&name, &order)
        {
            late
        } else if self.trouble("messages", 200) {
            self.chance.between(60, 2400)
        } else {
            self.chance.between(0, 4)
        };
        if self.trouble("messages", 500) {
            self.note("message_twice", Some(&name));
            let again = self.chance.between(1, 2400);
            self.after(again, Happening::DeliverOrder(name.clone(), order.clone()));
        }
        self.after(late, Happening::DeliverOrder(name, order));
    }

    /// An order is on its way, and something happens before it arrives: so many seconds later then.
    fn worst_moment(&mut self, name: &NodeName, order: &serde_json::Value) -> Option<i64> {
        let commits = order.get("commit").is_some_and(|nonce| !nonce.is_null());
        match self.chance.below(6) {
            // Another coordinator takes over.
            0 if self.old.is_none() && self.trouble("second_coordinator", 10_000) => {
                self.after(0, Happening::SecondStarts);
                Some(self.chance.between(60, 2400))
            }
            // The network holds it back, and lets nothing else through meanwhile.
            1 if self.trouble("partition", 10_000) => {
                self.note("partition", Some(name));
                let most = if self.chance.happens(5000) { 280 } else { 1500 };
                let seconds = self.chance.between(70, most);
                self.cut_off(name, seconds);
                Some(seconds + 2)
            }
            2 if self.trouble("hand_reboot", 10_000) => {
                self.after(0, Happening::GoesDown(name.clone(), 180));
                Some(self.chance.between(190, 400))
            }
            3 if self.trouble("foreign", 5000) => {
                self.after(0, Happening::RebuiltByHand(name.clone()));
                Some(self.chance.between(700, 2400))
            }
            // A copy goes astray.
            4 if self.trouble("replay", 10_000) => {
                let names: Vec<NodeName> = self.nodes.keys().cloned().collect();
                let other = self.chance.one_of(&names).cloned()?;
                self.note("replay", Some(&other));
                self.after(2, Happening::DeliverOrder(other, order.clone()));
                None
            }
            _ if commits && self.trouble("people", 10_000) => {
                let id = order.get("operation")?.as_str()?.to_owned();
                self.after(0, Happening::CalledOff(id));
                None
            }
            _ => None,
        }
    }

    /// Counts trouble, and at which steps of open operations it came: those of one node, or all.
    pub fn note(&mut self, fault: &str, name: Option<&NodeName>) {
        self.coverage.count_word("fault", fault);
        let open = self.coordinator.iter().flat_map(|coordinator| coordinator.operations.list());
        let meant = open
            .map(|tracked| &tracked.operation)
            .filter(|operation| !operation.is_over() && name.is_none_or(|name| operation.wish.node == *name));
        let steps: BTreeSet<Step> =
            meant.filter_map(|operation| operation.current_step().map(|(step, _)| step)).collect();
        for step in steps {
            self.coverage.count(&format!("pair/{fault}/{step}"));
        }
    }

    pub(super) fn cut_off(&mut self, name: &NodeName, seconds: i64) {
        let until = self.now + SignedDuration::from_secs(seconds);
        if let Some(node) = self.nodes.get_mut(name) {
            node.cut_off_until = until;
        }
    }

    /// Somebody calls an operation off in the moment in which its agent has been told to go on.
    pub(super) fn called_off(&mut self, id: &str) {
        let now = self.clock();
        let Some(coordinator) = &mut self.coordinator else { return };
        let word = match coordinator.operations.cancel(id, "dave", "stop", false, now) {
            Ok(()) => "people/cancelled",
            Err(_) => "people/could_not_cancel",
        };
        self.coverage.count(word);
        self.advance();
    }

    /// The machine goes down by somebody's hand, or by its own, and boots again.
    pub(super) fn goes_down(&mut self, name: &NodeName, seconds: i64) {
        self.note("hand_reboot", Some(name));
        self.take_down(name);
        self.boot_after(name, seconds);
    }

    /// Somebody makes a node anew without asking: another machine under the same name.
    pub(super) fn rebuilt_by_hand(&mut self, name: &NodeName) {
        if self.nodes.get(name).is_none_or(|node| node.is_deleted || node.is_stopped) {
            return;
        }
        self.note("foreign", Some(name));
        self.take_down(name);
        if let Some(node) = self.nodes.get_mut(name) {
            node.rebuild();
        }
        let seconds = self.chance.between(400, 1500);
        self.boot_after(name, seconds);
    }

    /// Somebody lets new work come to a node that is kept empty, and it comes at once.
    pub fn uncordoned_by_hand(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.takes_tasks() && node.is_healthy())
        else {
            return;
        };
        let Some(agent) = self.mesos.get_mut(&node.mesos_id()).filter(|agent| agent.is_connected) else {
            return;
        };
        agent.deactivated = false;
        self.tasks_ever += 1;
        let id = TaskKind::Build.id(self.tasks_ever);
        node.tasks.push(SimTask { id: id.clone(), kind: TaskKind::Build, started_at: self.now });
        self.note("foreign", Some(name));
        let seconds = self.chance.between(600, 4000);
        self.after(seconds, Happening::TaskEnds(name.clone(), id));
    }

    /// Orders that were sent some time ago come once more, to the same node or to another.
    pub(super) fn replay(&mut self, other: NodeName) {
        let Some((name, order)) = self.chance.one_of(&self.kept_orders).cloned() else { return };
        let name = if self.chance.happens(5000) { name } else { other };
        self.note("replay", Some(&name));
        self.after(0, Happening::DeliverOrder(name, order));
    }

    /// The coordinator stands still, as in a machine that is moved, and then goes on where it was.
    pub(super) fn pause(&mut self) {
        self.note("pause", None);
        let most = if self.chance.happens(5000) { 120 } else { 3600 };
        self.paused_until = self.now + SignedDuration::from_secs(self.chance.between(1, most));
    }

    pub fn is_paused(&self) -> bool {
        self.now < self.paused_until
    }

    /// The disk under an agent's memory fills up, or loses power with the next write.
    pub(super) fn break_agent_disk(&mut self, name: &NodeName) {
        let loses_power = self.chance.happens(5000);
        let kept = usize::try_from(self.chance.below(200)).unwrap_or(0);
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.is_up) else { return };
        let write = node.disk.writes();
        if loses_power {
            node.disk.break_at(DiskFault::PowerLoss { write, kept });
            node.power_goes_at = Some(write);
        } else {
            node.disk.break_at(DiskFault::Full { write });
            let seconds = self.chance.between(300, 8000);
            self.after(seconds, Happening::DiskMended(name.clone()));
        }
        self.note("agent_disk", Some(name));
    }

    pub(super) fn disk_mended(&mut self, name: &NodeName) {
        if let Some(node) = self.nodes.get(name) {
            node.disk.repair();
        }
    }

    /// Whether the power went with a write; then the machine is down.
    pub(super) fn lost_power(&mut self, name: &NodeName) -> bool {
        let is_lost = self.nodes.get(name).is_some_and(|node| {
            node.power_goes_at.is_some_and(|write| node.disk.writes() > write) && node.is_up
        });
        if is_lost {
            self.take_down(name);
            let seconds = self.chance.between(60, 600);
            self.boot_after(name, seconds);
        }
        is_lost
    }

    /// The disk under the journal is full for a while.
    pub(super) fn fill_disk(&mut self, seconds: i64) {
        self.note("disk_full", None);
        self.writes.lock().unwrap().is_full = true;
        self.after(seconds, Happening::RoomAgain);
    }

    /// Another Mesos master leads: agents come to it one by one.
    pub(super) fn change_mesos_leader(&mut self) {
        self.note("mesos_leader", None);
        self.mesos_elected_at = self.now.as_second();
        let names: Vec<String> = self.mesos.keys().cloned().collect();
        for id in names {
            let until = self.now + SignedDuration::from_secs(self.chance.between(0, 500));
            if let Some(agent) = self.mesos.get_mut(&id) {
                agent.unlisted_until = until;
            }
        }
    }
}
