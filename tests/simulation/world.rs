//! The world of one simulated history: nodes, Mesos, a cloud, people, messages between them, and the production code that
//! looks after it all. Time is virtual; what happens next is taken from one queue.

use super::{
    chance::Chance,
    checker::Checker,
    coverage::Coverage,
    crash::{CountingJournal, Trick, Writes},
    node::{Lie, Sent, SimNode, SimTask, TaskKind, task_of},
};
use jiff::{SignedDuration, Timestamp};
use millwright_agent::memory::Fault as DiskFault;
use millwright_coordinator::{
    fleet::{Fleet, Knock, MasterAgent, MasterAnswer, NodeRecord, Remembered},
    operations::{Operations, Task, Tracked},
    store::journal::{Failure, Journal, MemoryJournal},
    view::NodeState,
};
use millwright_decision::{
    Class, Policy, Protection,
    operation::{Effect, Outcome, Step},
};
use millwright_protocol::{NodeName, Order, OrderEvent, OrderState, Verb};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

#[path = "world/agents.rs"]
mod agents;
#[path = "world/changes.rs"]
mod changes;
#[path = "world/cloud.rs"]
mod cloud;
#[path = "world/coordinator.rs"]
mod coordinator;
#[path = "world/director.rs"]
mod director;
#[path = "world/marathon.rs"]
mod marathon;
#[path = "world/moments.rs"]
mod moments;
#[path = "world/others.rs"]
mod others;
#[path = "world/outside.rs"]
mod outside;
#[path = "world/setting.rs"]
mod setting;
#[path = "world/trouble.rs"]
mod trouble;

pub use changes::OwnClock;
pub use coordinator::Coordinator;
pub use director::{DIRECTED, never};
pub use others::OF_OTHERS;
pub use setting::{FAULTS, Setting};
pub use trouble::OF_MACHINES;

/// What is written is looked at in the same round; by then it surely has been.
const LOOKED_WITHIN: SignedDuration = SignedDuration::from_mins(70);

/// What happens at a moment.
enum Happening {
    Tick,
    Report(NodeName),
    DeliverReport(NodeName, Box<Sent>),
    DeliverOrder(NodeName, serde_json::Value),
    DeliverEvent(NodeName, String, OrderEvent),
    EndOrder(NodeName, u32, Box<Order>),
    RebootNow(NodeName, u32, Box<Order>),
    Boot(NodeName),
    Puppet(NodeName),
    Effect(Box<Task>, u64),
    EffectDone(Box<Task>, u64, Outcome),
    CloudEnds(cloud::Asked),
    TaskStarts,
    TaskEnds(NodeName, String),
    Fault,
    Repair(NodeName),
    CoordinatorStarts,
    SecondStarts,
    Strike(&'static str, NodeName, String),
    StrikeMachine(&'static str, NodeName),
    UncordonedByHand(NodeName),
    AgentStarts(NodeName),
    TellsTruth(NodeName),
    ClockMended,
    PolicyMended,
    Recovers(NodeName),
    People,
    /// Somebody looks in between.
    Visit,
    RaiseGeneration,
    GoesDown(NodeName, i64),
    RebuiltByHand(NodeName),
    CalledOff(String),
    DiskMended(NodeName),
    RoomAgain,
}

/// What Mesos knows of an agent.
#[derive(Debug, Clone)]
pub struct MesosAgent {
    pub node: NodeName,
    pub deactivated: bool,
    pub is_connected: bool,
    /// It has not come to the leading master yet.
    pub unlisted_until: Timestamp,
}

pub struct World {
    pub setting: Setting,
    pub chance: Chance,
    pub now: Timestamp,
    pub started: Timestamp,
    pub policy: Arc<Policy>,
    pub nodes: BTreeMap<NodeName, SimNode>,
    pub mesos: BTreeMap<String, MesosAgent>,
    pub mesos_down_until: Timestamp,
    /// What the cloud was asked for, and took on.
    requests: BTreeMap<cloud::Asked, cloud::Request>,
    pub others: others::Others,
    mesos_elected_at: i64,
    /// What the master says, and a digest of what that comes from.
    mesos_answer: Option<(u64, MasterAnswer)>,
    pub journal: MemoryJournal,
    pub coordinator: Option<Coordinator>,
    /// One that does not know yet that another has taken over, and until when it may live on.
    pub old: Option<(Coordinator, Timestamp)>,
    /// What the store knows of nodes.
    remembered: BTreeMap<NodeName, NodeRecord>,
    /// When the policy was last edited.
    pub policy_changed_at: Timestamp,
    pub checker: Checker,
    pub coverage: Coverage,
    /// When Mesos was last asked.
    mesos_asked_at: Timestamp,
    /// The clock of the coordinator's machine minus the true time.
    pub clock_offset: SignedDuration,
    crl_lost_until: Timestamp,
    /// Where each operation was seen to stand: its place and how that is.
    stands: BTreeMap<String, (usize, &'static str)>,
    /// When something last moved, so that whoever waits for long is looked at more seldom.
    moved_at: Timestamp,
    rounds_at: Timestamp,
    /// When each order was first sent, in truth; an older store may give its number once more.
    pub made: BTreeMap<(String, Timestamp), Timestamp>,
    /// What comes, in its order.
    queue: BTreeMap<(Timestamp, u64), Happening>,
    counted: u64,
    runs: u64,
    tasks_ever: u64,
    /// When an order was last sent, and in which shape.
    sent: BTreeMap<String, (Timestamp, bool)>,
    /// Orders of late, for somebody who sends them again.
    kept_orders: Vec<(NodeName, serde_json::Value)>,
    /// The coordinator stands still, and hears nobody.
    pub paused_until: Timestamp,
    /// Copies of the journal's length, to be put back some day.
    copies: Vec<u64>,
    /// Nothing happens by chance: no tasks, no people, no trouble.
    pub is_quiet: bool,
    /// What was written, and where the coordinator is to die.
    pub writes: Arc<Mutex<Writes>>,
    /// What goes wrong with the effect of that number.
    pub trick: Option<(usize, Trick)>,
    effects: usize,
    /// Somebody calls the first operation off after so many writes.
    pub cancel_after: Option<usize>,
    /// Faults stop here, so that everything can come to its end.
    pub calm_from: Timestamp,
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let policy = Arc::new(setting::policy(&setting));
        // A Saturday morning.
        let now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
        let mut nodes = BTreeMap::new();
        for (name, listed) in &policy.nodes {
            let mut node = SimNode::new(name.clone(), listed.display.clone(), listed.class, now);
            node.attributes.clone_from(&listed.attributes);
            node.confirm_reboot = listed.protections.contains(&Protection::ConfirmReboot);
            node.image = policy.class_of(listed).and_then(|class| class.images.first().cloned());
            node.start_agent(now);
            nodes.insert(name.clone(), node);
        }
        let mut world = Self {
            chance: Chance::new(setting.seed),
            now,
            started: now,
            policy,
            nodes,
            mesos: BTreeMap::new(),
            mesos_down_until: now,
            requests: BTreeMap::new(),
            others: others::Others::default(),
            mesos_elected_at: 1,
            mesos_answer: None,
            journal: MemoryJournal::new(false),
            coordinator: None,
            old: None,
            remembered: BTreeMap::new(),
            policy_changed_at: now,
            checker: Checker::default(),
            coverage: Coverage::default(),
            mesos_asked_at: now,
            clock_offset: SignedDuration::ZERO,
            crl_lost_until: now,
            stands: BTreeMap::new(),
            moved_at: now,
            rounds_at: now,
            made: BTreeMap::new(),
            queue: BTreeMap::new(),
            counted: 0,
            runs: 0,
            tasks_ever: 0,
            sent: BTreeMap::new(),
            kept_orders: Vec::new(),
            paused_until: now,
            copies: Vec::new(),
            is_quiet: false,
            writes: Arc::default(),
            trick: None,
            effects: 0,
            cancel_after: None,
            calm_from: now + SignedDuration::from_hours(setting.hours * 5 / 6),
            setting,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let now = self.now;
        let names: Vec<NodeName> = self.nodes.keys().cloned().collect();
        for name in &names {
            self.register(name);
            let after = self.chance.between(0, 50);
            self.after(after, Happening::Report(name.clone()));
            let after = self.chance.between(0, 1800);
            self.after(after, Happening::Puppet(name.clone()));
        }
        self.start_coordinator();
        self.after(10, Happening::Tick);
        self.after(60, Happening::TaskStarts);
        self.after(900, Happening::Fault);
        self.after(1200, Happening::People);
        let agents: Vec<NodeName> = self.agents().map(|node| node.name.clone()).collect();
        for name in agents.iter().take(self.setting.dead) {
            if let Some(node) = self.nodes.get_mut(name) {
                node.is_dead = true;
                node.go_down(now);
            }
            self.disconnect(name);
        }
    }

    /// Runs until the end of its hours, or until something that must never happen has.
    pub fn run(&mut self) {
        let end = self.started + SignedDuration::from_hours(self.setting.hours);
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            if at > end || self.checker.violation.is_some() {
                break;
            }
            self.now = at;
            self.happen(happening);
        }
        if self.checker.violation.is_none() {
            self.now = end;
            super::checker::at_the_end(self);
        }
    }

    /// Runs until so long after the beginning.
    pub fn run_until(&mut self, length: SignedDuration) {
        let end = self.started + length;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
            self.see_deaths();
        }
        self.now = end;
    }

    /// The coordinator dies when its journal says so, and comes back.
    pub fn see_deaths(&mut self) {
        let is_dead = self.writes.lock().unwrap().is_dead;
        if is_dead {
            {
                let mut writes = self.writes.lock().unwrap();
                writes.is_dead = false;
                writes.die_at = None;
            }
            self.crash_coordinator(30);
        }
        let written = self.writes.lock().unwrap().names.len();
        if self.cancel_after.is_some_and(|after| written > after)
            && let Some(coordinator) = &mut self.coordinator
        {
            self.cancel_after = None;
            let id = coordinator.operations.list().next().map(|tracked| tracked.operation.id.clone());
            if let Some(id) = id {
                let _ = coordinator.operations.cancel(&id, "bob", "not today", false, self.now);
            }
        }
    }

    /// The machine hangs: it does nothing and answers nobody, until it is reset.
    pub fn freeze(&mut self, name: &NodeName) {
        self.take_down(name);
    }

    /// A coordinator starts now.
    pub fn start_now(&mut self) {
        self.start_coordinator();
    }

    /// Hours that were simulated.
    pub fn hours(&self) -> f64 {
        self.now.duration_since(self.started).as_secs_f64() / 3600.0
    }

    fn after(&mut self, seconds: i64, happening: Happening) {
        self.counted += 1;
        let at = self.now + SignedDuration::from_secs(seconds.max(0));
        self.queue.insert((at, self.counted), happening);
    }

    /// Whether trouble of a kind happens now: so many times in ten thousand, and never in the calm at the end.
    pub fn trouble(&mut self, kind: &'static str, in_ten_thousand: u64) -> bool {
        let happens = !self.is_quiet && self.chance.happens(in_ten_thousand);
        happens && self.now < self.calm_from && !self.setting.without.contains(kind)
    }

    pub fn agents(&self) -> impl Iterator<Item = &SimNode> {
        self.nodes.values().filter(|node| node.takes_tasks() && node.class != Class::Physical)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick => self.tick(),
            Happening::Report(name) => self.send_report(&name),
            Happening::DeliverReport(name, report) => self.deliver_report(&name, &report),
            Happening::DeliverOrder(name, order) => self.deliver_order(&name, &order),
            Happening::DeliverEvent(name, id, event) => self.deliver_event(&name, &id, event),
            Happening::EndOrder(name, boot, order) => self.end_order(&name, boot, &order),
            Happening::RebootNow(name, boot, order) => self.reboot_now(&name, boot, &order),
            Happening::Boot(name) => self.boot(&name),
            Happening::Puppet(name) => self.puppet(&name),
            Happening::Effect(task, run) => self.effect(*task, run),
            Happening::EffectDone(task, run, outcome) => self.effect_done(&task, run, outcome),
            Happening::CloudEnds(asked) => self.cloud_ends(&asked),
            Happening::TaskStarts | Happening::Fault | Happening::People | Happening::Visit
                if self.is_quiet => {}
            Happening::TaskStarts => self.start_tasks(),
            Happening::TaskEnds(name, id) => self.end_task(&name, &id),
            Happening::Fault => self.fault(),
            Happening::Repair(name) => self.repair(&name),
            Happening::CoordinatorStarts => self.start_coordinator(),
            Happening::SecondStarts => self.start_second(),
            Happening::Recovers(name) => self.recover(&name),
            Happening::Strike(kind, name, id) => self.strike(kind, &name, Some(&id)),
            Happening::StrikeMachine(kind, name) => self.strike_machine(kind, &name),
            Happening::UncordonedByHand(name) => self.uncordoned_by_hand(&name),
            Happening::AgentStarts(name) => self.agent_starts(&name),
            Happening::TellsTruth(name) => self.tell_truth(&name),
            Happening::ClockMended => self.set_clock(SignedDuration::ZERO),
            Happening::PolicyMended => self.mend_policy(),
            Happening::People => {
                super::people::act(self);
                let after = self.chance.between(200, 1200);
                self.after(after, Happening::People);
            }
            Happening::Visit => super::people::act(self),
            Happening::RaiseGeneration => self.raise_generation(),
            Happening::GoesDown(name, seconds) => self.goes_down(&name, seconds),
            Happening::RebuiltByHand(name) => self.rebuilt_by_hand(&name),
            Happening::CalledOff(id) => self.called_off(&id),
            Happening::DiskMended(name) => self.disk_mended(&name),
            Happening::RoomAgain => self.writes.lock().unwrap().is_full = false,
        }
    }

    fn tick(&mut self) {
        self.look_at_mesos();
        self.look_at_others();
        self.advance_old();
        self.advance();
        // Lazy while nothing goes on, and where everybody has waited for a while: what happens has a round of its own.
        let quiet = self.now.duration_since(self.moved_at).as_secs();
        let is_busy = self.coordinator.as_ref().is_some_and(|coordinator| !coordinator.busy.is_empty());
        self.after(if is_busy && quiet < 120 { 15 } else { 45 }, Happening::Tick);
    }

    /// The next write fails in one of the ways in which writes fail.
    pub(super) fn fail_write(&mut self) {
        self.note("journal", None);
        let failure = self.chance.one_of(&Failure::ALL).copied().unwrap_or(Failure::NotWritten);
        self.journal.fail_next(failure);
    }

    /// Lets time pass for the coordinator: nodes age, operations move, orders go out.
    pub fn advance(&mut self) {
        let seconds = self.now.duration_since(self.rounds_at).as_secs().clamp(1, 45).unsigned_abs();
        self.rounds_at = self.now;
        if self.trouble("journal", 2 * seconds) {
            self.fail_write();
        }
        if self.now.duration_since(self.mesos_asked_at).as_secs() >= 10 {
            self.look_at_mesos();
        }
        let now = self.clock();
        let true_now = self.now;
        let crl = self.crl_expired();
        let is_paused = self.is_paused();
        let Some(coordinator) = self.coordinator.as_mut().filter(|_| !is_paused) else { return };
        let silent = coordinator.fleet().silent_nodes(now);
        for name in silent {
            let answered = self.nodes.get(&name).is_some_and(|node| node.is_up);
            let knock = Knock { answered: Some(answered), story: "knocked".to_owned(), ping: None };
            coordinator.fleet.lock().unwrap().take_ssh(&name, knock, now);
        }
        let before = coordinator.operations.position();
        coordinator.fleet().set_crl_expired(crl);
        coordinator.fleet().tick(now);
        let tasks = coordinator.operations.advance(&coordinator.fleet, now);
        coordinator.note_busy();
        let has_written = coordinator.operations.position() != before;
        if has_written {
            self.moved_at = true_now;
        }
        let run = coordinator.run;
        for task in &tasks {
            if !coordinator.in_flight.insert(effect_of(task)) {
                let sentence =
                    format!("{} of {} is asked for while it is under way", task.step, task.operation);
                self.checker.violate("S24", sentence);
            }
        }
        if coordinator.operations.is_fenced() {
            self.checker.violate("S8", "the only coordinator was fenced off".to_owned());
        }
        self.look_at_story();
        super::checker::look(self);
        self.moved();
        for task in tasks {
            let after = self.chance.between(0, 3);
            self.after(after, Happening::Effect(Box::new(task), run));
        }
        self.send_orders();
        // A crash right behind a write, before anything else.
        if has_written && self.trouble("crash_coordinator", 150) {
            let seconds = self.chance.between(5, 600);
            self.crash_coordinator(seconds);
        }
    }

    /// Counts what has been recorded since the last look.
    fn look_at_story(&mut self) {
        let Some(coordinator) = &self.coordinator else { return };
        let now = coordinator.clock.read(self.now);
        let is_new = |tracked: &&Tracked| now.duration_since(tracked.operation.changed_at) < LOOKED_WITHIN;
        for tracked in
            coordinator.operations.list().filter(|tracked| !tracked.operation.is_over() || is_new(tracked))
        {
            self.coverage.story(tracked);
            if let Some(waiting) = coordinator.operations.waiting(&tracked.operation.id) {
                for reason in &waiting.reasons {
                    self.coverage.reason(reason.code);
                }
            }
        }
        for (class, brake) in &coordinator.fleet().snapshot().brakes {
            let why = if brake.why.contains("failed") { "failures" } else { "storm" };
            self.coverage.brake(*class, why, brake.since);
        }
    }
}

/// What tells one effect from another.
fn effect_of(task: &Task) -> (String, usize, u32, bool) {
    (task.operation.clone(), task.place, task.attempt, task.is_undo)
}
