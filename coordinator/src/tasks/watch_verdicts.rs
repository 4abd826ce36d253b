//! Notes when a verdict about a node becomes another one, for "why not last night?".

use super::{Hub, Task};
use crate::store::{Store, VerdictChange};
use futures_util::future::BoxFuture;
use millwright_decision::{Action, Request};
use millwright_protocol::NodeName;
use std::{collections::BTreeMap, sync::Arc};

/// So many nodes are judged before others get at the fleet again.
const AT_ONCE: usize = 50;

/// See the module.
pub struct WatchVerdicts {
    hub: Arc<dyn Hub>,
    store: Arc<Store>,
    known: BTreeMap<(NodeName, Action), VerdictChange>,
}

impl WatchVerdicts {
    /// About the fleet of `hub`, into `store`.
    pub fn new(hub: Arc<dyn Hub>, store: Arc<Store>) -> Self {
        Self { hub, store, known: BTreeMap::new() }
    }

    async fn watch(&mut self) -> Result<(), String> {
        let listed = self.hub.ask(|fleet, _| fleet.policy().nodes.keys().cloned().collect::<Vec<_>>());
        let listed = listed.unwrap_or_default();
        self.known.retain(|(name, _), _| listed.binary_search(name).is_ok());
        for some in listed.chunks(AT_ONCE) {
            let verdicts = self.hub.ask(|fleet, now| {
                let spelled: Vec<_> =
                    some.iter().map(|name| (name.clone(), fleet.policy().spell(name).to_owned())).collect();
                let mut verdicts = Vec::new();
                for (name, spelled) in spelled {
                    for action in Action::DISRUPTIVE {
                        if let Ok(verdict) = fleet.judge(&Request::one(action, name.clone()), now) {
                            verdicts.push((
                                (name.clone(), action),
                                VerdictChange::of(&verdict, &name, &spelled, now),
                            ));
                        }
                    }
                }
                verdicts
            });
            self.keep(verdicts.unwrap_or_default());
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn keep(&mut self, verdicts: Vec<((NodeName, Action), VerdictChange)>) {
        let mut changes = Vec::new();
        for (about, verdict) in verdicts {
            if self.known.get(&about).is_none_or(|known| !known.says_the_same(&verdict)) {
                self.known.insert(about, verdict.clone());
                changes.push(verdict);
            }
        }
        self.store.keep_verdicts(changes);
    }
}

impl Task for WatchVerdicts {
    fn name(&self) -> &'static str {
        "watch_verdicts"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.watch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::testing::{Story, name},
        store::Retention,
        tasks::testing::TestHub,
    };

    #[tokio::test]
    async fn a_verdict_is_kept_when_it_changes_and_not_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let (store, _) = Store::open(&path, Retention::default()).unwrap();
        let store = Arc::new(store);
        let mut story = Story::new(3);
        story.rounds(1);
        let now = story.now();
        let hub = Arc::new(TestHub::new(story.fleet, now));
        let mut task = WatchVerdicts::new(hub.clone(), store.clone());
        task.run().await.unwrap();
        task.run().await.unwrap();
        let of = |verdicts: Vec<VerdictChange>| -> Vec<String> {
            verdicts
                .into_iter()
                .filter(|change| change.action == "drain")
                .map(|change| change.verdict)
                .collect()
        };
        *hub.now.lock().unwrap() = crate::fleet::testing::at(900);
        task.run().await.unwrap();
        drop(task);
        store.close();
        assert_eq!(of(store.verdicts(&name("alibuild01"), 100).unwrap()), ["needs_people", "wait"]);
    }
}
