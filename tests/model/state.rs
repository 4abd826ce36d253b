//! One moment of the world: the store, two coordinators, three nodes, and every order ever sent.
//!
//! Orders are never taken off the wire, so each can arrive late, many times, in any order, or never.

use crate::rules::Fault;

/// How many nodes there are.
pub const NODES: u8 = 3;
/// How long a permit lives, in ticks.
pub const LIFE: i8 = 2;

/// A set of small numbers: orders or nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set(u8);

impl Set {
    pub fn with(self, member: u8) -> Self {
        Self(self.0 | 1 << member)
    }

    pub fn has(self, member: u8) -> bool {
        self.0 & 1 << member != 0
    }

    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The same set where these two have changed their numbers.
    fn swapped(self, one: u8, other: u8) -> Self {
        let mut set = self.without(Self::default().with(one).with(other));
        if self.has(one) {
            set = set.with(other);
        }
        if self.has(other) {
            set = set.with(one);
        }
        set
    }
}

/// Generation, then epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    pub generation: u8,
    pub epoch: u8,
}

/// The right to reboot one node once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permit {
    /// The order made from it.
    pub order: u8,
    /// The boot it ends.
    pub boot: u8,
    /// Void from this tick on.
    pub expires: i8,
    /// Where the journal stood with its record.
    pub position: u8,
    /// What the agent answered to the first step, once that is recorded.
    pub nonce: Option<i8>,
}

/// The journal, as its replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Store {
    pub fence: Fence,
    pub position: u8,
    /// By node.
    pub permits: [Option<Permit>; NODES as usize],
    /// Every order it knows of.
    pub orders: Set,
    /// The newest boot it knows of, by node.
    pub boots: [u8; NODES as usize],
    /// Nodes that count no more.
    pub aside: Set,
}

/// A coordinator that believes to be the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leader {
    /// What it has read and written; its own fence is in it.
    pub view: Store,
    /// Nodes heard of since it began.
    pub heard: Set,
}

/// How a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Machine {
    Up,
    /// The reboot of this order has begun, and the machine is still there.
    Going(u8),
    /// Down by this order.
    Down(u8),
    /// Somebody else rebooted it.
    DownByHand,
}

/// A node and its agent's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    pub machine: Machine,
    pub boot: u8,
    /// The highest it has heard of.
    pub seen: Fence,
    /// The order of that generation that rested on the highest position, and that position.
    pub newest: Option<(u8, u8)>,
    /// Orders it has begun to carry out.
    pub begun: Set,
    /// Orders it never will.
    pub refused: Set,
    /// The order it is ready for and since when by its clock; not on its disk.
    pub ready: Option<(u8, i8)>,
    /// Nothing made up to this tick counts: its clock has moved since.
    pub since: i8,
}

/// An order on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    pub node: u8,
    pub fence: Fence,
    /// With a nonce it is the second step.
    pub permit: Permit,
}

/// What nobody in the world knows, and the properties ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Witness {
    /// Nodes declared dead, in whichever store.
    pub aside: Set,
    /// An append by another than the newest coordinator was written.
    pub wrote_fenced: bool,
    /// An agent began an order of a lower fence than it had seen.
    pub began_stale: bool,
    /// An order was begun that an older copy of the store gave, and a node knew better.
    pub began_behind: bool,
    /// An order was begun twice.
    pub began_twice: bool,
    /// An order was begun later than clocks may err.
    pub began_late: bool,
    /// Orders begun at all.
    pub begun: Set,
    /// Since an old copy was put in place: the first order made after that, and the nodes that know of a lost one.
    pub put_back: Option<(u8, Set)>,
}

/// One moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    pub now: i8,
    pub store: Store,
    pub leaders: [Option<Leader>; 2],
    pub nodes: [Node; NODES as usize],
    /// Every order ever sent, sorted.
    pub wire: Vec<Order>,
    /// How many orders were made.
    pub orders: u8,
    /// Which faults have happened.
    pub faults: u16,
    pub witness: Witness,
}

impl State {
    /// An empty store, and nodes that have heard of nobody.
    pub fn first() -> Self {
        let fence = Fence { generation: 1, epoch: 0 };
        Self {
            now: 0,
            store: Store {
                fence,
                position: 0,
                permits: [None; NODES as usize],
                orders: Set::default(),
                boots: [0; NODES as usize],
                aside: Set::default(),
            },
            leaders: [None; 2],
            nodes: [Node::new(fence); NODES as usize],
            wire: Vec::new(),
            orders: 0,
            faults: 0,
            witness: Witness::default(),
        }
    }

    pub fn has_had(&self, fault: Fault) -> bool {
        self.faults & fault as u16 != 0
    }

    /// Sends an order; sent again it is the same.
    pub fn send(&mut self, order: Order) {
        if let Err(place) = self.wire.binary_search(&order) {
            self.wire.insert(place, order);
        }
    }

    /// The nodes we have taken down and that count.
    pub fn down_by_us(&self) -> usize {
        (0..NODES).filter(|node| self.is_down_by_us(*node) && !self.witness.aside.has(*node)).count()
    }

    fn is_down_by_us(&self, node: u8) -> bool {
        matches!(self.nodes[usize::from(node)].machine, Machine::Down(_))
    }

    /// Every node that is going or gone by an order is so under that order's permit.
    pub fn is_permitted(&self) -> bool {
        (0..NODES).all(|node| match self.nodes[usize::from(node)].machine {
            Machine::Going(order) | Machine::Down(order) if !self.witness.aside.has(node) => {
                self.store.permits[usize::from(node)].is_some_and(|permit| permit.order == order)
            }
            _ => true,
        })
    }

    /// A node was rebooted by us, came back, and its permit was let go.
    pub fn has_returned_one(&self) -> bool {
        (0..usize::from(NODES)).any(|node| {
            self.nodes[node].machine == Machine::Up
                && !self.nodes[node].begun.is_empty()
                && self.store.permits[node].is_none()
                && self.store.boots[node] > 0
        })
    }

    /// One of the states that differ from this one only in which coordinator, and which of the nodes with a right
    /// clock, is called what.
    pub fn representative(&self) -> Self {
        let mut state = self.clone();
        if state.nodes[1] > state.nodes[2] {
            state.swap_nodes(1, 2);
        }
        if state.leaders[0] > state.leaders[1] {
            state.leaders.swap(0, 1);
        }
        state
    }

    fn swap_nodes(&mut self, one: u8, other: u8) {
        let (first, second) = (usize::from(one), usize::from(other));
        self.nodes.swap(first, second);
        self.store.swap_nodes(one, other);
        for leader in self.leaders.iter_mut().flatten() {
            leader.view.swap_nodes(one, other);
            leader.heard = leader.heard.swapped(one, other);
        }
        for order in &mut self.wire {
            order.node = match order.node {
                node if node == one => other,
                node if node == other => one,
                node => node,
            };
        }
        self.wire.sort_unstable();
        self.witness.aside = self.witness.aside.swapped(one, other);
        if let Some((_, knowing)) = &mut self.witness.put_back {
            *knowing = knowing.swapped(one, other);
        }
    }
}

impl Store {
    fn swap_nodes(&mut self, one: u8, other: u8) {
        self.permits.swap(usize::from(one), usize::from(other));
        self.boots.swap(usize::from(one), usize::from(other));
        self.aside = self.aside.swapped(one, other);
    }
}

impl Node {
    pub fn new(seen: Fence) -> Self {
        Self {
            machine: Machine::Up,
            boot: 0,
            seen,
            newest: None,
            begun: Set::default(),
            refused: Set::default(),
            ready: None,
            since: -1,
        }
    }

    /// It has heard of this coordinator.
    pub fn hears(&mut self, fence: Fence) {
        if fence > self.seen {
            if fence.generation != self.seen.generation {
                self.newest = None;
            }
            self.seen = fence;
        }
    }

    /// What its agent keeps in memory only is gone.
    pub fn forgets(&mut self, keeps_orders: bool) {
        self.ready = None;
        if !keeps_orders {
            self.begun = Set::default();
            self.refused = Set::default();
        }
    }
}
