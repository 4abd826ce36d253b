//! Protocols that each lack one defence, the world in which that shows, and the properties that then fail.

use crate::{
    protocol::{S1, S5, S8_AGENT, S8_STORE, S9, S10, S11},
    rules::{Behind, Bounds, Fault, Rules},
    worlds::{PLAIN, with},
};

/// A protocol that must be found broken.
pub struct Broken {
    /// What it lacks.
    pub name: &'static str,
    pub rules: Rules,
    pub bounds: Bounds,
    /// What must be seen to fail, each.
    pub fails: &'static [&'static str],
}

const RIGHT: Rules = Rules::RIGHT;

/// Every one.
pub fn broken() -> Vec<Broken> {
    use Fault::{AgentEnds, ByHand, OtherEntry, PutBack, Raised, RolledBack, Unacknowledged, Veto};
    let at_once = Bounds { ticks: 0, ..PLAIN };
    let two_at_once = Bounds { epochs: 2, ..at_once.clone() };
    let put_back = || with(&[PutBack, Raised], two_at_once.clone());
    let broken = |name, fails, bounds, rules| Broken { name, rules, bounds, fails };
    vec![
        // Hearing of every node and fencing each would be enough, and could not go on while one is dead.
        broken(
            "agents fence, and no permit is in the store",
            &[S1],
            two_at_once.clone(),
            Rules { permit_in_store: false, hears_all_first: false, keeps_told_fence: false, ..RIGHT },
        ),
        broken(
            "an append is for any fence",
            &[S8_STORE],
            two_at_once.clone(),
            Rules { compares_fence: false, ..RIGHT },
        ),
        broken(
            "an append is for any position",
            &[S1],
            with(&[Unacknowledged], two_at_once.clone()),
            Rules { compares_position: false, ..RIGHT },
        ),
        broken(
            "an agent carries out what is over",
            &[S1, S11],
            PLAIN,
            Rules { heeds_expiry: false, ..RIGHT },
        ),
        broken(
            "a permit is let go before every clock has passed its end",
            &[S1],
            PLAIN,
            Rules { wait: 0, ..RIGHT },
        ),
        broken("a permit is let go by its age", &[S1, S5], PLAIN, Rules { releases_by_age: true, ..RIGHT }),
        broken(
            "an agent forgets orders when it ends",
            &[S1, S10],
            with(&[AgentEnds, Veto], at_once.clone()),
            Rules { syncs_orders: false, ..RIGHT },
        ),
        broken(
            "an agent listens to an older coordinator",
            &[S8_AGENT],
            two_at_once.clone(),
            Rules { heeds_epoch: false, ..RIGHT },
        ),
        broken(
            "an order is for any boot",
            &[S1],
            with(&[ByHand], PLAIN),
            Rules { heeds_boot: false, ..RIGHT },
        ),
        broken(
            "an agent listens to any generation",
            &[S1],
            put_back(),
            Rules { heeds_generation: false, ..RIGHT },
        ),
        broken(
            "an agent learns of a generation by orders only",
            &[S1],
            put_back(),
            Rules { keeps_told_fence: false, ..RIGHT },
        ),
        broken(
            "an older copy is known by its last position",
            &[S9],
            with(&[PutBack, OtherEntry], two_at_once.clone()),
            Rules { behind: Behind::ByPosition, ..RIGHT },
        ),
        broken(
            "a coordinator permits before it has heard of every node",
            &[S1, S9],
            with(&[PutBack], two_at_once.clone()),
            Rules { hears_all_first: false, ..RIGHT },
        ),
        broken(
            "a reboot takes one step",
            &[S1],
            with(&[PutBack], two_at_once.clone()),
            Rules { two_steps: false, ..RIGHT },
        ),
        broken(
            "an agent does not notice that its machine was put back",
            &[S1, S10],
            with(&[RolledBack], Bounds { ticks: 1, ..PLAIN }),
            Rules { notices_rollback: false, ..RIGHT },
        ),
    ]
}
