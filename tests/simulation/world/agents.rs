//! The agents of the world: what they report, what becomes of orders, how machines go down and boot.

use super::*;

impl World {
    pub(super) fn is_cut_off(&self, name: &NodeName) -> bool {
        self.nodes.get(name).is_none_or(|node| self.now < node.cut_off_until)
    }

    pub(super) fn send_report(&mut self, name: &NodeName) {
        let busy = self.coordinator.as_ref().is_some_and(|coordinator| coordinator.busy.contains(name));
        self.after(if busy { 10 } else { 45 }, Happening::Report(name.clone()));
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name) else { return };
        if !node.orphans.is_empty() && now >= node.orphans_until {
            node.orphans.clear();
        }
        let goes_down = node.agent.as_ref().is_none_or(|agent| agent.is_going_down());
        if !node.is_up || goes_down || node.class == Class::Physical {
            return;
        }
        let sent = node.report(now);
        if self.trouble("messages", 200) {
            return;
        }
        let late = self.chance.between(0, 2);
        self.after(late, Happening::DeliverReport(name.clone(), Box::new(sent)));
    }

    pub(super) fn deliver_report(&mut self, name: &NodeName, sent: &Sent) {
        if self.is_cut_off(name) {
            return;
        }
        let now = self.now;
        let is_for_old = self.old.is_some() && self.chance.happens(3000);
        let is_paused = self.is_paused();
        let old = self.old.as_mut().filter(|_| is_for_old).map(|(old, _)| old);
        let newest = self.coordinator.as_mut().filter(|_| !is_paused);
        let Some(coordinator) = old.or(newest) else { return };
        let clock = coordinator.clock.read(now);
        coordinator.hear(name, sent, self.setting.is_eager, clock);
        let fence = coordinator.operations.fence();
        coordinator.awaited.remove(name);
        self.checker.heard(name, fence);
        if let Some(node) = self.nodes.get_mut(name) {
            let moment = node.moment(now);
            if let Some(agent) = &mut node.agent {
                agent.hear_fence(fence);
                agent.hear_clock(clock, moment.uptime.saturating_sub(Duration::from_secs(1)), moment.uptime);
                agent.tick(moment);
            }
        }
        if self.lost_power(name) {
            return;
        }
        self.tell_untold(name);
    }

    pub(super) fn deliver_order(&mut self, name: &NodeName, order: &serde_json::Value) {
        if self.is_cut_off(name) || self.nodes.get(name).is_none_or(|node| self.now < node.deaf_until) {
            return;
        }
        let nonce = format!("nonce-{}", self.chance.below(u64::MAX));
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name) else { return };
        let (moment, facts, boot) = (node.moment(now), node.local_facts(), node.boots);
        let Some(agent) = &mut node.agent else { return };
        let begun = agent.order(order, &facts, &nonce, moment);
        if let Some(order) = begun {
            let made_at = self.made.get(&(order.id.clone(), order.issued_at)).copied().unwrap_or(now);
            self.checker.begun(node, &order, made_at, now);
            let happening = |order: Order| match order.verb {
                Verb::Reboot { .. } => (1, Happening::RebootNow(name.clone(), boot, Box::new(order))),
                _ => (120, Happening::EndOrder(name.clone(), boot, Box::new(order))),
            };
            let (seconds, happening) = happening(order);
            self.after(seconds, happening);
        } else if let Some((id, event)) = agent.untold()
            && let OrderState::Prepared { nonce } = event.state
        {
            self.checker.prepared(id, nonce, now);
        }
        if self.lost_power(name) {
            return;
        }
        self.tell_untold(name);
    }

    /// What an agent has to say goes out; it is said again until somebody answers.
    pub(super) fn tell_untold(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let Some((id, event)) = node.agent.as_ref().and_then(|agent| agent.untold()) else { return };
        if self.trouble("messages", 500) {
            return;
        }
        let late = self.chance.between(0, 3);
        self.after(late, Happening::DeliverEvent(name.clone(), id, event));
    }

    pub(super) fn deliver_event(&mut self, name: &NodeName, id: &str, event: OrderEvent) {
        if self.is_cut_off(name) {
            return;
        }
        let now = self.now;
        if matches!(event.state, OrderState::Prepared { .. }) {
            super::super::people::at_the_last_moment(self, name);
            if self.trouble("partition", 100) {
                self.note("partition", Some(name));
                let seconds = self.chance.between(200, 600);
                return self.cut_off(name, seconds);
            }
            if self.trouble("disk_full", 120) {
                let seconds = self.chance.between(270, 380);
                self.fill_disk(seconds);
            }
        }
        let is_for_old = self.old.is_some() && self.chance.happens(3000);
        let is_paused = self.is_paused();
        let old = self.old.as_mut().filter(|_| is_for_old).map(|(old, _)| old);
        let newest = self.coordinator.as_mut().filter(|_| !is_paused);
        let Some(coordinator) = old.or(newest) else { return };
        let clock = coordinator.clock.read(now);
        let taken = coordinator.operations.order_event(name, id, &event.state, clock);
        self.coverage.count_word("order", state_word(&event.state));
        if taken.is_err() || self.trouble("messages", 300) {
            return;
        }
        if let Some(agent) = self.nodes.get_mut(name).and_then(|node| node.agent.as_mut()) {
            agent.told(id, &event);
        }
        self.advance();
        self.tell_untold(name);
    }

    pub(super) fn end_order(&mut self, name: &NodeName, boot: u32, order: &Order) {
        let fails = !self.is_quiet && self.chance.happens(800);
        let now = self.now;
        // Puppet itself brings a new agent, or a reboot: nobody hears how the run ended.
        if self.trouble("agent_restart", 300) {
            self.note("agent_restart", Some(name));
            if let Some(node) = self.nodes.get_mut(name).filter(|node| node.is_up && node.boots == boot) {
                node.start_agent(now);
            }
            return;
        }
        if self.trouble("hand_reboot", 200) {
            return self.goes_down(name, 180);
        }
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.boots == boot) else { return };
        let moment = node.moment(now);
        let Some(agent) = &mut node.agent else { return };
        let state = if fails {
            OrderState::Failed { sentence: "it failed this time".to_owned(), evidence: Vec::new() }
        } else {
            match &order.verb {
                Verb::Prepull { .. } => node.has_image = true,
                _ => {
                    node.puppet_clean += 1;
                    node.puppet_failed = 0;
                }
            }
            self.checker.ended_well(&order.id);
            OrderState::Done { evidence: Vec::new() }
        };
        agent.ended(&order.id, state, moment);
        self.tell_untold(name);
    }

    pub(super) fn reboot_now(&mut self, name: &NodeName, boot: u32, order: &Order) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.boots == boot && node.is_up) else {
            return;
        };
        let (facts, moment) = (node.local_facts(), node.moment(now));
        let Some(agent) = &mut node.agent else { return };
        if !agent.last_look(order, &facts, moment) {
            return self.tell_untold(name);
        }
        if !self.is_quiet && self.chance.happens(200) {
            // logind says no: nothing has happened.
            if let Some(agent) = self.nodes.get_mut(name).and_then(|node| node.agent.as_mut()) {
                let sentence = "logind refused".to_owned();
                agent.ended(&order.id, OrderState::Failed { sentence, evidence: Vec::new() }, moment);
            }
            return self.tell_untold(name);
        }
        super::super::checker::rebooted_by_order(self, name, order);
        self.take_down(name);
        let seconds = self.chance.between(60, 600);
        self.boot_after(name, seconds);
    }

    pub(super) fn take_down(&mut self, name: &NodeName) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(name) {
            node.go_down(now);
        }
        self.disconnect(name);
        if self.policy.coordinator == *name {
            let seconds = self.chance.between(60, 1800);
            self.crash_coordinator(seconds);
        }
    }

    /// It boots, or in one case of twelve it never comes back by itself.
    pub fn boot_after(&mut self, name: &NodeName, seconds: i64) {
        let is_lost = self.trouble("node_death", 800);
        let Some(node) = self.nodes.get_mut(name) else { return };
        if is_lost {
            node.is_dead = true;
            self.note("never_comes_back", Some(name));
            return;
        }
        node.is_dead = false;
        node.is_booting = true;
        self.after(seconds, Happening::Boot(name.clone()));
    }

    pub(super) fn boot(&mut self, name: &NodeName) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.is_up || !node.is_booting || node.is_stopped || node.is_deleted {
            return;
        }
        let is_quiet = self.is_quiet;
        node.come_up(now, &mut self.chance);
        if is_quiet {
            node.docker_ok = true;
            node.ill_since = None;
        }
        self.register(name);
        self.copies_first(name);
        if let Some(kind) = self.nodes.get_mut(name).and_then(|node| node.at_boot.take()) {
            let seconds = self.chance.between(0, 60);
            self.after(seconds, Happening::StrikeMachine(kind, name.clone()));
        }
        // Some boot twice before they are content.
        if self.trouble("hand_reboot", 300) {
            let seconds = self.chance.between(5, 200);
            self.after(seconds, Happening::GoesDown(name.clone(), 90));
        }
        self.after(1, Happening::Report(name.clone()));
        let after = self.chance.between(120, 600);
        self.after(after, Happening::Puppet(name.clone()));
        if self.nodes.get(name).is_some_and(|node| !node.docker_ok) {
            let after = self.chance.between(3600, 20_000);
            self.after(after, Happening::Repair(name.clone()));
        }
    }

    pub(super) fn puppet(&mut self, name: &NodeName) {
        self.after(1800, Happening::Puppet(name.clone()));
        let fails = !self.is_quiet && self.chance.happens(200);
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.is_up) else { return };
        if fails {
            node.puppet_failed += 1;
            node.puppet_clean = 0;
        } else {
            node.puppet_clean += 1;
            node.puppet_failed = 0;
            node.has_image = true;
        }
    }

    /// The agent and the Mesos agent hang: nothing is reported, what runs goes on running, and ssh answers.
    pub(super) fn hang(&mut self, name: &NodeName) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.is_up) else { return };
        node.agent = None;
        node.is_hung = true;
        node.ill_since.get_or_insert(now);
        self.disconnect(name);
        let seconds = self.chance.between(600, 10_800);
        self.after(seconds, Happening::Recovers(name.clone()));
    }

    pub(super) fn recover(&mut self, name: &NodeName) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.is_hung && node.is_up) else { return };
        node.is_hung = false;
        node.start_agent(now);
        if node.is_healthy() {
            node.ill_since = None;
        }
        self.register(name);
    }

    pub(super) fn repair(&mut self, name: &NodeName) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(name) {
            node.docker_ok = true;
            node.volume_ok = true;
            node.changed_at = now;
            if node.is_healthy() {
                node.ill_since = None;
            }
        }
    }
}

fn state_word(state: &OrderState) -> &'static str {
    match state {
        OrderState::Prepared { .. } => "prepared",
        OrderState::Starting => "starting",
        OrderState::Done { .. } => "done",
        OrderState::Refused { code, .. } => code.as_str(),
        OrderState::Failed { .. } => "failed",
        OrderState::Unknown { .. } => "unknown",
    }
}
