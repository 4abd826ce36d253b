//! Systems beside the cluster that know nodes as hosts: whether each still does, and which alarms are on.

use crate::{Evidence, Source};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// One system's account of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which system.
    pub source: Source,
    /// When it was asked.
    pub at: Timestamp,
    /// The exact name under which it was asked.
    pub host: Box<str>,
    /// Whether it knows the node as one that is there.
    pub known: bool,
    /// Whether it says that something outside the node's own sight fails on it, such as Puppet.
    pub fails: bool,
}

/// Roger's account of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmsView {
    /// When it was asked.
    pub at: Timestamp,
    /// The exact name under which it was asked.
    pub host: Box<str>,
    /// What is set; `None` when it does not know the node, and so wakes nobody.
    pub set: Option<Alarms>,
}

/// What is set for a host: everything that masking changes and restoring brings back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms {
    /// What the host is for at the moment, such as `production`.
    pub appstate: String,
    /// The alarms that are on, such as `nc` (no contact), `hw`, `os`, `app`.
    pub on: BTreeSet<String>,
    /// What whoever set it wrote; empty for nothing.
    pub message: String,
}

impl Alarms {
    /// As words that an intent keeps, from which [`Self::read`] makes the same again.
    pub fn words(&self) -> Vec<String> {
        let on: Vec<&str> = self.on.iter().map(String::as_str).collect();
        vec![
            format!("appstate={}", self.appstate),
            format!("alarms={}", on.join(",")),
            format!("message={}", self.message),
        ]
    }

    /// What these words say; `None` where they are others.
    pub fn read(words: &[String]) -> Option<Self> {
        let [appstate, on, message] = words else { return None };
        let on = on.strip_prefix("alarms=")?;
        Some(Self {
            appstate: appstate.strip_prefix("appstate=")?.to_owned(),
            on: on.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
            message: message.strip_prefix("message=")?.to_owned(),
        })
    }

    /// In one sentence.
    pub fn story(&self) -> String {
        let on: Vec<&str> = self.on.iter().map(String::as_str).collect();
        let on = if on.is_empty() { "no alarm on".to_owned() } else { format!("{} on", on.join(", ")) };
        let message = if self.message.is_empty() { String::new() } else { format!(" ({})", self.message) };
        format!("{}, {on}{message}", self.appstate)
    }

    /// As evidence.
    pub fn evidence(&self, fact: &str) -> Evidence {
        Evidence::new(fact, self.story(), "roger")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_reads_back_from_its_words_whatever_people_wrote() {
        for message in ["", "disk = broken, alarms=nc", "Millwright op-1: x"] {
            let on = ["nc", "app"].map(str::to_owned).into();
            let alarms = Alarms { appstate: "production".into(), on, message: message.into() };
            assert_eq!(Alarms::read(&alarms.words()), Some(alarms));
        }
        let none = Alarms::default();
        assert_eq!(Alarms::read(&none.words()), Some(none));
        let other = ["roger", "update", "host"].map(str::to_owned);
        assert_eq!(Alarms::read(&other), None);
    }
}
