//! What schedulers are to take away from a node that is being emptied: instances of services that run elsewhere as well,
//! and the lead of a scheduler on a master. Everything else is left where it is, and waited for or asked about.

use super::{Operation, Situation, next, steps};
use crate::{
    Class, Code, Evidence, Mode, Reason, Severity, Source,
    case::spell,
    fleet::{Movable, Move},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is still to be taken away.
pub(super) enum ToMove {
    /// Nothing that anybody would move.
    Nothing,
    /// These.
    These(Vec<Move>),
    /// Something that could be moved, and whose owner has not agreed.
    Kept(Box<Reason>),
    /// Nobody can tell before this has answered.
    Unknown {
        /// For people.
        sentence: String,
        /// Who has to answer.
        owner: String,
    },
}

/// What is to be taken away from the operation's node now. Where no scheduler may be asked, and where the class is not
/// acted on, that is nothing.
pub(super) fn to_move(operation: &Operation, situation: &Situation<'_>) -> ToMove {
    let movable = &situation.snapshot.movable;
    let policy = situation.policy;
    let listed = policy.nodes.get(&operation.wish.node).and_then(|listed| policy.class_of(listed));
    if movable.is_empty() || listed.is_none_or(|class| class.mode != Mode::Act) {
        return ToMove::Nothing;
    }
    if steps::takes_tasks(operation, situation) && steps::master(operation, situation).is_none() {
        let sentence = "asking the Mesos master what runs there".to_owned();
        return ToMove::Unknown { sentence, owner: "mesos".to_owned() };
    }
    let Services { free: mut wanted, kept } = services(operation, situation);
    let on_it = |known: &Movable| known.on.get(&operation.wish.node).cloned().unwrap_or_default();
    // What was begun is gone through again until it is known to be so.
    let begun = operation.current_step().map(|(_, record)| record.moves.as_slice()).unwrap_or_default();
    let mut moves: BTreeSet<Move> =
        begun.iter().filter(|begun| movable.contains_key(&begun.by())).cloned().collect();
    for known in movable.values().filter(|known| !known.is_old(situation.now)) {
        for found in on_it(known) {
            let is_meant = match &found {
                Move::Task { task, .. } => wanted.remove(task),
                Move::Lead { .. } => operation.wish.class == Class::Master,
            };
            if is_meant {
                moves.insert(found);
            }
        }
    }
    // Once the rest was moved nobody would come back for these: so all wait for the owner's yes.
    let is_known = |task: &str| {
        let is_it = |found: &Move| matches!(found, Move::Task { task: known, .. } if known == task);
        movable.values().any(|known| known.moves_tasks && on_it(known).iter().any(is_it))
    };
    if let Some((_, reason)) = kept.into_iter().find(|(task, _)| is_known(task)) {
        return ToMove::Kept(Box::new(reason));
    }
    // A lead goes over by itself when its server does, so nothing waits for it.
    let is_silent = |(_, known): &(&Source, &Movable)| known.moves_tasks && known.is_old(situation.now);
    if let Some((source, known)) = movable.iter().find(is_silent).filter(|_| !wanted.is_empty()) {
        let age = known.age(situation.now).map_or_else(String::new, |age| format!(" for {}", spell(age)));
        let sentence = format!("{} has not said{age} what it has there", source.title());
        return ToMove::Unknown { sentence, owner: source.to_string() };
    }
    if moves.is_empty() { ToMove::Nothing } else { ToMove::These(moves.into_iter().collect()) }
}

/// Tasks of services there of which another instance is healthy.
struct Services {
    /// Nobody objects to their going.
    free: BTreeSet<String>,
    /// Their owner has not agreed, as the objection says.
    kept: BTreeMap<String, Reason>,
}

fn services(operation: &Operation, situation: &Situation<'_>) -> Services {
    let mut services = Services { free: BTreeSet::new(), kept: BTreeMap::new() };
    for reason in next::verdict(operation, situation).reasons {
        let Some(task) = reason.evidence.iter().find(|fact| fact.fact == "task") else { continue };
        let task = task.value.clone();
        match reason.code {
            Code::TaskService if reason.severity == Severity::Wait => drop(services.free.insert(task)),
            Code::OwnerObjects => drop(services.kept.insert(task, reason)),
            _ => {}
        }
    }
    services.free.retain(|task| !services.kept.contains_key(task));
    services
}

/// What could run elsewhere and nobody moves, by name: the proof of emptiness waits for it.
pub(super) fn left(operation: &Operation, situation: &Situation<'_>) -> Vec<Evidence> {
    let reasons = next::verdict(operation, situation).reasons;
    let services = reasons.iter().filter(|reason| reason.code == Code::TaskService);
    services.map(|reason| Evidence::new("service", &reason.sentence, "decision")).collect()
}
