//! Runs the operations: lets them advance, has their effects carried out, and hands people's and agents' words in.

use super::App;
use crate::{
    api::error::Refusal,
    fleet::{Fleet, ForeignNote, Holding, SeenAgent},
    integrations::mesos::{self, ForeignChange, ForeignKind, Intent, MesosAct, foreign_changes},
    operations::{Errands, NotRecorded, Operations, OrderAnswer, Outside, Task},
    view::{HoldsView, OperationSummary, OperationView},
};
use jiff::Timestamp;
use millwright_decision::operation::Outcome;
use millwright_protocol::{NodeName, Order, OrderState};
use std::{
    sync::{Arc, Mutex, PoisonError},
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

    /// Looks at the errands, or changes them. The closure must be quick.
    pub(super) fn with_errands<T>(&self, look: impl FnOnce(&mut Errands, Timestamp) -> T) -> T {
        let mut errands = self.errands.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut errands, self.clock.now())
    }

    /// What the agent of a node is to do now: for its own operations first, then for those of others.
    pub async fn orders(&self, node: &NodeName) -> Vec<Order> {
        let (policy, now) = (self.policy(), self.clock.now());
        let mut orders = self.with_operations(|operations| operations.orders(node, &policy, now)).await;
        orders.extend(self.with_errands(|errands, now| errands.orders(node, now)));
        orders
    }

    /// Takes in what an agent says became of an order.
    ///
    /// # Errors
    /// It cannot be recorded: the agent says it again.
    pub async fn order_event(
        self: &Arc<Self>,
        node: NodeName,
        id: String,
        state: OrderState,
    ) -> Result<OrderAnswer, Refusal> {
        if let Some(answer) = self.with_errands(|errands, _| errands.answer(&node, &id, &state)) {
            self.errands_answered.send_modify(|round| *round += 1);
            return Ok(answer);
        }
        Ok(self.operate(move |operations, _, now| operations.order_event(&node, &id, &state, now)).await??)
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
    async fn advance(self: &Arc<Self>) -> Round {
        let app = Arc::clone(self);
        let round = tokio::task::spawn_blocking(move || {
            let mut operations = app.operations.blocking_lock();
            let before = operations.position();
            let tasks = operations.advance(&app.fleet, app.clock.now());
            let new_ids = app.look_for_others();
            app.tell_of_operations(&operations, before);
            app.post.leave(operations.take_outbox());
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
                return Round::default();
            }
            Round { tasks, new_ids }
        });
        round.await.unwrap_or_else(|error| {
            log::error!("advance the operations: {error}");
            Round::default()
        })
    }

    /// Notices what others did to the offers of nodes, once with each answer of the Mesos master. Returns the ids under
    /// which held nodes have come back and get offers.
    fn look_for_others(&self) -> Vec<ForeignChange> {
        let mut known = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        let (news, new_ids) = self.with_fleet(|fleet, now| {
            let answers = fleet.mesos_answers();
            if known.0 == answers {
                return (Vec::new(), Vec::new());
            }
            let intent = |name: &NodeName, agents: &[SeenAgent]| {
                let held = fleet.held(name)?;
                let ids = agents.iter().map(|agent| agent.id.to_string());
                let agent_ids = if held.agent_ids.is_empty() { ids.collect() } else { held.agent_ids };
                Some(match held.what {
                    Holding::Stopped => Intent::Held { agent_ids },
                    Holding::Changing => Intent::Changing,
                })
            };
            let intents = fleet
                .decided_agents()
                .filter_map(|(name, agents)| Some((name.clone(), intent(name, agents)?)))
                .collect();
            let found = foreign_changes(&intents, fleet.decided_agents(), &known.1, now);
            let note = |change: &ForeignChange| ForeignNote {
                node: change.node.clone(),
                what: format!("{:?}", change.what).to_lowercase(),
                sentence: change.sentence(fleet.policy().spell(&change.node)),
                since: change.since,
            };
            let notes = found.iter().map(note).collect();
            let is_new = |change: &&ForeignChange| change.what == ForeignKind::NewId;
            let new_ids = found.iter().filter(is_new).cloned().collect();
            *known = (answers, found);
            (fleet.note_foreign(notes, now), new_ids)
        });
        drop(known);
        self.publish(news);
        new_ids
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

/// What one round asks for.
#[derive(Default)]
struct Round {
    tasks: Vec<Task>,
    /// Under which ids held nodes have come back to Mesos.
    new_ids: Vec<ForeignChange>,
}

/// A node is held under whatever id Mesos gives it next: its cordon stands recorded. The next answer of the master tells
/// whether it came to something; if not, it is tried again.
async fn hold_as_well(app: Arc<App>, mesos: Arc<dyn MesosAct>, new: ForeignChange) {
    let _turn = app.offers_turn.lock().await;
    let is_held =
        app.with_fleet(|fleet, _| fleet.held(&new.node).is_some_and(|held| held.what == Holding::Stopped));
    if !is_held {
        return;
    }
    let (node, id) = (&new.node, &new.agent_id);
    match mesos.deactivate(id).await {
        mesos::Outcome::Done(_) => log::info!("{node} is held under its new Mesos id {id} as well"),
        mesos::Outcome::NotDone(why) | mesos::Outcome::Unknown(why) => {
            log::warn!(
                "hold {node} under its new Mesos id {id} as well: {why}; tried again with the master's next answer"
            );
        }
    }
}

/// Runs the operations until the coordinator stops.
pub(super) fn run(app: &Arc<App>, outside: Arc<dyn Outside>, mesos: Option<Arc<dyn MesosAct>>) {
    let app = Arc::clone(app);
    let shutdown = app.shutdown.clone();
    shutdown.clone().spawn(async move {
        loop {
            let round = app.advance().await;
            for new in round.new_ids {
                if let Some(mesos) = mesos.clone() {
                    tokio::spawn(hold_as_well(Arc::clone(&app), mesos, new));
                }
            }
            for task in round.tasks {
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
