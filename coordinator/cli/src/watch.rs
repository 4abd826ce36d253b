//! Following one operation: a line for each thing that happens, until it ends, stands still or needs people. Whoever stops
//! watching stops nothing else, and a coordinator that restarts meanwhile is asked again.

use crate::{
    client::{Client, is_passing},
    may,
    node::path_segment,
    output::{Output, Tone, clean},
};
use anyhow::Result;
use millwright_coordinator::view::{OperationView, WaitingView};
use serde::Deserialize;
use serde_json::Value;
use std::{process::ExitCode, time::Duration};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Reads one operation.
///
/// # Errors
/// As [`Client::get`].
pub async fn read(client: &Client, id: &str) -> Result<(Value, OperationView)> {
    let answer: Value = client.get(&format!("/api/v1/operations/{}", path_segment(id)), &[]).await?;
    let view = OperationView::deserialize(&answer)?;
    Ok((answer, view))
}

/// Follows an operation with its story on standard error; the end of it is on standard output.
///
/// # Errors
/// There is no such operation, or the coordinator's answer is not understood.
pub async fn follow(client: &Client, output: &Output, id: &str, json: bool) -> Result<ExitCode> {
    let mut told = Told::default();
    let mut is_away = false;
    loop {
        let answer = tokio::select! {
            answer = read(client, id) => answer,
            _ = tokio::signal::ctrl_c() => return Ok(stopped(output, id)),
        };
        match answer {
            Ok((answer, view)) => {
                if std::mem::take(&mut is_away) {
                    output.complain("the coordinator answers again");
                }
                for line in told.news(&view) {
                    output.complain(&line);
                }
                if let Some(word) = told.end(&view) {
                    if json {
                        output.json(&answer)?
                    } else {
                        print_end(output, &view)?
                    }
                    return Ok(exit_code(word));
                }
            }
            Err(error) if is_passing(&error) => {
                if !std::mem::replace(&mut is_away, true) {
                    output.complain(&format!(
                        "{error:#}; {id} goes on as soon as it runs again, and it is asked until then"
                    ));
                }
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(stopped(output, id)),
        }
    }
}

fn stopped(output: &Output, id: &str) -> ExitCode {
    output.complain(&format!(
        "not watched any more; {id} goes on: `millwright operations {id} --watch` shows it, `millwright cancel {id} --reason …` calls it off"
    ));
    may::exit_code("wait")
}

/// How it stands once there is nothing more to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Good,
    NeedsPeople,
    CalledOff,
}

fn exit_code(end: End) -> ExitCode {
    match end {
        End::Good => ExitCode::SUCCESS,
        End::NeedsPeople => may::exit_code("needs_people"),
        End::CalledOff => ExitCode::FAILURE,
    }
}

/// What was said before.
#[derive(Debug, Default)]
struct Told {
    lines: usize,
    waits_for: Option<String>,
    /// Lines of the story when it was first seen to need people: a word that was just said may not have been looked at.
    asked_at: Option<usize>,
}

impl Told {
    fn news(&mut self, view: &OperationView) -> Vec<String> {
        let mut lines: Vec<String> = view
            .story
            .iter()
            .skip(self.lines)
            .map(|line| clean(&format!("{:.0} {}", line.at, line.sentence)))
            .collect();
        self.lines = view.story.len();
        let waits_for = view.summary.waiting.as_ref().map(key);
        if waits_for != self.waits_for
            && let Some(waiting) = &view.summary.waiting
            // People were asked with these very words.
            && !lines.iter().any(|line| line.contains(&clean(&waiting.sentence)))
        {
            lines.push(clean(&waits(waiting)));
        }
        self.waits_for = waits_for;
        lines
    }

    fn end(&mut self, view: &OperationView) -> Option<End> {
        let is_called_off = view.story.iter().any(|line| line.what == "cancelled");
        match view.summary.state.as_str() {
            "succeeded" => return Some(End::Good),
            "cancelled" | "abandoned" => return Some(End::CalledOff),
            "parked" => return Some(if is_called_off { End::CalledOff } else { End::Good }),
            _ if !view.summary.needs_people() => {
                self.asked_at = None;
                return None;
            }
            _ => {}
        }
        let is_same = self.asked_at.replace(view.story.len()) == Some(view.story.len());
        is_same.then_some(End::NeedsPeople)
    }
}

/// What a wait is for. Sentences have ages in them, so what objects is known by its codes.
fn key(waiting: &WaitingView) -> String {
    match waiting.reasons.is_empty() {
        true => waiting.sentence.clone(),
        false => waiting.reasons.iter().map(|reason| format!("{} ", reason.code)).collect(),
    }
}

/// A wait in one line.
pub fn waits(waiting: &WaitingView) -> String {
    let expected = waiting.expected_at.map_or_else(String::new, |at| format!(", expected to end at {at:.0}"));
    let word = if waiting.needs_people { "needs people" } else { "waits" };
    format!("{word}: {} (for {}{expected})", waiting.sentence, waiting.owner)
}

fn print_end(output: &Output, view: &OperationView) -> Result<()> {
    let summary = &view.summary;
    let tone = match summary.state.as_str() {
        "succeeded" | "parked" => Tone::Good,
        _ => Tone::Bad,
    };
    let name = format!("{} ({} {})", summary.id, summary.action, summary.node);
    let sentence = match (&summary.ended, &summary.broken, &summary.waiting) {
        (Some(sentence), _, _) | (None, Some(sentence), _) => sentence.clone(),
        (None, None, Some(waiting)) => waits(waiting),
        (None, None, None) => summary.state.clone(),
    };
    output.line(output.tone(tone, &format!("{name}: {sentence}")))?;
    for reason in summary.waiting.iter().flat_map(|waiting| &waiting.reasons) {
        output.line(clean(&format!(
            "  - {} [{}]; this would help: {}",
            reason.sentence, reason.code, reason.unblocked_by
        )))?;
    }
    Ok(())
}

#[cfg(test)]
pub mod example {
    //! An operation as the coordinator sends it.

    use super::*;
    use serde_json::json;

    fn step(word: &str, state: &str, is_current: bool) -> Value {
        json!({ "step": word, "doing": "busy", "state": state, "is_current": is_current, "is_irreversible": is_current,
            "was_so": false, "attempt": 1, "began_at": null, "changed_at": null, "why": null, "by": null, "command": [],
            "evidence": [] })
    }

    pub fn view(state: &str, story: &[&str], waiting: Value) -> OperationView {
        let story: Vec<Value> = story
            .iter()
            .map(|what| json!({ "at": "2026-01-31T10:00:00Z", "what": what, "sentence": format!("it is {what}") }))
            .collect();
        let mut view = json!({ "id": "op-3", "action": "rebuild", "node": "alibuild10", "key": "alibuild10", "by": "ann",
            "reason": "kernel", "requested_at": "2026-01-31T10:00:00Z", "state": state, "step": "rebuild", "waiting": waiting,
            "steps_done": 1, "steps_all": 2, "changed_at": "2026-01-31T10:00:00Z", "ended": null, "broken": null });
        let more = json!({ "class": "agent", "executor": "by_hand", "volumes": "keep", "image": null, "is_silent": false,
            "let_go": [], "digest": "0a1b", "is_past_no_return": false, "permit": null, "grants": [], "may": ["cancel"],
            "command": [], "story": story, "steps": [step("announce", "done", false), step("rebuild", "pending", true)] });
        view.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        OperationView::deserialize(view).unwrap()
    }

    pub fn waiting(sentence: &str, needs_people: bool) -> Value {
        json!({ "sentence": sentence, "owner": "operators", "since": "2026-01-31T10:00:00Z", "expected_at": null,
            "needs_people": needs_people, "reasons": [] })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        example::{view, waiting},
        *,
    };

    #[test]
    fn each_thing_that_happens_is_told_once_and_so_is_each_wait() {
        let mut told = Told::default();
        let first = told.news(&view("running", &["requested"], Value::Null));
        assert_eq!(first, ["2026-01-31T10:00:00Z it is requested"]);
        let waits = waiting("a build runs", false);
        assert_eq!(
            told.news(&view("running", &["requested"], waits.clone())),
            ["waits: a build runs (for operators)"]
        );
        assert!(told.news(&view("running", &["requested"], waits.clone())).is_empty());
        let next = told.news(&view("running", &["requested", "began"], waits));
        assert_eq!(next, ["2026-01-31T10:00:00Z it is began"]);
    }

    #[test]
    fn a_wait_whose_numbers_change_is_told_once() {
        let mut told = Told::default();
        let with = |sentence: &str| {
            let mut waits = waiting(sentence, false);
            waits["reasons"] = serde_json::json!([{ "code": "task_protected", "severity": "wait", "sentence": "s", "unblocked_by": "u" }]);
            view("running", &[], waits)
        };
        assert_eq!(told.news(&with("for 5 s")).len(), 1);
        assert!(told.news(&with("for 6 s")).is_empty());
    }

    #[test]
    fn it_is_watched_until_it_ends_stands_still_or_needs_people() {
        let end = |state: &str, story: &[&str]| Told::default().end(&view(state, story, Value::Null));
        assert_eq!(end("succeeded", &[]), Some(End::Good));
        assert_eq!(end("parked", &["requested"]), Some(End::Good));
        assert_eq!(end("parked", &["requested", "cancelled"]), Some(End::CalledOff));
        assert_eq!(end("cancelled", &["cancelled"]), Some(End::CalledOff));
        assert_eq!(end("running", &[]), None);
        assert_eq!(end("undoing", &[]), None);
    }

    #[test]
    fn who_just_said_what_was_missing_is_not_told_that_it_is() {
        let mut told = Told::default();
        let asks = waiting("nobody has agreed", true);
        assert_eq!(told.end(&view("running", &["requested"], asks.clone())), None);
        assert_eq!(
            told.end(&view("running", &["requested", "granted"], asks.clone())),
            None,
            "something was said"
        );
        assert_eq!(told.end(&view("running", &["requested", "granted"], Value::Null)), None);
        assert_eq!(told.end(&view("running", &["requested", "granted"], asks.clone())), None);
        assert_eq!(told.end(&view("running", &["requested", "granted"], asks)), Some(End::NeedsPeople));
    }
}
