//! Orders for agents: made from what operations have recorded, fetched by the agents, answered by them.

use super::{NotRecorded, Operations, Tracked, number_of};
use jiff::Timestamp;
use millwright_decision::{
    Code, Evidence, Policy,
    operation::{Doer, Event, Operation, Outcome, Phase, State, Step, StepRecord},
};
use millwright_protocol::{NodeName, Order, OrderState, RefusalCode, Target, Verb};

/// An order must have begun within this time, in seconds.
const REBOOT_LASTS: u64 = 300;
const OTHERS_LAST: u64 = 900;
/// Runs of Puppet at most in one order.
const PUPPET_TRIES: u8 = 3;

/// What became of an agent's word about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderAnswer {
    /// It is recorded, or says nothing new.
    Taken,
    /// No such order is open: the agent need not say it again.
    Gone,
}

impl Operations {
    /// What the agent of a node is to do now. Made from the record alone, so that asking twice gives the same.
    pub fn orders(&self, node: &NodeName, policy: &Policy, now: Timestamp) -> Vec<Order> {
        let on_node =
            self.all.values().filter(|tracked| tracked.is_alive() && tracked.operation.wish.node == *node);
        on_node.filter_map(|tracked| self.order(tracked, policy, now)).collect()
    }

    fn order(&self, tracked: &Tracked, policy: &Policy, now: Timestamp) -> Option<Order> {
        let operation = &tracked.operation;
        let (step, record) = operation.current_step().filter(|_| operation.phase == Phase::Forward)?;
        let is_open = matches!(record.state, State::Begun | State::Prepared { .. } | State::Committed { .. });
        if step.doer() != Doer::Agent || !is_open {
            return None;
        }
        let issued_at = record.began_at?;
        let ttl_seconds = if step.is_irreversible() { REBOOT_LASTS } else { OTHERS_LAST };
        let machine = record.machine.as_ref()?;
        let verb = verb(operation, step, record, policy)?;
        // Whoever fetches it after its time would only refuse it.
        let age = now.duration_since(issued_at).as_secs();
        if step.is_irreversible() && age > i64::try_from(ttl_seconds).unwrap_or(i64::MAX) {
            return None;
        }
        Some(Order {
            id: format!("{}.{}.{}", operation.id, operation.at, record.attempt),
            operation: operation.id.clone(),
            fence: self.journal.fence(),
            position: tracked.position,
            target: Target {
                node: operation.wish.node.to_string(),
                machine_id: machine.machine_id.clone(),
                server_uuid: machine.server_uuid.clone(),
                boot_id: machine.boot_id.clone(),
            },
            issued_at,
            ttl_seconds,
            reason: format!("{} of {}: {}", operation.wish.action, operation.wish.by, operation.wish.reason),
            verb,
        })
    }

    /// Takes in what an agent says became of an order.
    ///
    /// # Errors
    /// The journal does not take it: the agent says it again.
    pub fn order_event(
        &mut self,
        node: &NodeName,
        id: &str,
        state: &OrderState,
        now: Timestamp,
    ) -> Result<OrderAnswer, NotRecorded> {
        let Some((number, place, attempt)) = parts(id) else { return Ok(OrderAnswer::Gone) };
        let Some(operation) = self.all.get(&number).map(|tracked| &tracked.operation) else {
            return Ok(OrderAnswer::Gone);
        };
        let is_current = operation.wish.node == *node
            && operation.at == place
            && operation.steps.get(place).is_some_and(|record| record.attempt == attempt);
        let Some((step, record)) = operation.current_step().filter(|_| is_current && !operation.is_over())
        else {
            return Ok(OrderAnswer::Gone);
        };
        let Some(event) = event_of(step, record, place, state) else { return Ok(OrderAnswer::Taken) };
        match self.write(number, event, super::whole(now)) {
            Ok(()) => Ok(OrderAnswer::Taken),
            // Said again, or overtaken.
            Err(NotRecorded::Illegal(illegal)) => {
                log::debug!("{illegal}");
                Ok(OrderAnswer::Taken)
            }
            Err(error) => Err(error),
        }
    }
}

/// What an agent's word about a step means; `None` when it changes nothing.
fn event_of(step: Step, record: &StepRecord, place: usize, state: &OrderState) -> Option<Event> {
    let attempt = record.attempt;
    let finished = |outcome: Outcome| Some(Event::Finished { step: place, attempt, outcome, by: None });
    let facts = |evidence: &[millwright_protocol::Evidence]| {
        let of = |fact: &millwright_protocol::Evidence| Evidence {
            fact: fact.fact.clone(),
            value: fact.value.clone(),
            source: fact.source.clone(),
            age_seconds: fact.age_seconds,
        };
        evidence.iter().map(of).collect()
    };
    match state {
        OrderState::Prepared { nonce } => match &record.state {
            // Said again.
            State::Prepared { nonce: known } if known == nonce => None,
            // The same agent may have lost its first nonce.
            State::Begun | State::Prepared { .. } => {
                Some(Event::Prepared { step: place, attempt, nonce: nonce.clone() })
            }
            _ => None,
        },
        OrderState::Starting => None,
        // A reboot is done when another boot reports, whatever the agent says about itself.
        OrderState::Done { .. } if step.is_irreversible() => None,
        OrderState::Done { evidence } => finished(Outcome::done(facts(evidence))),
        // Another machine knows nothing of what the one before it did once it had been told to go on (S12).
        OrderState::Refused { code: RefusalCode::NotMe, .. }
            if matches!(record.state, State::Committed { .. }) =>
        {
            None
        }
        OrderState::Refused { code, sentence } => {
            finished(Outcome::NotDone { why: sentence.clone(), refusal: Some(code.as_str().to_owned()) })
        }
        OrderState::Failed { sentence, .. } => finished(Outcome::not_done(sentence)),
        OrderState::Unknown { sentence } => finished(Outcome::unknown(sentence)),
    }
}

fn verb(operation: &Operation, step: Step, record: &StepRecord, policy: &Policy) -> Option<Verb> {
    match step {
        Step::Reboot => {
            let commit = match &record.state {
                State::Committed { nonce } => Some(nonce.clone()),
                _ => None,
            };
            let may_end = operation.permit.as_ref().map(|permit| permit.may_end.clone()).unwrap_or_default();
            let confirmed = operation.grants.iter().find(|grant| grant.code == Code::ConfirmReboot);
            Some(Verb::Reboot { may_end, commit, confirmed_by: confirmed.map(|grant| grant.by.clone()) })
        }
        Step::Puppet => Some(Verb::PuppetRun { tries: PUPPET_TRIES }),
        Step::PullImages => {
            let listed = policy.nodes.get(&operation.wish.node)?;
            Some(Verb::Prepull { images: policy.class_of(listed)?.images.clone() })
        }
        _ => None,
    }
}

/// `op-17.6.2` is the second attempt at place 6 of operation 17.
fn parts(id: &str) -> Option<(u64, usize, u32)> {
    let mut parts = id.split('.');
    let number = number_of(parts.next()?)?;
    let place = parts.next()?.parse().ok()?;
    let attempt = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((number, place, attempt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_news_once_for_each_nonce() {
        let ready = |state: State, nonce: &str| {
            let record = StepRecord { state, attempt: 1, ..StepRecord::default() };
            event_of(Step::Reboot, &record, 5, &OrderState::Prepared { nonce: nonce.into() })
        };
        let prepared = || State::Prepared { nonce: "one".into() };
        let news = |nonce: &str| Some(Event::Prepared { step: 5, attempt: 1, nonce: nonce.into() });
        assert_eq!(ready(State::Begun, "one"), news("one"));
        assert_eq!(ready(prepared(), "one"), None);
        assert_eq!(ready(prepared(), "two"), news("two"));
        assert_eq!(ready(State::Committed { nonce: "one".into() }, "two"), None);
    }

    #[test]
    fn another_machine_says_nothing_about_a_reboot_that_was_let_go_on() {
        let refused = |code| OrderState::Refused { code, sentence: "no".into() };
        let record = |state| StepRecord { state, attempt: 1, ..StepRecord::default() };
        let committed = record(State::Committed { nonce: "n".into() });
        assert_eq!(event_of(Step::Reboot, &committed, 5, &refused(RefusalCode::NotMe)), None);
        let ends = |record: &StepRecord, code| {
            let event = event_of(Step::Reboot, record, 5, &refused(code));
            matches!(event, Some(Event::Finished { outcome: Outcome::NotDone { .. }, .. }))
        };
        assert!(ends(&committed, RefusalCode::ChangedMind), "the machine itself knows that it did not");
        assert!(ends(&record(State::Begun), RefusalCode::NotMe), "nothing had been let go on");
    }
}
