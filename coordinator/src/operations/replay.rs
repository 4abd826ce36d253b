//! What is in memory is the replay of what is on the disk, after a start and whenever that is in doubt.

use super::{NUMBERS, Operations, Recorded, Tracked, Word, Words, number_of, telling, words};
use crate::store::journal::{Entry, JournalError};
use jiff::Timestamp;
use millwright_decision::operation::{Event, Operation};
use std::sync::Arc;

impl Operations {
    /// Reads everything again: what is in memory is whatever is on the disk.
    pub(super) fn replay(&mut self) -> Result<(), JournalError> {
        let read = self.journal.read()?;
        self.last = read.last;
        self.all.clear();
        self.ordered = Arc::default();
        self.words = Words::default();
        // What was not fetched is found again.
        self.outbox.clear();
        self.broken.clear();
        for entry in &read.entries {
            if entry.draft.stream == words::STREAM {
                match serde_json::from_str::<Word>(&entry.draft.payload) {
                    Ok(word) => {
                        self.words.take(&word, entry.draft.at);
                        if matches!(word, Word::Reminded { .. }) {
                            let (position, at) = (entry.position, entry.draft.at);
                            self.put_out(telling::reminder(&word, String::new(), position, at));
                        }
                    }
                    Err(error) => self.broken.push((entry.draft.stream.clone(), error.to_string())),
                }
                self.words.count = entry.draft.number;
                continue;
            }
            self.replay_one(entry);
        }
        for (stream, why) in read.broken {
            if let Some(tracked) = number_of(&stream).and_then(|number| self.all.get_mut(&number)) {
                tracked.broken = Some(why.clone());
            }
            self.highest = self.highest.max(number_of(&stream).unwrap_or(0));
            self.broken.push((stream, why));
        }
        // A store that was put back has forgotten numbers that were given: agents and people still know them.
        let generation = self.journal.fence().generation;
        self.highest = self.highest.max(generation.saturating_sub(1).saturating_mul(NUMBERS));
        self.forget_oldest();
        Ok(())
    }

    fn replay_one(&mut self, entry: &Entry) {
        let stream = &entry.draft.stream;
        let Some(number) = number_of(stream) else {
            self.broken.push((stream.clone(), "its name is no operation's".to_owned()));
            return;
        };
        self.highest = self.highest.max(number);
        let at = entry.draft.at;
        self.note_order(&entry.draft.kind, at);
        let event: Event = match serde_json::from_str(&entry.draft.payload) {
            Ok(event) => event,
            Err(error) => {
                let why = format!(
                    "event {} of {stream} was written by another version and cannot be understood: {error}",
                    entry.draft.number
                );
                return self.stop(number, stream, why);
            }
        };
        let recorded = Recorded { at, event };
        let mut told = None;
        match self.all.get_mut(&number) {
            Some(tracked) if tracked.broken.is_some() => {}
            Some(tracked) => {
                let applied = tracked.operation.apply(&recorded.event, at);
                tracked.position = entry.position;
                match applied {
                    Ok(()) => {
                        told = telling::of_event(&tracked.operation, &recorded.event, entry.position, at);
                        tracked.story.push(recorded);
                    }
                    Err(error) => self.stop(number, stream, error.to_string()),
                }
            }
            None => match Operation::begin(stream, &recorded.event, at) {
                Ok(operation) => {
                    told = telling::of_event(&operation, &recorded.event, entry.position, at);
                    let tracked =
                        Tracked { operation, story: vec![recorded], broken: None, position: entry.position };
                    self.all.insert(number, tracked);
                }
                Err(error) => self.broken.push((stream.clone(), error.to_string())),
            },
        }
        if let Some(told) = told {
            self.put_out(told);
        }
    }

    /// Orders are made from intents, at their moment.
    pub(super) fn note_order(&mut self, kind: &str, at: Timestamp) {
        if matches!(kind, "began" | "undo_began") {
            Arc::make_mut(&mut self.ordered).insert(at);
        }
    }

    /// One poisoned operation stops nobody but itself (L7).
    fn stop(&mut self, number: u64, stream: &str, why: String) {
        if let Some(tracked) = self.all.get_mut(&number) {
            tracked.broken.get_or_insert_with(|| why.clone());
        }
        self.broken.push((stream.to_owned(), why));
    }
}
