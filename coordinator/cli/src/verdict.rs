//! A verdict as the API gives it, and as a person reads it.

use crate::{
    page::{Look, Page},
    spell,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, process::ExitCode};

/// How strongly something objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Allowed,
    Wait,
    NeedsPeople,
    Refused,
}

impl Severity {
    /// For scripts.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Allowed => 0,
            Self::Wait => 10,
            Self::NeedsPeople => 11,
            Self::Refused => 12,
        })
    }

    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "ALLOWED",
            Self::Wait => "WAIT",
            Self::NeedsPeople => "NEEDS PEOPLE",
            Self::Refused => "REFUSED",
        }
    }

    pub fn look(self) -> Look {
        match self {
            Self::Allowed => Look::Good,
            Self::Wait => Look::Warn,
            Self::NeedsPeople => Look::Odd,
            Self::Refused => Look::Bad,
        }
    }
}

/// DESIGN section 6, as far as a person is shown it.
#[derive(Debug, Clone, Deserialize)]
pub struct Verdict {
    pub action: String,
    pub nodes: Vec<String>,
    pub verdict: Severity,
    pub may_start: Severity,
    pub asked_at: Timestamp,
    #[serde(default)]
    pub oldest_fact_seconds: u64,
    #[serde(default)]
    pub reasons: Vec<Reason>,
    #[serde(default)]
    pub notes: Vec<Note>,
    #[serde(default)]
    pub not_configured: Vec<String>,
    #[serde(default)]
    pub cost: Cost,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Reason {
    code: String,
    rule: Option<String>,
    severity: Severity,
    pub sentence: String,
    #[serde(default)]
    evidence: Vec<Evidence>,
    owner: String,
    since: Option<Timestamp>,
    unblocked_by: String,
    expected_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Deserialize)]
struct Evidence {
    fact: String,
    value: String,
    source: String,
    #[serde(default)]
    age_seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Note {
    code: String,
    sentence: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Cost {
    tasks_lost: Vec<TaskLost>,
    images_to_pull_bytes: u64,
    capacity_left: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Deserialize)]
struct TaskLost {
    node: String,
    name: String,
    framework: String,
    class: String,
    kill_cost_seconds: Option<u64>,
}

impl Verdict {
    /// The word, every reason, what it rests on and what would clear it, notes, cost, and what cannot be seen.
    pub fn write(&self, page: &mut Page) {
        page.add(Look::Strong, &format!("{} {}: ", self.action, self.nodes.join(", ")));
        page.add(self.verdict.look(), self.verdict.word()).end();
        if self.may_start != self.verdict {
            page.add(Look::Plain, "  it may begin: ");
            page.add(self.may_start.look(), &self.may_start.word().to_lowercase());
            page.line(", since the rest clears on the way");
        }
        for reason in &self.reasons {
            reason.write(page, self.asked_at);
        }
        for note in &self.notes {
            page.add(Look::Faint, "  note: ").add(Look::Plain, &note.sentence);
            page.add(Look::Faint, &format!("  [{}]", note.code)).end();
        }
        self.cost.write(page);
        if !self.not_configured.is_empty() {
            let blind = format!("  what I cannot see: {}", self.not_configured.join(", "));
            page.add(Look::Faint, &blind).end();
        }
        let age = format!("  the oldest fact is {} old", spell::length(self.oldest_fact_seconds));
        page.add(Look::Faint, &age).end();
    }

    /// One line.
    pub fn write_short(&self, page: &mut Page) {
        page.add(Look::Strong, &format!("{:<8}", self.action));
        page.add(self.verdict.look(), &format!("{:<13}", self.verdict.word()));
        let more = match self.reasons.len() {
            0 | 1 => String::new(),
            count => format!("  (and {} more)", count - 1),
        };
        let first = self.reasons.first().map_or("nothing objects", |reason| &reason.sentence);
        page.add(Look::Plain, first).add(Look::Faint, &more).end();
    }
}

impl Reason {
    fn write(&self, page: &mut Page, now: Timestamp) {
        page.add(self.severity.look(), &format!("  {:<12} ", self.severity.word().to_lowercase()));
        page.add(Look::Plain, &self.sentence);
        let rule = self.rule.as_ref().map_or(String::new(), |rule| format!(", {rule}"));
        page.add(Look::Faint, &format!("  [{}{rule}]", self.code)).end();
        for seen in &self.evidence {
            let line = format!(
                "      {} = {}  ({}, {} old)",
                seen.fact,
                seen.value,
                seen.source,
                spell::length(seen.age_seconds)
            );
            page.add(Look::Faint, &line).end();
        }
        let since = self.since.map_or(String::new(), |since| format!("since {}; ", spell::ago(since, now)));
        page.line(&format!("      {since}cleared by: {}  ({})", self.unblocked_by, self.owner));
        if let Some(expected) = self.expected_at {
            page.line(&format!("      expected at {expected}"));
        }
    }
}

impl Cost {
    fn write(&self, page: &mut Page) {
        for task in &self.tasks_lost {
            let cost = task.kill_cost_seconds.map_or("unknown".to_owned(), spell::length);
            page.line(&format!(
                "  would end: {} on {} ({}, {}; work lost: {cost})",
                task.name, task.node, task.framework, task.class
            ));
        }
        if self.images_to_pull_bytes > 0 {
            page.line(&format!("  would pull {} of images again", spell::bytes(self.images_to_pull_bytes)));
        }
        for (class, left) in &self.capacity_left {
            if let (Some(in_service), Some(listed)) = (count(left, "in_service"), count(left, "listed")) {
                page.line(&format!("  would leave {in_service} of {listed} {class} nodes in service"));
            }
        }
    }
}

fn count(left: &Value, key: &str) -> Option<u64> {
    left.get(key)?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::tests::WORDS;
    use serde_json::json;

    fn sample() -> Verdict {
        serde_json::from_value(json!({
            "action": "reboot", "nodes": ["alibuild10"], "verdict": "wait", "may_start": "allowed",
            "asked_at": "2026-01-31T10:00:00Z", "oldest_fact_seconds": 4,
            "reasons": [{ "code": "task_protected", "rule": "R11", "node": "alibuild10", "severity": "wait",
                "sentence": "alibuild10 runs a build", "evidence": [{ "fact": "task", "value": "b1", "source": "agent", "age_seconds": 3 }],
                "owner": "Jenkins", "since": "2026-01-31T09:00:00Z", "unblocked_by": "the build ends", "expected_at": "2026-01-31T12:00:00Z" }],
            "waits": ["task_protected"], "notes": [{ "code": "not_cordoned", "node": "alibuild10", "sentence": "it still gets work" }],
            "not_configured": ["jenkins"],
            "cost": { "tasks_lost": [{ "node": "alibuild10", "id": "b1", "name": "build O2", "framework": "Jenkins Scheduler",
                "class": "protected", "runtime_seconds": 3600, "kill_cost_seconds": 5400 }], "images_to_pull_bytes": 0,
                "capacity_left": { "agent": { "listed": 40, "in_service": 39 } } }
        }))
        .unwrap()
    }

    #[test]
    fn a_person_reads_the_word_the_reasons_and_what_clears_them() {
        let mut page = WORDS.page();
        sample().write(&mut page);
        assert_eq!(
            page.text(),
            "reboot alibuild10: WAIT\n  \
               it may begin: allowed, since the rest clears on the way\n  \
               wait         alibuild10 runs a build  [task_protected, R11]\n      \
                   task = b1  (agent, 3 s old)\n      \
                   since 60 min ago; cleared by: the build ends  (Jenkins)\n      \
                   expected at 2026-01-31T12:00:00Z\n  \
               note: it still gets work  [not_cordoned]\n  \
               would end: build O2 on alibuild10 (Jenkins Scheduler, protected; work lost: 90 min)\n  \
               would leave 39 of 40 agent nodes in service\n  \
               what I cannot see: jenkins\n  \
               the oldest fact is 4 s old\n"
        );
    }

    #[test]
    fn a_verdict_the_decision_makes_is_read() {
        let verdict = millwright_decision::Verdict {
            action: millwright_decision::Action::Drain,
            nodes: vec!["n01".into()],
            verdict: millwright_decision::Severity::NeedsPeople,
            may_start: millwright_decision::Severity::NeedsPeople,
            asked_at: Timestamp::UNIX_EPOCH,
            oldest_fact_seconds: 0,
            reasons: vec![],
            waits: vec![],
            notes: vec![],
            not_configured: vec!["jenkins"],
            cost: millwright_decision::Cost::default(),
        };
        let read: Verdict = serde_json::from_value(serde_json::to_value(verdict).unwrap()).unwrap();
        assert_eq!(read.verdict, Severity::NeedsPeople);
    }
}
