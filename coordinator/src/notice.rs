//! What to tell people who are not looking, and how seldom.
//!
//! Pure: conditions that hold now go in, notices come out. A condition is told when it begins, again at most once an
//! hour while it is `crit` and once a day while it is `warn`, and once more when it is over. One that comes and goes is
//! still told no more often than that. While the coordinator warms up it says nothing: it does not know enough.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// So many notices wait for a chat that does not answer; the oldest go first.
const OUTBOX: usize = 200;

/// How urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Back to normal.
    Ok,
    /// Today.
    Warn,
    /// Now.
    Crit,
}

impl Level {
    /// The word in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Crit => "crit",
        }
    }

    fn again_after(self) -> SignedDuration {
        match self {
            Self::Crit => SignedDuration::from_hours(1),
            Self::Ok | Self::Warn => SignedDuration::from_hours(24),
        }
    }
}

/// Something that holds now and that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What makes it the same condition later: `alibuild01/silent`, `alibuild01/docker`, `brake/agent`.
    pub subject: String,
    /// Where, as policy spells it.
    pub node: Option<String>,
    /// How urgent.
    pub level: Level,
    /// In words.
    pub sentence: String,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// When it was decided.
    pub at: Timestamp,
    /// How urgent.
    pub level: Level,
    /// Where, as policy spells it.
    pub node: Option<String>,
    /// See [`Condition::subject`].
    pub subject: String,
    /// For people.
    pub text: String,
}

/// Remembers what has been told, and holds what has not been sent.
#[derive(Debug, Default)]
pub struct Notices {
    told: BTreeMap<String, Told>,
    outbox: VecDeque<Notice>,
    dropped: u64,
}

#[derive(Debug, Clone)]
struct Told {
    at: Timestamp,
    level: Level,
    node: Option<String>,
    /// Its end has been told, or it has not: kept for a while so that a condition that flaps is not told anew.
    is_over: bool,
}

impl Notices {
    /// Compares what holds now with what people know, and puts the difference into the outbox.
    pub fn compare(&mut self, conditions: &[Condition], is_warming_up: bool, now: Timestamp) {
        if is_warming_up {
            return;
        }
        for condition in conditions {
            self.begin_or_repeat(condition, now);
        }
        let holds = |subject: &str| conditions.iter().any(|condition| condition.subject == subject);
        let over: Vec<String> = self
            .told
            .iter()
            .filter(|(subject, told)| !told.is_over && !holds(subject))
            .map(|(subject, _)| subject.clone())
            .collect();
        for subject in over {
            self.end(&subject, now);
        }
        self.told.retain(|_, told| !told.is_over || now.duration_since(told.at) < told.level.again_after());
    }

    fn begin_or_repeat(&mut self, condition: &Condition, now: Timestamp) {
        let known = self.told.get(&condition.subject);
        let is_due = known.is_none_or(|told| {
            condition.level > told.level || now.duration_since(told.at) >= condition.level.again_after()
        });
        if !is_due {
            return;
        }
        let told = Told { at: now, level: condition.level, node: condition.node.clone(), is_over: false };
        self.told.insert(condition.subject.clone(), told);
        self.put(Notice {
            at: now,
            level: condition.level,
            node: condition.node.clone(),
            subject: condition.subject.clone(),
            text: condition.sentence.clone(),
        });
    }

    fn end(&mut self, subject: &str, now: Timestamp) {
        let Some(told) = self.told.get_mut(subject) else { return };
        told.is_over = true;
        let node = told.node.clone();
        let text = format!("back to normal: {subject}");
        self.put(Notice { at: now, level: Level::Ok, node, subject: subject.to_owned(), text });
    }

    fn put(&mut self, notice: Notice) {
        if self.outbox.len() >= OUTBOX {
            self.outbox.pop_front();
            self.dropped += 1;
        }
        self.outbox.push_back(notice);
    }

    /// The oldest notice that waits.
    pub fn next(&self) -> Option<&Notice> {
        self.outbox.front()
    }

    /// It was sent. A notice that was dropped meanwhile is not missed.
    pub fn sent(&mut self, notice: &Notice) {
        if self.outbox.front() == Some(notice) {
            self.outbox.pop_front();
        }
    }

    /// How many wait, and how many were dropped since the start.
    pub fn backlog(&self) -> (usize, u64) {
        (self.outbox.len(), self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + 60 * minutes).unwrap()
    }

    fn silent(level: Level) -> Condition {
        Condition {
            subject: "alibuild01/silent".into(),
            node: Some("alibuild01".into()),
            level,
            sentence: "alibuild01 is silent".into(),
        }
    }

    fn told(notices: &mut Notices) -> Vec<Level> {
        let levels = notices.outbox.iter().map(|notice| notice.level).collect();
        notices.outbox.clear();
        levels
    }

    #[test]
    fn a_condition_is_told_once_an_hour_and_when_it_is_over() {
        let mut notices = Notices::default();
        for minute in 0..120 {
            notices.compare(&[silent(Level::Crit)], false, at(minute));
        }
        assert_eq!(told(&mut notices), [Level::Crit, Level::Crit]);
        for minute in 120..130 {
            notices.compare(&[], false, at(minute));
        }
        assert_eq!(told(&mut notices), [Level::Ok]);
    }

    #[test]
    fn a_warning_is_told_once_a_day_and_at_once_when_it_gets_worse() {
        let mut notices = Notices::default();
        for minute in 0..1_439 {
            notices.compare(&[silent(Level::Warn)], false, at(minute));
        }
        assert_eq!(told(&mut notices), [Level::Warn]);
        notices.compare(&[silent(Level::Crit)], false, at(1_439));
        assert_eq!(told(&mut notices), [Level::Crit]);
    }

    #[test]
    fn a_condition_that_comes_and_goes_is_not_told_each_time() {
        let mut notices = Notices::default();
        for minute in 0..59 {
            let now = if minute % 2 == 0 { vec![silent(Level::Crit)] } else { Vec::new() };
            notices.compare(&now, false, at(minute));
        }
        assert_eq!(told(&mut notices), [Level::Crit, Level::Ok]);
        notices.compare(&[silent(Level::Crit)], false, at(61));
        assert_eq!(told(&mut notices), [Level::Crit]);
    }

    #[test]
    fn nothing_is_told_while_the_coordinator_warms_up() {
        let mut notices = Notices::default();
        notices.compare(&[silent(Level::Crit)], true, at(0));
        assert_eq!(told(&mut notices), []);
        notices.compare(&[silent(Level::Crit)], false, at(1));
        notices.compare(&[], true, at(2));
        assert_eq!(told(&mut notices), [Level::Crit], "not knowing is not back to normal");
    }

    #[test]
    fn a_chat_that_does_not_answer_costs_a_bounded_number_of_notices() {
        let mut notices = Notices::default();
        let many: Vec<Condition> = (0..OUTBOX + 5)
            .map(|number| Condition { subject: format!("node{number}/silent"), ..silent(Level::Crit) })
            .collect();
        notices.compare(&many, false, at(0));
        assert_eq!(notices.backlog(), (OUTBOX, 5));
        let next = notices.next().unwrap().clone();
        assert_eq!(next.subject, "node5/silent", "the oldest went");
        notices.sent(&next);
        notices.sent(&next);
        assert_eq!(notices.backlog(), (OUTBOX - 1, 5), "sent once is gone once");
    }
}
