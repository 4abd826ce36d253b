//! A verdict as a card: the word, every reason with what would clear it, notes, cost, the line to paste.

use super::{
    acts::Act,
    markdown::{self, Span},
    words::{self, Mark, Moment},
};
use jiff::Timestamp;
use millwright_decision::{Action, Cost, Evidence, Reason, Severity, Verdict};

/// Reasons shown before the rest folds away.
const SHOWN: usize = 6;

/// One action's verdict on one node.
pub struct Card {
    /// The action's word.
    pub action: &'static str,
    /// For the heading: "Reboot".
    pub title: String,
    /// The verdict.
    pub mark: Mark,
    /// What the verdict means here, in a sentence.
    pub meaning: String,
    /// The first reasons, worst first.
    pub reasons: Vec<ReasonView>,
    /// The others.
    pub more: Vec<ReasonView>,
    /// Worth knowing.
    pub notes: Vec<NoteView>,
    /// What it would cost, a line each.
    pub cost: Vec<String>,
    /// Tasks that would end.
    pub tasks_lost: Vec<String>,
    /// How many those are, in words.
    pub tasks_count: String,
    /// The age of the oldest fact it rests on.
    pub oldest_fact: String,
    /// The command line that asks the same.
    pub command: String,
    /// The button that begins it, where whoever looks may.
    pub begin: Option<Act>,
}

/// One objection.
pub struct ReasonView {
    /// The code, which is also the name of its page in the manual.
    pub code: &'static str,
    /// The runbook's rule.
    pub rule: Option<&'static str>,
    /// How strongly it objects.
    pub mark: Mark,
    /// What objects.
    pub sentence: String,
    /// What would clear it.
    pub unblocked_by: Vec<Span>,
    /// Who can.
    pub owner: String,
    /// Since when.
    pub since: Option<Moment>,
    /// Until when.
    pub expected_at: Option<Moment>,
    /// What it rests on.
    pub evidence: Vec<EvidenceView>,
    /// It does not keep an operation from beginning.
    pub clears_on_the_way: bool,
}

/// One fact.
pub struct EvidenceView {
    /// What was looked at.
    pub fact: String,
    /// What was seen.
    pub value: String,
    /// Who said so.
    pub source: String,
    /// How old that is; empty for what has no age.
    pub age: String,
}

impl EvidenceView {
    /// From its parts; moments, and numbers whose name ends in their unit, are said in words.
    pub fn new(fact: &str, value: &str, source: &str, age_seconds: u64) -> Self {
        let number: Option<u64> = value.parse().ok();
        let (fact, value) = match (fact.strip_suffix("_bytes"), fact.strip_suffix("_seconds"), number) {
            (Some(fact), _, Some(bytes)) => (fact, words::size(bytes)),
            (_, Some(fact), Some(seconds)) => (fact, words::seconds(seconds)),
            _ => (fact, value.parse().map_or_else(|_| value.to_owned(), words::absolute)),
        };
        let age = if age_seconds == 0 { String::new() } else { words::seconds(age_seconds) };
        Self { fact: fact.replace('_', " "), value, source: source.replace('_', " "), age }
    }
}

impl From<&Evidence> for EvidenceView {
    fn from(evidence: &Evidence) -> Self {
        Self::new(&evidence.fact, &evidence.value, &evidence.source, evidence.age_seconds)
    }
}

/// One note.
pub struct NoteView {
    /// The code.
    pub code: &'static str,
    /// For people.
    pub sentence: String,
}

impl Card {
    /// A card of `verdict`, seen at `now`.
    pub fn new(verdict: &Verdict, now: Timestamp) -> Self {
        let mut reasons: Vec<ReasonView> =
            verdict.reasons.iter().map(|reason| ReasonView::new(reason, now)).collect();
        let more = reasons.split_off(reasons.len().min(SHOWN));
        let action = verdict.action.as_str();
        Self {
            action,
            title: capital(action),
            mark: verdict.verdict.into(),
            meaning: meaning(verdict),
            reasons,
            more,
            notes: verdict
                .notes
                .iter()
                .map(|note| NoteView { code: note.code.as_str(), sentence: note.sentence.clone() })
                .collect(),
            cost: cost(&verdict.cost),
            tasks_lost: tasks_lost(&verdict.cost),
            tasks_count: words::count(verdict.cost.tasks_lost.len(), "task"),
            oldest_fact: words::seconds(verdict.oldest_fact_seconds),
            command: format!("millwright may {action} {}", verdict.nodes.join(" ")),
            begin: None,
        }
    }
}

impl Card {
    /// About how many lines it takes.
    pub fn height(&self) -> usize {
        6 + 5 * self.reasons.len() + 2 * self.notes.len()
    }
}

impl ReasonView {
    fn new(reason: &Reason, now: Timestamp) -> Self {
        Self {
            code: reason.code.as_str(),
            rule: reason.rule,
            mark: reason.severity.into(),
            sentence: reason.sentence.clone(),
            unblocked_by: markdown::line(&reason.unblocked_by),
            owner: reason.owner.to_string(),
            since: reason.since.map(|at| Moment::new(at, now)),
            expected_at: reason.expected_at.map(|at| Moment::new(at, now)),
            evidence: reason.evidence.iter().map(EvidenceView::from).collect(),
            clears_on_the_way: reason.code.clears_on_the_way(),
        }
    }
}

fn meaning(verdict: &Verdict) -> String {
    let step = if verdict.action == Action::Drain { "The cordon" } else { "The irreversible step" };
    match (verdict.verdict, verdict.may_start) {
        (Severity::Allowed, _) => "Nothing objects.".to_owned(),
        (Severity::Refused, _) => "Only a change of the policy could allow it.".to_owned(),
        (_, Severity::Allowed) => {
            format!("It can begin. {step} is not possible now; what is in the way is waited for on the way.")
        }
        (Severity::Wait, _) => "It clears by itself, or when something happens.".to_owned(),
        (Severity::NeedsPeople, _) => "A person can decide.".to_owned(),
    }
}

fn cost(cost: &Cost) -> Vec<String> {
    let mut lines = Vec::new();
    if cost.images_to_pull_bytes > 0 {
        lines.push(format!("{} of images to pull again", words::size(cost.images_to_pull_bytes)));
    }
    for (class, capacity) in &cost.capacity_left {
        lines.push(format!(
            "{} of {} {class} nodes would stay in service",
            capacity.in_service, capacity.listed
        ));
    }
    lines
}

fn tasks_lost(cost: &Cost) -> Vec<String> {
    let line = |task: &millwright_decision::TaskLost| {
        let work = task.kill_cost_seconds.map_or_else(
            || "at an unknown cost".to_owned(),
            |cost| words::kill_cost(cost, task.runtime_seconds),
        );
        let name = if task.name.is_empty() { &task.id } else { &task.name };
        format!("{name} ({}, {}): {work}", task.framework, task.class.as_str())
    };
    cost.tasks_lost.iter().map(line).collect()
}

/// The first letter large, for headings.
pub fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_numbers_with_a_unit_in_their_name_are_said_in_words() {
        let said = |fact, value| {
            let view = EvidenceView::new(fact, value, "agent", 0);
            format!("{} {}", view.fact, view.value)
        };
        assert_eq!(said("free_bytes", "1536"), "free 1.5 KiB");
        assert_eq!(said("window_seconds", "1800"), "window 30 min");
        assert_eq!(said("free_bytes", "a lot"), "free bytes a lot");
        assert_eq!(
            said("last_report", "2026-01-31T10:00:00.123456789Z"),
            "last report 2026-01-31 10:00:00 UTC"
        );
        assert_eq!(said("mesos_listing", "not listed"), "mesos listing not listed");
    }
}
