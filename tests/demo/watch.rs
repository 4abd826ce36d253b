//! Looks at the verdicts and tells those that are new.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::stage::{BUSY, EMPTY};
use super::system::harness::{Coordinator, codes};

const ACTIONS: [&str; 4] = ["drain", "reboot", "rebuild", "delete"];

/// The verdicts as they were said last, by node and action.
#[derive(Default)]
pub struct Watch {
    verdicts: BTreeMap<(&'static str, &'static str), Value>,
}

impl Watch {
    /// Asks for all verdicts; tells each that has other reasons than the last time.
    pub fn look(&mut self, coordinator: &Coordinator) -> Result<Vec<String>> {
        let mut news = Vec::new();
        for node in [BUSY, EMPTY] {
            for action in ACTIONS {
                let verdict = coordinator.verdict(action, node)?;
                let before = self.verdicts.get(&(node, action));
                if before.is_none_or(|before| gist(before) != gist(&verdict)) {
                    news.push(in_words(action, node, &verdict));
                }
                self.verdicts.insert((node, action), verdict);
            }
        }
        Ok(news)
    }

    /// The empty node may be rebooted, and the busy one only because of its tasks may not.
    pub fn is_proven(&self) -> bool {
        self.word(EMPTY, "verdict") == Some("allowed")
            && self.reboot(BUSY).is_some_and(|verdict| codes(verdict).contains(&"task_protected".to_owned()))
    }

    /// What the verdicts about rebooting rest on.
    pub fn why_not(&self) -> String {
        [BUSY, EMPTY].map(|node| format!("{:#}", self.reboot(node).unwrap_or(&Value::Null))).join("\n")
    }

    /// Both nodes with findings and verdicts.
    pub fn report(&self, coordinator: &Coordinator) -> Result<Value> {
        let mut nodes = Vec::new();
        for node in [BUSY, EMPTY] {
            let of = |action: &str| {
                self.verdicts.iter().find(|((name, what), _)| *name == node && *what == action)
            };
            let verdicts: Map<String, Value> = ACTIONS
                .into_iter()
                .filter_map(|action| Some((action.to_owned(), of(action)?.1.clone())))
                .collect();
            let mut detail = coordinator.node(node)?;
            let findings = detail.get_mut("all_findings").map(Value::take).unwrap_or_default();
            nodes.push(json!({"node": node, "findings": findings, "verdicts": verdicts}));
        }
        Ok(json!({"dashboard": coordinator.url(), "nodes": nodes}))
    }

    fn reboot(&self, node: &'static str) -> Option<&Value> {
        self.verdicts.get(&(node, "reboot"))
    }

    fn word(&self, node: &'static str, field: &str) -> Option<&str> {
        self.reboot(node)?.get(field)?.as_str()
    }
}

/// What makes it another verdict than before: sentences carry ages and change by the second.
fn gist(verdict: &Value) -> (Option<&str>, BTreeSet<String>) {
    (verdict.get("verdict").and_then(Value::as_str), codes(verdict).into_iter().collect())
}

/// `alibuild10  drain: allowed`; of a reboot, which the demo is about, every reason with its sentence.
fn in_words(action: &str, node: &str, verdict: &Value) -> String {
    let text = |value: &Value, field: &str| {
        value.get(field).and_then(Value::as_str).unwrap_or("not told").to_owned()
    };
    let mut words = format!("{node}  {:9} {}", format!("{action}:"), text(verdict, "verdict"));
    let (_, codes) = gist(verdict);
    if action != "reboot" {
        let codes: Vec<String> = codes.into_iter().collect();
        return format!("{words:36}{}", codes.join(", ")).trim_end().to_owned();
    }
    let reasons = verdict.get("reasons").and_then(Value::as_array).into_iter().flatten();
    for code in codes {
        // Several tasks or sources give as many reasons of one code; the first tells enough here.
        if let Some(reason) = reasons.clone().find(|reason| text(reason, "code") == code) {
            words.push_str(&format!("\n    {}  [{code}]", text(reason, "sentence")));
        }
    }
    words
}
