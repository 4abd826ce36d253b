//! The composition root: builds everything and hands it down. No decision is taken here.

use crate::{
    api::{self, error::Refusal},
    clock::Clock,
    config::Config,
    dashboard,
    events::Events,
    fleet::{Fleet, Taken},
    metrics::Metrics,
    shutdown::Shutdown,
    view::{Acknowledgement, FleetView, NodeDetail, Transition},
};
use axum::Router;
use jiff::Timestamp;
use millwright_protocol::{NodeName, Report};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

/// What every way in may use. Built once; shared by reference.
pub struct App {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How this installation is set up.
    pub config: Config,
    /// How it stops.
    pub shutdown: Shutdown,
    /// What is told to listeners.
    pub events: Events,
    /// What is counted.
    pub metrics: Metrics,
    fleet: Mutex<Fleet>,
    audit: Mutex<Vec<AuditEntry>>,
}

/// Who said what.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub by: String,
    pub what: String,
    pub about: String,
    pub reason: String,
}

impl App {
    /// With everything it needs.
    pub fn new(config: Config, clock: Arc<dyn Clock>, fleet: Fleet, shutdown: Shutdown) -> Arc<Self> {
        let events = Events::new(clock.now().as_millisecond().to_string());
        Arc::new(Self {
            clock,
            config,
            shutdown,
            events,
            metrics: Metrics::default(),
            fleet: Mutex::new(fleet),
            audit: Mutex::default(),
        })
    }

    /// Looks at the fleet, or changes it, at this moment. The closure must be quick: everybody else waits.
    pub fn with_fleet<T>(&self, look: impl FnOnce(&mut Fleet, Timestamp) -> T) -> T {
        let mut fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut fleet, self.clock.now())
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
        self.with_fleet(|fleet, now| fleet.fleet_view(now, Vec::new()))
    }

    /// One node for people.
    pub fn node_detail(&self, name: &NodeName) -> Option<NodeDetail> {
        self.with_fleet(|fleet, now| fleet.node_detail(name, now))
    }

    /// Tells listeners, store and notices what changed.
    pub fn publish(&self, transitions: Vec<Transition>) {
        for transition in transitions {
            if let Ok(json) = serde_json::to_string(&transition) {
                self.events.tell("node", json);
            }
        }
    }

    pub async fn record(&self, by: &str, what: &str, about: &str, reason: &str) -> Result<(), Refusal> {
        let entry = AuditEntry {
            at: self.clock.now(),
            by: by.into(),
            what: what.into(),
            about: about.into(),
            reason: reason.into(),
        };
        self.audit.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        Ok(())
    }

    pub async fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, Refusal> {
        Ok(self
            .audit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .rev()
            .take(limit)
            .cloned()
            .collect())
    }

    pub async fn keep_acknowledgement(&self, _: &Acknowledgement) -> Result<(), Refusal> {
        Ok(())
    }

    /// What operators reach: API and dashboard, on loopback and on the Unix socket.
    pub fn operators(self: &Arc<Self>) -> Router {
        api::operators(self, dashboard::routes::<Self>())
    }

    /// What agents reach.
    pub fn agents(self: &Arc<Self>) -> Router {
        api::agents(self)
    }
}
