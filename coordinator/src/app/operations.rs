//! Runs the operations: lets them advance, has their effects carried out, and hands people's and agents' words in.

use super::App;
use crate::{
    api::error::Refusal,
    fleet::Fleet,
    operations::{NotRecorded, Operations, Outside, Task},
    view::{HoldsView, OperationSummary, OperationView},
};
use jiff::Timestamp;
use millwright_decision::operation::Outcome;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// What depends on time or facts alone is looked at this often; what somebody says, at once.
const ADVANCE: Duration = Duration::from_secs(1);

impl App {
    /// Looks at the operations, once nobody changes them.
    pub async fn with_operations<T>(&self, look: impl FnOnce(&Operations) -> T) -> T {
        let operations = self.operations.lock().await;
        look(&operations)
    }

    /// Hands something to the operations on a thread that may wait for the disk, then lets them advance.
    ///
    /// # Errors
    /// The work broke off.
    pub async fn operate<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Operations, &Mutex<Fleet>, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let app = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let mut operations = app.operations.blocking_lock();
            let before = operations.position();
            let done = act(&mut operations, &app.fleet, app.clock.now());
            operations.tell_fleet(&app.fleet, app.clock.now());
            app.tell_of_operations(&operations, before);
            done
        });
        let done = done.await.map_err(Refusal::internal)?;
        self.advance_soon.notify_one();
        Ok(done)
    }

    /// One operation for people.
    ///
    /// # Errors
    /// There is none of that id.
    pub async fn operation_view(&self, id: &str) -> Result<OperationView, Refusal> {
        let policy = self.policy();
        let view = self
            .with_operations(|operations| operations.get(id).map(|tracked| operations.show(tracked, &policy)))
            .await;
        view.ok_or_else(|| NotRecorded::Unknown(id.chars().take(40).collect()).into())
    }

    /// Holds that stand.
    pub fn holds_view(&self) -> HoldsView {
        self.with_fleet(|fleet, _| HoldsView {
            holds: Operations::show_holds(fleet.snapshot(), fleet.policy()),
        })
    }

    /// One round: every operation takes the moves it can take. What is to be done outside comes back.
    async fn advance(self: &Arc<Self>) -> Vec<Task> {
        let app = Arc::clone(self);
        let round = tokio::task::spawn_blocking(move || {
            let mut operations = app.operations.blocking_lock();
            let before = operations.position();
            let tasks = operations.advance(&app.fleet, app.clock.now());
            app.tell_of_operations(&operations, before);
            for tell in operations.take_outbox() {
                log::info!("node" = tell.node.as_str(), "needs_people" = tell.needs_people; "{}", tell.sentence);
            }
            let trouble = match operations.trouble() {
                Some(error) => Some(error.to_string()),
                None => operations.broken().first().map(|(stream, why)| {
                    format!("the record of {stream} cannot be gone on with: {why}; `millwright operations` lists it")
                }),
            };
            app.tell_trouble(trouble);
            if operations.is_fenced() {
                log::error!("another coordinator writes to this store: stopping");
                app.shutdown.ask();
            }
            tasks
        });
        round.await.unwrap_or_else(|error| {
            log::error!("advance the operations: {error}");
            Vec::new()
        })
    }

    fn tell_trouble(&self, trouble: Option<String>) {
        match trouble {
            Some(sentence) if self.troubles.set("operations", sentence.clone(), self.clock.now()) => {
                log::error!("{sentence}")
            }
            Some(_) => {}
            None => {
                self.troubles.clear("operations");
            }
        }
    }

    /// Tells listeners which operations have moved, and agents that there may be orders.
    fn tell_of_operations(&self, operations: &Operations, before: u64) {
        if operations.position() == before {
            return;
        }
        for tracked in operations.list().filter(|tracked| tracked.position > before) {
            let summary: OperationSummary = operations.show_summary(tracked);
            match serde_json::to_string(&summary) {
                Ok(json) => self.events.tell("operation", json),
                Err(error) => log::error!("write an operation as JSON: {error}"),
            }
        }
        self.orders_changed.send_modify(|round| *round += 1);
    }

    /// Has one effect carried out and records how it ended.
    async fn carry_out(self: &Arc<Self>, outside: &Arc<dyn Outside>, task: Task) {
        let key = task.clone();
        let outcome = outside.carry_out(task).await;
        let recorded = self.operate(move |operations, _, now| operations.outcome(&key, outcome, now)).await;
        if let Ok(Err(error @ NotRecorded::Illegal(_))) = recorded {
            log::warn!("an outcome came too late: {error}");
        }
    }
}

/// Runs the operations until the coordinator stops.
pub(super) fn run(app: &Arc<App>, outside: Arc<dyn Outside>) {
    let app = Arc::clone(app);
    let shutdown = app.shutdown.clone();
    shutdown.clone().spawn(async move {
        loop {
            for task in app.advance().await {
                let (app, outside) = (Arc::clone(&app), Arc::clone(&outside));
                // Not waited for at the end: what it does may take an hour, and a start asks what became of it.
                tokio::spawn(async move { app.carry_out(&outside, task).await });
            }
            tokio::select! {
                () = tokio::time::sleep(ADVANCE) => {}
                () = app.advance_soon.notified() => {}
                () = shutdown.asked() => return,
            }
        }
    });
}

/// Nothing outside can be reached: every effect has none.
pub(super) fn unreachable_outcome(what: &str) -> Outcome {
    Outcome::not_done(format!("{what} is not configured in coordinator.toml"))
}
