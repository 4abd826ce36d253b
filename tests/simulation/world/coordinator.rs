//! The coordinators of the world: how one starts, dies, is replaced by another, and has its orders sent.

use super::*;
use millwright_decision::Source;

pub struct Coordinator {
    pub fleet: Mutex<Fleet>,
    pub operations: Operations,
    /// Which run of it, so that what was begun by an earlier one comes to nothing.
    pub run: u64,
    pub clock: OwnClock,
    /// When it started, by its own clock, and in truth.
    pub started_at: Timestamp,
    pub born_at: Timestamp,
    /// Effects that it is carrying out: operation, place, attempt, and whether something is taken back.
    pub in_flight: BTreeSet<(String, usize, u32, bool)>,
    /// Nodes that were healthy before it started and have not been heard of since.
    pub awaited: BTreeSet<NodeName>,
    /// How many may stay away.
    pub may_miss: usize,
    /// Nodes with an open operation, as of its last round.
    pub busy: BTreeSet<NodeName>,
    /// The digest of what each node last said to it.
    heard: BTreeMap<NodeName, u64>,
}

impl Coordinator {
    pub fn fleet(&self) -> std::sync::MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap()
    }

    pub(super) fn note_busy(&mut self) {
        let open = self.operations.list().filter(|tracked| !tracked.operation.is_over());
        self.busy = open.map(|tracked| tracked.operation.wish.node.clone()).collect();
    }

    /// Takes a report in: whole if it says something new.
    pub(super) fn hear(&mut self, name: &NodeName, sent: &Sent, is_eager: bool, now: Timestamp) {
        let mut fleet = self.fleet.lock().unwrap();
        let repeats = !is_eager && self.heard.get(name) == Some(&sent.content);
        if !repeats || fleet.take_again(name, sent.again(), now).is_none() {
            fleet.take_report(name, sent.whole(), now);
            self.heard.insert(name.clone(), sent.content);
        }
    }
}

impl World {
    pub(super) fn start_coordinator(&mut self) {
        if self.coordinator.is_some() {
            return;
        }
        self.runs += 1;
        self.paused_until = self.now;
        // Whoever has waited for it presses at once.
        if self.runs > 1 && !self.is_quiet {
            let after = self.chance.between(2, 40);
            self.after(after, Happening::Visit);
        }
        self.journal = self.journal.reopen();
        let clock = OwnClock::new(self.now, self.clock_offset);
        let now = clock.read(self.now);
        let mut fleet = Fleet::new(Arc::clone(&self.policy), now);
        let nodes: Vec<NodeRecord> = self.remembered.values().cloned().collect();
        let healthy = |record: &&NodeRecord| matches!(record.state, Some((NodeState::Healthy, _)));
        let awaited: BTreeSet<NodeName> =
            nodes.iter().filter(healthy).map(|record| record.node.clone()).collect();
        if self.setting.has_marathon() {
            fleet.may_ask_to_move(Source::Marathon, true, false);
        }
        fleet.restore(Remembered { nodes, ..Remembered::default() }, now);
        self.writes.lock().unwrap().newest = self.journal.fence();
        let journal = CountingJournal { inner: self.journal.clone(), writes: Arc::clone(&self.writes) };
        let operations = Operations::open(Arc::new(journal)).unwrap();
        let damaged = self.writes.lock().unwrap().damaged_streams.clone();
        if let Some((stream, why)) = operations.broken().iter().find(|(stream, _)| !damaged.contains(stream))
        {
            self.checker.violate("S15", format!("{stream} cannot be replayed: {why}"));
        }
        self.checker.replayed(&operations, &damaged);
        self.checker.looked_at = now;
        self.coordinator = Some(Coordinator {
            fleet: Mutex::new(fleet),
            operations,
            run: self.runs,
            clock,
            started_at: now,
            born_at: self.now,
            in_flight: BTreeSet::new(),
            may_miss: (awaited.len() / 20).max(1),
            awaited,
            busy: BTreeSet::new(),
            heard: BTreeMap::new(),
        });
    }

    /// What is known of nodes goes to the store, where the next coordinator finds it.
    pub(super) fn save(&mut self) {
        let Some(coordinator) = &self.coordinator else { return };
        let unsaved = coordinator.fleet().unsaved(usize::MAX, coordinator.clock.read(self.now));
        self.remembered.extend(unsaved.into_iter().map(|record| (record.node.clone(), record)));
    }

    pub fn crash_coordinator(&mut self, seconds: i64) {
        self.save();
        if self.coordinator.is_some() {
            self.note("crash_coordinator", None);
            self.coordinator = None;
            self.journal.crash();
            self.after(seconds, Happening::CoordinatorStarts);
        }
    }

    /// The coordinator loses touch with its store for a while, and another one is started beside it.
    pub(super) fn start_second(&mut self) {
        self.save();
        self.note("second_coordinator", None);
        let Some(old) = self.coordinator.take() else { return };
        let until = self.now + SignedDuration::from_secs(self.chance.between(30, 1800));
        self.old = Some((old, until));
        self.start_coordinator();
    }

    /// It goes on as if it were the one, until it tries to write or is stopped.
    pub(super) fn advance_old(&mut self) {
        let Some((mut old, until)) = self.old.take() else { return };
        let (now, true_now) = (old.clock.read(self.now), self.now);
        old.fleet().tick(now);
        let tasks = old.operations.advance(&old.fleet, now);
        old.note_busy();
        let run = old.run;
        for task in tasks {
            self.after(1, Happening::Effect(Box::new(task), run));
        }
        self.send_orders_of(&old);
        if let Some(sentence) = self.writes.lock().unwrap().written_by_old.take() {
            self.checker.violate("S8", sentence);
        }
        if !old.operations.is_fenced() && true_now < until {
            self.old = Some((old, until));
        }
    }

    pub(super) fn send_orders(&mut self) {
        let Some(coordinator) = self.coordinator.take() else { return };
        self.send_orders_of(&coordinator);
        self.coordinator = Some(coordinator);
    }

    pub(super) fn send_orders_of(&mut self, coordinator: &Coordinator) {
        let mut sent = Vec::new();
        for name in coordinator.busy.clone() {
            for order in coordinator.operations.orders(&name, &self.policy, coordinator.clock.read(self.now))
            {
                self.made.entry((order.id.clone(), order.issued_at)).or_insert(self.now);
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
}
