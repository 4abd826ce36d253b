//! The protocol as the checker sees it: what can happen next, and what must never (or must once) be so.

use crate::{
    rules::{Bounds, Fault, Rules},
    state::{Machine, NODES, Order, Set, State},
};
use stateright::{Model, Property};

/// At most one node is down by us.
pub const S1: &str = "S1 at most one node is down by us";
/// Nothing is down by us without its permit: permits are let go by evidence.
pub const S5: &str = "S5 a node goes down and stays down under its permit only";
/// One coordinator writes.
pub const S8_STORE: &str = "S8 only the newest coordinator writes";
/// Agents never go back to an older coordinator.
pub const S8_AGENT: &str = "S8 no agent begins what an older coordinator ordered";
/// A store that lost something moves nothing.
pub const S9: &str = "S9 an older copy of the store moves nothing until its generation is raised";
/// Nothing is done twice.
pub const S10: &str = "S10 no order is begun twice";
/// Nothing is done late.
pub const S11: &str = "S11 no order is begun after its time, but for the error of clocks";
/// It works at all.
pub const L1: &str = "L1 a node is rebooted, returns, and its permit is let go";

/// One step of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Tick,
    Begin { coordinator: usize },
    HearAll { coordinator: usize },
    Hear { coordinator: usize, node: u8 },
    Permit { coordinator: usize, node: u8 },
    PermitUnacknowledged { coordinator: usize, node: u8 },
    RecordReady { coordinator: usize, node: u8 },
    Release { coordinator: usize, node: u8 },
    DeclareDead { coordinator: usize, node: u8 },
    WriteOther { coordinator: usize },
    Deliver(Order),
    Veto(Order),
    GoDown { node: u8 },
    ComeBack { node: u8 },
    RestartAgent { node: u8 },
    RebootByHand { node: u8 },
    RollBack { node: u8 },
    PutBack,
    Raise,
}

/// A protocol in a world.
#[derive(Debug, Clone)]
pub struct Protocol {
    pub rules: Rules,
    pub bounds: Bounds,
}

impl Protocol {
    fn may(&self, state: &State, fault: Fault) -> bool {
        self.bounds.faults.contains(&fault) && !state.has_had(fault)
    }

    fn of_coordinator(&self, state: &State, coordinator: usize, out: &mut Vec<Action>) {
        if state.store.fence.epoch < self.bounds.epochs {
            out.push(Action::Begin { coordinator });
        }
        if state.leaders[coordinator].is_none() {
            return;
        }
        if self.may(state, Fault::OtherEntry) {
            out.push(Action::WriteOther { coordinator });
        }
        if !self.bounds.hears_singly {
            out.push(Action::HearAll { coordinator });
        }
        for node in 0..NODES {
            if self.bounds.hears_singly {
                out.push(Action::Hear { coordinator, node });
            }
            if state.orders < self.bounds.orders {
                out.push(Action::Permit { coordinator, node });
                if self.may(state, Fault::Unacknowledged) {
                    out.push(Action::PermitUnacknowledged { coordinator, node });
                }
            }
            out.push(Action::RecordReady { coordinator, node });
            out.push(Action::Release { coordinator, node });
            if self.may(state, Fault::Dead) {
                out.push(Action::DeclareDead { coordinator, node });
            }
        }
    }

    fn of_node(&self, state: &State, node: u8, out: &mut Vec<Action>) {
        match state.nodes[usize::from(node)].machine {
            Machine::Up => {}
            Machine::Going(_) => out.push(Action::GoDown { node }),
            Machine::Down(_) | Machine::DownByHand => out.push(Action::ComeBack { node }),
        }
        if self.may(state, Fault::AgentEnds) {
            out.push(Action::RestartAgent { node });
        }
        if self.may(state, Fault::ByHand) {
            out.push(Action::RebootByHand { node });
        }
        if self.may(state, Fault::RolledBack) {
            out.push(Action::RollBack { node });
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first()]
    }

    fn actions(&self, state: &State, out: &mut Vec<Action>) {
        for coordinator in 0..state.leaders.len() {
            self.of_coordinator(state, coordinator, out);
        }
        for node in 0..NODES {
            self.of_node(state, node, out);
        }
        for order in &state.wire {
            out.push(Action::Deliver(*order));
            if self.may(state, Fault::Veto) {
                out.push(Action::Veto(*order));
            }
        }
        if state.now < self.bounds.ticks {
            out.push(Action::Tick);
        }
        if self.may(state, Fault::PutBack) {
            out.push(Action::PutBack);
        }
        if state.has_had(Fault::PutBack) && self.may(state, Fault::Raised) {
            out.push(Action::Raise);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        let rules = &self.rules;
        match action {
            Action::Tick => next.now += 1,
            Action::Begin { coordinator } => next.begin(coordinator),
            Action::HearAll { coordinator } => next.hear_all(rules, coordinator)?,
            Action::Hear { coordinator, node } => next.hear(rules, coordinator, node)?,
            Action::Permit { coordinator, node } => next.permit(rules, coordinator, node, true)?,
            Action::PermitUnacknowledged { coordinator, node } => {
                next.permit(rules, coordinator, node, false)?;
            }
            Action::RecordReady { coordinator, node } => next.record_ready(rules, coordinator, node)?,
            Action::Release { coordinator, node } => next.release(rules, coordinator, node)?,
            Action::DeclareDead { coordinator, node } => next.declare_dead(rules, coordinator, node)?,
            Action::WriteOther { coordinator } => next.write_other(rules, coordinator)?,
            Action::Deliver(order) => next.deliver(rules, &self.bounds, order, false)?,
            Action::Veto(order) => next.deliver(rules, &self.bounds, order, true)?,
            Action::GoDown { node } => next.go_down(node)?,
            Action::ComeBack { node } => next.come_back(rules, node)?,
            Action::RestartAgent { node } => next.restart_agent(rules, node)?,
            Action::RebootByHand { node } => next.reboot_by_hand(node)?,
            Action::RollBack { node } => next.roll_back(node)?,
            Action::PutBack => next.put_back(),
            Action::Raise => next.raise(),
        }
        next.faults |= action.fault().map_or(0, |fault| fault as u16);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(S1, |_, state: &State| state.down_by_us() <= 1),
            Property::always(S5, |_, state: &State| state.has_had(Fault::PutBack) || state.is_permitted()),
            Property::always(S8_STORE, |_, state: &State| !state.witness.wrote_fenced),
            Property::always(S8_AGENT, |_, state: &State| !state.witness.began_stale),
            Property::always(S9, |_, state: &State| !state.witness.began_behind),
            Property::always(S10, |_, state: &State| !state.witness.began_twice),
            Property::always(S11, |_, state: &State| !state.witness.began_late),
            Property::sometimes(L1, |_, state: &State| state.has_returned_one()),
        ]
    }
}

impl Action {
    fn fault(self) -> Option<Fault> {
        Some(match self {
            Self::PermitUnacknowledged { .. } => Fault::Unacknowledged,
            Self::DeclareDead { .. } => Fault::Dead,
            Self::WriteOther { .. } => Fault::OtherEntry,
            Self::Veto(_) => Fault::Veto,
            Self::RestartAgent { .. } => Fault::AgentEnds,
            Self::RebootByHand { .. } => Fault::ByHand,
            Self::RollBack { .. } => Fault::RolledBack,
            Self::PutBack => Fault::PutBack,
            Self::Raise => Fault::Raised,
            _ => return None,
        })
    }
}

impl State {
    /// A person puts an old copy, here an empty one, in the place of the store. No coordinator runs meanwhile: the tool
    /// refuses otherwise.
    fn put_back(&mut self) {
        let copy = Self::first().store;
        let knowing = (0..NODES).filter(|node| {
            self.nodes[usize::from(*node)].newest.is_some_and(|(_, order)| !copy.orders.has(order))
        });
        self.witness.put_back = Some((self.orders, knowing.fold(Set::default(), Set::with)));
        self.store = copy;
        self.leaders = [None; 2];
    }

    /// A person raises the generation, while no coordinator runs.
    fn raise(&mut self) {
        self.store.fence.generation += 1;
        self.leaders = [None; 2];
    }
}
