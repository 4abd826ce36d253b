//! Turns what looks saw into findings: since when, whether it has lasted long enough, what silence means.
//!
//! One ledger keeps the findings of one check. It is pure: time is an argument, and every change of a shown
//! status comes back as a [`Change`], so that the log has one line a change and none a cycle.
//! What a newcomer gets wrong: silence lies *over* what looks saw. When a look comes home again, a finding
//! that keeps nodes from counting as healthy does not fall back to an old `ok`; it has to be seen.

use crate::{check::Observation, clock::Moment, config::units::spoken};
use jiff::Timestamp;
use millwright_protocol::{Evidence, Finding, Status};
use std::{collections::BTreeMap, time::Duration};

/// So many looks in a row without an answer …
const SILENT_LOOKS: u32 = 3;
/// … over at least this long are a fault and no longer a doubt.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// The findings of one check.
#[derive(Debug)]
pub struct Ledger {
    check: &'static str,
    gating: bool,
    deadline: Duration,
    when_silent: Option<String>,
    entries: BTreeMap<Option<String>, Entry>,
    silence: Option<Silence>,
    /// When a look last came home; until then, when the ledger was opened.
    completed: Moment,
    has_completed: bool,
}

/// One thing the check looks at.
#[derive(Debug)]
struct Entry {
    /// What was seen last.
    seen: Observation,
    /// The status that looks have earned so far.
    settled: Status,
    /// Since when looks see something worse than `settled`.
    worse_since: Option<Moment>,
    /// The status people see: `settled`, or what silence makes of it.
    shown: Status,
    /// Since when `shown` is what it is.
    since: Timestamp,
}

/// Looks that did not come home, in a row.
#[derive(Debug, Clone, Copy)]
struct Silence {
    first: Moment,
    looks: u32,
}

/// A finding whose status changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The check.
    pub check: &'static str,
    /// The item, where there are several.
    pub item: Option<String>,
    /// The status before; `None` for a finding that is new.
    pub from: Option<Status>,
    /// The status now; `None` for one that is no longer looked at.
    pub to: Option<Status>,
    /// Whether it keeps the node from counting as healthy.
    pub gating: bool,
    /// The finding's sentence.
    pub sentence: String,
}

impl Ledger {
    /// A ledger whose check has not looked yet: one `unknown` finding about `item`.
    pub fn new(
        check: &'static str,
        item: Option<&str>,
        gating: bool,
        deadline: Duration,
        now: Moment,
    ) -> Self {
        let item = item.map(str::to_owned);
        let mut seen = Observation::new(
            Status::Unknown,
            format!("{} has not been looked at yet", subject(check, item.as_deref())),
        );
        seen.gating = gating;
        seen.item.clone_from(&item);
        let entry = Entry {
            seen,
            settled: Status::Unknown,
            worse_since: None,
            shown: Status::Unknown,
            since: now.wall,
        };
        Self {
            check,
            gating,
            deadline,
            when_silent: None,
            entries: BTreeMap::from([(item, entry)]),
            silence: None,
            completed: now,
            has_completed: false,
        }
    }

    /// Says what a person does next while the check is silent.
    #[must_use]
    pub fn when_silent(mut self, next: Option<&str>) -> Self {
        self.when_silent = next.map(str::to_owned);
        self
    }

    /// A look came home. Items it does not name are forgotten.
    pub fn looked(&mut self, observations: Vec<Observation>, now: Moment) -> Vec<Change> {
        let mut before = std::mem::take(&mut self.entries);
        if !self.has_completed {
            before.clear();
        }
        self.silence = None;
        self.completed = now;
        self.has_completed = true;

        let mut changes = Vec::new();
        for seen in worst_of_each_item(observations) {
            let (item, entry) = (seen.item.clone(), before.remove(&seen.item));
            let from = entry.as_ref().map(|entry| entry.shown);
            let entry = match entry {
                Some(entry) => entry.looked(seen, now),
                None => Entry::first_seen(seen, now),
            };
            if from.unwrap_or(Status::Ok) != entry.shown {
                changes.push(self.change(&item, from, Some(&entry), &entry.seen.sentence));
            }
            self.entries.insert(item, entry);
        }
        for (item, entry) in before.iter().filter(|(_, entry)| entry.shown != Status::Ok) {
            let sentence = format!("{} is no longer looked at", subject(self.check, item.as_deref()));
            changes.push(self.change(item, Some(entry.shown), None, &sentence));
        }
        changes
    }

    /// A look did not come home within its deadline, or could not even begin.
    pub fn timed_out(&mut self, now: Moment) -> Vec<Change> {
        let silence = self.silence.get_or_insert(Silence { first: now, looks: 0 });
        silence.looks = silence.looks.saturating_add(1);
        let silence = *silence;
        let shown = silence.status(now);

        self.speak_for_a_gating_check(now);
        let mut changes = Vec::new();
        for (item, entry) in &mut self.entries {
            if entry.seen.gating {
                entry.settled = Status::Unknown;
            }
            if entry.shown != shown || silence.looks == 1 {
                let from = entry.shown;
                entry.shown = shown;
                entry.since = silence.first.wall;
                changes.extend((from != shown || silence.looks == 1).then(|| Change {
                    check: self.check,
                    item: item.clone(),
                    from: Some(from),
                    to: Some(shown),
                    gating: entry.seen.gating,
                    sentence: silence.sentence(self.check, item.as_deref(), self.deadline, now),
                }));
            }
        }
        changes
    }

    /// A gating check whose looks named nothing gating still gates by its silence.
    fn speak_for_a_gating_check(&mut self, now: Moment) {
        if self.entries.is_empty() || (self.gating && !self.entries.values().any(|entry| entry.seen.gating)) {
            let mut seen = Observation::new(Status::Unknown, "");
            seen.gating = self.gating;
            let entry = Entry {
                seen,
                settled: Status::Unknown,
                worse_since: None,
                shown: Status::Unknown,
                since: now.wall,
            };
            self.entries.insert(None, entry);
        }
    }

    /// Whether a look has come home or missed its deadline.
    pub fn has_looked(&self) -> bool {
        self.has_completed || self.silence.is_some()
    }

    /// The findings as they stand.
    pub fn findings(&self, now: Moment) -> impl Iterator<Item = Finding> {
        self.entries.iter().map(move |(item, entry)| self.finding(item.as_deref(), entry, now))
    }

    fn finding(&self, item: Option<&str>, entry: &Entry, now: Moment) -> Finding {
        let age_seconds = now.since(self.completed).as_secs();
        let (sentence, next) = match self.silence {
            None => (entry.sentence(now), entry.seen.next.clone()),
            Some(silence) => {
                (silence.sentence(self.check, item, self.deadline, now), self.when_silent.clone())
            }
        };
        let evidence = entry
            .seen
            .evidence
            .iter()
            .map(|evidence| Evidence { age_seconds: evidence.age_seconds + age_seconds, ..evidence.clone() });
        Finding {
            check: self.check.to_owned(),
            item: item.map(str::to_owned),
            status: entry.shown,
            gating: entry.seen.gating,
            sentence,
            evidence: evidence.collect(),
            since: entry.since,
            age_seconds,
            next,
        }
    }

    fn change(
        &self,
        item: &Option<String>,
        from: Option<Status>,
        entry: Option<&Entry>,
        sentence: &str,
    ) -> Change {
        Change {
            check: self.check,
            item: item.clone(),
            from,
            to: entry.map(|entry| entry.shown),
            gating: entry.is_some_and(|entry| entry.seen.gating),
            sentence: sentence.to_owned(),
        }
    }
}

impl Entry {
    /// Nothing is known from before: a bad sight that has yet to last leaves a gating finding in doubt, and
    /// any other one `ok`.
    fn first_seen(seen: Observation, now: Moment) -> Self {
        let settled = if seen.gating { Status::Unknown } else { Status::Ok };
        Self { seen: seen.clone(), settled, worse_since: None, shown: settled, since: now.wall }
            .looked(seen, now)
    }

    fn looked(mut self, seen: Observation, now: Moment) -> Self {
        let shown_before = self.shown;
        // The same trouble, only taken more seriously, began when it began.
        let goes_on = shown_before != Status::Ok && seen.sentence == self.seen.sentence;
        let mut since = now;
        if seen.status <= self.settled {
            self.settled = seen.status;
            self.worse_since = None;
        } else {
            let first = *self.worse_since.get_or_insert(now);
            if now.since(first) >= seen.debounce {
                self.settled = seen.status;
                self.worse_since = None;
                since = first;
            }
        }
        let is_pending = self.worse_since.is_some();
        self.shown = if is_pending { self.settled.max(seen.meanwhile) } else { self.settled };
        if is_pending && self.shown != shown_before {
            since = self.worse_since.unwrap_or(now);
        }
        self.seen = seen;
        if self.shown != shown_before && !(goes_on && self.shown != Status::Ok) {
            self.since = since.wall;
        }
        self
    }

    /// The sentence, with a word about what has yet to last.
    fn sentence(&self, now: Moment) -> String {
        let sentence = &self.seen.sentence;
        match self.worse_since {
            None => sentence.clone(),
            Some(first) => format!(
                "{sentence} (seen for {}, counts as {} after {})",
                spoken(now.since(first)),
                self.seen.status.as_str(),
                spoken(self.seen.debounce)
            ),
        }
    }
}

impl Silence {
    fn status(self, now: Moment) -> Status {
        match self.looks >= SILENT_LOOKS && now.since(self.first) >= SILENT_FOR {
            true => Status::Crit,
            false => Status::Unknown,
        }
    }

    fn sentence(self, check: &str, item: Option<&str>, deadline: Duration, now: Moment) -> String {
        let subject = subject(check, item);
        let deadline = spoken(deadline);
        match self.looks {
            1 => format!("{subject} did not answer within {deadline}"),
            looks => format!(
                "{subject} did not answer within {deadline}, {looks} times in a row over {}",
                spoken(now.since(self.first))
            ),
        }
    }
}

fn subject(check: &str, item: Option<&str>) -> String {
    match item {
        None => check.replace('_', " "),
        Some(item) => format!("{} {item}", check.replace('_', " ")),
    }
}

/// A look that speaks twice of one item means the worse.
fn worst_of_each_item(observations: Vec<Observation>) -> Vec<Observation> {
    let mut kept: Vec<Observation> = Vec::with_capacity(observations.len());
    for observation in observations {
        match kept.iter_mut().find(|other| other.item == observation.item) {
            None => kept.push(observation),
            Some(other) if other.status < observation.status => *other = observation,
            Some(_) => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests;
