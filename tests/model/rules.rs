//! What the permit's protocol is made of, one switch a defence, and the world it is tried in.

/// How a coordinator tells that its store is behind what agents have seen (S9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// An agent has seen a higher position than its journal has now.
    ByPosition,
    /// An agent has seen an order that its journal does not hold.
    ByOrder,
}

/// The protocol. [`Rules::RIGHT`] is ours; every other value leaves out one thing.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The permit is a record in the store; without it a coordinator goes by what it has done itself.
    pub permit_in_store: bool,
    /// An append is for the fence that the store has now.
    pub compares_fence: bool,
    /// An append is for the position at which the journal ends.
    pub compares_position: bool,
    /// A permit is let go once its time and [`Rules::wait`] are over, whatever the node says.
    pub releases_by_age: bool,
    /// So many ticks after its end a permit may be let go, if its node says that it was not begun.
    pub wait: i8,
    /// Asked after the end of a permit, an agent first notes that it will never carry the order out.
    pub notes_the_end: bool,
    /// How a restored store is noticed.
    pub behind: Behind,
    /// Nothing is permitted before every node that counts was heard of since this coordinator began.
    pub hears_all_first: bool,
    /// An agent keeps the fence it is told in the answer to a report, not only that of orders.
    pub keeps_told_fence: bool,
    /// An agent refuses another generation.
    pub heeds_generation: bool,
    /// An agent refuses a lower epoch.
    pub heeds_epoch: bool,
    /// An agent refuses an order whose time is over.
    pub heeds_expiry: bool,
    /// An agent refuses an order for another boot.
    pub heeds_boot: bool,
    /// A reboot is prepared and committed; without it the first message is carried out.
    pub two_steps: bool,
    /// What an agent knows of orders is on its disk before it answers or acts.
    pub syncs_orders: bool,
    /// An agent that finds its clock moved (its machine was put back) refuses what was made before that.
    pub notices_rollback: bool,
}

impl Rules {
    /// Ours.
    pub const RIGHT: Self = Self {
        permit_in_store: true,
        compares_fence: true,
        compares_position: true,
        releases_by_age: false,
        wait: 1,
        notes_the_end: false,
        behind: Behind::ByOrder,
        hears_all_first: true,
        keeps_told_fence: true,
        heeds_generation: true,
        heeds_epoch: true,
        heeds_expiry: true,
        heeds_boot: true,
        two_steps: true,
        syncs_orders: true,
        notices_rollback: true,
    };
}

/// What can go wrong once in a history, beside messages that are lost, late and repeated at will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Fault {
    /// The store does not say that an append was written.
    Unacknowledged = 1,
    /// An agent ends and starts again within its boot.
    AgentEnds = 1 << 1,
    /// Something on the node says no to an order.
    Veto = 1 << 2,
    /// A person reboots a node by hand.
    ByHand = 1 << 3,
    /// A person declares a node that is down for dead.
    Dead = 1 << 4,
    /// An old copy is put in the place of the store.
    PutBack = 1 << 5,
    /// A person raises the generation of what was put back.
    Raised = 1 << 6,
    /// The journal gets an entry that is about no permit.
    OtherEntry = 1 << 7,
    /// A node's machine is put back to how it was at the beginning.
    RolledBack = 1 << 8,
}

/// How far histories go. Every bound makes the number of states finite; none is part of the protocol.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How often a coordinator begins.
    pub epochs: u8,
    /// How many permits are given.
    pub orders: u8,
    /// The last tick of the clock. A tick is half a permit's life, longer than a prepared reboot waits.
    pub ticks: i8,
    /// How slow node 0's clock is, in ticks.
    pub skew: i8,
    /// Reports come in node by node; otherwise every node that is up is heard of at once.
    pub hears_singly: bool,
    /// What may happen, once each.
    pub faults: Vec<Fault>,
}
