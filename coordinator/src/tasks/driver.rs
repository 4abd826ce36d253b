//! Runs each task at its rhythm, never twice at once, and keeps how the last run went.

use super::{Hub, Task};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::MissedTickBehavior};

/// How a task is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TaskStatus {
    /// Runs that ended.
    pub runs: u64,
    /// When the last one ended.
    pub last_at: Option<Timestamp>,
    /// Why it failed, when it did.
    pub last_error: Option<String>,
    /// Since when every run fails.
    pub failing_since: Option<Timestamp>,
}

type Statuses = Arc<Mutex<BTreeMap<&'static str, TaskStatus>>>;

/// Everything that runs in the background; dropping it ends all of it.
pub struct Driver {
    hub: Arc<dyn Hub>,
    statuses: Statuses,
    running: JoinSet<()>,
}

impl Driver {
    /// Without tasks yet.
    pub fn new(hub: Arc<dyn Hub>) -> Self {
        Self { hub, statuses: Statuses::default(), running: JoinSet::new() }
    }

    /// Runs a task now and then every `period` from now on. A run that takes longer delays the next.
    pub fn every(&mut self, period: Duration, mut task: impl Task + 'static) {
        let hub = self.hub.clone();
        let statuses = self.statuses.clone();
        self.running.spawn(async move {
            let mut rhythm = tokio::time::interval(period);
            rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rhythm.tick().await;
                let result = task.run().await;
                note(&statuses, task.name(), result, hub.now());
            }
        });
    }

    /// How each task is doing, by name.
    pub fn statuses(&self) -> BTreeMap<&'static str, TaskStatus> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Keeps the outcome; logs when it becomes another one, not each time.
fn note(statuses: &Statuses, name: &'static str, result: Result<(), String>, now: Timestamp) {
    let mut statuses = statuses.lock().unwrap_or_else(PoisonError::into_inner);
    let status = statuses.entry(name).or_default();
    status.runs += 1;
    status.last_at = Some(now);
    match &result {
        Err(why) if status.last_error.is_none() => log::warn!(task = name; "{name}: {why}"),
        Ok(()) if status.last_error.is_some() => log::info!(task = name; "{name} works again"),
        _ => {}
    }
    status.failing_since = result.is_err().then(|| status.failing_since.unwrap_or(now));
    status.last_error = result.err();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::{Fleet, testing},
        tasks::testing::TestHub,
    };
    use futures_util::future::BoxFuture;

    struct Flaky(u32);

    impl Task for Flaky {
        fn name(&self) -> &'static str {
            "flaky"
        }

        fn run(&mut self) -> BoxFuture<'_, Result<(), String>> {
            self.0 += 1;
            let fails = self.0 < 3;
            Box::pin(async move { if fails { Err("not yet".to_owned()) } else { Ok(()) } })
        }
    }

    #[tokio::test]
    async fn a_task_that_fails_runs_again_and_says_how_it_went() {
        let fleet = Fleet::new(testing::policy(1).into(), testing::at(0));
        let hub = Arc::new(TestHub::new(fleet, testing::at(5)));
        let mut driver = Driver::new(hub);
        driver.every(Duration::from_millis(1), Flaky(0));
        let mut seen_failing = false;
        loop {
            let status = driver.statuses().get("flaky").cloned().unwrap_or_default();
            seen_failing |= status.failing_since == Some(testing::at(5));
            if status.runs >= 3 {
                assert_eq!((status.last_error, status.failing_since), (None, None));
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(seen_failing);
    }
}
