//! Errands: orders to other nodes than the operation's own, such as a new whitelist for every Mesos master.
//!
//! They are part of one effect and live in memory only: what a restart forgets, the effect does again. Their answers are
//! facts for whoever runs the effect; what is recorded is its outcome.

use super::{Operations, OrderAnswer, Task};
use crate::fleet::{Held, Holding};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::operation::{Operation, State, Step, StepRecord};
use millwright_protocol::{Fence, NodeName, Order, OrderState, Target, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// An errand must have begun within this time, in seconds.
const ERRAND_LASTS: u64 = 120;
/// So long after its operation is over a node may still be seen as it was before.
const AFTERGLOW: SignedDuration = SignedDuration::from_secs(60);

/// What the errands of one effect rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footing {
    /// As whom the coordinator writes.
    pub fence: Fence,
    /// The journal position of the operation's last event.
    pub position: u64,
    /// When the intent was written: agents remember it, and the journal knows it.
    pub intended_at: Timestamp,
    /// Who wants it and why.
    pub reason: String,
}

impl Footing {
    /// How long an order made from it is still good for.
    pub fn left(&self, now: Timestamp) -> SignedDuration {
        SignedDuration::from_secs(120) - now.duration_since(self.intended_at)
    }

    /// The order of `task` with this number, which no other order of it ever has.
    pub fn order(&self, task: &Task, number: u64, target: Target, verb: Verb) -> Order {
        Order {
            id: format!("{}.{}.{}-w{number}", task.operation, task.place, task.attempt),
            operation: task.operation.clone(),
            fence: self.fence,
            position: self.position,
            target,
            issued_at: self.intended_at,
            ttl_seconds: ERRAND_LASTS,
            reason: self.reason.clone(),
            verb,
        }
    }
}

impl Operations {
    /// What errands of this effect rest on; `None` when its intent is not written.
    pub fn footing(&self, task: &Task) -> Option<Footing> {
        let tracked = self.get(&task.operation)?;
        let record = tracked.operation.steps.get(task.place)?;
        let wish = &tracked.operation.wish;
        Some(Footing {
            fence: self.journal.fence(),
            position: tracked.position,
            intended_at: if task.is_undo { record.changed_at? } else { record.began_at? },
            reason: format!("{} of {} for {}: {}", wish.action, wish.spelled, wish.by, wish.reason),
        })
    }

    /// Nodes whose offers an open operation has stopped or is stopping.
    pub fn cordoned(&self) -> BTreeSet<NodeName> {
        let open = self.all.values().map(|tracked| &tracked.operation);
        open.filter(|operation| keeps_cordoned(operation))
            .map(|operation| operation.wish.node.clone())
            .collect()
    }

    /// The same with whether they are changing it right now, for telling what others did.
    pub fn held(&self, now: Timestamp) -> BTreeMap<NodeName, Held> {
        let mut held: BTreeMap<NodeName, Held> = BTreeMap::new();
        for operation in self.all.values().map(|tracked| &tracked.operation) {
            let Some(one) = holding(operation, now) else { continue };
            match held.get_mut(&operation.wish.node) {
                // One that is changing it leaves open what the other had made of it.
                Some(known) if known.what == Holding::Changing && one.what == Holding::Stopped => {}
                Some(known) => *known = one,
                None => {
                    held.insert(operation.wish.node.clone(), one);
                }
            }
        }
        held
    }
}

fn records_of(operation: &Operation, wanted: Step) -> impl Iterator<Item = &StepRecord> {
    let steps = operation.plan.steps.iter().zip(&operation.steps);
    steps.filter(move |(step, _)| **step == wanted).map(|(_, record)| record)
}

/// A step that comes twice counts as it last stood: a node that is to reboot is cordoned before and after.
fn record_of(operation: &Operation, wanted: Step) -> Option<&StepRecord> {
    let is_touched = |record: &&StepRecord| record.attempt > 0 || !matches!(record.state, State::Pending);
    let last = records_of(operation, wanted).filter(is_touched).last();
    last.or_else(|| records_of(operation, wanted).next())
}

fn keeps_cordoned(operation: &Operation) -> bool {
    let is_let_go = record_of(operation, Step::Uncordon).is_some_and(|record| {
        matches!(record.state, State::Begun | State::Unknown { .. } | State::Done { .. })
    });
    // The first one holds while the second is still to come, or comes to nothing.
    let is_stopped = records_of(operation, Step::Cordon).any(|record| {
        matches!(record.state, State::Begun | State::Unknown { .. } | State::Done { .. } | State::Undoing)
    });
    !operation.is_over() && is_stopped && !is_let_go
}

fn holding(operation: &Operation, now: Timestamp) -> Option<Held> {
    let records = [Step::Cordon, Step::Uncordon].map(|step| record_of(operation, step));
    let touched = records.iter().flatten().filter(|record| {
        !matches!(record.state, State::Pending | State::NotDone { .. }) || record.attempt > 0
    });
    let last = touched.filter_map(|record| record.changed_at).max();
    let changing = |since| Held { what: Holding::Changing, since, agent_ids: BTreeSet::new() };
    if operation.is_over() {
        return last.filter(|at| now.duration_since(*at) < AFTERGLOW).map(changing);
    }
    let [cordon, uncordon] = records;
    // A return takes over what another operation has stopped, until it is back.
    if cordon.is_none() && uncordon.is_some() {
        return Some(changing(last.unwrap_or(now)));
    }
    let is_done =
        |record: Option<&StepRecord>| record.is_some_and(|record| matches!(record.state, State::Done { .. }));
    let is_untouched =
        uncordon.is_none_or(|record| record.attempt == 0 && matches!(record.state, State::Pending));
    match (cordon, last) {
        (Some(record), Some(since)) if is_done(cordon) && is_untouched => {
            let ids = record.evidence.iter().filter(|fact| fact.fact == "mesos_agent_id");
            let agent_ids = ids.map(|fact| fact.value.clone()).collect();
            Some(Held { what: Holding::Stopped, since, agent_ids })
        }
        // Let go and still open: only what was read since tells anything.
        (_, Some(since)) if is_done(uncordon) => {
            (now.duration_since(since) < AFTERGLOW).then(|| changing(since))
        }
        (_, Some(since)) => Some(changing(since)),
        _ => None,
    }
}

/// Errands that are under way.
#[derive(Debug, Default)]
pub struct Errands {
    open: BTreeMap<(NodeName, String), Errand>,
    last_number: u64,
}

#[derive(Debug)]
struct Errand {
    order: Order,
    /// What became of it, once nothing more will be said.
    state: Option<OrderState>,
}

impl Errands {
    /// A number that no list had before: the time in milliseconds, or one more than the last.
    pub fn number(&mut self, now: Timestamp) -> u64 {
        let by_clock = u64::try_from(now.as_millisecond()).unwrap_or(0);
        self.last_number = by_clock.max(self.last_number + 1);
        self.last_number
    }

    /// Gives an errand to a node's agent.
    pub fn give(&mut self, node: NodeName, order: Order) {
        self.open.insert((node, order.id.clone()), Errand { order, state: None });
    }

    /// What the agent of a node is to do, as long as it has not said how it ended and it is not void.
    pub fn orders(&self, node: &NodeName, now: Timestamp) -> Vec<Order> {
        let of_node = self.open.iter().filter(|((of, _), _)| of == node).map(|(_, errand)| errand);
        let due = of_node.filter(|errand| errand.state.is_none() && now < errand.order.void_at());
        due.map(|errand| errand.order.clone()).collect()
    }

    /// Takes in what an agent says became of an errand; `None` when it is none.
    pub fn answer(&mut self, node: &NodeName, id: &str, state: &OrderState) -> Option<OrderAnswer> {
        let errand = self.open.get_mut(&(node.clone(), id.to_owned()))?;
        if state.is_final() && errand.state.is_none() {
            errand.state = Some(state.clone());
        }
        Some(OrderAnswer::Taken)
    }

    /// Whether nothing more will be said about any errand of this id.
    pub fn is_answered(&self, id: &str) -> bool {
        self.of(id).all(|(_, errand)| errand.state.is_some())
    }

    /// Takes the errands of this id back: how each ended, `None` for one that nobody has answered.
    pub fn take(&mut self, id: &str) -> BTreeMap<NodeName, Option<OrderState>> {
        let said = self.of(id).map(|(node, errand)| (node.clone(), errand.state.clone())).collect();
        self.open.retain(|(_, of), _| of != id);
        said
    }

    fn of(&self, id: &str) -> impl Iterator<Item = (&NodeName, &Errand)> {
        self.open.iter().filter(move |((_, of), _)| of == id).map(|((node, _), errand)| (node, errand))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::{at, name};
    use millwright_decision::operation::Effect;

    fn task() -> Task {
        Task {
            operation: "op-17".into(),
            node: name("alibuild01"),
            place: 0,
            step: Step::Cordon,
            attempt: 1,
            is_undo: false,
            effect: Effect::Cordon,
        }
    }

    fn order(number: u64) -> Order {
        let footing = Footing {
            fence: Fence { generation: 1, epoch: 2 },
            position: 9,
            intended_at: at(0),
            reason: "a test".into(),
        };
        let target =
            Target { node: "m1".into(), machine_id: "m".into(), server_uuid: None, boot_id: "b".into() };
        let verb = Verb::SetWhitelist { hosts: vec!["a".into()], version: number, may_drop: 1 };
        footing.order(&task(), number, target, verb)
    }

    #[test]
    fn every_list_has_a_number_of_its_own_even_when_the_clock_goes_back() {
        let mut errands = Errands::default();
        let first = errands.number(at(100));
        assert_eq!(first, 1_770_000_100_000);
        assert_eq!([errands.number(at(100)), errands.number(at(50))], [first + 1, first + 2]);
        assert_eq!(order(first).id, "op-17.0.1-w1770000100000");
    }

    #[test]
    fn an_errand_is_its_nodes_until_it_is_answered_or_void() {
        let mut errands = Errands::default();
        errands.give(name("m1"), order(5));
        errands.give(name("m2"), order(5));
        let count = |errands: &Errands, node: &str, now| errands.orders(&name(node), at(now)).len();
        assert_eq!(
            [count(&errands, "m1", 0), count(&errands, "m2", 119), count(&errands, "m3", 0)],
            [1, 1, 0]
        );
        assert_eq!(count(&errands, "m1", 120), 0, "nobody would carry it out any more");
        let done = OrderState::Done { evidence: Vec::new() };
        assert_eq!(
            errands.answer(&name("m1"), "op-17.0.1-w5", &OrderState::Starting),
            Some(OrderAnswer::Taken)
        );
        assert_eq!(count(&errands, "m1", 0), 1, "it has only begun");
        assert_eq!(errands.answer(&name("m1"), "op-17.0.1-w5", &done), Some(OrderAnswer::Taken));
        assert_eq!(count(&errands, "m1", 0), 0);
        assert!(!errands.is_answered("op-17.0.1-w5"));
        assert_eq!(errands.answer(&name("m3"), "op-17.0.1-w5", &done), None, "nobody else's");
        let said = errands.take("op-17.0.1-w5");
        assert_eq!((said[&name("m1")].clone(), said[&name("m2")].clone()), (Some(done.clone()), None));
        assert_eq!(errands.answer(&name("m2"), "op-17.0.1-w5", &done), None, "taken back");
    }
}
