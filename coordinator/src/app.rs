//! The composition root: builds everything and hands it down. No decision is taken here.

mod announce;
mod background;
mod backup;
mod check;
mod cloud;
mod moves;
mod notify_test;
mod operations;
mod outside;
mod people;
mod places;
mod policy_file;
mod start;
mod tokens;
mod unasked;
mod watch;
mod whitelist;

pub use backup::{HandlingError, backup, hand_over, raise_generation, restore, take_back};
pub use check::{check, is_in_use};
pub use notify_test::notify_test;
pub use people::DoorError;
pub use policy_file::{PolicyFile, this_host};
pub use start::{Announcement, StartError, run};
pub use tokens::{Wanted, Which};

use crate::{
    api::{self, error::Refusal},
    clock::Clock,
    config::Config,
    dashboard,
    events::Events,
    fleet::{Fleet, Taken},
    integrations::mesos::ForeignChange,
    metrics::Metrics,
    notice::Post,
    operations::{Errands, Operations},
    people::Caller,
    serve::{Doorkeeper, Refusals},
    shutdown::Shutdown,
    store::{AuditEntry, OpenError, Store, journal::JournalError},
    tasks::MesosNews,
    troubles::Troubles,
    view::{Acknowledgement, FleetView, NodeDetail, OwnTrouble, Transition, VerdictChange},
};
use axum::Router;
use jiff::Timestamp;
use millwright_decision::Policy;
use millwright_protocol::{NodeName, Report};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, Notify, broadcast, watch::Sender as WatchSender};

/// Changes of a node that its page shows.
const HISTORY: usize = 100;
/// Earlier verdicts that are shown of each action: a night on a busy node.
const VERDICTS: usize = 40;
/// How many batches of changes a listener inside the coordinator may lag.
const LAG: usize = 1024;

/// Why an application cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nobody could be recognised.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What every way in may use. Built once; shared by reference.
pub struct App {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How this installation is set up.
    pub config: Config,
    /// How it stops.
    pub shutdown: Shutdown,
    /// What outlives the process.
    pub store: Arc<Store>,
    /// What is told to listeners outside.
    pub events: Events,
    /// What changed, for listeners inside, in the order in which it did.
    pub changes: broadcast::Sender<Arc<[Transition]>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whom we did not let in.
    refusals: Refusals,
    /// What people who are not looking should hear.
    pub post: Arc<Post>,
    /// What is wrong with the coordinator itself.
    pub troubles: Arc<Troubles>,
    door: people::Door,
    /// Where the journal ended when we started.
    started_at_position: u64,
    /// As which writer to the store we run.
    pub epoch: u64,
    /// Always taken before the fleet, never after it. Held while the disk is waited for, so nobody blocks a thread for it.
    operations: AsyncMutex<Operations>,
    fleet: Mutex<Fleet>,
    /// Somebody has said something that lets an operation go on.
    advance_soon: Notify,
    /// Grows whenever there may be other orders than before.
    pub orders_changed: WatchSender<u64>,
    /// What others did to the offers of nodes, as of that answer of the Mesos master.
    foreign: Mutex<(u64, Vec<ForeignChange>)>,
    /// Orders to other nodes than an operation's own.
    errands: Mutex<Errands>,
    /// Grows whenever one of them was answered.
    errands_answered: WatchSender<u64>,
    /// Whose turn it is to stop offers or let them flow.
    offers_turn: AsyncMutex<()>,
    /// Asks the Mesos master at once.
    pub mesos_news: Arc<MesosNews>,
}

impl App {
    /// With everything it needs; nothing runs yet.
    ///
    /// # Errors
    /// Nobody could be recognised, or the journal cannot be read.
    pub fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        fleet: Fleet,
        store: Store,
    ) -> Result<Arc<Self>, BuildError> {
        let operations = Operations::open(Arc::new(store.journal()?))?;
        let run = clock.now().as_millisecond().to_string();
        Ok(Arc::new(Self {
            epoch: operations.fence().epoch,
            started_at_position: operations.position(),
            door: people::Door::new(&config, &store, clock.now())?,
            clock,
            config,
            shutdown: Shutdown::default(),
            events: Events::new(run),
            changes: broadcast::channel(LAG).0,
            metrics: Arc::default(),
            refusals: Refusals::default(),
            post: Arc::default(),
            troubles: Arc::default(),
            operations: AsyncMutex::new(operations),
            fleet: Mutex::new(fleet),
            advance_soon: Notify::new(),
            orders_changed: WatchSender::new(0),
            foreign: Mutex::default(),
            errands: Mutex::default(),
            errands_answered: WatchSender::new(0),
            offers_turn: AsyncMutex::default(),
            mesos_news: Arc::default(),
            store: Arc::new(store),
        }))
    }

    /// Looks at the fleet, or changes it, at this moment. The closure must be quick: everybody else waits.
    pub fn with_fleet<T>(&self, look: impl FnOnce(&mut Fleet, Timestamp) -> T) -> T {
        let mut fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut fleet, self.clock.now())
    }

    /// Whether this has not been told of that host lately. (What hosts do wrong, they do every few seconds, for ever.)
    pub fn is_news(&self, of: &str, why: &str) -> bool {
        self.refusals.is_news(of, why, self.clock.now())
    }

    /// Whether nobody but root may change anything: X3, the list of who is revoked is too old.
    pub fn is_read_only(&self) -> bool {
        self.with_fleet(|fleet, _| fleet.snapshot().crl_expired.is_some())
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.with_fleet(|fleet, _| Arc::clone(fleet.policy()))
    }

    /// Takes in a report and tells what changed.
    pub fn take_report(&self, name: &NodeName, report: Report) -> Taken {
        let mut taken = self.with_fleet(|fleet, now| fleet.take_report(name, report, now));
        self.metrics.reports.increment();
        if taken.late {
            self.metrics.reports_late.increment();
        }
        self.publish(std::mem::take(&mut taken.transitions));
        taken
    }

    /// The whole fleet for people.
    pub fn fleet_view(&self) -> FleetView {
        let troubles = self.own_troubles();
        self.with_fleet(|fleet, now| fleet.fleet_view(now, troubles))
    }

    fn own_troubles(&self) -> Vec<OwnTrouble> {
        self.troubles.list().into_iter().chain(self.store.trouble()).collect()
    }

    /// One node for people, with its history; without, when the store cannot be read.
    pub async fn node_detail(&self, name: &NodeName) -> Option<NodeDetail> {
        let mut detail = self.with_fleet(|fleet, now| fleet.node_detail(name, now))?;
        let of = name.clone();
        let look =
            move |store: &Store| Ok((store.history(Some(&of), HISTORY)?, store.verdicts(&of, VERDICTS)?));
        match self.read_store(look).await {
            Ok((history, verdicts)) => {
                detail.history = history;
                detail.verdict_history = verdicts;
            }
            Err(refusal) => {
                log::warn!("node.id" = name.as_str(); "show the history of {name}: {}", refusal.message);
            }
        }
        Some(detail)
    }

    /// Tells everybody what changed.
    pub fn publish(&self, transitions: Vec<Transition>) {
        if transitions.is_empty() {
            return;
        }
        for transition in &transitions {
            log::info!("node.id" = transition.key.as_str(), "what" = transition.what.as_str(); "{}", transition.sentence);
            match serde_json::to_string(transition) {
                Ok(json) => self.events.tell("node", json),
                Err(error) => log::error!("write a change as JSON: {error}"),
            }
        }
        // An error means that nobody listens.
        let _ = self.changes.send(Arc::from(transitions.as_slice()));
        self.store.keep_changes(transitions);
    }

    /// Tells everybody which verdicts are not what they were.
    pub fn publish_verdicts(&self, changes: Vec<VerdictChange>) {
        for change in &changes {
            match serde_json::to_string(change) {
                Ok(json) => self.events.tell("verdict", json),
                Err(error) => log::error!("write a verdict as JSON: {error}"),
            }
        }
        self.store.keep_verdicts(changes);
    }

    /// Drops what the store knows of a node, so that a restart does not bring it back.
    ///
    /// # Errors
    /// `store_unavailable` when it is still there.
    pub async fn drop_stored(&self, name: &NodeName) -> Result<(), Refusal> {
        self.store.forget_node(name.clone()).await.map_err(Refusal::not_kept)
    }

    /// Keeps what a person said; returns once it is on the disk.
    ///
    /// # Errors
    /// `store_unavailable` when it is not.
    pub async fn record(&self, by: &str, what: &str, about: &str, reason: &str) -> Result<(), Refusal> {
        log::info!("about" = about, "by" = by; "{by}: {what} {about}: {reason}");
        let entry = AuditEntry {
            at: self.clock.now(),
            by: by.to_owned(),
            what: what.to_owned(),
            about: about.to_owned(),
            reason: reason.to_owned(),
        };
        self.store.keep_audit(entry).await.map_err(Refusal::not_kept)
    }

    /// What people said, newest first.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, Refusal> {
        self.read_store(move |store| store.audit(limit)).await
    }

    /// Keeps an acknowledgement; returns once it is on the disk.
    ///
    /// # Errors
    /// `store_unavailable` when it is not.
    pub async fn keep_acknowledgement(&self, given: &Acknowledgement) -> Result<(), Refusal> {
        self.store.keep_acknowledgement(given.clone()).await.map_err(Refusal::not_kept)
    }

    /// Reads the store on a thread that may wait for the disk.
    pub(crate) async fn read_store<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> Result<T, crate::store::StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || look(&store)).await {
            Ok(read) => Ok(read?),
            Err(error) => Err(Refusal::internal(error)),
        }
    }

    /// Has the Mesos master asked at once, because something was done there.
    pub fn ask_mesos_soon(&self) {
        self.mesos_news.tell();
    }

    /// Waits; `false` when the coordinator stops meanwhile.
    pub async fn pause(&self, length: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(length) => true,
            () = self.shutdown.asked() => false,
        }
    }

    /// Says on behalf of a page what a program would post to `path` of the API.
    ///
    /// # Errors
    /// The API's refusal.
    pub async fn say(
        self: &Arc<Self>,
        caller: &Caller,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, Refusal> {
        api::inside::post(self, caller, path, body).await
    }

    /// What operators reach: API and dashboard, on loopback and on the Unix socket.
    pub fn operators(self: &Arc<Self>) -> Router {
        api::operators(self, dashboard::routes::<Self>().merge(dashboard::people::routes()))
    }

    /// What agents reach.
    pub fn agents(self: &Arc<Self>) -> Router {
        api::agents(self)
    }
}

impl Doorkeeper for App {
    fn not_let_in(&self, from: IpAddr, why: &str) {
        self.metrics.handshakes_refused.increment();
        if self.is_news(&from.to_string(), why) {
            log::warn!("did not let {from} in: {why}");
        }
    }

    fn cut(&self, certname: &str, why: &str) {
        self.metrics.connections_cut.increment();
        if self.is_news(certname, why) {
            log::warn!("closed a connection of {certname}: {why}");
        }
    }

    fn refused(&self, certname: &str, status: u16) {
        // The answer itself was counted and says why; each kind is told for itself.
        if self.is_news(&format!("{certname} {status}"), "refused") {
            log::warn!(
                "refused a request of {certname} with status {status}; its agent's log has the answer"
            );
        }
    }
}
