//! The finding about the memory: damaged or full, it lets no order pass, and a person has to know. It never keeps a node out.

use super::SharedMachine;
use crate::check::{Check, Look, Looking, Observation, Rhythm};
use jiff::Timestamp;
use millwright_protocol::Status;
use std::time::Duration;

/// Asks the machine.
pub struct MemoryCheck(pub SharedMachine);

impl Check for MemoryCheck {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn is_gating(&self) -> bool {
        false
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm { every: Duration::from_secs(30), deadline: Duration::from_secs(5) }
    }

    fn look(&mut self, _now: Timestamp) -> Looking<'_> {
        let machine = self.0.lock();
        let observation = match machine.memory().trouble() {
            None => Observation::new(Status::Ok, "the agent's memory of orders is sound"),
            Some(trouble) => Observation::new(Status::Crit, format!("{trouble}; every order is refused"))
                .next(trouble.next()),
        };
        Box::pin(async { Look { observations: vec![observation], facts: Vec::new() } })
    }
}
