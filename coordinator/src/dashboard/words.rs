//! How pages say things: tones, moments, lengths of time, sizes. Numbers become words here and nowhere else.

use jiff::{Timestamp, TimestampRound, Unit};
use millwright_decision::{Severity, TaskClass};
use millwright_protocol::{Status, TaskState};

use crate::view::{ChecklistState, NodeState, SourceWord};
pub use crate::words::{count, kill_cost, length, seconds, size};

/// How something is to be read at a glance. A tone chooses symbol and colour; the word always stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Something is under way, or clears by itself.
    Busy,
    /// Worth a look, or a person decides.
    Notice,
    /// Broken.
    Bad,
    /// Nobody can tell.
    Unknown,
    /// Settled: not wanted, not touched.
    Quiet,
}

impl Tone {
    /// The class name in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Notice => "notice",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
            Self::Quiet => "quiet",
        }
    }
}

/// A word with its symbol and tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// For readers.
    pub word: &'static str,
    /// For the eye; hidden from screen readers, which have the word.
    pub symbol: &'static str,
    /// For the colour.
    pub tone: Tone,
}

const fn mark(word: &'static str, symbol: &'static str, tone: Tone) -> Mark {
    Mark { word, symbol, tone }
}

impl From<Status> for Mark {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => mark("ok", "✓", Tone::Good),
            Status::Warn => mark("warn", "!", Tone::Notice),
            Status::Unknown => mark("unknown", "?", Tone::Unknown),
            Status::Crit => mark("crit", "✕", Tone::Bad),
        }
    }
}

impl From<Severity> for Mark {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Allowed => mark("allowed", "✓", Tone::Good),
            Severity::Wait => mark("wait", "◔", Tone::Busy),
            Severity::NeedsPeople => mark("needs people", "⚑", Tone::Notice),
            Severity::Refused => mark("refused", "⊘", Tone::Quiet),
        }
    }
}

/// The mark of a verdict that was kept as a word.
pub fn verdict_word(word: &str) -> Mark {
    let all = [Severity::Allowed, Severity::Wait, Severity::NeedsPeople, Severity::Refused];
    let known = all.into_iter().find(|severity| severity.as_str() == word);
    known.map_or(mark("unknown", "?", Tone::Unknown), Mark::from)
}

impl From<NodeState> for Mark {
    fn from(state: NodeState) -> Self {
        let (symbol, tone) = match state {
            NodeState::Healthy => ("✓", Tone::Good),
            NodeState::Sick | NodeState::Silent => ("✕", Tone::Bad),
            NodeState::Stale | NodeState::Unknown | NodeState::NeverHeard => ("?", Tone::Unknown),
            NodeState::Verifying | NodeState::Draining | NodeState::Out => ("◔", Tone::Busy),
            NodeState::Unlisted => ("!", Tone::Notice),
            NodeState::Physical | NodeState::KnownDead | NodeState::Quarantined => ("–", Tone::Quiet),
        };
        Self { word: state.label(), symbol, tone }
    }
}

impl From<ChecklistState> for Mark {
    fn from(state: ChecklistState) -> Self {
        match state {
            ChecklistState::Done => mark("done", "✓", Tone::Good),
            ChecklistState::Warn => mark("warn", "!", Tone::Notice),
            ChecklistState::Failed => mark("failed", "✕", Tone::Bad),
            ChecklistState::Unknown => mark("unknown", "?", Tone::Unknown),
            ChecklistState::NotConfigured => mark("not asked", "–", Tone::Quiet),
        }
    }
}

impl From<SourceWord> for Mark {
    fn from(word: SourceWord) -> Self {
        match word {
            SourceWord::Fresh => mark("fresh", "✓", Tone::Good),
            SourceWord::Unknown => mark("unknown", "?", Tone::Unknown),
        }
    }
}

impl From<TaskClass> for Mark {
    fn from(class: TaskClass) -> Self {
        match class {
            TaskClass::Protected => mark("protected", "◆", Tone::Notice),
            TaskClass::Pinned => mark("pinned", "◆", Tone::Notice),
            TaskClass::Service => mark("service", "◇", Tone::Busy),
            TaskClass::Checker => mark("checker", "◇", Tone::Busy),
            TaskClass::Disposable => mark("disposable", "○", Tone::Quiet),
        }
    }
}

/// The word for where a task is in its life.
pub fn task_state(state: TaskState) -> &'static str {
    match state {
        TaskState::Staging => "staging",
        TaskState::Starting => "starting",
        TaskState::Running => "running",
        TaskState::Killing => "killing",
        TaskState::Unreachable => "unreachable",
        TaskState::Ended => "ended",
        TaskState::Unknown => "unknown",
    }
}

/// A moment, said both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// For machines: RFC 3339, to the second.
    pub iso: String,
    /// For the title: "2026-01-31 10:00:00 UTC".
    pub absolute: String,
    /// For reading: "4 min ago", "in 12 s".
    pub relative: String,
}

impl Moment {
    /// `at`, seen from `now`.
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        let second =
            at.round(TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc)).unwrap_or(at);
        let distance = now.duration_since(at);
        let relative = if distance.is_negative() {
            format!("in {}", length(distance.abs()))
        } else {
            format!("{} ago", length(distance))
        };
        Self { iso: second.to_string(), absolute: absolute(at), relative }
    }
}

/// "2026-01-31 10:00:00 UTC".
pub fn absolute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long until a disk is full: "full in 3 h".
pub fn hours_to_full(hours: f64) -> String {
    if !hours.is_finite() || hours < 0.0 {
        return "unknown when full".to_owned();
    }
    match hours {
        short if short < 1.0 => "full within the hour".to_owned(),
        hours if hours < 48.0 => format!("full in {hours:.0} h"),
        long => format!("full in {:.0} d", long / 24.0),
    }
}

/// Sorts names as people count: `node9` before `node10`.
pub fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts: Vec<(String, u64)> = Vec::new();
    let mut was_digit = true;
    for letter in name.chars() {
        let digit = letter.to_digit(10);
        match (parts.last_mut(), digit) {
            (Some((_, number)), Some(digit)) => {
                *number = number.saturating_mul(10).saturating_add(u64::from(digit));
            }
            (Some((text, _)), None) if !was_digit => text.push(letter),
            (_, None) => parts.push((letter.to_string(), 0)),
            (None, Some(digit)) => parts.push((String::new(), u64::from(digit))),
        }
        was_digit = digit.is_some();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_moment_is_said_in_words_and_to_the_second() {
        let now = at("2026-01-31T10:00:00Z");
        let past = Moment::new(at("2026-01-31T09:56:00.75Z"), now);
        assert_eq!(past.relative, "3 min ago");
        assert_eq!(past.absolute, "2026-01-31 09:56:00 UTC");
        assert_eq!(past.iso, "2026-01-31T09:56:00Z");
        assert_eq!(Moment::new(at("2026-01-31T10:00:40Z"), now).relative, "in 40 s");
    }

    #[test]
    fn sizes_have_three_digits_at_most_below_a_thousand() {
        for (given, spelled) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (11 * 1024 * 1024, "11 MiB"),
            (500_107_862_016, "465 GiB"),
            (u64::MAX, "16383 PiB"),
        ] {
            assert_eq!(size(given), spelled);
        }
    }

    #[test]
    fn names_are_sorted_as_people_count() {
        let mut names = ["node10", "node9", "node", "9", "node10b2", "node10b10", "Node1", "node010"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["9", "Node1", "node", "node9", "node10", "node010", "node10b2", "node10b10"]);
    }

    #[test]
    fn a_forecast_that_is_no_number_is_not_known() {
        assert_eq!(hours_to_full(f64::NAN), "unknown when full");
        assert_eq!(hours_to_full(f64::INFINITY), "unknown when full");
        assert_eq!(hours_to_full(0.4), "full within the hour");
        assert_eq!(hours_to_full(17.2), "full in 17 h");
        assert_eq!(hours_to_full(240.0), "full in 10 d");
    }
}
