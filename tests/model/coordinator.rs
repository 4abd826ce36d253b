//! What coordinators do: begin, hear, permit, send, let go.

use crate::{
    rules::{Behind, Rules},
    state::{LIFE, Leader, Machine, NODES, Node, Order, Permit, Set, State, Store},
};

/// What an append changes.
type Change = dyn Fn(&mut Store);

impl State {
    /// Opens the store for writing, which raises its epoch, reads it, and carries on with what is permitted.
    pub fn begin(&mut self, coordinator: usize) {
        self.store.fence.epoch += 1;
        self.leaders[coordinator] = Some(Leader { view: self.store, heard: Set::default() });
        for node in 0..NODES {
            self.give_order(coordinator, node);
        }
    }

    /// Hears of every node that is up, one after the other, until it stops.
    pub fn hear_all(&mut self, rules: &Rules, coordinator: usize) -> Option<()> {
        let heard = (0..NODES).filter(|node| self.hear(rules, coordinator, *node).is_some()).count();
        (heard > 0).then_some(())
    }

    /// Takes in a report and answers it; a coordinator that learns that it is not the newest, or that its store is
    /// behind, stops.
    pub fn hear(&mut self, rules: &Rules, coordinator: usize, name: u8) -> Option<()> {
        let leader = self.leaders[coordinator].as_mut()?;
        let node = &mut self.nodes[usize::from(name)];
        // A node that has begun to go down is no proof of anything.
        if node.machine != Machine::Up || leader.heard.has(name) && node.seen == leader.view.fence {
            return None;
        }
        if node.seen > leader.view.fence || rules.is_behind(&leader.view, node) {
            self.leaders[coordinator] = None;
            return Some(());
        }
        if rules.keeps_told_fence {
            node.hears(leader.view.fence);
        }
        leader.heard = leader.heard.with(name);
        Some(())
    }

    /// Permits the reboot of a node, if nothing else is permitted.
    pub fn permit(&mut self, rules: &Rules, coordinator: usize, name: u8, acknowledged: bool) -> Option<()> {
        let view = self.leaders[coordinator]?.view;
        let node = self.nodes[usize::from(name)];
        let unheard = all_nodes().without(self.leaders[coordinator]?.heard).without(view.aside);
        let objects = (rules.hears_all_first && !unheard.is_empty())
            || view.permits.iter().any(Option::is_some)
            || view.aside.has(name)
            || node.machine != Machine::Up
            // Its machine was put back: a person has to look.
            || node.boot < view.boots[usize::from(name)];
        if objects {
            return None;
        }
        let permit = Permit {
            order: self.orders,
            boot: node.boot,
            expires: self.now + LIFE,
            position: view.position + 1,
            nonce: None,
        };
        self.orders += 1;
        let grant = move |store: &mut Store| {
            store.permits[usize::from(name)] = Some(permit);
            store.orders = store.orders.with(permit.order);
        };
        self.append(rules, coordinator, acknowledged, &grant);
        self.give_order(coordinator, name);
        Some(())
    }

    /// Sends the order of a permit, if there is one: its first step or, once the answer to that is recorded, its second.
    /// At once, because what is on the wire may be as late as it likes.
    fn give_order(&mut self, coordinator: usize, name: u8) {
        let Some(Leader { view, .. }) = self.leaders[coordinator] else { return };
        if let Some(permit) = view.permits[usize::from(name)] {
            self.send(Order { node: name, fence: view.fence, permit });
        }
    }

    /// Records the agent's answer to the first step.
    pub fn record_ready(&mut self, rules: &Rules, coordinator: usize, name: u8) -> Option<()> {
        let permit = self.leaders[coordinator]?.view.permits[usize::from(name)]?;
        let (order, since) = self.nodes[usize::from(name)].ready?;
        if order != permit.order || permit.nonce == Some(since) {
            return None;
        }
        let ready = move |store: &mut Store| {
            if let Some(permit) = &mut store.permits[usize::from(name)] {
                permit.nonce = Some(since);
            }
        };
        self.append(rules, coordinator, true, &ready);
        self.give_order(coordinator, name);
        Some(())
    }

    /// Lets a permit go on the evidence of its node: another boot, a refusal for ever, or that it is late and not begun.
    pub fn release(&mut self, rules: &Rules, coordinator: usize, name: u8) -> Option<()> {
        let view = self.leaders[coordinator]?.view;
        let permit = view.permits[usize::from(name)]?;
        let node = self.nodes[usize::from(name)];
        let is_over = self.now >= permit.expires + rules.wait;
        let is_heard = node.machine == Machine::Up && node.seen <= view.fence;
        let is_late = is_over && node.boot == permit.boot && !node.begun.has(permit.order);
        let is_proven = is_heard && (node.boot > permit.boot || node.refused.has(permit.order) || is_late);
        if !(is_proven || rules.releases_by_age && is_over) {
            return None;
        }
        if is_late && rules.notes_the_end {
            self.nodes[usize::from(name)].refused = node.refused.with(permit.order);
        }
        self.append(rules, coordinator, true, &move |store| {
            store.permits[usize::from(name)] = None;
            store.boots[usize::from(name)] = store.boots[usize::from(name)].max(node.boot);
        });
        Some(())
    }

    /// Writes down that a person declares a node that is down for dead.
    pub fn declare_dead(&mut self, rules: &Rules, coordinator: usize, name: u8) -> Option<()> {
        self.leaders[coordinator]?;
        if !matches!(self.nodes[usize::from(name)].machine, Machine::Down(_) | Machine::DownByHand) {
            return None;
        }
        let was = self.store.aside;
        self.append(rules, coordinator, true, &move |store| {
            store.permits[usize::from(name)] = None;
            store.aside = store.aside.with(name);
        });
        if self.store.aside != was {
            self.witness.aside = self.witness.aside.with(name);
        }
        Some(())
    }

    /// Writes an entry that is about no permit.
    pub fn write_other(&mut self, rules: &Rules, coordinator: usize) -> Option<()> {
        self.leaders[coordinator]?;
        self.append(rules, coordinator, true, &|_| ());
        Some(())
    }

    /// Writes to the store after what the coordinator has read of it. One that is refused stops. One that is not told
    /// of its success goes on as if nothing had been written: the worst it can do.
    fn append(&mut self, rules: &Rules, coordinator: usize, acknowledged: bool, change: &Change) {
        let Some(leader) = &mut self.leaders[coordinator] else { return };
        if !rules.permit_in_store {
            change(&mut leader.view);
            return;
        }
        let is_fenced = self.store.fence != leader.view.fence;
        let is_moved = self.store.position != leader.view.position;
        if rules.compares_fence && is_fenced || rules.compares_position && is_moved {
            self.leaders[coordinator] = None;
            return;
        }
        self.witness.wrote_fenced |= is_fenced;
        self.store.position += 1;
        change(&mut self.store);
        if acknowledged {
            leader.view.position = self.store.position;
            change(&mut leader.view);
        }
    }
}

impl Rules {
    /// Whether the node knows of something in this generation that the store has lost.
    fn is_behind(&self, view: &Store, node: &Node) -> bool {
        let Some((position, order)) = node.newest else { return false };
        node.seen.generation == view.fence.generation
            && match self.behind {
                Behind::ByPosition => position > view.position,
                Behind::ByOrder => !view.orders.has(order),
            }
    }
}

fn all_nodes() -> Set {
    (0..NODES).fold(Set::default(), Set::with)
}
