//! Carries out what the machine has begun: one task for each order, its end told to the machine.

use super::{
    SharedMachine,
    local::LocalFacts,
    look,
    verbs::{
        cleanup, collect_diagnostics, delay, prepull,
        puppet_run::{self, Pace},
        reboot, set_fact, set_whitelist,
    },
};
use crate::{
    board::SharedBoard, clock::Clock, config::Config, docker::Engine, identity::Identity, prepull::Images,
};
use millwright_protocol::{Order, OrderState, Verb};
use std::{
    rc::Rc,
    time::{Duration, SystemTime},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

/// The coordinator hears that a reboot starts, if it answers within this; the reboot does not wait for it longer.
const TELL_WITHIN: Duration = Duration::from_millis(800);

/// The same once the system has begun to go down and waits for us; logind waits five seconds and no longer.
const TELL_MEANWHILE: Duration = Duration::from_secs(3);

/// Everything that verbs act with.
#[derive(Clone)]
pub struct Driver {
    /// What is to be done.
    pub machine: SharedMachine,
    /// How.
    pub config: Rc<Config>,
    /// Who this is.
    pub identity: Identity,
    /// What the checks see.
    pub board: SharedBoard,
    /// The images of pre-pull.
    pub images: Images,
    /// What time it is.
    pub clock: Clock,
    /// Poked when there is something to tell.
    pub tell: Rc<Notify>,
}

impl Driver {
    /// What the node has to say now.
    pub fn look(&self) -> LocalFacts {
        look::look(&self.config, &self.board, (self.clock)())
    }

    /// Carries out an order: at once where that takes a moment, so that one order's end does not stand in the way of the
    /// next, and otherwise in a task of its own.
    pub fn begin(&self, order: Order) {
        if let Some(state) = self.at_once(&order) {
            return self.ended(&order, state);
        }
        let driver = self.clone();
        self.tell.notify_one();
        tokio::task::spawn_local(async move {
            if let Some(state) = driver.carry_out(&order).await {
                driver.ended(&order, state);
            }
        });
    }

    fn ended(&self, order: &Order, state: OrderState) {
        log::info!(order = order.id.as_str(); "{} ended: {}", order.verb.as_str(), in_words(&state));
        self.machine.lock().ended(&order.id, state, (self.clock)());
        self.tell.notify_one();
    }

    /// What became of a verb that waits for nobody; `None` for others.
    fn at_once(&self, order: &Order) -> Option<OrderState> {
        let paths = &self.config.paths;
        Some(match &order.verb {
            Verb::CollectDiagnostics {} => {
                collect_diagnostics::run(&order.id, &self.board, &self.identity, paths, (self.clock)())
            }
            Verb::SetFact { name, value } => {
                set_fact::run(&self.config.orders, paths, name, value.as_deref())
            }
            Verb::SetWhitelist { hosts, version, may_drop } => {
                // The check has seen that there is one.
                let file = paths.rooted(self.config.mesos_master.whitelist.as_deref()?);
                set_whitelist::run(&file, hosts, *version, *may_drop)
            }
            Verb::Reboot { .. } | Verb::PuppetRun { .. } | Verb::Prepull { .. } | Verb::Cleanup { .. } => {
                return None;
            }
        })
    }

    /// What became of a verb that takes its time; `None` where the machine will find out.
    async fn carry_out(&self, order: &Order) -> Option<OrderState> {
        let config = &self.config;
        match &order.verb {
            Verb::Reboot { .. } => self.reboot(order).await,
            Verb::PuppetRun { tries } => Some(puppet_run::run(config, *tries, Pace::default()).await),
            Verb::Prepull { images } => {
                let engine = Engine::new(&config.checks.docker.socket);
                Some(prepull::run(&self.images, &engine, images, &self.clock).await)
            }
            Verb::Cleanup { dry_run } => {
                let (cleanup, paths, dry_run) = (config.cleanup.clone(), config.paths.clone(), *dry_run);
                let round = move || cleanup::run(&cleanup, &paths, dry_run, SystemTime::now());
                let ended = tokio::task::spawn_blocking(round).await;
                Some(ended.unwrap_or_else(|error| OrderState::Unknown {
                    sentence: format!("the cleanup broke: {error}; look at what is left"),
                }))
            }
            Verb::CollectDiagnostics {} | Verb::SetFact { .. } | Verb::SetWhitelist { .. } => None,
        }
    }

    async fn reboot(&self, order: &Order) -> Option<OrderState> {
        // Best effort: a coordinator that does not answer learns it from the next boot.
        let _ = timeout(TELL_WITHIN, self.told(order)).await;
        let delay = match &self.config.orders.reboot_command {
            // No logind is asked for anything.
            Some(_) => None,
            None => match delay::take(&self.config.paths).await {
                Ok(delay) => Some(delay),
                Err(why) => {
                    log::warn!(order = order.id.as_str(); "the reboot will not wait for us: {why}");
                    self.machine.lock().without_delay(&order.id, &why);
                    None
                }
            },
        };
        let facts = self.look();
        if !self.machine.lock().last_look(order, &facts, (self.clock)()) {
            return None;
        }
        log::warn!(order = order.id.as_str(); "this node reboots now: {}", order.reason);
        let ended = reboot::run(&self.config.orders, &self.config.paths).await;
        if let (None, Some(delay)) = (&ended, delay) {
            // The system waits for us: time to tell what could not be told before.
            let _ = timeout(TELL_MEANWHILE, self.told(order)).await;
            drop(delay);
        }
        ended
    }

    /// Waits until the coordinator has heard what there is to say about an order.
    async fn told(&self, order: &Order) {
        while self.machine.lock().is_untold(&order.id) {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn in_words(state: &OrderState) -> &str {
    match state {
        OrderState::Done { .. } => "done",
        OrderState::Failed { sentence, .. }
        | OrderState::Unknown { sentence }
        | OrderState::Refused { sentence, .. } => sentence,
        OrderState::Prepared { .. } | OrderState::Starting => "under way",
    }
}
