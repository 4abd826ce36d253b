//! What the generator has reached: without it, a clean run proves nothing.

use jiff::Timestamp;
use millwright_coordinator::operations::Tracked;
use millwright_decision::{Class, Code, operation::Event};
use std::collections::BTreeMap;

/// Counts by word.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    pub counts: BTreeMap<String, u64>,
    /// Brakes that were counted, by class.
    brakes: BTreeMap<Class, Timestamp>,
    /// Reasons are met all the time: counted by themselves, without a word to be made.
    reasons: BTreeMap<&'static str, u64>,
    seen: BTreeMap<String, usize>,
}

impl Coverage {
    pub fn of(counts: BTreeMap<String, u64>) -> Self {
        Self { counts, ..Self::default() }
    }

    pub fn count(&mut self, word: &str) {
        *self.counts.entry(word.to_owned()).or_default() += 1;
    }

    pub fn count_word(&mut self, kind: &str, word: &str) {
        self.count(&format!("{kind}/{word}"));
    }

    /// Counts a brake that is on, once for each time that it was put on.
    pub fn brake(&mut self, class: Class, why: &str, since: Timestamp) {
        if self.brakes.insert(class, since) != Some(since) {
            self.count(&format!("brake/{class}/{why}"));
        }
    }

    /// Counts a reason that something waits for.
    pub fn reason(&mut self, code: Code) {
        *self.reasons.entry(code.as_str()).or_default() += 1;
    }

    /// Counts what an operation's story has got since the last look.
    pub fn story(&mut self, tracked: &Tracked) {
        let operation = &tracked.operation;
        let seen = self.seen.get(&operation.id).copied().unwrap_or(0);
        if seen == tracked.story.len() {
            return;
        }
        for recorded in tracked.story.iter().skip(seen) {
            let word = match &recorded.event {
                Event::Began { step, .. }
                | Event::Prepared { step, .. }
                | Event::Committed { step, .. }
                | Event::Asked { step, .. }
                | Event::UndoBegan { step, .. } => {
                    format!(
                        "{}/{}",
                        recorded.event.word(),
                        operation.plan.steps.get(*step).map_or("end", |step| step.as_str())
                    )
                }
                Event::Finished { step, outcome, .. } | Event::UndoFinished { step, outcome, .. } => format!(
                    "{}/{}/{}",
                    recorded.event.word(),
                    operation.plan.steps.get(*step).map_or("end", |step| step.as_str()),
                    match outcome {
                        millwright_decision::operation::Outcome::Done { .. } => "done",
                        millwright_decision::operation::Outcome::NotDone { .. } => "not_done",
                        millwright_decision::operation::Outcome::Unknown { .. } => "unknown",
                    }
                ),
                Event::Ended { ending, .. } => format!("ended/{}/{}", operation.wish.action, ending.as_str()),
                Event::Requested { wish, .. } => format!("requested/{}", wish.action),
                other => other.word().to_owned(),
            };
            self.count(&format!("event/{word}"));
        }
        self.seen.insert(operation.id.clone(), tracked.story.len());
    }

    pub fn add(&mut self, other: &Self) {
        for (word, count) in &other.counts {
            *self.counts.entry(word.clone()).or_default() += count;
        }
        for (code, count) in &other.reasons {
            *self.counts.entry(format!("code/{code}")).or_default() += count;
        }
    }
}
