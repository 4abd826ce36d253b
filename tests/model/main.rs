//! The permit's protocol, checked state by state: ours holds, and each protocol that lacks one of its defences is found
//! broken by the property that defence is for. See `README.md` beside this file.

#![expect(clippy::indexing_slicing, reason = "there are three nodes and two coordinators, whatever happens")]
#![expect(clippy::print_stdout, reason = "a test that says how long the shortest counter-example is")]

mod agent;
mod coordinator;
mod protocol;
mod rules;
mod state;

use protocol::{L1, Protocol, S1, S5, S8_AGENT, S8_STORE, S9, S10, S11};
use rules::{Behind, Bounds, Fault, Rules};
use state::State;
use stateright::{Checker, HasDiscoveries, Model};
use std::{collections::BTreeSet, time::Instant};

#[test]
fn measure() {
    use Fault::*;
    let e = |epochs, orders, ticks, faults: &[Fault]| Bounds { epochs, orders, ticks, skew: 1, hears_singly: false, faults: faults.to_vec() };
    for (name, bounds) in [
        ("none", e(2, 2, 3, &[])),
        ("ends", e(2, 2, 3, &[AgentEnds])), ("veto", e(2,2,3,&[Veto])), ("hand", e(2,2,3,&[ByHand])),
        ("unack dead", e(2, 2, 3, &[Unacknowledged, Dead])),
        ("put back", e(2, 2, 2, &[PutBack, Raised, OtherEntry])),
        ("rolled", e(2, 2, 2, &[RolledBack])),
    ] {
        let begun = Instant::now();
        let checker = Protocol { rules: Rules::RIGHT, bounds }
            .checker()
            .threads(1)
            .symmetry_fn(State::representative)
            .timeout(std::time::Duration::from_secs(60))
            .spawn_dfs()
            .join();
        println!("{name}: {} states {:?} {:?}", checker.unique_state_count(), begun.elapsed(), checker.is_done());
        for (name, path) in checker.discoveries() {
            println!("  {name}: {}", path.clone().into_actions().len());
            if name != L1 {
            for a in path.into_actions() { println!("     {a:?}"); }
            }
        }
    }
}
