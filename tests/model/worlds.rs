//! The worlds the protocol is tried in: each small for every test run, and larger for `make model`.

use crate::rules::{Bounds, Fault};

/// One set of troubles.
pub struct World {
    pub name: &'static str,
    /// Seconds on one core without optimisation.
    pub small: Bounds,
    /// Minutes on two cores with it.
    pub large: Bounds,
}

/// One coordinator, two permits, the whole life of a permit and one tick more.
pub const PLAIN: Bounds =
    Bounds { epochs: 1, orders: 2, ticks: 3, skew: 1, hears_singly: false, faults: Vec::new() };

/// The world with these troubles.
pub fn with(faults: &[Fault], bounds: Bounds) -> Bounds {
    Bounds { faults: faults.to_vec(), ..bounds }
}

/// Every one.
pub fn all() -> Vec<World> {
    use Fault::{AgentEnds, ByHand, Dead, OtherEntry, PutBack, Raised, RolledBack, Unacknowledged, Veto};
    let two = Bounds { epochs: 2, ..PLAIN };
    let world = |name, faults: &[Fault], small, large| World {
        name,
        small: with(faults, small),
        large: with(faults, large),
    };
    vec![
        world(
            "agents end at the worst moment and nodes say no",
            &[AgentEnds, Veto],
            two.clone(),
            Bounds { epochs: 3, ..two.clone() },
        ),
        world(
            "the store does not say what it wrote, and nodes never return",
            &[Unacknowledged, Dead],
            two.clone(),
            Bounds { epochs: 3, ticks: 4, ..two.clone() },
        ),
        world("somebody reboots nodes by hand", &[ByHand, Veto], PLAIN, Bounds { ticks: 4, ..two.clone() }),
        world(
            "an old copy is put in the place of the store",
            &[PutBack, Raised, OtherEntry],
            Bounds { ticks: 0, ..two.clone() },
            Bounds { ticks: 1, hears_singly: true, ..two.clone() },
        ),
        world(
            "the machine of a node is put back to an earlier moment",
            &[RolledBack],
            Bounds { ticks: 1, ..two.clone() },
            Bounds { ticks: 3, ..two.clone() },
        ),
        world("three permits, one after the other", &[Veto], PLAIN, Bounds { orders: 3, ..two }),
    ]
}
