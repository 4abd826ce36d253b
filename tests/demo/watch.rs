//! Looks at the verdicts and tells those that are new.

use std::collections::BTreeMap;

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
    /// Asks for all verdicts; one line for each that differs from the last time.
    pub fn look(&mut self, coordinator: &Coordinator) -> Result<Vec<String>> {
        let mut news = Vec::new();
        for node in [BUSY, EMPTY] {
            for action in ACTIONS {
                let verdict = coordinator.verdict(action, node)?;
                let line = in_words(action, node, &verdict);
                let before = self.verdicts.insert((node, action), verdict);
                if before.is_none_or(|before| in_words(action, node, &before) != line) {
                    news.push(line);
                }
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

/// `alibuild10  reboot   wait          task_protected: …`
fn in_words(action: &str, node: &str, verdict: &Value) -> String {
    let word = verdict.get("verdict").and_then(Value::as_str).unwrap_or("unknown");
    let reasons = codes(verdict).join(", ");
    let line = format!("{node}  {action:8} {word:13} {reasons}");
    line.trim_end().to_owned()
}
