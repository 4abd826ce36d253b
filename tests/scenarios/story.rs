//! Reads one story, asks its questions, compares the answers.

use crate::world::World;
use jiff::Timestamp;
use millwright_decision::{Action, Code, Request, Severity, Stage, Verdict, Volumes, judge};
use std::collections::BTreeSet;

/// What came of a story.
#[derive(Default)]
pub struct Outcome {
    pub questions: usize,
    pub failures: Vec<String>,
    /// Codes that were the only objection to some question.
    pub alone: BTreeSet<Code>,
    /// Codes of `clear` lines that objected alone and, after what clears them, let the same question pass.
    pub cleared: BTreeSet<Code>,
}

pub fn run(text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let mut policy = String::new();
    let mut world_lines = Vec::new();
    let mut verdict = None;
    let mut clearing: Option<Clearing> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.split(" # ").next().unwrap_or_default().trim_end();
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(overlay) = line.strip_prefix("policy ") {
            policy.push_str(overlay);
            policy.push('\n');
        } else if let Some(question) = line.strip_prefix("ask ") {
            outcome.questions += 1;
            let answer = ask(question, &policy, &world_lines);
            let codes: BTreeSet<Code> = answer.reasons.iter().map(|reason| reason.code).collect();
            if codes.len() == 1 {
                outcome.alone.extend(codes);
            }
            if let Some(clearing) = &mut clearing {
                outcome.cleared.extend(clearing.hear(question, &answer));
            }
            verdict = Some(answer);
        } else if let Some(expected) = line.strip_prefix("expect ") {
            let answer = verdict.as_ref().unwrap_or_else(|| panic!("line {}: expect without ask", index + 1));
            if let Err(why) = compare(expected, answer) {
                outcome.failures.push(format!("line {}: {why}", index + 1));
            }
        } else if let Some(code) = line.strip_prefix("clear ") {
            clearing = Some(Clearing { code: code.to_owned(), objected_to: None });
            world_lines.clear();
            policy.clear();
        } else if line == "again" || line == "then" {
            // The world of the next questions starts anew, on the shipped policy.
            world_lines.clear();
            policy.clear();
        } else {
            world_lines.push(line.to_owned());
        }
    }
    outcome
}

/// A code on its way from the only objection to none.
struct Clearing {
    code: String,
    objected_to: Option<String>,
}

impl Clearing {
    fn hear(&mut self, question: &str, answer: &Verdict) -> Option<Code> {
        // The operation that a person's yes belongs to is part of what clears, not of the question.
        let question: Vec<&str> = question.split(' ').filter(|word| !word.starts_with("op=")).collect();
        let question = question.join(" ");
        let mut codes = answer.reasons.iter().map(|reason| reason.code);
        if answer.verdict == Severity::Allowed && self.objected_to.as_ref() == Some(&question) {
            return Code::ALL.iter().copied().find(|code| code.as_str() == self.code);
        }
        if !answer.reasons.is_empty() && codes.all(|code| code.as_str() == self.code) {
            self.objected_to = Some(question);
        }
        None
    }
}

/// `ACTION NODE… [volumes=delete] [op=ID] [permit]`
fn ask(question: &str, policy: &str, world_lines: &[String]) -> Verdict {
    let mut words = question.split_whitespace();
    let action: Action = words.next().unwrap().parse().unwrap();
    let mut request = Request::set(action, []);
    for word in words {
        match word.split_once('=') {
            Some(("volumes", "delete")) => request.volumes = Volumes::Delete,
            Some(("op", id)) => request.operation = Some(id.to_owned()),
            None if word == "permit" => request.stage = Stage::Permit,
            None => drop(request.nodes.insert(word.parse().unwrap())),
            _ => panic!("ask: {word:?} is not understood"),
        }
    }
    let (snapshot, policy, now) = World::build(policy, world_lines).snapshot();
    judge(&request, &snapshot, &policy, now)
}

/// `VERDICT [start=SEVERITY] [only] [CODE…] [note=CODE…] [not=CODE…] [expected_at[=TIME]] [rule=Rn] [lost=N] [says=WORDS]`
fn compare(expected: &str, answer: &Verdict) -> Result<(), String> {
    let codes: BTreeSet<&str> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
    let worst: BTreeSet<&str> = answer
        .reasons
        .iter()
        .filter(|reason| reason.severity == answer.verdict)
        .map(|reason| reason.code.as_str())
        .collect();
    let spelled = || {
        let reasons: Vec<String> = answer
            .reasons
            .iter()
            .map(|reason| format!("{} {}", reason.severity.as_str(), reason.code))
            .collect();
        format!("the answer is {}: [{}]", answer.verdict.as_str(), reasons.join(", "))
    };
    let mut words = expected.split_whitespace();
    let verdict = words.next().unwrap_or_default();
    if answer.verdict.as_str() != verdict {
        return Err(format!("expected {verdict}, {}", spelled()));
    }
    let mut named = BTreeSet::new();
    let mut only = false;
    for word in words {
        let holds = match word.split_once('=') {
            Some(("start", severity)) => answer.may_start.as_str() == severity,
            Some(("note", code)) => answer.notes.iter().any(|note| note.code.as_str() == code),
            Some(("not", code)) => {
                !codes.contains(code) && !answer.notes.iter().any(|note| note.code.as_str() == code)
            }
            Some(("beside", code)) => codes.contains(code),
            Some(("rule", rule)) => answer.reasons.iter().any(|reason| reason.rule == Some(rule)),
            Some(("expected_at", moment)) => {
                let moment: Timestamp = moment.parse().unwrap();
                answer.reasons.iter().any(|reason| reason.expected_at == Some(moment))
            }
            Some(("says", words)) => says(answer, &words.replace('_', " ")),
            Some(("lost", count)) => answer.cost.tasks_lost.len().to_string() == count,
            Some(("not_configured", source)) => answer.not_configured.contains(&source),
            None if word == "only" => {
                only = true;
                true
            }
            None if word == "expected_at" => answer.reasons.iter().any(|reason| reason.expected_at.is_some()),
            None => {
                named.insert(word);
                worst.contains(word)
            }
            _ => panic!("expect: {word:?} is not understood"),
        };
        if !holds {
            return Err(format!("expected {word}, {}", spelled()));
        }
    }
    if only && named != codes {
        return Err(format!("expected nothing beside {named:?}, {}", spelled()));
    }
    explained(answer)
}

/// Whether some reason says this, about itself, about what it rests on or about what clears it.
fn says(answer: &Verdict, words: &str) -> bool {
    answer.reasons.iter().any(|reason| {
        let evidence = reason.evidence.iter().any(|fact| fact.value.contains(words));
        evidence || reason.sentence.contains(words) || reason.unblocked_by.contains(words)
    })
}

/// Whatever the story, a refusal explains itself.
fn explained(answer: &Verdict) -> Result<(), String> {
    for reason in &answer.reasons {
        let complete =
            !reason.sentence.is_empty() && !reason.unblocked_by.is_empty() && !reason.owner.is_empty();
        if !complete || reason.severity == Severity::Allowed {
            return Err(format!("{} does not explain itself", reason.code));
        }
    }
    Ok(())
}
