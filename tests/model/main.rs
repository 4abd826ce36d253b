//! The permit's protocol, checked state by state: ours holds, and each protocol that lacks one of its defences is found
//! broken by the property which that defence is for. See `README.md` beside this file.

#![expect(clippy::indexing_slicing, reason = "there are three nodes and two coordinators, whatever happens")]
#![expect(clippy::panic, reason = "a test without a counter-example has failed")]
#![expect(clippy::print_stdout, reason = "tests that say how far they looked")]

mod agent;
mod coordinator;
mod protocol;
mod rules;
mod state;
mod variants;
mod worlds;

use protocol::{L1, Protocol};
use rules::{Bounds, Rules};
use state::State;
use stateright::{Checker, HasDiscoveries, Model};
use std::time::Instant;
use variants::Broken;

/// Whether to look at the larger worlds.
fn is_large() -> bool {
    std::env::var("MILLWRIGHT_MODEL").is_ok_and(|size| size == "large")
}

/// How many threads look.
fn threads() -> usize {
    if is_large() { std::thread::available_parallelism().map_or(1, usize::from) } else { 1 }
}

/// Looks at every state of that world, and returns how many those are.
fn holds(world: &str, rules: Rules, bounds: Bounds) -> usize {
    let begun = Instant::now();
    let checker = Protocol { rules, bounds }
        .checker()
        .threads(threads())
        .symmetry_fn(State::representative)
        .spawn_dfs()
        .join();
    let states = checker.unique_state_count();
    println!("{world}: {states} states in {:.0?}", begun.elapsed());
    checker.assert_properties();
    assert!(checker.discovery(L1).is_some(), "{world}: nothing ever happens");
    states
}

/// Looks for the shortest history in which each of those properties fails.
fn is_found_broken(broken: Broken) {
    let Broken { name, rules, bounds, fails } = broken;
    let all_found = HasDiscoveries::AllOf(fails.iter().copied().collect());
    let checker = Protocol { rules, bounds }.checker().threads(1).finish_when(all_found).spawn_bfs().join();
    let states = checker.unique_state_count();
    for property in fails {
        let Some(path) = checker.discovery(property) else {
            panic!("{name}: no counter-example to `{property}` in {states} states");
        };
        let steps = path.into_actions();
        println!("{name}: breaks `{property}` in {} steps ({states} states looked at)", steps.len());
        if is_large() {
            steps.iter().for_each(|step| println!("    {step:?}"));
        }
    }
}

#[test]
fn a_permit_is_safe_in_every_world() {
    let states: usize = worlds::all()
        .into_iter()
        .map(|world| holds(world.name, Rules::RIGHT, if is_large() { world.large } else { world.small }))
        .sum();
    println!("{states} states in all, and no violation");
}

#[test]
fn an_agent_that_notes_the_end_of_a_permit_needs_no_wait() {
    let rules = Rules { wait: 0, notes_the_end: true, ..Rules::RIGHT };
    holds("the end is noted", rules, Bounds { epochs: 2, ..worlds::PLAIN });
}

#[test]
fn each_missing_defence_is_found_by_the_property_it_is_for() {
    variants::broken().into_iter().for_each(is_found_broken);
}
