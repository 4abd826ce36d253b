//! Trouble that comes from outside of messages and machines: clocks, new software, new registrations, lies, and people who
//! do things themselves.

use super::*;
use millwright_coordinator::clock;
use millwright_decision::fleet::CrlExpired;

/// The production clock of one coordinator, between two steps of its machine's.
#[derive(Debug, Clone, Copy)]
pub struct OwnClock {
    /// What it said then.
    said: Timestamp,
    /// When that was.
    at: Timestamp,
    /// The machine's clock minus the true time, since then.
    offset: SignedDuration,
}

impl OwnClock {
    pub fn new(now: Timestamp, offset: SignedDuration) -> Self {
        Self { said: now + offset, at: now, offset }
    }

    /// What it says now.
    pub fn read(&self, now: Timestamp) -> Timestamp {
        let elapsed = Duration::try_from(now.duration_since(self.at)).unwrap_or_default();
        let said = clock::advance(self.said, now + self.offset, elapsed);
        Timestamp::from_millisecond(said.as_millisecond()).unwrap_or(said)
    }

    /// When its machine's clock was set, or it began.
    pub fn set_at(&self) -> Timestamp {
        self.at
    }

    fn set(&mut self, now: Timestamp, offset: SignedDuration) {
        *self = Self { said: self.read(now), at: now, offset };
    }
}

impl World {
    /// What the coordinator's clock says; while there is none, what its machine's says.
    pub fn clock(&self) -> Timestamp {
        match &self.coordinator {
            Some(coordinator) => coordinator.clock.read(self.now),
            None => self.now + self.clock_offset,
        }
    }

    /// Somebody, or a lost time server, sets the clock of the coordinator's machine; later it is put right.
    pub(super) fn turn_clock(&mut self) {
        self.note("own_clock", None);
        let most = if self.chance.happens(5000) { 90 } else { 3600 };
        let offset = SignedDuration::from_secs(self.chance.between(-most, most));
        self.set_clock(offset);
        let seconds = self.chance.between(300, 7200);
        self.after(seconds, Happening::ClockMended);
    }

    pub(super) fn set_clock(&mut self, offset: SignedDuration) {
        self.clock_offset = offset;
        let now = self.now;
        let old = self.old.as_mut().map(|(old, _)| old);
        for coordinator in self.coordinator.as_mut().into_iter().chain(old) {
            coordinator.clock.set(now, offset);
        }
    }

    /// Other software everywhere: the coordinator comes back and finds what the version before it had planned; agents
    /// follow one by one.
    pub(super) fn upgrade(&mut self) {
        self.note("upgrade", None);
        self.writes.lock().unwrap().is_upgraded = true;
        let seconds = self.chance.between(5, 120);
        self.crash_coordinator(seconds);
        let names: Vec<NodeName> = self.nodes.keys().cloned().collect();
        for name in names {
            let seconds = self.chance.between(0, 1800);
            self.after(seconds, Happening::AgentStarts(name));
        }
    }

    pub(super) fn agent_starts(&mut self, name: &NodeName) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(name).filter(|node| node.is_up && !node.is_hung) {
            node.start_agent(now);
        }
    }

    /// The list of revoked certificates is too old for a while: nobody knows whose word to trust.
    pub(super) fn lose_revocations(&mut self) {
        self.note("crl", None);
        self.crl_lost_until = self.now + SignedDuration::from_secs(self.chance.between(300, 5000));
    }

    pub(super) fn crl_expired(&self) -> Option<CrlExpired> {
        let is_lost = self.now < self.crl_lost_until;
        is_lost.then_some(CrlExpired { expired_at: self.started, since: self.started })
    }

    /// The Mesos agent of a node has lost its memory and registers anew: another id, offers at once. What ran is lost, or
    /// runs on without an owner.
    pub(super) fn register_anew(&mut self, name: &NodeName) {
        self.disconnect(name);
        let now = self.now;
        let stays = self.chance.happens(5000);
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.takes_tasks()) else { return };
        node.mesos_number += 1;
        let tasks = std::mem::take(&mut node.tasks);
        if stays {
            node.orphans.extend(tasks.into_iter().map(|task| task.id));
            node.orphans_until = now + SignedDuration::from_hours(3);
        }
        if !node.is_hung {
            self.register(name);
        }
    }

    /// An agent says what is not so: that nothing runs, or that it is the Mesos agent of another node. A new boot ends it.
    pub(super) fn begin_to_lie(&mut self, name: &NodeName) {
        let others: Vec<String> =
            self.agents().filter(|other| other.name != *name).map(SimNode::mesos_id).collect();
        let other = self.chance.one_of(&others).cloned();
        let is_idle = self.chance.happens(5000);
        let seconds = self.chance.between(300, 7200);
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.takes_tasks()) else { return };
        node.lie = if is_idle { Some(Lie::Idle) } else { other.map(Lie::Claims) };
        self.after(seconds, Happening::TellsTruth(name.clone()));
    }

    pub(super) fn tell_truth(&mut self, name: &NodeName) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.lie = None;
        }
    }

    /// Somebody does by hand what the product is for: starts a server that is to be deleted, or makes a node anew.
    pub(super) fn foreign(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get_mut(name).filter(|node| !node.is_deleted) else { return };
        if !node.is_stopped {
            return self.rebuilt_by_hand(name);
        }
        node.is_stopped = false;
        self.note("foreign", Some(name));
        let seconds = self.chance.between(60, 600);
        self.boot_after(name, seconds);
        // Whoever misses it gives it work.
        let seconds = self.chance.between(800, 5000);
        self.after(seconds, Happening::UncordonedByHand(name.clone()));
    }
}
