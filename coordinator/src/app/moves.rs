//! Has schedulers take away from a node what can run elsewhere: one after the other, each looked at once more right before.
//!
//! One that cannot be moved keeps the others from nothing. What is not so at the end is told by name, and tried again.

use super::{App, operations::unreachable_outcome};
use crate::{
    integrations::moving::{Errand, MoveAway},
    operations::Task,
};
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
    let mut evidence = Vec::new();
    let mut failures: Vec<(String, Option<String>)> = Vec::new();
    for one in &moves {
        let outcome = match (one, movers.get(&one.by())) {
            (_, None) => unreachable_outcome(&format!("{}.move_tasks", one.by())),
            (Move::Task { service, task: id, .. }, Some(mover)) => {
                move_task(&app, mover.as_ref(), &task.node, service, id).await
            }
            (Move::Lead { by }, Some(mover)) => hand_over(&app, mover.as_ref(), &task.node, *by).await,
        };
        match outcome {
            Outcome::Done { evidence: seen, .. } => {
                log::info!("operation" = task.operation.as_str(), "node.id" = task.node.as_str(); "{one} has moved");
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

/// What was not done, and what was.
fn told(failures: &[(String, Option<String>)], evidence: &[Evidence]) -> String {
    let why: Vec<&str> = failures.iter().map(|(why, _)| why.as_str()).collect();
    let moved = evidence.iter().filter_map(|fact| fact.fact.strip_prefix("task "));
    let moved: Vec<&str> = moved.collect();
    let moved = if moved.is_empty() { String::new() } else { format!(" (moved: {})", moved.join(", ")) };
    format!("{}{moved}", why.join("; "))
}

async fn move_task(app: &App, mover: &dyn MoveAway, node: &NodeName, service: &str, id: &str) -> Outcome {
    match app.with_fleet(|fleet, now| fleet.may_move(node, id, now)) {
        Ok(place) => {
            let errand = Errand { service: service.to_owned(), task: id.to_owned(), place };
            mover.move_task(&errand).await
        }
        Err(why) => Outcome::not_done(format!("{id} is not moved: {why}")),
    }
}

/// A lead goes over by itself when its server stops, so that it could not be given away before is told and no failure.
async fn hand_over(app: &App, mover: &dyn MoveAway, node: &NodeName, by: Source) -> Outcome {
    let outcome = match app.with_fleet(|fleet, now| fleet.may_act(node, now)) {
        Ok(()) => mover.hand_over(node).await,
        Err(why) => Outcome::not_done(why),
    };
    match outcome {
        Outcome::NotDone { why, .. } | Outcome::Unknown { question: why } => {
            Outcome::done(vec![Evidence::new(format!("{by}_leader"), why, by.as_str())])
        }
        done => done,
    }
}
