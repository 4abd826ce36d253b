//! What agents and their machines do: check an order, go down, come back, forget.

use crate::{
    rules::{Bounds, Rules},
    state::{Fence, LIFE, Machine, Node, Order, Set, State},
};

/// What an agent makes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Nothing: it is not for this agent's ears, or was answered before.
    Ignored,
    /// Never.
    Refused,
    /// The first step is done.
    Ready,
    /// It will go down.
    Begun,
}

impl State {
    /// An order arrives. `vetoed`: something on the node says no at the last look.
    pub fn deliver(&mut self, rules: &Rules, bounds: &Bounds, order: Order, vetoed: bool) -> Option<()> {
        let clock = self.now - if order.node == 0 { bounds.skew } else { 0 };
        let node = &mut self.nodes[usize::from(order.node)];
        if node.machine != Machine::Up {
            return None;
        }
        let before = *node;
        let mut answer = node.check(rules, order, clock);
        if vetoed {
            if answer != Answer::Begun {
                return None;
            }
            answer = Answer::Refused;
        }
        let name = order.permit.order;
        match answer {
            Answer::Ignored => {}
            Answer::Refused => node.refused = node.refused.with(name),
            Answer::Ready => node.ready = Some((name, clock)),
            Answer::Begun => {
                node.begun = node.begun.with(name);
                node.machine = Machine::Going(name);
                let seen = before.seen;
                self.witness_beginning(bounds, order, seen);
            }
        }
        (self.nodes[usize::from(order.node)] != before).then_some(())
    }

    fn witness_beginning(&mut self, bounds: &Bounds, order: Order, seen: Fence) {
        let name = order.permit.order;
        let witness = &mut self.witness;
        witness.began_twice |= witness.begun.has(name);
        witness.begun = witness.begun.with(name);
        witness.began_stale |= order.fence < seen;
        witness.began_late |= self.now >= order.permit.expires + bounds.skew;
        if let Some((first, knowing)) = witness.put_back {
            let is_behind = !knowing.without(witness.aside).is_empty();
            witness.began_behind |= name >= first && order.fence.generation == 1 && is_behind;
        }
    }

    /// The machine goes down.
    pub fn go_down(&mut self, name: u8) -> Option<()> {
        let node = &mut self.nodes[usize::from(name)];
        let Machine::Going(order) = node.machine else { return None };
        node.machine = Machine::Down(order);
        Some(())
    }

    /// The machine comes back, in a new boot.
    pub fn come_back(&mut self, rules: &Rules, name: u8) -> Option<()> {
        let node = &mut self.nodes[usize::from(name)];
        if !matches!(node.machine, Machine::Down(_) | Machine::DownByHand) {
            return None;
        }
        node.machine = Machine::Up;
        node.boot += 1;
        node.forgets(rules.syncs_orders);
        Some(())
    }

    /// The agent ends and starts again; a reboot that it was about to ask for is not asked for.
    pub fn restart_agent(&mut self, rules: &Rules, name: u8) -> Option<()> {
        let node = &mut self.nodes[usize::from(name)];
        let before = *node;
        if let Machine::Going(_) = node.machine {
            node.machine = Machine::Up;
        }
        node.forgets(rules.syncs_orders);
        (*node != before).then_some(())
    }

    /// A person reboots the node.
    pub fn reboot_by_hand(&mut self, name: u8) -> Option<()> {
        let node = &mut self.nodes[usize::from(name)];
        if !matches!(node.machine, Machine::Up | Machine::Going(_)) {
            return None;
        }
        node.machine = Machine::DownByHand;
        Some(())
    }

    /// The machine is put back to how it was at the beginning, disk, memory and all. Its clock comes right, by a leap.
    pub fn roll_back(&mut self, name: u8) -> Option<()> {
        let node = &mut self.nodes[usize::from(name)];
        *node = Node { since: self.now, ..Node::new(Self::first().store.fence) };
        if let Some((_, knowing)) = &mut self.witness.put_back {
            *knowing = knowing.without(Set::default().with(name));
        }
        Some(())
    }
}

impl Node {
    /// The agent's checks, in their order.
    fn check(&mut self, rules: &Rules, order: Order, clock: i8) -> Answer {
        let permit = order.permit;
        let seen = self.seen;
        if rules.heeds_generation && order.fence.generation < seen.generation
            || rules.heeds_epoch
                && order.fence.epoch < seen.epoch
                && !is_newer_generation(rules, order.fence, seen)
        {
            return Answer::Ignored;
        }
        self.hears(order.fence);
        if order.fence.generation == self.seen.generation {
            self.newest = self.newest.max(Some((permit.position, permit.order)));
        }
        if self.begun.has(permit.order) || self.refused.has(permit.order) {
            return Answer::Ignored;
        }
        let is_over = rules.heeds_expiry && clock >= permit.expires;
        let is_other_boot = rules.heeds_boot && permit.boot != self.boot;
        let is_from_before = rules.notices_rollback && permit.expires - LIFE <= self.since;
        if is_over || is_other_boot || is_from_before {
            return Answer::Refused;
        }
        match permit.nonce {
            None if rules.two_steps => Answer::Ready,
            None => Answer::Begun,
            // A prepared reboot waits for less than a tick, which may have begun meanwhile.
            Some(nonce) if self.ready == Some((permit.order, nonce)) && clock - nonce <= 1 => Answer::Begun,
            Some(_) => Answer::Refused,
        }
    }
}

fn is_newer_generation(rules: &Rules, given: Fence, seen: Fence) -> bool {
    rules.heeds_generation && given.generation > seen.generation
}
