//! How an operation lives: asked for, recorded, carried through, whatever crashes and whoever presses twice.
//!
//! ```text
//!  people ──ask, approve, cancel──▶ ┌────────────┐ ──Event──▶ journal (on the disk before anything is done)
//!  agents ──what became of orders─▶ │ Operations │ ──Task───▶ whoever carries effects out (`carry_out`)
//!  time   ──advance──────────────▶ └────────────┘ ──Said───▶ the fleet's snapshot, on which the next decision rests
//! ```
//!
//! What to do is decided by [`millwright_decision::operation::next`]; this module keeps what has been decided. It is plain
//! and synchronous, and time is an argument: a simulator runs the same code. There is no first time: a start replays the
//! journal and goes on.

mod asking;
mod digest;
mod errands;
mod orders;
mod people;
mod replay;
mod show;
mod snapshot;
mod telling;
#[cfg(test)]
mod tests;
mod words;

pub use asking::{Ask, CONFIRMABLE, Declined, Taken};
pub use digest::digest;
pub use errands::{Errands, Footing};
pub use orders::OrderAnswer;
pub use people::{Confirmation, NotThat};
pub use snapshot::summary;
pub use telling::Tell;
pub use words::{Hold, Word};

use crate::{
    fleet::Fleet,
    store::journal::{Draft, Journal, JournalError},
};
use futures_util::future::BoxFuture;
use jiff::{Timestamp, TimestampRound, Unit};
use millwright_decision::{
    Class, Policy, Reason,
    operation::{
        Effect, Ending, Event, IllegalEvent, Next, Operation, Outcome, Phase, Situation, State, Step,
        Waiting, frozen, next,
    },
};
use millwright_protocol::{Fence, NodeName};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use words::Words;

/// One operation moves at most so often in one round, so that a mistake in its table cannot keep the others waiting.
const MOST_MOVES: usize = 64;
/// So many that are over are kept in memory, for pages.
const MOST_OVER: usize = 1_000;
/// Operations of one generation, at most: those of the next begin behind them.
const NUMBERS: u64 = 100_000;
/// So many operations of a class that fail in a row put the brake on.
const FAILURES: usize = 3;

/// Something to be done outside. Its outcome comes back with [`Operations::outcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// For which operation.
    pub operation: String,
    /// On which node.
    pub node: NodeName,
    /// Which place of its plan.
    pub place: usize,
    /// Which step that is.
    pub step: Step,
    /// Which attempt.
    pub attempt: u32,
    /// Whether a step is being taken back.
    pub is_undo: bool,
    /// What.
    pub effect: Effect,
}

/// Who carries effects out. What it answers is recorded; it may be asked for the same effect again.
pub trait Outside: Send + Sync {
    /// Does it and looks whether it is so. A time-out is an unknown outcome, never a failure.
    fn carry_out(&self, task: Task) -> BoxFuture<'static, Outcome>;
}

/// One event with its time, for pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// An operation with its story.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// The replay of its events.
    pub operation: Operation,
    /// Those events.
    pub story: Vec<Recorded>,
    /// Why it cannot be gone on with, when its record is damaged.
    pub broken: Option<String>,
    /// The journal position of its last event.
    pub position: u64,
}

/// Why something was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// The journal did not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It cannot follow what was recorded before.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// There is no such operation.
    #[error("there is no operation {0}; `millwright operations` lists them")]
    Unknown(String),
}

/// Every operation, and what people said beside them.
pub struct Operations {
    journal: Arc<dyn Journal>,
    last: u64,
    all: BTreeMap<u64, Tracked>,
    words: Words,
    /// Effects that this process is carrying out, by operation: place and attempt.
    under_way: BTreeMap<u64, (usize, u32)>,
    waiting: BTreeMap<u64, Waiting>,
    outbox: VecDeque<Tell>,
    broken: Vec<(String, String)>,
    trouble: Option<JournalError>,
    /// What was last said about it, so that it is said once.
    complained: Option<String>,
    /// Brakes to be put on, and why.
    trips: Vec<(Class, String)>,
    highest: u64,
    /// When each order was made, which agents remember.
    ordered: Arc<BTreeSet<Timestamp>>,
}

impl Operations {
    /// Replays the journal. An operation whose record is damaged stands still; the others go on.
    ///
    /// # Errors
    /// The journal cannot be read at all.
    pub fn open(journal: Arc<dyn Journal>) -> Result<Self, JournalError> {
        let mut operations = Self {
            journal,
            last: 0,
            all: BTreeMap::new(),
            words: Words::default(),
            under_way: BTreeMap::new(),
            waiting: BTreeMap::new(),
            outbox: VecDeque::new(),
            broken: Vec::new(),
            trouble: None,
            complained: None,
            trips: Vec::new(),
            highest: 0,
            ordered: Arc::default(),
        };
        operations.replay()?;
        Ok(operations)
    }

    /// Lets every operation take the moves it can take now, and returns what is to be done outside. Everything that is
    /// returned is recorded already.
    pub fn advance(&mut self, fleet: &Mutex<Fleet>, now: Timestamp) -> Vec<Task> {
        let now = whole(now);
        self.note_behind(fleet, now);
        let mut tasks = Vec::new();
        if self.is_fenced() {
            return tasks;
        }
        self.trouble = None;
        self.tell_fleet(fleet, now);
        let open: Vec<u64> =
            self.all.iter().filter(|(_, tracked)| tracked.is_alive()).map(|(number, _)| *number).collect();
        for number in open {
            for _ in 0..MOST_MOVES {
                match self.advance_one(number, fleet, now) {
                    Ok(Some(Moved::Wrote)) => self.tell_fleet(fleet, now),
                    Ok(Some(Moved::Task(task))) => {
                        // The next operation of this round must see the permit that this one has just taken (S1, S2).
                        self.tell_fleet(fleet, now);
                        tasks.push(task);
                        break;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        self.note_trouble(&error);
                        break;
                    }
                }
            }
            if self.trouble.is_some() {
                break;
            }
        }
        if self.trouble.is_none() {
            self.complained = None;
        }
        for (class, why) in self.trips.drain(..) {
            lock(fleet).trip_brake(class, why, now);
        }
        self.remind(now);
        self.forget_oldest();
        tasks
    }

    fn advance_one(
        &mut self,
        number: u64,
        fleet: &Mutex<Fleet>,
        now: Timestamp,
    ) -> Result<Option<Moved>, NotRecorded> {
        let Some(tracked) = self.all.get(&number) else { return Ok(None) };
        if let Some(sentence) = self.is_taken_back(&tracked.operation) {
            let ending =
                if tracked.operation.cancelled.is_some() { Ending::Abandoned } else { Ending::Succeeded };
            self.write(number, Event::Ended { ending, sentence }, now)?;
            return Ok(Some(Moved::Wrote));
        }
        let Some(tracked) = self.all.get(&number) else { return Ok(None) };
        let answer = self.ask(&tracked.operation, self.under_way.contains_key(&number), fleet, now);
        let task = |effect: Effect, tracked: &Tracked| tracked.task(effect);
        match answer {
            Next::Over => Ok(None),
            Next::Wait(waiting) => {
                self.waiting.insert(number, waiting);
                Ok(None)
            }
            Next::Write(event) => {
                self.write(number, event, now)?;
                Ok(Some(Moved::Wrote))
            }
            Next::Do(event, effect) => {
                self.write(number, event, now)?;
                Ok(self.begin(number, |tracked| task(effect, tracked)))
            }
            Next::Again(effect) => Ok(self.begin(number, |tracked| task(effect, tracked))),
        }
    }

    fn begin(&mut self, number: u64, task: impl FnOnce(&Tracked) -> Option<Task>) -> Option<Moved> {
        let task = task(self.all.get(&number)?)?;
        self.under_way.insert(number, (task.place, task.attempt));
        self.waiting.remove(&number);
        Some(Moved::Task(task))
    }

    /// S9, for good: what agents have seen is outgrown by what is written since, so that it was seen is written down.
    fn note_behind(&mut self, fleet: &Mutex<Fleet>, now: Timestamp) {
        let fence = self.journal.fence();
        if self.words.is_behind(fence).is_some() {
            return;
        }
        let found = lock(fleet).snapshot().store_behind.clone();
        let Some(found) = found else { return };
        let word = Word::FoundBehind { node: found.node, seen: found.seen, generation: fence.generation };
        if let Err(error) = self.say(&word, now) {
            self.note_trouble(&error.into());
        }
    }

    /// What comes next for an operation.
    fn ask(&self, operation: &Operation, is_in_flight: bool, fleet: &Mutex<Fleet>, now: Timestamp) -> Next {
        let mut fleet = lock(fleet);
        let policy = Arc::clone(fleet.policy());
        let machine = fleet.machine(&operation.wish.node);
        let snapshot = fleet.snapshot_at(now);
        let frozen = frozen(snapshot, &policy, now);
        next(
            operation,
            &self.situation(snapshot, &policy, machine.as_ref(), frozen.as_ref(), is_in_flight, now),
        )
    }

    fn situation<'a>(
        &self,
        snapshot: &'a millwright_decision::Snapshot,
        policy: &'a Policy,
        machine: Option<&'a millwright_decision::operation::Machine>,
        frozen: Option<&'a Reason>,
        is_in_flight: bool,
        now: Timestamp,
    ) -> Situation<'a> {
        Situation { snapshot, policy, now, machine, fence: self.journal.fence(), is_in_flight, frozen }
    }

    /// Whether a parked node has been brought back by another operation, and how that reads.
    fn is_taken_back(&self, parked: &Operation) -> Option<String> {
        let Phase::Parked { since } = parked.phase else { return None };
        let back = self.all.values().find(|other| {
            other.operation.wish.node == parked.wish.node
                && other.operation.done_at(Step::LiftHold).is_some_and(|at| at >= since)
        })?;
        Some(format!("{} was brought back by {}", parked.wish.spelled, back.operation.id))
    }

    /// Takes in how something that was to be done outside has ended.
    ///
    /// # Errors
    /// The journal does not take it: the same will be done or asked again.
    pub fn outcome(&mut self, task: &Task, outcome: Outcome, now: Timestamp) -> Result<(), NotRecorded> {
        let Some(number) = number_of(&task.operation) else {
            return Err(NotRecorded::Unknown(task.operation.clone()));
        };
        let (step, attempt) = (task.place, task.attempt);
        // What was seen to be so before its end was heard is over: by now something else may be under way.
        if self.under_way.get(&number) == Some(&(step, attempt)) {
            self.under_way.remove(&number);
        }
        let event = if task.is_undo {
            Event::UndoFinished { step, attempt, outcome }
        } else {
            Event::Finished { step, attempt, outcome, by: None }
        };
        let written = self.write(number, event, whole(now));
        if let Err(error) = &written {
            self.note_trouble(error);
        }
        written
    }

    /// Records an event: on the disk first, then in memory.
    fn write(&mut self, number: u64, event: Event, at: Timestamp) -> Result<(), NotRecorded> {
        let tracked = self.all.get(&number).ok_or_else(|| NotRecorded::Unknown(format!("op-{number}")))?;
        let mut after = tracked.operation.clone();
        after.apply(&event, at)?;
        self.append(&Draft {
            stream: after.id.clone(),
            number: after.events,
            at,
            kind: event.word().to_owned(),
            payload: json(&event),
        })?;
        log::info!("operation" = after.id.as_str(), "node.id" = after.wish.node.as_str(); "{}: {}", after.id, words::sentence(&after, &event));
        self.tell(&after, &event, at);
        self.note_order(event.word(), at);
        let position = self.last;
        if let Some(tracked) = self.all.get_mut(&number) {
            tracked.operation = after;
            tracked.position = position;
            tracked.story.push(Recorded { at, event });
        }
        self.count_failures(number);
        Ok(())
    }

    /// Three operations of a class that failed in a row put the brake on (DESIGN section 4).
    fn count_failures(&mut self, number: u64) {
        let Some(tracked) = self.all.get(&number) else { return };
        let class = tracked.operation.wish.class;
        if !matches!(tracked.story.last().map(|recorded| &recorded.event), Some(Event::Stuck { .. })) {
            return;
        }
        let since = self.words.brake_reset.get(&class).copied();
        let ended = |recorded: &Recorded| match &recorded.event {
            Event::Stuck { .. } => Some((recorded.at, true)),
            Event::Ended { ending: Ending::Succeeded, .. } | Event::Parked => Some((recorded.at, false)),
            _ => None,
        };
        let of_class = self.all.values().filter(|tracked| tracked.operation.wish.class == class);
        let mut ends: Vec<(Timestamp, bool)> = of_class
            .filter_map(|tracked| tracked.story.iter().rev().find_map(ended))
            .filter(|(at, _)| since.is_none_or(|since| *at > since))
            .collect();
        ends.sort_unstable();
        let failed = ends.iter().rev().take_while(|(_, failed)| *failed).count();
        if failed >= FAILURES {
            self.trips.push((class, format!("{failed} operations have failed in a row")));
        }
    }

    fn append(&mut self, draft: &Draft) -> Result<(), JournalError> {
        match self.journal.append(self.last, std::slice::from_ref(draft)) {
            Ok(last) => {
                self.last = last;
                Ok(())
            }
            // Whether it was written is on the disk and nowhere else.
            Err(error @ (JournalError::Unknown { .. } | JournalError::Conflict { .. })) => {
                self.replay()?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Records what a person said beside operations.
    fn say(&mut self, word: &Word, at: Timestamp) -> Result<(), JournalError> {
        self.append(&Draft {
            stream: words::STREAM.to_owned(),
            number: self.words.count + 1,
            at,
            kind: word.word().to_owned(),
            payload: json(word),
        })?;
        self.words.take(word, at);
        self.words.count += 1;
        Ok(())
    }

    fn note_trouble(&mut self, error: &NotRecorded) {
        let complaint = error.to_string();
        if self.complained.as_ref() != Some(&complaint) {
            log::error!("{complaint}");
            self.complained = Some(complaint);
        }
        if let NotRecorded::Journal(error) = error {
            self.trouble = Some(error.clone());
        }
    }

    /// The oldest that are over leave the memory; the journal keeps them.
    fn forget_oldest(&mut self) {
        let over: Vec<u64> = self
            .all
            .iter()
            .filter(|(_, tracked)| tracked.operation.is_over())
            .map(|(number, _)| *number)
            .collect();
        for number in over.iter().take(over.len().saturating_sub(MOST_OVER)) {
            self.all.remove(number);
        }
        self.waiting
            .retain(|number, _| self.all.get(number).is_some_and(|tracked| !tracked.operation.is_over()));
    }

    /// Whether another coordinator writes to the store: this one must stop.
    pub fn is_fenced(&self) -> bool {
        matches!(self.trouble, Some(JournalError::Fenced { .. }))
    }

    /// Why the journal took nothing in the last round.
    pub fn trouble(&self) -> Option<&JournalError> {
        self.trouble.as_ref()
    }

    /// Records that cannot be understood, by stream, and why.
    pub fn broken(&self) -> &[(String, String)] {
        &self.broken
    }

    /// As whom this coordinator writes.
    pub fn fence(&self) -> Fence {
        self.journal.fence()
    }

    /// Where the journal ends.
    pub fn position(&self) -> u64 {
        self.last
    }

    /// All that are kept in memory, the newest first.
    pub fn list(&self) -> impl Iterator<Item = &Tracked> {
        self.all.values().rev()
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Tracked> {
        number_of(id).and_then(|number| self.all.get(&number))
    }

    /// What one of them waits for.
    pub fn waiting(&self, id: &str) -> Option<&Waiting> {
        number_of(id).and_then(|number| self.waiting.get(&number))
    }

    /// What people said beside operations.
    pub fn words(&self) -> &Words {
        &self.words
    }

    fn number(&self, id: &str) -> Result<u64, NotRecorded> {
        number_of(id)
            .filter(|number| self.all.contains_key(number))
            .ok_or_else(|| NotRecorded::Unknown(id.chars().take(40).collect()))
    }
}

impl Tracked {
    fn is_alive(&self) -> bool {
        self.broken.is_none() && !self.operation.is_over()
    }

    fn task(&self, effect: Effect) -> Option<Task> {
        let operation = &self.operation;
        let undo = operation.phase == Phase::Undoing;
        let place = if undo {
            operation.steps.iter().rposition(|record| record.state == State::Undoing)?
        } else {
            operation.at
        };
        let record = operation.steps.get(place)?;
        Some(Task {
            operation: operation.id.clone(),
            node: operation.wish.node.clone(),
            place,
            step: *operation.plan.steps.get(place)?,
            attempt: if undo { record.undo_attempt } else { record.attempt },
            is_undo: undo,
            effect,
        })
    }
}

enum Moved {
    Wrote,
    Task(Task),
}

/// Held for a moment only, and never while the journal waits for the disk: reports come in meanwhile.
fn lock(fleet: &Mutex<Fleet>) -> MutexGuard<'_, Fleet> {
    fleet.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `op-17` is 17.
fn number_of(id: &str) -> Option<u64> {
    id.trim().strip_prefix("op-")?.parse().ok()
}

/// The journal keeps milliseconds; a replay must see the times that were seen when they were written.
fn whole(now: Timestamp) -> Timestamp {
    now.round(TimestampRound::new().smallest(Unit::Millisecond).mode(jiff::RoundMode::Trunc)).unwrap_or(now)
}

fn json(value: &impl serde::Serialize) -> String {
    // Plain data of our own: names, words, times.
    serde_json::to_string(value).unwrap_or_default()
}
