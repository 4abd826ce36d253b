//! What people who are not looking should hear of operations: that one was asked for, who agreed, each step without a way
//! back, that it was called off, its end; and reminders of what somebody has left standing. Not each step.
//!
//! All of it stands in the journal, so a start finds again what nobody has fetched.

use super::{Operations, Word, number_of, words};
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Action,
    operation::{Doer, Event, Operation, Phase},
};

/// So much is held until somebody fetches it, the newest of it.
const MOST: usize = 500;
/// Somebody is reminded of what they have left standing this often.
pub(super) const REMIND: SignedDuration = SignedDuration::from_hours(24);

/// Something people should hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tell {
    /// Where it stands in the journal.
    pub position: u64,
    /// When it was so.
    pub at: Timestamp,
    /// The word of what happened.
    pub what: &'static str,
    /// About which operation, where it is about one.
    pub operation: Option<String>,
    /// About which node, as policy spells it.
    pub node: String,
    /// For people.
    pub sentence: String,
    /// Whether somebody has to act.
    pub needs_people: bool,
}

impl Operations {
    /// What people should hear of an event.
    pub(super) fn tell(&mut self, operation: &Operation, event: &Event, at: Timestamp) {
        if let Some(tell) = of_event(operation, event, self.last, at) {
            self.put_out(tell);
        }
    }

    pub(super) fn put_out(&mut self, tell: Tell) {
        if self.outbox.len() >= MOST {
            self.outbox.pop_front();
        }
        self.outbox.push_back(tell);
    }

    /// What people should hear since the last call; after a start what they should have heard before as well. Whoever
    /// tells them knows how far that was.
    pub fn take_outbox(&mut self) -> Vec<Tell> {
        std::mem::take(&mut self.outbox).into()
    }

    /// Somebody who left a node empty, the off switch pressed or a hold standing past its end is reminded each day.
    pub(super) fn remind(&mut self, now: Timestamp) {
        let parked = self.all.values().filter_map(|tracked| match tracked.operation.phase {
            Phase::Parked { since } => {
                Some((tracked.operation.id.clone(), since, tracked.operation.wish.spelled.clone()))
            }
            _ => None,
        });
        let parked = parked.map(|(id, since, node)| {
            let sentence = format!(
                "{node} has been kept empty by {id} since {since}; `millwright return {node}` brings it back"
            );
            (id, since, node, sentence)
        });
        let due: Vec<_> = parked
            .chain(self.words.left_standing(now))
            .filter(|(about, since, _, _)| {
                let last = self.words.reminded.get(about).copied().unwrap_or(*since);
                now.duration_since(last) >= REMIND
            })
            .collect();
        for (about, _, node, sentence) in due {
            let word = Word::Reminded { about, sentence };
            match self.say(&word, now) {
                Ok(()) => {
                    let reminder = reminder(&word, node, self.last, now);
                    log::info!("{}", reminder.sentence);
                    self.put_out(reminder);
                }
                Err(error) => return self.note_trouble(&error.into()),
            }
        }
    }
}

/// What people should hear of an event; `None` for what concerns nobody who is not looking.
pub(super) fn of_event(operation: &Operation, event: &Event, position: u64, at: Timestamp) -> Option<Tell> {
    let needs_people = matches!(event, Event::Asked { .. } | Event::Stuck { .. });
    let step = |place: &usize| operation.plan.steps.get(*place).filter(|step| step.is_irreversible());
    let is_told = match event {
        // Images come and go without anybody missing anything.
        _ if operation.wish.action == Action::Prepull => needs_people,
        Event::Requested { .. } | Event::Granted { .. } | Event::Cancelled { .. } => true,
        Event::Asked { .. } | Event::Stuck { .. } | Event::Retried { .. } => true,
        Event::Parked | Event::Ended { .. } => true,
        // An agent's order is harmless until its nonce is sent back.
        Event::Began { step: place, .. } => step(place).is_some_and(|step| step.doer() != Doer::Agent),
        Event::Committed { step: place, .. } => step(place).is_some(),
        _ => false,
    };
    is_told.then(|| Tell {
        position,
        at,
        what: event.word(),
        operation: Some(operation.id.clone()),
        node: operation.wish.spelled.clone(),
        sentence: words::sentence(operation, event),
        needs_people,
    })
}

/// A reminder of what somebody has left standing.
pub(super) fn reminder(word: &Word, node: String, position: u64, at: Timestamp) -> Tell {
    let (operation, sentence) = match word {
        Word::Reminded { about, sentence } => {
            (Some(about).filter(|about| number_of(about).is_some()).cloned(), sentence.clone())
        }
        _ => (None, String::new()),
    };
    Tell { position, at, what: word.word(), operation, node, sentence, needs_people: true }
}
