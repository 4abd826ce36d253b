//! The chain of digests, and the check of a journal entry by entry: what of it can be believed, and where it breaks.
//!
//! Damage stops as little as is safe. An entry that does not fit stops its stream. Where positions are missing nobody
//! knows what they held: every stream that had begun and goes on behind them stops, and every stream that lost its end.
//! What begins behind them with its number 1 is whole, or nothing could go on ever again.

use super::{Draft, Entry, Read};
use crate::people::hex;
use jiff::Timestamp;
use millwright_protocol::Fence;
use ring::digest::{Context, SHA256};
use serde::{Serialize, de::IgnoredAny};
use std::collections::BTreeMap;

/// So many places are named; a journal that is worse is restored, not read.
const NAMED: usize = 100;

/// SHA-256 over the digest before and everything of the entry, in hex. Numbers are eight bytes, the highest first; a text is its
/// length in bytes, as a number, and the bytes: no two entries are the same text.
pub(super) fn digest(previous: &str, position: u64, fence: Fence, draft: &Draft) -> String {
    let mut context = Context::new(&SHA256);
    text(&mut context, previous);
    for number in [position, fence.generation, fence.epoch] {
        context.update(&number.to_be_bytes());
    }
    text(&mut context, &draft.stream);
    context.update(&draft.number.to_be_bytes());
    context.update(&draft.at.as_millisecond().to_be_bytes());
    text(&mut context, &draft.kind);
    text(&mut context, &draft.payload);
    hex(context.finish().as_ref())
}

fn text(context: &mut Context, text: &str) {
    context.update(&(text.len() as u64).to_be_bytes());
    context.update(text.as_bytes());
}

/// The moment as it is kept: in whole milliseconds.
pub(super) fn whole_milliseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Where a stream was said to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub number: u64,
    pub position: u64,
}

/// What a check of a whole journal found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many entries there are.
    pub entries: u64,
    /// The first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Place>,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Place>,
    /// Of how many operations they tell, with the fleet as one.
    pub streams: usize,
    /// Every place where it breaks, at most a hundred; none where it is whole.
    pub damage: Vec<Damage>,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Counts over the whole journal, from 1.
    pub position: u64,
    /// When it was written, by the coordinator's clock.
    pub at: Timestamp,
}

/// One place where a journal breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The position that is damaged, or the first that is missing.
    pub position: u64,
    /// For people.
    pub sentence: String,
}

/// Takes entries in the order of their positions.
pub(super) struct Check {
    with_digests: bool,
    read: Read,
    verified: Verified,
    /// The digest of the entry before; none where that is missing.
    previous: Option<String>,
    fence: Fence,
    /// What the next number of each stream is.
    next: BTreeMap<String, u64>,
    broken: BTreeMap<String, String>,
    /// What is missing, for each stream that may have had something there.
    suspects: BTreeMap<String, String>,
    /// The same for the entry that comes next.
    hole: Option<String>,
}

impl Check {
    /// `with_digests`: whether entries have any.
    pub fn new(with_digests: bool) -> Self {
        Self {
            with_digests,
            read: Read::default(),
            verified: Verified::default(),
            previous: Some(String::new()),
            fence: Fence::default(),
            next: BTreeMap::new(),
            broken: BTreeMap::new(),
            suspects: BTreeMap::new(),
            hole: None,
        }
    }

    /// Checks one entry, and keeps it if its stream is whole up to it.
    pub fn take(&mut self, entry: Entry) {
        let place = Place { position: entry.position, at: entry.draft.at };
        self.verified.entries += 1;
        self.verified.first.get_or_insert(place);
        self.verified.last = Some(place);
        self.look_for_a_hole(entry.position);
        let fits = self.fits(&entry);
        let wrong = if fits { self.wrong_with(&entry) } else { Some(unfitting(&entry)) };
        let next = self.next.entry(entry.draft.stream.clone()).or_insert(1);
        // What does not fit proves nothing but that it is there.
        *next = if fits { entry.draft.number } else { *next }.saturating_add(1);
        if fits {
            self.fence = entry.fence;
        }
        self.previous = Some(entry.digest.clone());
        self.read.last = entry.position;
        if let Some(sentence) = &wrong {
            self.note(entry.position, sentence.clone());
        }
        // The entry right behind a hole cannot be proven; it is no damage of its own.
        let hole = self.hole.take().or_else(|| self.suspects.get(&entry.draft.stream).cloned());
        if let Some(sentence) = wrong.or(hole) {
            self.broken.entry(entry.draft.stream).or_insert(sentence);
        } else if !self.broken.contains_key(&entry.draft.stream) {
            self.read.entries.push(entry);
        }
    }

    /// Compares with where the streams were said to end, and tells what can be believed.
    pub fn finish(mut self, ends: &BTreeMap<String, End>) -> (Read, Verified) {
        let last = ends.values().map(|end| end.position).max().unwrap_or_default();
        if last > self.read.last {
            self.look_for_a_hole(last.saturating_add(1));
            self.read.last = last;
        }
        for (stream, end) in ends {
            let found = self.next.get(stream).map_or(0, |next| next.saturating_sub(1));
            if found != end.number {
                let sentence = format!("{stream} ends with number {found}, and {} was written", end.number);
                self.note(end.position, sentence.clone());
                self.broken.entry(stream.clone()).or_insert(sentence);
            }
        }
        let unlisted: Vec<String> =
            self.next.keys().filter(|stream| !ends.contains_key(*stream)).cloned().collect();
        for stream in unlisted {
            let sentence = format!("{stream} is not among the streams that were written");
            self.note(self.read.last, sentence.clone());
            self.broken.entry(stream).or_insert(sentence);
        }
        self.verified.streams = self.next.len();
        self.read.broken = self.broken.into_iter().collect();
        (self.read, self.verified)
    }

    /// Whether everything between the entry before and this position is there.
    fn look_for_a_hole(&mut self, position: u64) {
        let expected = self.read.last.saturating_add(1);
        if position == expected {
            return;
        }
        let sentence = match position.saturating_sub(1) {
            before if before < expected => format!("after position {} comes {position}", self.read.last),
            before if before == expected => format!("position {expected} is missing"),
            before => format!("positions {expected} to {before} are missing"),
        };
        self.note(expected, sentence.clone());
        self.previous = None;
        for stream in self.next.keys() {
            self.suspects.entry(stream.clone()).or_insert_with(|| sentence.clone());
        }
        self.hole = Some(sentence);
    }

    /// Whether nothing of the entry, and nothing of the digest before, has changed; where that is missing nobody knows.
    fn fits(&self, entry: &Entry) -> bool {
        let fits =
            |previous: &String| digest(previous, entry.position, entry.fence, &entry.draft) == entry.digest;
        !self.with_digests || self.previous.as_ref().is_none_or(fits)
    }

    fn wrong_with(&self, entry: &Entry) -> Option<String> {
        let Entry { fence, draft, .. } = entry;
        let of = named(entry);
        if *fence < self.fence {
            return Some(format!(
                "{of} was written as generation {} epoch {}, after generation {} epoch {} had begun",
                fence.generation, fence.epoch, self.fence.generation, self.fence.epoch
            ));
        }
        let next = self.next.get(&draft.stream).copied().unwrap_or(1);
        if draft.number != next {
            return Some(format!("{of} stands where number {next} should"));
        }
        let why = serde_json::from_str::<IgnoredAny>(&draft.payload).err()?;
        Some(format!("{of} is no JSON ({why})"))
    }

    fn note(&mut self, position: u64, sentence: String) {
        if self.verified.damage.len() < NAMED {
            self.verified.damage.push(Damage { position, sentence });
        }
    }
}

fn named(entry: &Entry) -> String {
    format!("number {} of {}, at position {},", entry.draft.number, entry.draft.stream, entry.position)
}

fn unfitting(entry: &Entry) -> String {
    format!("{} does not fit its digest or the entry before it", named(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(stream: &str, kind: &str) -> Draft {
        let [stream, kind] = [stream, kind].map(str::to_owned);
        Draft { stream, number: 1, at: Timestamp::UNIX_EPOCH, kind, payload: "{}".into() }
    }

    #[test]
    fn a_digest_is_over_everything_and_over_the_one_before() {
        let fence = Fence { generation: 1, epoch: 2 };
        let plain = draft("op-1", "begun");
        let digests = [
            digest("", 1, fence, &plain),
            digest("a", 1, fence, &plain),
            digest("", 2, fence, &plain),
            digest("", 1, Fence { generation: 2, epoch: 1 }, &plain),
            digest("", 1, fence, &draft("op-2", "begun")),
            digest("", 1, fence, &draft("op-1b", "egun")),
            digest("", 1, fence, &Draft { number: 2, ..plain.clone() }),
            digest("", 1, fence, &Draft { at: Timestamp::from_millisecond(1).unwrap(), ..plain.clone() }),
            digest("", 1, fence, &Draft { payload: "[]".into(), ..plain }),
        ];
        let different: std::collections::BTreeSet<&String> = digests.iter().collect();
        assert_eq!(different.len(), digests.len());
        assert!(digests.iter().all(|digest| digest.len() == 64));
    }

    #[test]
    fn the_way_a_digest_is_made_never_changes() {
        // Computed with Python's hashlib from the sentence above `digest`.
        let digest = digest("", 1, Fence { generation: 1, epoch: 1 }, &draft("op-1", "begun"));
        assert_eq!(digest, "e86be53165d37f6b0372f6f855270c8eec1745647eae661c361a7845245d31e9");
    }
}
