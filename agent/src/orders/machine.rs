//! What becomes of each order: checked, begun once, remembered, told. Pure but for its memory: time, chance and what the
//! node says are arguments, and what is to be done is returned.
//!
//! What a newcomer gets wrong: the intent is on the disk before the deed. After a crash an order that was begun is never
//! begun again; the next boot, or ten minutes, tells what became of it, or that nobody knows.

mod begin;
mod settle;
#[cfg(test)]
mod tests;
mod view;

pub use view::{OrderView, OrdersView};

use super::{
    bound::ClockBound,
    check::{self, Case, No, Rules},
    local::LocalFacts,
};
use crate::{
    clock::Moment,
    memory::{Begun, Disk, Memory, Record, Remembered},
};
use jiff::Timestamp;
use millwright_protocol::{Evidence, Fence, Order, OrderEvent, OrderState, RefusalCode, Seen, Verb};
use serde_json::Value;
use std::time::Duration;

/// So many events that nothing remembers wait to be told, at most.
const MOST_UNREMEMBERED: usize = 256;

/// So many characters of a reason are remembered.
const MOST_OF_A_REASON: usize = 200;

/// The machine of one agent in one boot.
#[derive(Debug)]
pub struct Machine<D> {
    rules: Rules,
    memory: Memory<D>,
    bound: ClockBound,
    prepared: Option<Prepared>,
    /// Orders that this process is carrying out, with their verbs, and a reboot that an earlier one asked for.
    running: Vec<(String, &'static str)>,
    /// What the coordinator has not heard yet, the oldest first; of each order the newest.
    outbox: Vec<(String, OrderEvent)>,
}

/// The first step of a reboot, done.
#[derive(Debug)]
struct Prepared {
    id: String,
    nonce: String,
    /// Since boot.
    at: Duration,
}

impl<D: Disk> Machine<D> {
    /// Opens the memory, notes this boot, and settles what earlier ones left open.
    pub fn open(disk: D, rules: Rules, now: Moment) -> Self {
        let memory = Memory::open(disk, &rules.identity.boot_id, now.uptime);
        let bound = ClockBound::default();
        let mut machine =
            Self { rules, memory, bound, prepared: None, running: Vec::new(), outbox: Vec::new() };
        machine.after_start(now);
        machine
    }

    /// The coordinator said `at` in an answer to what was asked at `sent` and was there at `received`, both since boot.
    pub fn hear_clock(&mut self, at: Timestamp, sent: Duration, received: Duration) {
        self.bound.hear(at, sent, received);
    }

    /// A coordinator took a report, and said who it is.
    pub fn hear_fence(&mut self, fence: Fence) {
        if let Some(seen) = self.memory.newer(fence, 0, None) {
            // What cannot be remembered is heard again with the next report.
            let _ = self.memory.add(vec![Record::Seen(seen)]);
        }
    }

    /// Judges one order of an answer. Returns it when it is to be carried out now; its end is told with
    /// [`Machine::ended`]. `nonce` is new with each call and nobody's guess.
    pub fn order(&mut self, order: &Value, facts: &LocalFacts, nonce: &str, now: Moment) -> Option<Order> {
        let Some(id) = check::id(order) else {
            log::warn!("an order without a usable id came and is left aside: nobody could be told of it");
            return None;
        };
        self.tick(now);
        // Of an order nothing is ever said but what is remembered of it, whoever asks and however late.
        if let Some(known) = self.memory.order(id) {
            let event = known.event.clone();
            if known.is_final() {
                self.tell(id, event);
            }
            return None;
        }
        if self.memory.trouble().is_some() {
            let state = self.without_memory(order, facts, now);
            self.tell_unremembered(id, state, now);
            return None;
        }
        match check::is_well_formed(order) {
            Ok(order) => self.judge(order, facts, nonce, now),
            Err(no) => {
                self.close_as((id, "?"), None, None, no.state(), now);
                None
            }
        }
    }

    /// A deed ended, or it turned out that nobody knows how.
    pub fn ended(&mut self, id: &str, state: OrderState, now: Moment) {
        self.running.retain(|(running, _)| running != id);
        let Some(known) = self.memory.order(id).filter(|order| !order.is_final()) else { return };
        let mut order = known.clone();
        // What has left no effect counts as no reboot.
        if matches!(state, OrderState::Refused { .. } | OrderState::Failed { .. }) {
            order.begun = None;
        }
        order.event = self.event(state, now);
        self.remember(order, None);
    }

    /// Notes that a reboot is asked for without a delay in which to tell of it; told with its end.
    pub fn without_delay(&mut self, id: &str, why: &str) {
        let Some(known) = self.memory.order(id).filter(|order| !order.is_final()) else { return };
        let mut order = known.clone();
        if let Some(begun) = &mut order.begun {
            begun.undelayed = Some(why.chars().take(MOST_OF_A_REASON).collect());
        }
        // What cannot be remembered is in the log.
        let _ = self.memory.add(vec![Record::Order(order)]);
    }

    /// Whether a begun reboot may still go on, a moment before it does; if not, it is refused.
    pub fn last_look(&mut self, order: &Order, facts: &LocalFacts, now: Moment) -> bool {
        let others: Vec<_> = self.running.iter().filter(|(id, _)| *id != order.id).cloned().collect();
        let answer = self.case(order, facts, &others, now).last_look();
        match answer {
            Ok(()) => true,
            Err(no) => {
                self.ended(&order.id, no.state(), now);
                false
            }
        }
    }

    /// What is to be told next, and about which order.
    pub fn untold(&self) -> Option<(String, OrderEvent)> {
        self.outbox.first().cloned()
    }

    /// Whether there is something to tell about an order.
    pub fn is_untold(&self, id: &str) -> bool {
        self.outbox.iter().any(|(untold, _)| untold == id)
    }

    /// The coordinator heard this, or will not have it.
    pub fn told(&mut self, id: &str, event: &OrderEvent) {
        self.outbox.retain(|(other, untold)| other != id || untold != event);
        let is_news = self
            .memory
            .order(id)
            .is_some_and(|order| !order.told && order.is_final() && order.event == *event);
        if is_news {
            // Forgetting this tells it once more after a restart, which changes nothing.
            let _ = self.memory.add(vec![Record::Told { id: id.to_owned() }]);
        }
    }

    /// What could not be told now goes behind what else there is to tell.
    pub fn tell_later(&mut self) {
        if !self.outbox.is_empty() {
            self.outbox.rotate_left(1);
        }
    }

    /// Whether this machine is about to go down because an order says so: then it is no machine to count on.
    pub fn is_going_down(&self) -> bool {
        self.memory
            .orders()
            .iter()
            .any(|order| order.verb == "reboot" && order.event.state == OrderState::Starting)
    }

    /// The newest coordinator and journal position heard of, for reports.
    pub fn seen(&self) -> Option<Seen> {
        self.memory.seen()
    }

    /// What is remembered.
    pub fn memory(&self) -> &Memory<D> {
        &self.memory
    }

    /// What this machine answers by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    fn event(&self, state: OrderState, now: Moment) -> OrderEvent {
        OrderEvent { at: now.wall, boot_id: self.rules.identity.boot_id.clone(), state }
    }

    /// Puts the newest word about an order in the place of an older one.
    fn tell(&mut self, id: &str, event: OrderEvent) {
        match self.outbox.iter_mut().find(|(untold, _)| untold == id) {
            Some((_, untold)) => *untold = event,
            None => self.outbox.push((id.to_owned(), event)),
        }
    }

    /// What is said of an order that is not known where nothing can be remembered. That it was never begun is only true of
    /// one that was made since this run of the agent knows, or that no agent could have read.
    fn without_memory(&self, order: &Value, facts: &LocalFacts, now: Moment) -> OrderState {
        let order = match check::is_well_formed(order) {
            Ok(order) => order,
            Err(no) => return no.state(),
        };
        if let Err(no) = self.case(&order, facts, &[], now).is_within_memory() {
            return begin::told(no);
        }
        let why = self.memory.trouble().map(|trouble| format!("{trouble}: {}", trouble.next()));
        No::new(RefusalCode::MemoryBroken, why.unwrap_or_default()).state()
    }

    /// Says what nothing remembers. Should the order come again once memory is mended, it is older than that.
    fn tell_unremembered(&mut self, id: &str, state: OrderState, now: Moment) {
        if self.outbox.len() < MOST_UNREMEMBERED {
            let event = self.event(state, now);
            self.tell(id, event);
        }
    }
}
