//! What a check is: a name, a rhythm, a deadline, and one way to look.
//!
//! A check only looks. Whether a status has lasted long enough to be believed, since when it holds, and what
//! a missed deadline means is the ledger's business, so that every check behaves alike.

use jiff::Timestamp;
use millwright_protocol::{
    ContainerFacts, Evidence, ImageFact, MesosAgentFacts, MesosMasterFacts, PuppetFacts, Status, SystemFacts,
    VolumeFact, ZooKeeperFacts,
};
use std::{future::Future, pin::Pin, time::Duration};

/// How often a check looks, and how long one look may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// From the start of one look to the start of the next.
    pub every: Duration,
    /// After this the look is abandoned and counts as timed out.
    pub deadline: Duration,
}

/// What one look saw about one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Which thing, where a check looks at several: a mount point, a container.
    pub item: Option<String>,
    /// How it is right now.
    pub status: Status,
    /// Whether it keeps the node from counting as healthy (DESIGN section 4 lists these).
    pub gating: bool,
    /// How long a status other than `ok` must last before it is believed; zero believes at once.
    pub debounce: Duration,
    /// What it counts as until then, where nothing worse was known before.
    pub meanwhile: Status,
    /// What was seen, as one sentence for a tired person.
    pub sentence: String,
    /// What the sentence rests on.
    pub evidence: Vec<Evidence>,
    /// What to do next, where there is something to do.
    pub next: Option<String>,
}

impl Observation {
    /// An observation about the check's one and only thing, not gating, believed at once.
    pub fn new(status: Status, sentence: impl Into<String>) -> Self {
        Self {
            item: None,
            status,
            gating: false,
            debounce: Duration::ZERO,
            meanwhile: Status::Ok,
            sentence: sentence.into(),
            evidence: Vec::new(),
            next: None,
        }
    }

    /// Names the thing.
    #[must_use]
    pub fn item(mut self, item: impl Into<String>) -> Self {
        self.item = Some(item.into());
        self
    }

    /// Marks it as gating.
    #[must_use]
    pub fn gating(mut self) -> Self {
        self.gating = true;
        self
    }

    /// Believed only after lasting this long.
    #[must_use]
    pub fn debounce(mut self, debounce: Duration) -> Self {
        self.debounce = debounce;
        self
    }

    /// Counts as a warning until it is believed: people see it at once, and nothing is decided by it.
    #[must_use]
    pub fn warning_meanwhile(mut self) -> Self {
        self.meanwhile = Status::Warn;
        self
    }

    /// Adds a fact it rests on.
    #[must_use]
    pub fn evidence(mut self, fact: &str, value: impl ToString, source: &str) -> Self {
        self.evidence.push(Evidence::new(fact, value, source));
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// A part of the report's facts, replaced as a whole by each look that knows it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is the field of `Facts` it replaces")]
pub enum FactPart {
    MesosAgent(Option<MesosAgentFacts>),
    MesosMaster(Option<MesosMasterFacts>),
    Containers(Option<ContainerFacts>),
    Volumes(Vec<VolumeFact>),
    Images(Vec<ImageFact>),
    ZooKeeper(Option<ZooKeeperFacts>),
    Puppet(Option<PuppetFacts>),
    System(SystemFacts),
}

/// What one look brought home.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    /// Everything this check has to say now; items it no longer names are forgotten.
    pub observations: Vec<Observation>,
    /// Facts for the report.
    pub facts: Vec<FactPart>,
}

/// A look under way. It is dropped at the deadline, so it must not block the thread.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Look> + 'a>>;

/// One check.
pub trait Check {
    /// A lower-case word, the `check` of its findings.
    fn name(&self) -> &'static str;

    /// Whether a look that never comes home keeps the node from counting as healthy.
    fn is_gating(&self) -> bool;

    /// The one item it looks at, where there are several checks of this name; findings about a look that
    /// never came home carry it.
    fn item(&self) -> Option<&str> {
        None
    }

    /// What a person does next when a look never comes home.
    fn when_silent(&self) -> Option<&str> {
        None
    }

    /// When and how long it looks.
    fn rhythm(&self) -> Rhythm;

    /// Looks once. `now` is the wall clock at the start of the look.
    fn look(&mut self, now: Timestamp) -> Looking<'_>;
}
