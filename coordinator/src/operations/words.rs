//! What people say beside operations: holds, attestations, the off switch, resets of the brake; and what was declined.

use super::Ask;
use jiff::{SignedDuration, Timestamp};
use millwright_decision::{
    Action, Class, Source,
    fleet::{self, Attestation, Pause},
    operation::{Event, Operation, Outcome},
};
use millwright_protocol::{Fence, NodeName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The stream of these in the journal.
pub const STREAM: &str = "fleet";
/// A person's word for a source holds so long (DESIGN 3.2).
const ATTESTED_FOR: SignedDuration = SignedDuration::from_mins(15);
/// The same refusal to the same person is recorded once in this time.
pub(super) const DECLINED_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// A person's "keep this node as it is".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Names it.
    pub id: String,
    /// On which node.
    pub node: NodeName,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it asks to be renewed or lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum Word {
    /// A hold was set.
    Held {
        /// Which.
        hold: Hold,
    },
    /// A hold was lifted.
    Lifted {
        /// Which.
        id: String,
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person vouches for one source about one node, for 15 min.
    Attested {
        /// About which node.
        node: NodeName,
        /// For which source.
        source: Source,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The off switch was pressed.
    Paused {
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// And released.
    Resumed {
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// The brake of a class was reset.
    BrakeReset {
        /// Of which.
        class: Class,
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// A request was not taken.
    Declined {
        /// What was wanted.
        action: Action,
        /// With which node.
        node: NodeName,
        /// By whom.
        by: String,
        /// The word of the refusal.
        code: String,
        /// For people.
        sentence: String,
    },
    /// A node has seen more than this store holds: it was put back, and nothing moves until the generation is raised (S9).
    FoundBehind {
        /// Which node.
        node: NodeName,
        /// What it has seen.
        seen: String,
        /// The generation in which this holds.
        generation: u64,
    },
    /// Somebody was reminded of what they left standing.
    Reminded {
        /// Of what: the id of a hold or an operation, or `pause`.
        about: String,
        /// What they were told.
        sentence: String,
    },
}

impl Word {
    /// The word of it, for the journal's column.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Held { .. } => "held",
            Self::Lifted { .. } => "lifted",
            Self::Attested { .. } => "attested",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::BrakeReset { .. } => "brake_reset",
            Self::Declined { .. } => "declined",
            Self::FoundBehind { .. } => "found_behind",
            Self::Reminded { .. } => "reminded",
        }
    }
}

/// The replay of what was said.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// Entries so far.
    pub(super) count: u64,
    /// Holds that stand, and since when.
    pub held: BTreeMap<String, (Timestamp, Hold)>,
    /// Holds of drains that were lifted by hand.
    pub(super) lifted: BTreeSet<String>,
    given: Vec<Attestation>,
    /// The off switch.
    pub pause: Option<Pause>,
    /// When somebody was last reminded of something.
    pub(super) reminded: BTreeMap<String, Timestamp>,
    declined: BTreeMap<(String, String, String, String), Timestamp>,
    holds_ever: u64,
    behind: Option<(u64, NodeName, String)>,
    /// When a person last reset the brake of a class.
    pub(super) brake_reset: BTreeMap<Class, Timestamp>,
}

impl Words {
    pub(super) fn take(&mut self, word: &Word, at: Timestamp) {
        match word {
            Word::Held { hold } => {
                self.holds_ever += 1;
                self.held.insert(hold.id.clone(), (at, hold.clone()));
            }
            Word::Lifted { id, .. } => {
                if self.held.remove(id).is_none() {
                    self.lifted.insert(id.clone());
                }
                self.reminded.remove(id);
            }
            Word::Attested { node, source, by, .. } => {
                let until = at.checked_add(ATTESTED_FOR).unwrap_or(at);
                self.given
                    .retain(|given| given.until > at && !(given.node == *node && given.source == *source));
                self.given.push(Attestation { node: node.clone(), source: *source, by: by.clone(), until });
            }
            Word::Paused { by, reason } => {
                self.pause = Some(Pause { since: at, by: by.clone(), reason: reason.clone() });
            }
            Word::Resumed { .. } => {
                self.pause = None;
                self.reminded.remove("pause");
            }
            Word::BrakeReset { class, .. } => {
                self.brake_reset.insert(*class, at);
            }
            Word::Declined { action, node, by, code, .. } => {
                self.declined.retain(|_, last| at.duration_since(*last) < DECLINED_AGAIN);
                self.declined.insert((action.to_string(), node.to_string(), by.clone(), code.clone()), at);
            }
            Word::FoundBehind { node, seen, generation } => {
                self.behind = Some((*generation, node.clone(), seen.clone()));
            }
            Word::Reminded { about, .. } => {
                self.reminded.insert(about.clone(), at);
            }
        }
    }

    /// Who has seen more than the store holds, and what, as long as nobody has raised the generation since.
    pub(super) fn is_behind(&self, fence: Fence) -> Option<(NodeName, String)> {
        let (generation, node, seen) = self.behind.as_ref()?;
        (*generation == fence.generation).then(|| (node.clone(), seen.clone()))
    }

    /// The id of the next hold.
    pub(super) fn next_hold(&self) -> String {
        format!("hold-{}", self.holds_ever + 1)
    }

    /// Whether this refusal has been recorded lately.
    pub(super) fn is_declined_lately(&self, ask: &Ask, code: &str, now: Timestamp) -> bool {
        let what = (ask.action.to_string(), ask.node.to_string(), ask.by.clone(), code.to_owned());
        let last = self.declined.get(&what);
        last.is_some_and(|last| now.duration_since(*last) < DECLINED_AGAIN)
    }

    /// Holds as decisions see them.
    pub(super) fn holds(&self) -> Vec<fleet::Hold> {
        let of = |(since, hold): &(Timestamp, Hold)| fleet::Hold {
            id: hold.id.clone(),
            node: hold.node.clone(),
            author: hold.by.clone(),
            reason: hold.reason.clone(),
            since: *since,
            expires_at: hold.until,
            operation: None,
        };
        self.held.values().map(of).collect()
    }

    /// Attestations that hold.
    pub(super) fn attestations(&self, now: Timestamp) -> Vec<Attestation> {
        self.given.iter().filter(|given| now < given.until).cloned().collect()
    }

    /// What stands longer than it should: what, since when, of which node, and a sentence.
    pub(super) fn left_standing(&self, now: Timestamp) -> Vec<(String, Timestamp, String, String)> {
        let expired = self
            .held
            .values()
            .filter_map(|(_, hold)| Some((hold, hold.until.filter(|until| *until <= now)?)));
        let holds = expired.map(|(hold, until)| {
            let sentence = format!(
                "the hold {} of {} on {} was to be looked at by {until}: lift it or set it anew ({})",
                hold.id, hold.by, hold.node, hold.reason
            );
            // The first reminder comes at once.
            let since = until.checked_sub(super::telling::REMIND).unwrap_or(until);
            (hold.id.clone(), since, hold.node.to_string(), sentence)
        });
        let pause = self.pause.iter().map(|pause| {
            let sentence = format!(
                "{} has paused Millwright since {}: {}; `millwright resume` lifts it",
                pause.by, pause.since, pause.reason
            );
            ("pause".to_owned(), pause.since, String::new(), sentence)
        });
        holds.chain(pause).collect()
    }
}

/// An event as a sentence, for log, notices and time lines.
pub fn sentence(operation: &Operation, event: &Event) -> String {
    let step = |place: &usize| operation.plan.steps.get(*place).map_or("a step", |step| step.as_str());
    let node = &operation.wish.spelled;
    match event {
        Event::Requested { wish, .. } => {
            format!("{} wants {node} {}: {}", wish.by, wish.action.past(), wish.reason)
        }
        Event::Granted { code, task, by, reason, .. } => match task {
            Some(task) => format!("{by} lets {task} go ({code}): {reason}"),
            None => format!("{by} says yes to {code}: {reason}"),
        },
        Event::Began { step: place, attempt, by, moves, .. } => {
            let by = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let moves: Vec<String> = moves.iter().map(ToString::to_string).collect();
            let moves = if moves.is_empty() { String::new() } else { format!(": {}", moves.join(", ")) };
            format!("{} begins{by}{again}{moves}", step(place))
        }
        Event::Prepared { step: place, .. } => {
            format!("{}: the agent is ready, the last look follows", step(place))
        }
        Event::Committed { step: place, .. } => {
            format!("{}: nothing speaks against it, the agent may go on", step(place))
        }
        Event::Finished { step: place, outcome, by, .. } => {
            let by = by.as_ref().map_or_else(String::new, |by| format!(" (says {by})"));
            format!("{} {}{by}", step(place), ended(outcome))
        }
        Event::Asked { sentence, .. } => sentence.clone(),
        Event::Cancelled { by, reason, abandon: false } => format!("{by} calls it off: {reason}"),
        Event::Cancelled { by, reason, abandon: true } => {
            format!("{by} takes {node} over as it is: {reason}")
        }
        Event::UndoBegan { step: place, .. } => format!("{} is being taken back", step(place)),
        Event::UndoFinished { step: place, outcome, .. } => match outcome {
            Outcome::Done { .. } => format!("{} has been taken back", step(place)),
            other => format!("taking {} back {}", step(place), ended(other)),
        },
        Event::Stuck { why } => format!("{node} needs a person: {why}"),
        Event::Retried { by, reason } => format!("{by} has it tried again: {reason}"),
        Event::Parked => format!("{node} stays cordoned until it is returned"),
        Event::Ended { sentence, .. } => sentence.clone(),
    }
}

fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { was_so: true, .. } => "was so already".to_owned(),
        Outcome::Done { .. } => "is done".to_owned(),
        Outcome::NotDone { why, .. } => format!("is not done: {why}"),
        Outcome::Unknown { question } => format!("ended nobody knows how: {question}"),
    }
}
