//! The world of one simulated history: nodes, Mesos, a cloud, people, messages between them, and the production code that
//! looks after it all. Time is virtual; what happens next is taken from one queue.

use super::{
    chance::Chance,
    checker::Checker,
    coverage::Coverage,
    crash::{CountingJournal, Trick, Writes},
    node::{SimNode, SimTask, task_of},
};
use jiff::{SignedDuration, Timestamp};
use millwright_coordinator::{
    fleet::{Fleet, Knock, MasterAgent, MasterAnswer},
    operations::{Operations, Task},
    store::journal::{Failure, Journal, MemoryJournal},
};
use millwright_decision::{
    Class, Mode, Policy, Protection,
    operation::{Effect, Executor, Outcome, Step},
};
use millwright_protocol::{NodeName, Order, OrderEvent, OrderState, Report, Verb};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

const SHIPPED: &str = include_str!("../../packaging/coordinator/etc/millwright/policy.alice.toml");

/// Which kinds of trouble there are. Each can be left out, to find the ones a failure needs.
pub const FAULTS: [&str; 12] = [
    "crash_coordinator",
    "journal",
    "messages",
    "partition",
    "node_death",
    "docker",
    "agent_restart",
    "mesos",
    "cloud",
    "hand_reboot",
    "clock",
    "restored_store",
];

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Setting {
    pub seed: u64,
    pub hours: i64,
    /// Agents beside the three masters.
    pub agents: usize,
    /// Kinds of trouble that do not happen.
    pub without: BTreeSet<&'static str>,
    /// Nodes that are dead from the first hour on, for ever.
    pub dead: usize,
}

/// What happens at a moment.
enum Happening {
    Tick,
    Report(NodeName),
    DeliverReport(NodeName, Box<Report>),
    DeliverOrder(NodeName, serde_json::Value),
    DeliverEvent(NodeName, String, OrderEvent),
    EndOrder(NodeName, u32, Box<Order>),
    RebootNow(NodeName, u32, Box<Order>),
    Boot(NodeName),
    Puppet(NodeName),
    Effect(Box<Task>, u64),
    EffectDone(Box<Task>, u64, Outcome),
    TaskStarts,
    TaskEnds(NodeName, String),
    Fault,
    Repair(NodeName),
    CoordinatorStarts,
    MesosBack,
    People,
    RaiseGeneration,
}

pub struct Coordinator {
    pub fleet: Mutex<Fleet>,
    pub operations: Operations,
    /// Which run of it, so that what was begun by an earlier one comes to nothing.
    pub run: u64,
}

impl Coordinator {
    pub fn fleet(&self) -> std::sync::MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap()
    }
}

/// What Mesos knows of an agent.
#[derive(Debug, Clone)]
pub struct MesosAgent {
    pub node: NodeName,
    pub deactivated: bool,
    pub is_connected: bool,
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
    pub journal: MemoryJournal,
    pub coordinator: Option<Coordinator>,
    pub checker: Checker,
    pub coverage: Coverage,
    queue: BinaryHeap<Reverse<(Timestamp, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    counted: u64,
    runs: u64,
    tasks_ever: u64,
    /// When an order was last sent, and in which shape.
    sent: BTreeMap<String, (Timestamp, bool)>,
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
        let policy = Arc::new(policy(setting.agents));
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
            journal: MemoryJournal::new(false),
            coordinator: None,
            checker: Checker::default(),
            coverage: Coverage::default(),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            counted: 0,
            runs: 0,
            tasks_ever: 0,
            sent: BTreeMap::new(),
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
        while let Some(Reverse((at, number))) = self.queue.pop() {
            if at > end || self.checker.violation.is_some() {
                break;
            }
            self.now = at;
            if let Some(happening) = self.happenings.remove(&number) {
                self.happen(happening);
            }
        }
        if self.checker.violation.is_none() {
            self.now = end;
            super::checker::at_the_end(self);
        }
    }

    /// Runs until so long after the beginning.
    pub fn run_until(&mut self, length: SignedDuration) {
        let end = self.started + length;
        while self.queue.peek().is_some_and(|Reverse((at, _))| *at <= end) {
            let Some(Reverse((at, number))) = self.queue.pop() else { break };
            self.now = at;
            if let Some(happening) = self.happenings.remove(&number) {
                self.happen(happening);
            }
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
        self.queue.push(Reverse((self.now + SignedDuration::from_secs(seconds.max(0)), self.counted)));
        self.happenings.insert(self.counted, happening);
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
            Happening::DeliverReport(name, report) => self.deliver_report(&name, *report),
            Happening::DeliverOrder(name, order) => self.deliver_order(&name, &order),
            Happening::DeliverEvent(name, id, event) => self.deliver_event(&name, &id, event),
            Happening::EndOrder(name, boot, order) => self.end_order(&name, boot, &order),
            Happening::RebootNow(name, boot, order) => self.reboot_now(&name, boot, &order),
            Happening::Boot(name) => self.boot(&name),
            Happening::Puppet(name) => self.puppet(&name),
            Happening::Effect(task, run) => self.effect(*task, run),
            Happening::EffectDone(task, run, outcome) => self.effect_done(&task, run, outcome),
            Happening::TaskStarts | Happening::Fault | Happening::People if self.is_quiet => {}
            Happening::TaskStarts => self.start_tasks(),
            Happening::TaskEnds(name, id) => self.end_task(&name, &id),
            Happening::Fault => self.fault(),
            Happening::Repair(name) => self.repair(&name),
            Happening::CoordinatorStarts => self.start_coordinator(),
            Happening::MesosBack => {}
            Happening::People => {
                super::people::act(self);
                let after = self.chance.between(300, 1800);
                self.after(after, Happening::People);
            }
            Happening::RaiseGeneration => self.raise_generation(),
        }
    }

    // The coordinator.

    fn start_coordinator(&mut self) {
        if self.coordinator.is_some() {
            return;
        }
        self.runs += 1;
        self.journal = self.journal.reopen();
        let fleet = Fleet::new(Arc::clone(&self.policy), self.now);
        let journal = CountingJournal { inner: self.journal.clone(), writes: Arc::clone(&self.writes) };
        let operations = Operations::open(Arc::new(journal)).unwrap();
        if let Some((stream, why)) = operations.broken().first() {
            self.checker.violate("S15", format!("{stream} cannot be replayed: {why}"));
        }
        self.checker.replayed(&operations);
        self.coordinator = Some(Coordinator { fleet: Mutex::new(fleet), operations, run: self.runs });
    }

    pub fn crash_coordinator(&mut self, seconds: i64) {
        if self.coordinator.take().is_some() {
            self.coverage.count("fault/crash_coordinator");
            self.journal.crash();
            self.after(seconds, Happening::CoordinatorStarts);
        }
    }

    fn tick(&mut self) {
        self.look_at_mesos();
        self.advance();
        let busy = self.coordinator.as_ref().is_some_and(|coordinator| {
            coordinator.operations.list().any(|tracked| !tracked.operation.is_over())
        });
        // Lazy while nothing is going on: the same facts, told more seldom.
        self.after(if busy { 15 } else { 45 }, Happening::Tick);
    }

    /// Lets time pass for the coordinator: nodes age, operations move, orders go out.
    pub fn advance(&mut self) {
        let now = self.now;
        if self.trouble("journal", 20) {
            self.coverage.count("fault/journal");
            let failure = self.chance.one_of(&Failure::ALL).copied().unwrap_or(Failure::NotWritten);
            self.journal.fail_next(failure);
        }
        let Some(coordinator) = &mut self.coordinator else { return };
        let silent = coordinator.fleet().silent_nodes(now);
        for name in silent {
            let answered = self.nodes.get(&name).is_some_and(|node| node.is_up);
            let knock = Knock { answered: Some(answered), story: "knocked".to_owned() };
            coordinator.fleet.lock().unwrap().take_ssh(&name, knock, now);
        }
        coordinator.fleet().tick(now);
        let tasks = coordinator.operations.advance(&coordinator.fleet, now);
        let run = coordinator.run;
        if coordinator.operations.is_fenced() {
            self.checker.violate("S8", "the only coordinator was fenced off".to_owned());
        }
        self.look_at_story();
        super::checker::look(self);
        for task in tasks {
            let after = self.chance.between(0, 3);
            self.after(after, Happening::Effect(Box::new(task), run));
        }
        self.send_orders();
        // A crash right behind a write, before anything else.
        if self.trouble("crash_coordinator", 15) {
            let seconds = self.chance.between(5, 600);
            self.crash_coordinator(seconds);
        }
    }

    /// Counts what has been recorded since the last look.
    fn look_at_story(&mut self) {
        let Some(coordinator) = &self.coordinator else { return };
        for tracked in coordinator.operations.list() {
            self.coverage.story(tracked);
            if let Some(waiting) = coordinator.operations.waiting(&tracked.operation.id) {
                for reason in &waiting.reasons {
                    self.coverage.count_word("code", reason.code.as_str());
                }
            }
        }
    }

    fn send_orders(&mut self) {
        let Some(coordinator) = &self.coordinator else { return };
        let mut sent = Vec::new();
        let wanted: BTreeSet<NodeName> = coordinator
            .operations
            .list()
            .filter(|tracked| !tracked.operation.is_over())
            .map(|tracked| tracked.operation.wish.node.clone())
            .collect();
        for name in wanted {
            for order in coordinator.operations.orders(&name, &self.policy, self.now) {
                let commits = matches!(&order.verb, Verb::Reboot { commit: Some(_), .. });
                let last = self.sent.insert(order.id.clone(), (self.now, commits));
                let is_lately = last.is_some_and(|(at, committed)| {
                    committed == commits && self.now.duration_since(at).as_secs() < 20
                });
                if is_lately {
                    self.sent.insert(order.id.clone(), last.unwrap());
                } else {
                    sent.push((name.clone(), serde_json::to_value(order).unwrap()));
                }
            }
        }
        for (name, order) in sent {
            self.send_order(name, order);
        }
    }

    fn send_order(&mut self, name: NodeName, order: serde_json::Value) {
        if self.trouble("messages", 300) {
            self.coverage.count("fault/message_lost");
            return;
        }
        let late = if self.trouble("messages", 200) {
            self.chance.between(60, 900)
        } else {
            self.chance.between(0, 4)
        };
        if self.trouble("messages", 500) {
            self.coverage.count("fault/message_twice");
            let again = self.chance.between(1, 900);
            self.after(again, Happening::DeliverOrder(name.clone(), order.clone()));
        }
        self.after(late, Happening::DeliverOrder(name, order));
    }

    // The agents.

    fn is_cut_off(&self, name: &NodeName) -> bool {
        self.nodes.get(name).is_none_or(|node| self.now < node.cut_off_until)
    }

    fn send_report(&mut self, name: &NodeName) {
        let busy = self.coordinator.as_ref().is_some_and(|coordinator| {
            coordinator
                .operations
                .list()
                .any(|tracked| !tracked.operation.is_over() && tracked.operation.wish.node == *name)
        });
        self.after(if busy { 10 } else { 45 }, Happening::Report(name.clone()));
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name) else { return };
        let goes_down = node.agent.as_ref().is_none_or(|agent| agent.is_going_down());
        if !node.is_up || goes_down || node.class == Class::Physical {
            return;
        }
        let report = node.report(now);
        if self.trouble("messages", 200) {
            return;
        }
        let late = self.chance.between(0, 2);
        self.after(late, Happening::DeliverReport(name.clone(), Box::new(report)));
    }

    fn deliver_report(&mut self, name: &NodeName, report: Report) {
        if self.is_cut_off(name) {
            return;
        }
        let now = self.now;
        let Some(coordinator) = &mut self.coordinator else { return };
        coordinator.fleet().take_report(name, report, now);
        let fence = coordinator.operations.fence();
        if let Some(node) = self.nodes.get_mut(name) {
            let moment = node.moment(now);
            if let Some(agent) = &mut node.agent {
                agent.hear_fence(fence);
                agent.hear_clock(now, moment.uptime.saturating_sub(Duration::from_secs(1)), moment.uptime);
                agent.tick(moment);
            }
        }
        self.tell_untold(name);
    }

    fn deliver_order(&mut self, name: &NodeName, order: &serde_json::Value) {
        if self.is_cut_off(name) {
            return;
        }
        let nonce = format!("nonce-{}", self.chance.below(u64::MAX));
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name) else { return };
        let (moment, facts, boot) = (node.moment(now), node.local_facts(), node.boots);
        let Some(agent) = &mut node.agent else { return };
        let begun = agent.order(order, &facts, &nonce, moment);
        if let Some(order) = begun {
            self.checker.begun(name, &order, now);
            let happening = |order: Order| match order.verb {
                Verb::Reboot { .. } => (1, Happening::RebootNow(name.clone(), boot, Box::new(order))),
                _ => (120, Happening::EndOrder(name.clone(), boot, Box::new(order))),
            };
            let (seconds, happening) = happening(order);
            self.after(seconds, happening);
        }
        self.tell_untold(name);
    }

    /// What an agent has to say goes out; it is said again until somebody answers.
    fn tell_untold(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let Some((id, event)) = node.agent.as_ref().and_then(|agent| agent.untold()) else { return };
        if self.trouble("messages", 500) {
            return;
        }
        let late = self.chance.between(0, 3);
        self.after(late, Happening::DeliverEvent(name.clone(), id, event));
    }

    fn deliver_event(&mut self, name: &NodeName, id: &str, event: OrderEvent) {
        if self.is_cut_off(name) {
            return;
        }
        let now = self.now;
        let Some(coordinator) = &mut self.coordinator else { return };
        let taken = coordinator.operations.order_event(name, id, &event.state, now);
        self.coverage.count_word("order", state_word(&event.state));
        if taken.is_err() || self.trouble("messages", 300) {
            return;
        }
        if let Some(agent) = self.nodes.get_mut(name).and_then(|node| node.agent.as_mut()) {
            agent.told(id, &event);
        }
        self.advance();
        self.tell_untold(name);
    }

    fn end_order(&mut self, name: &NodeName, boot: u32, order: &Order) {
        let fails = !self.is_quiet && self.chance.happens(800);
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.boots == boot) else { return };
        let moment = node.moment(now);
        let Some(agent) = &mut node.agent else { return };
        let state = if fails {
            OrderState::Failed { sentence: "it failed this time".to_owned(), evidence: Vec::new() }
        } else {
            match &order.verb {
                Verb::Prepull { .. } => node.has_image = true,
                _ => {
                    node.puppet_clean += 1;
                    node.puppet_failed = 0;
                }
            }
            OrderState::Done { evidence: Vec::new() }
        };
        agent.ended(&order.id, state, moment);
        self.tell_untold(name);
    }

    fn reboot_now(&mut self, name: &NodeName, boot: u32, order: &Order) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.boots == boot && node.is_up) else {
            return;
        };
        let (facts, moment) = (node.local_facts(), node.moment(now));
        let Some(agent) = &mut node.agent else { return };
        if !agent.last_look(order, &facts, moment) {
            return self.tell_untold(name);
        }
        if !self.is_quiet && self.chance.happens(200) {
            // logind says no: nothing has happened.
            if let Some(agent) = self.nodes.get_mut(name).and_then(|node| node.agent.as_mut()) {
                let sentence = "logind refused".to_owned();
                agent.ended(&order.id, OrderState::Failed { sentence, evidence: Vec::new() }, moment);
            }
            return self.tell_untold(name);
        }
        super::checker::rebooted_by_order(self, name, order);
        self.take_down(name);
        let seconds = self.chance.between(60, 600);
        self.boot_after(name, seconds);
    }

    fn take_down(&mut self, name: &NodeName) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(name) {
            node.go_down(now);
        }
        self.disconnect(name);
    }

    /// It boots, or in one case of twelve it never comes back by itself.
    pub fn boot_after(&mut self, name: &NodeName, seconds: i64) {
        let is_lost = self.trouble("node_death", 800);
        let Some(node) = self.nodes.get_mut(name) else { return };
        if is_lost {
            node.is_dead = true;
            self.coverage.count("fault/never_comes_back");
            return;
        }
        node.is_dead = false;
        node.is_booting = true;
        self.after(seconds, Happening::Boot(name.clone()));
    }

    fn boot(&mut self, name: &NodeName) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.is_up || !node.is_booting || node.is_stopped || node.is_deleted {
            return;
        }
        let is_quiet = self.is_quiet;
        node.come_up(now, &mut self.chance);
        if is_quiet {
            node.docker_ok = true;
            node.ill_since = None;
        }
        self.register(name);
        self.after(1, Happening::Report(name.clone()));
        let after = self.chance.between(120, 600);
        self.after(after, Happening::Puppet(name.clone()));
        if self.nodes.get(name).is_some_and(|node| !node.docker_ok) {
            let after = self.chance.between(3600, 20_000);
            self.after(after, Happening::Repair(name.clone()));
        }
    }

    fn puppet(&mut self, name: &NodeName) {
        self.after(1800, Happening::Puppet(name.clone()));
        let fails = !self.is_quiet && self.chance.happens(200);
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.is_up) else { return };
        if fails {
            node.puppet_failed += 1;
            node.puppet_clean = 0;
        } else {
            node.puppet_clean += 1;
            node.puppet_failed = 0;
            node.has_image = true;
        }
    }

    fn repair(&mut self, name: &NodeName) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.docker_ok = true;
            if node.is_healthy() {
                node.ill_since = None;
            }
        }
    }

    // Mesos.

    fn register(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get(name).filter(|node| node.takes_tasks()) else { return };
        let id = node.mesos_id();
        let known = self.mesos.entry(id).or_insert_with(|| MesosAgent {
            node: name.clone(),
            deactivated: false,
            is_connected: true,
        });
        known.is_connected = true;
    }

    fn disconnect(&mut self, name: &NodeName) {
        for agent in self.mesos.values_mut().filter(|agent| agent.node == *name) {
            agent.is_connected = false;
        }
    }

    pub fn look_at_mesos(&mut self) {
        let now = self.now;
        let down = now < self.mesos_down_until;
        let answer = MasterAnswer {
            leader: "alimesos01".to_owned(),
            elected_at_secs: Some(1),
            version: "1.11.0".to_owned(),
            agents: self.mesos.iter().filter_map(|(id, agent)| self.listed(id, agent)).collect(),
            ..MasterAnswer::default()
        };
        let Some(coordinator) = &self.coordinator else { return };
        let answer = if down { Err("connection refused") } else { Ok(&answer) };
        coordinator.fleet().take_master_state(answer, now);
    }

    fn listed(&self, id: &str, agent: &MesosAgent) -> Option<MasterAgent> {
        let node = self.nodes.get(&agent.node)?;
        let is_current = node.mesos_id() == id;
        Some(MasterAgent {
            id: id.to_owned(),
            hostname: node.host(),
            active: agent.is_connected && !agent.deactivated,
            deactivated: agent.deactivated,
            unreachable: !agent.is_connected,
            attributes: node.attributes.clone(),
            tasks: if is_current && agent.is_connected {
                node.tasks.iter().map(|task| task_of(task, self.now)).collect()
            } else {
                Vec::new()
            },
            ..MasterAgent::default()
        })
        .filter(|_| is_current || agent.is_connected)
    }

    fn start_tasks(&mut self) {
        let after = self.chance.between(20, 240);
        self.after(after, Happening::TaskStarts);
        let offered: Vec<NodeName> = self
            .mesos
            .values()
            .filter(|agent| agent.is_connected && !agent.deactivated)
            .map(|agent| agent.node.clone())
            .collect();
        let Some(name) = self.chance.one_of(&offered).cloned() else { return };
        let hours = self.chance.between(1, 9);
        let never_ends = self.chance.happens(60);
        self.tasks_ever += 1;
        let id = format!("mesos-jenkins-{:032x}-slc7_x86-64-larg", self.tasks_ever);
        let ends_at = (!never_ends).then(|| self.now + SignedDuration::from_mins(hours * 20));
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&name).filter(|node| node.is_healthy() && node.tasks.len() < 2)
        else {
            return;
        };
        node.tasks.push(SimTask { id: id.clone(), is_disposable: false });
        if let Some(ends_at) = ends_at {
            self.after(ends_at.duration_since(now).as_secs(), Happening::TaskEnds(name, id));
        }
    }

    fn end_task(&mut self, name: &NodeName, id: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.tasks.retain(|task| task.id != id);
        }
    }

    // Effects.

    fn effect(&mut self, task: Task, run: u64) {
        self.checker.effect_is_recorded(&self.journal, &task);
        let trick = self.trick.filter(|(number, _)| *number == self.effects).map(|(_, trick)| trick);
        let is_kept_away = matches!(trick, Some(Trick::Refused | Trick::Unanswered));
        let outcome = match &task.effect {
            _ if is_kept_away => Some(Outcome::done(Vec::new())),
            Effect::Announce => Some(Outcome::done(Vec::new())),
            Effect::Cordon | Effect::Uncordon => self.offers(&task),
            Effect::Run { command } => Some(self.cloud(task.step, command, run, &task)),
        };
        self.coverage.count_word("effect", task.effect.as_str());
        let Some(mut outcome) = outcome else { return };
        if let Some(trick) = trick {
            outcome = trick.heard(outcome);
        }
        self.effects += 1;
        let after = self.chance.between(1, 20);
        self.after(after, Happening::EffectDone(Box::new(task), run, outcome));
    }

    fn effect_done(&mut self, task: &Task, run: u64, outcome: Outcome) {
        let now = self.now;
        let Some(coordinator) = self.coordinator.as_mut().filter(|coordinator| coordinator.run == run) else {
            return;
        };
        let _ = coordinator.operations.outcome(task, outcome, now);
        self.advance();
    }

    /// Mesos is told; it may refuse, answer late, or do it without saying so.
    fn offers(&mut self, task: &Task) -> Option<Outcome> {
        let stop = task.effect == Effect::Cordon;
        if self.now < self.mesos_down_until {
            return Some(Outcome::unknown("the masters do not tell"));
        }
        if self.trouble("mesos", 300) {
            self.coverage.count_word("fault/mesos_refuses", task.step.as_str());
            return Some(Outcome::not_done("400 Bad Request"));
        }
        let is_lost = self.trouble("mesos", 300);
        if is_lost {
            self.coverage.count_word("fault/mesos_hangs", task.step.as_str());
            if self.chance.happens(5000) {
                return Some(Outcome::unknown("no answer within 10 s"));
            }
        }
        let ids: Vec<String> = {
            let coordinator = self.coordinator.as_ref()?;
            let fleet = coordinator.fleet();
            fleet.mesos_id(&task.node).into_iter().collect()
        };
        if ids.is_empty() {
            return Some(Outcome::not_done("Mesos lists no agent of this node"));
        }
        if !stop {
            super::checker::uncordoned(self, task);
        }
        for id in ids {
            if let Some(agent) = self.mesos.get_mut(&id) {
                agent.deactivated = stop;
            }
        }
        if is_lost {
            return Some(Outcome::unknown("no answer within 10 s"));
        }
        Some(Outcome::done(Vec::new()))
    }

    /// A command of the cloud: it may touch nothing, end half done, or take effect without saying so.
    pub fn cloud(&mut self, step: Step, command: &[String], _run: u64, task: &Task) -> Outcome {
        let _ = task;
        let Some(name) = command.get(1).and_then(|word| word.parse::<NodeName>().ok()) else {
            return Outcome::not_done("no node is named");
        };
        if self.trouble("cloud", 400) {
            self.coverage.count_word("fault/cloud_refuses", step.as_str());
            return self.policy.executors.outcome(step, Some(2), "usage");
        }
        let is_half = self.trouble("cloud", 400);
        if is_half {
            self.coverage.count_word("fault/cloud_half_done", step.as_str());
            if self.chance.happens(5000) {
                return self.policy.executors.outcome(step, Some(30), "Nova: 500");
            }
        }
        super::checker::touched_by_cloud(self, &name, step);
        self.touch(&name, step);
        if self.trick.is_some_and(|(number, trick)| number == self.effects && trick == Trick::Twice) {
            self.touch(&name, step);
        }
        if is_half {
            return self.policy.executors.outcome(step, Some(30), "Nova: 500");
        }
        self.policy.executors.outcome(step, Some(0), "accepted")
    }

    fn touch(&mut self, name: &NodeName, step: Step) {
        match step {
            Step::HardReboot => {
                self.take_down(name);
                let seconds = self.chance.between(60, 600);
                self.boot_after(name, seconds);
            }
            Step::Rebuild | Step::Create => {
                self.take_down(name);
                if let Some(node) = self.nodes.get_mut(name) {
                    node.rebuild();
                }
                let seconds = self.chance.between(600, 3000);
                self.boot_after(name, seconds);
            }
            Step::Quarantine => {
                self.take_down(name);
                if let Some(node) = self.nodes.get_mut(name) {
                    node.is_stopped = true;
                }
            }
            Step::DeleteServer => {
                if let Some(node) = self.nodes.get_mut(name) {
                    node.is_deleted = true;
                }
            }
            _ => {}
        }
    }

    // Trouble.

    fn fault(&mut self) {
        let after = self.chance.between(600, 7200);
        self.after(after, Happening::Fault);
        let agents: Vec<NodeName> = self.nodes.keys().cloned().collect();
        let Some(name) = self.chance.one_of(&agents).cloned() else { return };
        let is_agent = self.nodes.get(&name).is_some_and(SimNode::takes_tasks);
        match self.chance.below(12) {
            0 | 1 if self.trouble("node_death", 10_000) => {
                self.coverage.count("fault/node_death");
                self.take_down(&name);
                if self.chance.happens(5000) || !is_agent {
                    let seconds = self.chance.between(600, 7200);
                    self.boot_after(&name, seconds);
                } else if let Some(node) = self.nodes.get_mut(&name) {
                    node.is_dead = true;
                }
            }
            2 if self.trouble("docker", 10_000) => {
                self.coverage.count("fault/docker");
                let now = self.now;
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.docker_ok = false;
                    node.ill_since.get_or_insert(now);
                }
                let after = self.chance.between(600, 20_000);
                self.after(after, Happening::Repair(name));
            }
            3 | 4 if self.trouble("partition", 10_000) => {
                self.coverage.count("fault/partition");
                let until = self.now + SignedDuration::from_secs(self.chance.between(30, 3600));
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.cut_off_until = until;
                }
            }
            5 | 6 if self.trouble("agent_restart", 10_000) => {
                self.coverage.count("fault/agent_restart");
                let now = self.now;
                if let Some(node) = self.nodes.get_mut(&name).filter(|node| node.is_up) {
                    node.start_agent(now);
                }
            }
            7 if self.trouble("hand_reboot", 10_000) => {
                self.coverage.count("fault/hand_reboot");
                self.take_down(&name);
                self.boot_after(&name, 180);
            }
            8 if self.trouble("mesos", 10_000) => {
                self.coverage.count("fault/mesos_down");
                self.mesos_down_until = self.now + SignedDuration::from_secs(self.chance.between(30, 1500));
                self.after(1500, Happening::MesosBack);
            }
            9 if self.trouble("clock", 10_000) => {
                self.coverage.count("fault/clock");
                let offset = SignedDuration::from_secs(self.chance.between(-3600, 3600));
                if let Some(node) = self.nodes.get_mut(&name) {
                    node.offset = offset;
                }
            }
            10 if self.trouble("crash_coordinator", 10_000) => {
                let seconds = self.chance.between(5, 3600);
                self.crash_coordinator(seconds);
            }
            11 if self.trouble("restored_store", 1500) => self.restore_an_older_store(),
            _ => self.copies.push(self.journal.read().unwrap().last),
        }
    }

    /// Somebody puts an older copy of the store back. Until a person raises the generation nothing may move.
    fn restore_an_older_store(&mut self) {
        let Some(last) = self.chance.one_of(&self.copies).copied() else { return };
        self.coverage.count("fault/restored_store");
        self.coordinator = None;
        self.copies.retain(|copy| *copy <= last);
        self.checker.restored(last, &self.journal);
        self.journal.put_back(last, false);
        let seconds = self.chance.between(30, 300);
        self.after(seconds, Happening::CoordinatorStarts);
        let seconds = self.chance.between(1800, 7200);
        self.after(seconds, Happening::RaiseGeneration);
    }

    fn raise_generation(&mut self) {
        self.coordinator = None;
        let last = self.journal.read().unwrap().last;
        self.journal.put_back(last, true);
        self.checker.generation_raised();
        self.start_coordinator();
    }

    /// Since when a node does not do what it is for; `None` while it does.
    pub fn ill_since(&self, name: &NodeName) -> Option<Timestamp> {
        self.nodes.get(name)?.ill_since
    }
}

fn state_word(state: &OrderState) -> &'static str {
    match state {
        OrderState::Prepared { .. } => "prepared",
        OrderState::Starting => "starting",
        OrderState::Done { .. } => "done",
        OrderState::Refused { code, .. } => code.as_str(),
        OrderState::Failed { .. } => "failed",
        OrderState::Unknown { .. } => "unknown",
    }
}

/// The shipped policy in mode `act`, cut to three masters and so many agents.
fn policy(agents: usize) -> Policy {
    let mut policy = millwright_coordinator::policy::parse(SHIPPED, Path::new("policy.alice.toml")).unwrap();
    for class in policy.classes.values_mut() {
        class.mode = Mode::Act;
    }
    let mut kept = 0;
    policy.nodes.retain(|_, node| match node.class {
        Class::Master => true,
        Class::Agent => {
            kept += 1;
            kept <= agents
        }
        _ => false,
    });
    policy.executors.by = Executor::Command;
    for step in [
        Step::HardReboot,
        Step::Rebuild,
        Step::Quarantine,
        Step::DeleteServer,
        Step::DeleteVolumes,
        Step::MaskAlarms,
        Step::Ledger,
    ] {
        policy.executors.commands.insert(step, vec![step.as_str().to_owned(), "{node}".to_owned()]);
        policy.executors.harmless_exits.insert(step, vec![2, 3, 4, 5]);
    }
    policy
}
