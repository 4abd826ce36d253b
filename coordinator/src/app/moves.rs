//! Has schedulers take away from a node what can run elsewhere: one after the other, each looked at once more right before.
//!
//! One that cannot be moved keeps the others from nothing. What is not so at the end is told by name, and tried again.

#[cfg(test)]
mod tests;

use super::{App, operations::unreachable_outcome};
use crate::{
    fleet::Place,
    integrations::moving::{Errand, MoveAway},
    operations::Task,
};
use futures_util::future::BoxFuture;
use millwright_decision::{Evidence, Source, fleet::Move, operation::Outcome};
use millwright_protocol::NodeName;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Schedulers that we may ask.
pub(super) type Movers = BTreeMap<Source, Arc<dyn MoveAway>>;

/// Takes them away in their order.
pub(super) async fn carry_out(app: Arc<App>, movers: Movers, task: Task, moves: Vec<Move>) -> Outcome {
    let look = |one: &Move| look_once_more(Arc::clone(&app), task.clone(), one.clone());
    take_away(&movers, &task.node, &moves, &look).await
}

/// Where it must not be any more, or what speaks against taking it away by now.
fn look_once_more(app: Arc<App>, task: Task, one: Move) -> BoxFuture<'static, Result<Place, String>> {
    Box::pin(async move {
        let cancelled = app
            .with_operations(|operations| Some(operations.get(&task.operation)?.operation.cancelled.clone()))
            .await;
        match cancelled {
            None => return Err(format!("{} is not there any more", task.operation)),
            Some(Some(cancelled)) => return Err(format!("{} has called it off", cancelled.by)),
            Some(None) => {}
        }
        app.with_fleet(|fleet, now| match &one {
            Move::Task { task: id, .. } => fleet.may_move(&task.node, id, now),
            Move::Lead { .. } => fleet.may_act(&task.node, now).map(|()| Place::default()),
        })
    })
}

/// Takes them away in their order; `look` says of each where it must not be any more, or what speaks against it by now.
async fn take_away(
    movers: &Movers,
    node: &NodeName,
    moves: &[Move],
    look: &(dyn Fn(&Move) -> BoxFuture<'static, Result<Place, String>> + Sync),
) -> Outcome {
    let mut evidence = Vec::new();
    let mut failures: Vec<(String, Option<String>)> = Vec::new();
    for one in moves {
        match take_one(movers, node, one, look(one).await).await {
            Outcome::Done { evidence: seen, .. } => {
                log::info!("node.id" = node.as_str(); "{one} is taken away");
                evidence.extend(seen);
            }
            Outcome::NotDone { why, refusal } => failures.push((why, refusal)),
            // What nobody knows is settled before anything else is touched.
            Outcome::Unknown { question } => {
                failures.push((question, None));
                return Outcome::unknown(told(&failures, &evidence));
            }
        }
    }
    if failures.is_empty() {
        return Outcome::done(evidence);
    }
    let words: BTreeSet<Option<&str>> = failures.iter().map(|(_, refusal)| refusal.as_deref()).collect();
    // One word stands for all of them, or none does.
    let refusal = words.first().copied().flatten().filter(|_| words.len() == 1).map(str::to_owned);
    Outcome::NotDone { why: told(&failures, &evidence), refusal }
}

async fn take_one(movers: &Movers, node: &NodeName, one: &Move, place: Result<Place, String>) -> Outcome {
    let Some(mover) = movers.get(&one.by()) else {
        return unreachable_outcome(&format!("{}.move_tasks", one.by()));
    };
    match (one, place) {
        (Move::Task { service, task, .. }, Ok(place)) => {
            let errand = Errand { service: service.clone(), task: task.clone(), place };
            mover.move_task(&errand).await
        }
        (Move::Task { task, .. }, Err(why)) => Outcome::not_done(format!("{task} is not moved: {why}")),
        (Move::Lead { by }, Ok(_)) => or_told(*by, mover.hand_over(node).await),
        (Move::Lead { by }, Err(why)) => or_told(*by, Outcome::not_done(why)),
    }
}

/// A lead goes over by itself when its server stops: that it could not be given away before is told, and is no failure.
fn or_told(by: Source, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::NotDone { why, .. } | Outcome::Unknown { question: why } => {
            Outcome::done(vec![Evidence::new(format!("{by}_leader"), why, by.as_str())])
        }
        done => done,
    }
}

/// What was not done, and what was.
fn told(failures: &[(String, Option<String>)], evidence: &[Evidence]) -> String {
    let why: Vec<&str> = failures.iter().map(|(why, _)| why.as_str()).collect();
    let moved: Vec<&str> = evidence.iter().filter_map(|fact| fact.fact.strip_prefix("task ")).collect();
    let moved = if moved.is_empty() { String::new() } else { format!(" (moved: {})", moved.join(", ")) };
    format!("{}{moved}", why.join("; "))
}
