//! Which conditions people know of, and how seldom they are told again.
//!
//! A condition is told when it begins, again at most once an hour while it is `crit` and once a day while it is `warn`, and
//! once more when it is over. One that comes and goes is still told no more often than that. While the coordinator warms up
//! nothing is said: it does not know enough.

use super::{Condition, Level, Notice, kept::Kept};
use crate::store::NoticeRow;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One that asks something else than before is told at once, but no more often than this.
const OTHER_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// Something to tell of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// What.
    pub notice: Notice,
    /// Whether people have not heard of it before, or only of its end.
    pub is_first: bool,
}

/// What was told of each condition.
#[derive(Debug)]
pub struct Known {
    told: Kept<Told>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Told {
    at: Timestamp,
    level: Level,
    #[serde(default)]
    node: Option<String>,
    #[serde(default)]
    operation: Option<String>,
    #[serde(default)]
    what: String,
    /// Its end has been told, or it has not: kept for a while so that a condition that flaps is not told anew.
    is_over: bool,
}

impl Known {
    /// As it was stored.
    pub fn read(rows: &[NoticeRow]) -> Self {
        Self { told: Kept::read("told", rows) }
    }

    /// Compares what holds now with what people know; the difference is news.
    pub fn compare(&mut self, conditions: &[Condition], is_warming_up: bool, now: Timestamp) -> Vec<News> {
        if is_warming_up {
            return Vec::new();
        }
        let mut news: Vec<News> =
            conditions.iter().filter_map(|condition| self.begin_or_repeat(condition, now)).collect();
        let holds = |subject: &str| conditions.iter().any(|condition| condition.subject == subject);
        let over: Vec<String> = self
            .told
            .iter()
            .filter(|(subject, told)| !told.is_over && !holds(subject))
            .map(|(subject, _)| subject.clone())
            .collect();
        news.extend(over.iter().filter_map(|subject| self.end(subject, now)));
        self.told.retain(|told| !told.is_over || now.duration_since(told.at) < told.level.again_after());
        news
    }

    fn begin_or_repeat(&mut self, condition: &Condition, now: Timestamp) -> Option<News> {
        let is_first = self.told.get(&condition.subject).is_none_or(|told| told.is_over);
        let is_due = self.told.get(&condition.subject).is_none_or(|told| {
            let age = now.duration_since(told.at);
            condition.level > told.level
                || age >= condition.level.again_after()
                || (condition.what != told.what && age >= OTHER_AFTER)
        });
        if !is_due {
            return None;
        }
        let told = Told {
            at: now,
            level: condition.level,
            node: condition.node.clone(),
            operation: condition.operation.clone(),
            what: condition.what.clone(),
            is_over: false,
        };
        self.told.put(&condition.subject, told);
        let notice = Notice {
            at: now,
            level: condition.level,
            node: condition.node.clone(),
            subject: condition.subject.clone(),
            operation: condition.operation.clone(),
            text: condition.sentence.clone(),
        };
        Some(News { notice, is_first })
    }

    fn end(&mut self, subject: &str, now: Timestamp) -> Option<News> {
        let told = self.told.get(subject)?.clone();
        self.told.change(subject, |told| told.is_over = true);
        let notice = Notice {
            at: now,
            level: Level::Ok,
            node: told.node,
            subject: subject.to_owned(),
            operation: None,
            text: format!("back to normal: {subject}"),
        };
        told.operation.is_none().then_some(News { notice, is_first: false })
    }

    /// Rows that are not on the disk yet.
    pub fn take_changes(&mut self) -> Vec<NoticeRow> {
        self.told.take_changes()
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
            operation: None,
            what: String::new(),
            level,
            sentence: "alibuild01 is silent".into(),
        }
    }

    fn asks(what: &str) -> Condition {
        Condition {
            subject: "op-3".into(),
            operation: Some("op-3".into()),
            what: what.into(),
            ..silent(Level::Warn)
        }
    }

    fn known() -> Known {
        Known::read(&[])
    }

    fn told(known: &mut Known, conditions: &[Condition], now: Timestamp) -> Vec<Level> {
        known.compare(conditions, false, now).into_iter().map(|news| news.notice.level).collect()
    }

    #[test]
    fn a_condition_is_told_once_an_hour_and_when_it_is_over() {
        let mut known = known();
        let mut levels = Vec::new();
        for minute in 0..120 {
            levels.extend(told(&mut known, &[silent(Level::Crit)], at(minute)));
        }
        for minute in 120..130 {
            levels.extend(told(&mut known, &[], at(minute)));
        }
        assert_eq!(levels, [Level::Crit, Level::Crit, Level::Ok]);
    }

    #[test]
    fn a_warning_is_told_once_a_day_and_at_once_when_it_gets_worse() {
        let mut known = known();
        let mut levels = Vec::new();
        for minute in 0..1_439 {
            levels.extend(told(&mut known, &[silent(Level::Warn)], at(minute)));
        }
        assert_eq!(levels, [Level::Warn]);
        assert_eq!(told(&mut known, &[silent(Level::Crit)], at(1_439)), [Level::Crit]);
    }

    #[test]
    fn a_condition_that_comes_and_goes_is_not_told_each_time() {
        let mut known = known();
        let mut levels = Vec::new();
        for minute in 0..59 {
            let now = if minute % 2 == 0 { vec![silent(Level::Crit)] } else { Vec::new() };
            levels.extend(told(&mut known, &now, at(minute)));
        }
        assert_eq!(levels, [Level::Crit, Level::Ok]);
        assert_eq!(told(&mut known, &[silent(Level::Crit)], at(61)), [Level::Crit]);
    }

    #[test]
    fn nothing_is_told_while_the_coordinator_warms_up() {
        let mut known = known();
        assert_eq!(known.compare(&[silent(Level::Crit)], true, at(0)), []);
        assert_eq!(told(&mut known, &[silent(Level::Crit)], at(1)), [Level::Crit]);
        assert_eq!(known.compare(&[], true, at(2)), [], "not knowing is not back to normal");
    }

    #[test]
    fn a_restart_tells_no_condition_twice_and_still_tells_its_end() {
        let mut before = known();
        assert_eq!(told(&mut before, &[silent(Level::Crit)], at(0)), [Level::Crit]);
        let mut after = Known::read(&before.take_changes());
        assert_eq!(told(&mut after, &[silent(Level::Crit)], at(1)), []);
        assert_eq!(told(&mut after, &[], at(2)), [Level::Ok]);
    }

    #[test]
    fn an_operation_that_asks_something_else_is_told_and_the_same_in_other_words_is_not() {
        let mut known = known();
        assert_eq!(told(&mut known, &[asks("approval_missing")], at(0)), [Level::Warn]);
        let other_words = Condition { sentence: "for 12 min now".into(), ..asks("approval_missing") };
        assert_eq!(told(&mut known, &[other_words], at(12)), []);
        assert_eq!(told(&mut known, &[asks("stuck")], at(13)), [Level::Warn]);
        assert_eq!(told(&mut known, &[], at(14)), [], "what it does next says that it is over");
    }
}
