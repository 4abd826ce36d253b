//! Fetches orders and tells what became of them, beside the reports.
//!
//! A question stays open for up to half a minute, so that an order arrives at once; an answer is told until the
//! coordinator has taken it. Both become rarer while it is away, up to once a minute. Nothing is asked of a coordinator that
//! does not take this node's reports: it is not ours, or not well.

use super::{SharedMachine, driver::Driver};
use crate::{
    clock::Clock,
    coordinator_client::{CoordinatorClient, ReportError, TellError},
    heartbeat::{SharedContact, Standing, back_off, fraction},
};
use millwright_protocol::Orders;
use std::{
    hash::{BuildHasher, RandomState},
    rc::Rc,
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};

/// How long a coordinator may take to say that there are no orders.
const WAIT: Duration = Duration::from_secs(30);
/// The longest wait between tries.
const AT_MOST: Duration = Duration::from_secs(60);
/// Questions are at least this far apart, and further while the answer is only what is known.
const APART: Duration = Duration::from_secs(2);
const APART_WHILE_AT_WORK: Duration = Duration::from_secs(5);
/// So many orders of one answer are looked at; the rest comes with the next.
const MOST_AT_ONCE: usize = 32;
/// How often time does its work.
const TICK: Duration = Duration::from_secs(5);

/// Asks for orders.
pub struct Poller {
    /// Judges and carries out.
    pub driver: Driver,
    /// Whom to ask.
    pub client: Rc<CoordinatorClient>,
    /// Whether it takes reports.
    pub contact: SharedContact,
}

impl Poller {
    /// Asks for ever.
    pub async fn poll(self) {
        let (mut failures, mut known) = (0, String::new());
        loop {
            let asked_at = Instant::now();
            if !self.is_ours() {
                sleep(Duration::from_secs(1)).await;
                continue;
            }
            let sent = (self.driver.clock)().uptime;
            match self.client.orders(WAIT).await {
                Ok(answer) => {
                    (failures, known) = (0, String::new());
                    let apart = if self.take(&answer, sent) { APART } else { APART_WHILE_AT_WORK };
                    sleep_until(asked_at + apart.mul_f64(1.0 + fraction() / 2.0)).await;
                }
                Err(error) => {
                    failures += 1;
                    tell_once(&error, &mut known);
                    sleep(back_off(failures, AT_MOST, fraction())).await;
                }
            }
        }
    }

    /// Whether the last report was taken in.
    fn is_ours(&self) -> bool {
        let contact = self.contact.lock();
        contact.accepted.is_some() && contact.problem.is_none()
    }

    /// Judges each order; tells whether something came of it, or nothing was there.
    fn take(&self, answer: &Orders, sent: Duration) -> bool {
        let mut is_news = answer.orders.is_empty();
        let now = (self.driver.clock)();
        if let Some(at) = answer.at {
            self.driver.machine.lock().hear_clock(at, sent, now.uptime);
        }
        for order in answer.orders.iter().take(MOST_AT_ONCE) {
            // Each is judged by what the node says then: the one before may have begun something.
            let (facts, now) = (self.driver.look(), (self.driver.clock)());
            let begun = self.driver.machine.lock().order(order, &facts, &nonce(), now);
            if let Some(order) = begun {
                self.driver.begin(order);
            }
            is_news |= self.driver.machine.lock().untold().is_some();
        }
        if !answer.orders.is_empty() {
            self.driver.tell.notify_one();
        }
        is_news
    }
}

/// 128 bits that nobody can guess: the standard library seeds each with random keys.
fn nonce() -> String {
    let half = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", half(), half())
}

/// One line for each new reason; a coordinator without orders is none.
fn tell_once(error: &ReportError, known: &mut String) {
    let why = error.to_string();
    if *known != why {
        match error {
            ReportError::Refused { code, .. } if code == "not_found" => {
                log::info!("the coordinator gives no orders")
            }
            _ => log::warn!("ask for orders: {why}"),
        }
        *known = why;
    }
}

/// Tells what became of orders.
pub struct Teller {
    /// Knows what is to be told.
    pub machine: SharedMachine,
    /// Whom to tell.
    pub client: Rc<CoordinatorClient>,
    /// Poked when there is something.
    pub tell: Rc<Notify>,
}

impl Teller {
    /// Tells for ever.
    pub async fn tell(self) {
        let mut failures = 0;
        loop {
            let next = self.machine.lock().untold();
            let Some((id, event)) = next else {
                // Looks now and then by itself: what time finds out pokes nobody.
                let _ = timeout(TICK, self.tell.notified()).await;
                continue;
            };
            match self.client.tell(&id, &event).await {
                Ok(()) => {
                    failures = 0;
                    self.machine.lock().told(&id, &event);
                }
                Err(TellError::Never(why)) => {
                    log::info!(order = id.as_str(); "{why}; it is not told again");
                    self.machine.lock().told(&id, &event);
                }
                Err(TellError::Again(why)) => {
                    if failures == 0 {
                        log::warn!(order = id.as_str(); "{why}; it is told again");
                    }
                    failures += 1;
                    self.machine.lock().tell_later();
                    sleep(back_off(failures, AT_MOST, fraction())).await;
                }
            }
        }
    }
}

/// Lets time do its work on the machine, and says when the coordinator is gone for long and when it is back.
pub async fn tick(machine: SharedMachine, contact: SharedContact, clock: Clock) {
    let mut known = Standing::InTouch;
    loop {
        let now = clock();
        machine.lock().tick(now);
        let standing = contact.lock().standing(now);
        match (known == Standing::Alone, standing == Standing::Alone) {
            (false, true) => {
                log::warn!("the coordinator was not heard for 5 min: this node is alone, and begins nothing")
            }
            (true, false) => log::info!("the coordinator is heard again"),
            _ => {}
        }
        known = standing;
        sleep(TICK).await;
    }
}

#[cfg(test)]
mod tests;
