//! What an operation does to systems that know its node as a host: alarms are masked and put back, and what remains of a node
//! that was deleted is looked for.

use super::{App, operations::unreachable_outcome};
use crate::{
    integrations::{
        Observe,
        hosts::{Host, Hosts},
        roger::RogerAct,
    },
    operations::Task,
};
use futures_util::future::join_all;
use millwright_decision::{
    Action, Alarms, Class,
    operation::{Outcome, Remain, Step, ledger_evidence, remains},
};
use std::sync::{Arc, Weak};

/// The nodes that policy lists at the moment and that are ours, each under its whole name.
pub(super) fn hosts(app: &Arc<App>) -> Hosts {
    let app: Weak<App> = Arc::downgrade(app);
    Arc::new(move |domain| {
        let Some(app) = app.upgrade() else { return Vec::new() };
        let policy = app.policy();
        let ours = policy.nodes.iter().filter(|(_, listed)| listed.class != Class::Physical);
        ours.map(|(name, listed)| Host::new(name.clone(), &listed.display, domain)).collect()
    })
}

/// Masks the alarms of a node, or puts them back.
pub(super) async fn alarms(
    app: Arc<App>,
    roger: Option<Arc<dyn RogerAct>>,
    task: Task,
    before: Alarms,
) -> Outcome {
    let (Some(roger), Some(config)) = (roger, &app.config.roger) else {
        return unreachable_outcome("roger");
    };
    let host = Host::new(task.node.clone(), app.policy().spell(&task.node), &config.domain).name;
    if task.is_undo {
        return roger.restore(&host, &before, &task.operation).await;
    }
    let why = format!("{host} is being {}", Action::Delete.past());
    roger.mask(&host, &before, &task.operation, &why).await
}

/// The ledger's command has ended well: what do those say that know hosts?
pub(super) async fn read_back(
    app: Arc<App>,
    places: Vec<Arc<dyn Observe>>,
    task: Task,
    outcome: Outcome,
) -> Outcome {
    let Outcome::Done { mut evidence, was_so } = outcome else { return outcome };
    if task.step != Step::Ledger || places.is_empty() {
        return Outcome::Done { evidence, was_so };
    }
    let asked_at = app.clock.now();
    let answers =
        join_all(places.iter().map(|place| async move { (place.source(), place.look().await) })).await;
    for (source, answer) in answers {
        let mut answer = Some(answer);
        let news = app.with_fleet(|fleet, _| {
            answer.take().map(|answer| fleet.take_observation(source, answer, asked_at)).unwrap_or_default()
        });
        app.publish(news);
    }
    let found = app
        .with_operations(|operations| {
            let wish = &operations.get(&task.operation)?.operation.wish;
            let began = operations.get(&task.operation)?.operation.steps.get(task.place)?.began_at;
            Some((wish.by.clone(), began?))
        })
        .await;
    let Some((by, since)) = found else { return Outcome::unknown("the operation is not there any more") };
    let seen = app.with_fleet(|fleet, now| {
        remains(fleet.snapshot().nodes.get(&task.node).map(Box::as_ref), since, now)
    });
    let still = seen.iter().find_map(|remain| match remain {
        Remain::Still { place, host, .. } => Some(format!("{place} still knows {host}")),
        _ => None,
    });
    let titles: Vec<&str> = places.iter().map(|place| place.source().title()).collect();
    let silent = seen.iter().find_map(|remain| match remain {
        Remain::Unproven { place } if titles.contains(place) => Some(format!("{place} does not say")),
        _ => None,
    });
    match still.or(silent) {
        Some(why) => Outcome::unknown(format!(
            "its command has ended well, and {why}; this ends by itself once it is gone there, or see to it and confirm `done`"
        )),
        None => {
            evidence.extend(ledger_evidence(&seen, &by));
            Outcome::Done { evidence, was_so }
        }
    }
}
