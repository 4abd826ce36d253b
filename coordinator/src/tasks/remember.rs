//! Hands last known states to the store, a few at a time.

use super::{Hub, Task};
use crate::{store::Store, view::BrakeView};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// So many nodes a run: with a run a second a fleet of 10,000 is stored within its five minutes.
const AT_ONCE: usize = 200;

/// See the module.
pub struct Remember {
    hub: Arc<dyn Hub>,
    store: Arc<Store>,
    brakes: Option<Vec<BrakeView>>,
}

impl Remember {
    /// From the fleet of `hub` into `store`.
    pub fn new(hub: Arc<dyn Hub>, store: Arc<Store>) -> Self {
        Self { hub, store, brakes: None }
    }

    /// Hands over once; `most` nodes, so that the end of the process can hand over all.
    pub fn hand_over(&mut self, most: usize) -> Result<(), String> {
        let taken = self.hub.ask(|fleet, now| {
            let brakes = fleet.snapshot().brakes.iter().map(|(class, brake)| BrakeView {
                class: *class,
                since: brake.since,
                why: brake.why.clone(),
            });
            (brakes.collect::<Vec<_>>(), fleet.unsaved(most, now))
        });
        let Some((brakes, nodes)) = taken else { return Ok(()) };
        if self.brakes.as_ref() != Some(&brakes) {
            self.store.keep_brakes(brakes.clone());
            self.brakes = Some(brakes);
        }
        let names: Vec<_> = nodes.iter().map(|record| record.node.clone()).collect();
        if self.store.keep_nodes(nodes) {
            return Ok(());
        }
        self.hub.ask(|fleet, _| fleet.not_saved(&names));
        Err(format!("the store takes nothing, so {} nodes wait to be stored", names.len()))
    }
}

impl Task for Remember {
    fn name(&self) -> &'static str {
        "remember"
    }

    fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
        let result = self.hand_over(AT_ONCE);
        Box::pin(async { result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::{Fleet, testing},
        store::Retention,
        tasks::testing::TestHub,
    };

    #[tokio::test]
    async fn a_restart_finds_the_nodes_that_were_handed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let mut story = testing::Story::new(3);
        story.rounds(8);
        let now = story.now();
        let hub = Arc::new(TestHub::new(story.fleet, now));
        let (store, _) = Store::open(&path, Retention::default()).unwrap();
        let store = Arc::new(store);
        Remember::new(hub, store.clone()).run().await.unwrap();
        store.close();
        drop(store);
        let (_store, remembered) = Store::open(&path, Retention::default()).unwrap();
        let mut fleet = Fleet::new(testing::policy(3).into(), now);
        fleet.restore(remembered, now);
        let detail = fleet.node_detail(&testing::name("alibuild01"), now).unwrap();
        assert!(detail.is_stale && detail.mesos_agent.is_some());
    }

    #[tokio::test]
    async fn what_the_store_did_not_take_is_handed_over_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut story = testing::Story::new(3);
        story.rounds(8);
        let now = story.now();
        let hub = Arc::new(TestHub::new(story.fleet, now));
        let (store, _) = Store::open(&folder.path().join("store.db"), Retention::default()).unwrap();
        store.close();
        let mut task = Remember::new(hub.clone(), Arc::new(store));
        assert!(task.run().await.is_err());
        assert_eq!(hub.fleet.lock().unwrap().unsaved(100, now).len(), 6);
    }
}
