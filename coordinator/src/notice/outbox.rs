//! What must still be told, and to whom: kept until each channel took it or it became pointless.
//!
//! Each channel gets its messages one after the other and rests after a failure, without holding up the others. A message
//! that is a day old is pointless, and so is the beginning of a condition that has ended meanwhile. What was dropped is
//! said, in a sentence of its own, once the channel answers again.

use super::{
    Condition, Level, Notice,
    kept::Kept,
    known::{Known, News},
};
use crate::{operations::Tell, store::NoticeRow, words};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// So many messages wait; the oldest go first.
const MOST: usize = 200;
/// After this nobody wants to hear it any more.
const POINTLESS_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// A message that is told so late says when it was so.
const LATE_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// What was announced, and where a thread began, is remembered for so long.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The first rest of a channel; each one after a failed try is twice as long.
const SHORTEST_REST: SignedDuration = SignedDuration::from_secs(10);
const LONGEST_REST: SignedDuration = SignedDuration::from_mins(5);
/// A message that is refused so often in a row is given up.
const MOST_REFUSALS: u32 = 10;
/// How far in the journal everything has been taken in, and the number of the last message.
const JOURNAL: &str = "journal";
const LETTER: &str = "letter";

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    channels: BTreeMap<String, Rest>,
    known: Known,
    letters: Kept<Letter>,
    roots: Kept<Root>,
    once: Kept<Timestamp>,
    dropped: Kept<u64>,
    marks: Kept<u64>,
}

/// How a channel has gone lately.
#[derive(Debug, Default)]
struct Rest {
    failures: u32,
    until: Option<Timestamp>,
    why: String,
}

/// A message and who has not had it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Letter {
    notice: Notice,
    waits_for: BTreeSet<String>,
    /// Whether it is the first about its condition.
    #[serde(default)]
    is_first: bool,
    /// The name under which it is told once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    once: Option<String>,
}

/// The first message of a thread.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Root {
    id: String,
    at: Timestamp,
}

/// One message on its way into one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Names it for ever within this store; empty for one about what was dropped.
    pub id: String,
    /// What.
    pub notice: Notice,
    /// The first message of its thread, in the channel's own words, where there is one.
    pub root: Option<String>,
}

/// A channel took it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// What later messages of its thread go below.
    pub root: Option<String>,
}

/// A channel did not take it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTold {
    /// It may later.
    #[error("{0}")]
    Later(String),
    /// It answers no, which may be about this message or about all of them.
    #[error("{0}")]
    Refused(String),
    /// What it was to go below is gone.
    #[error("{0}")]
    ThreadGone(String),
}

impl Outbox {
    /// As it was stored, for these channels. Of operations nothing is told that was written up to `position`, unless the
    /// store knows how far it was.
    pub fn open(rows: &[NoticeRow], channels: impl IntoIterator<Item = String>, position: u64) -> Self {
        let mut outbox = Self {
            channels: channels.into_iter().map(|name| (name, Rest::default())).collect(),
            known: Known::read(rows),
            letters: Kept::read("letter", rows),
            roots: Kept::read("root", rows),
            once: Kept::read("once", rows),
            dropped: Kept::read("dropped", rows),
            marks: Kept::read("mark", rows),
        };
        if outbox.marks.get(JOURNAL).is_none() {
            outbox.marks.put(JOURNAL, position);
        }
        let gone: Vec<String> = outbox
            .letters
            .iter()
            .flat_map(|(_, letter)| letter.waits_for.iter())
            .filter(|name| !outbox.channels.contains_key(*name))
            .cloned()
            .collect();
        for channel in gone {
            outbox.withdraw(&channel, |_| true);
        }
        outbox
    }

    /// Compares what holds now with what people know.
    pub fn compare(&mut self, conditions: &[Condition], is_warming_up: bool, now: Timestamp) {
        for News { notice, is_first } in self.known.compare(conditions, is_warming_up, now) {
            let mut waits_for = self.everybody();
            if notice.level == Level::Ok {
                // Who has not heard of its beginning needs to hear of neither.
                waits_for.retain(|channel| {
                    let first = |letter: &Letter| letter.notice.subject == notice.subject && letter.is_first;
                    let has_heard = self.withdraw(channel, first) == 0;
                    self.withdraw(channel, |letter| letter.notice.subject == notice.subject);
                    has_heard
                });
            }
            self.put(Letter { notice, waits_for, is_first, once: None });
        }
    }

    /// Takes in what an operation did, once. What it asks is told as a condition.
    pub fn tell(&mut self, tell: Tell) {
        if self.marks.get(JOURNAL).is_some_and(|mark| tell.position <= *mark) {
            return;
        }
        self.marks.put(JOURNAL, tell.position);
        if matches!(tell.what, "asked" | "stuck") {
            return;
        }
        let notice = Notice {
            at: tell.at,
            level: if tell.needs_people { Level::Warn } else { Level::Info },
            subject: tell.operation.clone().unwrap_or_else(|| "reminder".to_owned()),
            node: (!tell.node.is_empty()).then_some(tell.node),
            operation: tell.operation,
            text: tell.sentence,
        };
        let waits_for = self.everybody();
        self.put(Letter { notice, waits_for, is_first: false, once: None });
    }

    /// Takes in what has to be told before something else happens. Tells whether that is so already.
    pub fn announce(&mut self, key: &str, notice: Notice) -> bool {
        if self.once.get(key).is_some() {
            return true;
        }
        let waiting = self.letters.iter().find(|(_, letter)| letter.once.as_deref() == Some(key));
        match waiting.map(|(number, _)| number.clone()) {
            // What it says of times has moved on.
            Some(number) => self.letters.change(&number, |letter| letter.notice = notice),
            None => {
                let (waits_for, once) = (self.everybody(), Some(key.to_owned()));
                self.put(Letter { notice, waits_for, is_first: false, once });
            }
        }
        false
    }

    fn everybody(&self) -> BTreeSet<String> {
        self.channels.keys().cloned().collect()
    }

    fn put(&mut self, letter: Letter) {
        if letter.waits_for.is_empty() {
            return;
        }
        let oldest = self.letters.iter().next().map(|(key, _)| key.clone());
        let oldest = oldest.filter(|_| self.letters.len() >= MOST);
        if let Some(dropped) = oldest.and_then(|oldest| self.letters.take(&oldest)) {
            dropped.waits_for.iter().for_each(|channel| self.count_dropped(channel));
        }
        let number = self.marks.get(LETTER).copied().unwrap_or_default() + 1;
        self.marks.put(LETTER, number);
        // Their order as texts is that of their numbers.
        self.letters.put(format!("{number:012}"), letter);
    }

    /// Takes back from a channel what it has not had; tells how many messages that were.
    fn withdraw(&mut self, channel: &str, is_meant: impl Fn(&Letter) -> bool) -> usize {
        let meant = |(_, letter): &(&String, &Letter)| letter.waits_for.contains(channel) && is_meant(letter);
        let keys: Vec<String> = self.letters.iter().filter(meant).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.done_with(channel, key));
        keys.len()
    }

    fn done_with(&mut self, channel: &str, key: &str) {
        self.letters.change(key, |letter| letter.waits_for.retain(|waits| waits != channel));
        if self.letters.get(key).is_some_and(|letter| letter.waits_for.is_empty()) {
            self.letters.take(key);
        }
    }

    fn count_dropped(&mut self, channel: &str) {
        let count = self.dropped.get(channel).copied().unwrap_or_default() + 1;
        self.dropped.put(channel, count);
    }

    /// Drops what nobody wants to hear any more, and forgets what is long over.
    pub fn tidy(&mut self, now: Timestamp) {
        for channel in self.channels.keys().cloned().collect::<Vec<_>>() {
            let is_old = |letter: &Letter| now.duration_since(letter.notice.at) >= POINTLESS_AFTER;
            for _ in 0..self.withdraw(&channel, is_old) {
                self.count_dropped(&channel);
            }
        }
        self.roots.retain(|root| now.duration_since(root.at) < REMEMBERED);
        self.once.retain(|at| now.duration_since(*at) < REMEMBERED);
    }

    /// The next message of a channel; `None` while it rests or has had everything.
    pub fn next_for(&self, channel: &str, now: Timestamp) -> Option<Parcel> {
        if self.channels.get(channel)?.until.is_some_and(|until| now < until) {
            return None;
        }
        if let Some(dropped) = self.dropped.get(channel) {
            return Some(Parcel { id: String::new(), notice: about_dropped(*dropped, now), root: None });
        }
        let (key, letter) = self.letters.iter().find(|(_, letter)| letter.waits_for.contains(channel))?;
        let mut notice = letter.notice.clone();
        if now.duration_since(notice.at) >= LATE_AFTER {
            notice.text = format!("{} (at {})", notice.text, spell(notice.at));
        }
        let root = self.roots.get(&root_key(channel, &notice)).map(|root| root.id.clone());
        Some(Parcel { id: key.clone(), notice, root })
    }

    /// A channel took one. Returns the name it was announced under, where it was.
    pub fn taken(&mut self, channel: &str, parcel: &Parcel, taken: Taken, now: Timestamp) -> Option<String> {
        if let Some(rest) = self.channels.get_mut(channel) {
            *rest = Rest::default();
        }
        if parcel.id.is_empty() {
            self.dropped.take(channel);
            return None;
        }
        let root = parcel.root.clone().or(taken.root);
        if let Some(id) = root {
            self.roots.put(root_key(channel, &parcel.notice), Root { id, at: now });
        }
        let key = self.letters.get(&parcel.id).and_then(|letter| letter.once.clone());
        if let Some(key) = &key {
            self.once.put(key, now);
        }
        self.done_with(channel, &parcel.id);
        key
    }

    /// A channel did not take one.
    pub fn refused(&mut self, channel: &str, parcel: &Parcel, why: &NotTold, now: Timestamp) {
        match why {
            NotTold::ThreadGone(_) if parcel.root.is_some() => {
                self.roots.take(&root_key(channel, &parcel.notice));
            }
            _ => {
                let Some(rest) = self.channels.get_mut(channel) else { return };
                let length = SHORTEST_REST.saturating_mul(1 << rest.failures.min(8)).min(LONGEST_REST);
                rest.failures += 1;
                rest.until = now.checked_add(length).ok();
                rest.why = why.to_string();
                // What is refused again and again must not keep the others from being told for ever.
                if matches!(why, NotTold::Refused(_))
                    && rest.failures >= MOST_REFUSALS
                    && !parcel.id.is_empty()
                {
                    rest.failures = 1;
                    self.done_with(channel, &parcel.id);
                    self.count_dropped(channel);
                }
            }
        }
    }

    /// Which channels do not answer, and what waits for them; `None` while all do.
    pub fn trouble(&self) -> Option<String> {
        let of = |(name, rest): (&String, &Rest)| {
            let waiting = self.letters.iter().filter(|(_, letter)| letter.waits_for.contains(name)).count();
            let dropped = self.dropped.get(name).copied().unwrap_or_default();
            let dropped = if dropped > 0 { format!(", dropped: {dropped}") } else { String::new() };
            let waiting = words::count(waiting, "notice");
            (rest.failures > 0).then(|| format!("{name}: {}; not told yet: {waiting}{dropped}", rest.why))
        };
        let troubles: Vec<String> = self.channels.iter().filter_map(of).collect();
        (!troubles.is_empty()).then(|| troubles.join("; "))
    }

    /// Rows that are not on the disk yet.
    pub fn take_changes(&mut self) -> Vec<NoticeRow> {
        let mut rows = self.known.take_changes();
        rows.extend(self.letters.take_changes());
        rows.extend(self.roots.take_changes());
        rows.extend(self.once.take_changes());
        rows.extend(self.dropped.take_changes());
        rows.extend(self.marks.take_changes());
        rows
    }
}

fn root_key(channel: &str, notice: &Notice) -> String {
    format!("{channel} {}", notice.thread())
}

fn about_dropped(dropped: u64, now: Timestamp) -> Notice {
    let count = words::count(usize::try_from(dropped).unwrap_or(usize::MAX), "notice");
    Notice {
        at: now,
        level: Level::Warn,
        node: None,
        subject: "dropped".to_owned(),
        operation: None,
        text: format!("{count} could not be told here and will not be; the dashboard shows how things are"),
    }
}

fn spell(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;
