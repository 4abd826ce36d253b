//! An answer at the moment it became another one: what is kept of a verdict, and when two say the same.

use jiff::Timestamp;
use millwright_decision::{Code, Verdict};
use millwright_protocol::NodeName;
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A verdict about one node when it was no longer what it was, for "why not last night?".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictChange {
    /// When it was noticed, by the coordinator's clock.
    pub at: Timestamp,
    /// As policy spells it.
    pub node: String,
    /// The canonical name.
    pub key: String,
    /// The action.
    pub action: String,
    /// The verdict's word.
    pub verdict: String,
    /// Whether it might begin.
    pub may_start: String,
    /// The codes of its reasons, worst first.
    pub codes: Vec<String>,
    /// The sentence of the worst reason, as it was then; empty when nothing objected.
    pub sentence: String,
}

impl VerdictChange {
    /// The verdict about one node as the history keeps it.
    pub fn of(verdict: &Verdict, node: &NodeName, spelled: &str, at: Timestamp) -> Self {
        Self {
            at,
            node: spelled.to_owned(),
            key: node.as_str().to_owned(),
            action: verdict.action.as_str().to_owned(),
            verdict: verdict.verdict.as_str().to_owned(),
            may_start: verdict.may_start.as_str().to_owned(),
            codes: codes(verdict).map(|code| code.as_str().to_owned()).collect(),
            sentence: verdict.reasons.first().map(|reason| reason.sentence.clone()).unwrap_or_default(),
        }
    }

    /// What it says, as a number: equal to [`digest`] of a verdict that says the same.
    pub fn digest(&self) -> u64 {
        digest_of(&self.verdict, &self.may_start, self.codes.iter().map(String::as_str))
    }
}

/// What a verdict says, as a number. Sentences, counts and ages are no part of it: they change all the time.
pub fn digest(verdict: &Verdict) -> u64 {
    digest_of(verdict.verdict.as_str(), verdict.may_start.as_str(), codes(verdict).map(Code::as_str))
}

/// The codes of a verdict's reasons, worst first. Three tasks that must finish are one code.
fn codes(verdict: &Verdict) -> impl Iterator<Item = Code> {
    let mut last = None;
    verdict.reasons.iter().map(|reason| reason.code).filter(move |code| last.replace(*code) != Some(*code))
}

fn digest_of<'a>(verdict: &str, may_start: &str, codes: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (verdict, may_start).hash(&mut hasher);
    codes.for_each(|code| code.hash(&mut hasher));
    hasher.finish()
}
