//! What time and boots tell about orders that were begun (check 14).

use super::{Disk, Evidence, Machine, Moment, OrderState, Record, Remembered};
use crate::memory::Boot;
use std::time::Duration;

/// A reboot that has not come about this long after it was begun may come at any time, or never.
const REBOOT_WITHIN: Duration = Duration::from_secs(600);

impl<D: Disk> Machine<D> {
    /// Notes this boot, settles what was open when the agent ended, and takes up what was not told.
    pub(super) fn after_start(&mut self, now: Moment) {
        let us = self.rules.identity.boot_id.clone();
        let mut records = Vec::new();
        let last = self.memory.boots().last().map(|boot| boot.boot_id.clone());
        if last.as_ref() != Some(&us) {
            let order = last.and_then(|last| self.ordered_end_of(&last));
            match &order {
                Some(order) => log::info!(order = order.as_str(); "this boot was ordered"),
                None => log::info!("this boot was made by hand, or is the first that this agent sees"),
            }
            records.push(Record::Boot(Boot { boot_id: us.clone(), at: now.wall, order }));
        }
        let open: Vec<Remembered> =
            self.memory.orders().iter().filter(|order| !order.is_final()).cloned().collect();
        for mut order in open {
            if let Some(state) = after_restart(&order, &us) {
                order.event = self.event(state, now);
                records.push(Record::Order(order));
            }
        }
        if !records.is_empty() {
            // What cannot be remembered now is settled alike at the next start.
            let _ = self.memory.add(records);
        }
        // The node may go down any moment.
        let reboots = self.memory.orders().iter().filter(|order| order.verb == "reboot" && !order.is_final());
        self.running = reboots.map(|order| (order.id.clone(), "reboot")).collect();
        let untold = self.memory.orders().iter().filter(|order| order.is_final() && !order.told);
        self.outbox = untold.map(|order| (order.id.clone(), order.event.clone())).collect();
    }

    /// The order that was to end a boot.
    fn ordered_end_of(&self, boot_id: &str) -> Option<String> {
        let is_it = |order: &&Remembered| {
            let begun_then = order.begun.as_ref().is_some_and(|begun| begun.boot_id == boot_id);
            order.verb == "reboot" && begun_then && order.event.state == OrderState::Starting
        };
        self.memory.orders().iter().find(is_it).map(|order| order.id.clone())
    }

    /// Lets time do its work: call it every few seconds, and before anything is judged.
    pub fn tick(&mut self, now: Moment) {
        self.memory.mend(&self.rules.identity.boot_id, now.uptime);
        self.memory.tidy(self.bound.now(now.uptime).map(|now| now.earliest));
        if self.memory.trouble().is_some() {
            return;
        }
        let is_late = |order: &&Remembered| {
            let since = order.begun.as_ref().map_or(0, |begun| begun.uptime_seconds);
            let waited = now.uptime.saturating_sub(Duration::from_secs(since));
            order.verb == "reboot" && !order.is_final() && waited >= REBOOT_WITHIN
        };
        let late: Vec<String> =
            self.memory.orders().iter().filter(is_late).map(|order| order.id.clone()).collect();
        for id in late {
            let sentence = "the reboot was asked for and has not come about within 10 min: look at `systemctl list-jobs` \
                            and the journal on the node; a new boot id would tell that it did";
            self.ended(&id, OrderState::Unknown { sentence: sentence.to_owned() }, now);
        }
    }
}

/// What is known of an order that was begun by an earlier run of the agent; `None` while time has to tell.
fn after_restart(order: &Remembered, boot_id: &str) -> Option<OrderState> {
    let begun_in = order.begun.as_ref().map(|begun| begun.boot_id.as_str()).unwrap_or_default();
    match order.verb.as_str() {
        "reboot" if begun_in == boot_id => None,
        "reboot" => {
            let undelayed = order.begun.as_ref().and_then(|begun| begun.undelayed.as_deref());
            let mut evidence = vec![
                Evidence::new("boot_id", boot_id, "agent"),
                Evidence::new("boot_id_before", begun_in, "agent"),
            ];
            evidence.extend(
                undelayed.map(|why| Evidence::new("shutdown_delay", format!("none: {why}"), "logind")),
            );
            Some(OrderState::Done { evidence })
        }
        verb => Some(OrderState::Unknown {
            sentence: format!(
                "the agent ended while it carried out {verb}; look whether it is so, and order it anew if not"
            ),
        }),
    }
}
