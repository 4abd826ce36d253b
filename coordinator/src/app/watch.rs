//! Watches what changes by itself: the policy file, and verdicts, so that "why not last night?" has an answer.

use super::{App, PolicyFile};
use crate::store::VerdictChange;
use millwright_decision::{Action, Request, Verdict};
use millwright_protocol::NodeName;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

/// From one look at the policy file to the next.
const POLICY: Duration = Duration::from_secs(5);
/// From one look at all verdicts to the next.
const VERDICTS: Duration = Duration::from_secs(5);
/// Nodes judged in one go; reports wait meanwhile.
const AT_ONCE: usize = 100;

/// Puts a changed policy in force.
pub(super) fn policy(app: &Arc<App>, mut file: PolicyFile) {
    let app = Arc::clone(app);
    let shutdown = app.shutdown.clone();
    shutdown.spawn(async move {
        while app.pause(POLICY).await {
            let Some(policy) = file.changed() else { continue };
            log::info!("the policy in force is now {} with {} nodes", policy.version, policy.nodes.len());
            let changes = app.with_fleet(|fleet, now| fleet.set_policy(Arc::new(policy), now));
            app.publish(changes);
        }
    });
}

/// Tells which verdicts are not what they were.
pub(super) fn verdicts(app: &Arc<App>) {
    let app = Arc::clone(app);
    let shutdown = app.shutdown.clone();
    shutdown.spawn(async move {
        let mut before = Said::default();
        while app.pause(VERDICTS).await {
            let names: Vec<NodeName> = app.policy().nodes.keys().cloned().collect();
            before.forget_others(&names);
            for some in names.chunks(AT_ONCE) {
                app.publish_verdicts(judge(&app, some, &mut before));
                tokio::task::yield_now().await;
            }
        }
    });
}

/// What was said last, as a digest: a fleet of 10,000 has 40,000 of them.
#[derive(Debug, Default)]
struct Said(HashMap<NodeName, [Option<u64>; Action::DISRUPTIVE.len()]>);

impl Said {
    /// Remembers a verdict; `true` when it is not what was said before. The first one is no change.
    fn is_news(&mut self, name: &NodeName, place: usize, verdict: &Verdict) -> bool {
        let mut hasher = DefaultHasher::new();
        (verdict.verdict, verdict.may_start).hash(&mut hasher);
        verdict.reasons.iter().for_each(|reason| reason.code.hash(&mut hasher));
        let digest = hasher.finish();
        let Some(before) = self.0.entry(name.clone()).or_default().get_mut(place) else { return false };
        before.replace(digest).is_some_and(|before| before != digest)
    }

    /// Drops nodes that are no longer listed.
    fn forget_others(&mut self, names: &[NodeName]) {
        if self.0.len() > names.len() {
            self.0.retain(|name, _| names.binary_search(name).is_ok());
        }
    }
}

fn judge(app: &App, names: &[NodeName], before: &mut Said) -> Vec<VerdictChange> {
    app.with_fleet(|fleet, now| {
        let mut changes = Vec::new();
        for name in names {
            for (place, action) in Action::DISRUPTIVE.into_iter().enumerate() {
                let Ok(verdict) = fleet.judge(&Request::one(action, name.clone()), now) else { continue };
                if before.is_news(name, place, &verdict) {
                    changes.push(VerdictChange::of(&verdict, name, fleet.policy().spell(name), now));
                }
            }
        }
        changes
    })
}
