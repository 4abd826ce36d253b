//! Who runs what needs the cloud's credentials, and what exactly.

use super::{
    super::fragment::{AlarmsBy, Fragment},
    Checker,
};
use crate::policy::fragment::ClassFragment;
use millwright_decision::operation::{Doer, Executors, NAMES, Step, names_in};
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

impl Checker<'_> {
    pub(super) fn executors(&mut self, fragment: &Fragment) -> Executors {
        let given = &fragment.executors;
        let roger_masks = given.alarms == AlarmsBy::Roger;
        let mut executors = Executors { by: given.by, roger_masks, ..Executors::default() };
        let of_classes = fragment.classes.values().flat_map(|class| class.words.keys());
        let known: BTreeSet<&str> =
            NAMES.into_iter().chain(of_classes.map(|name| name.get_ref().as_str())).collect();
        for (word, command) in &fragment.executors.commands {
            let Some(step) = self.step(word) else { continue };
            for name in command.iter().flat_map(|part| names_in(part)).filter(|name| !known.contains(name)) {
                let all: Vec<&str> = known.iter().copied().collect();
                self.refuse(
                    word,
                    format!(
                        "nothing says what {{{name}}} is; these are known: {}; add `{name} = \"…\"` to the words of each \
                         class that it is for, such as `[classes.agent.words]`",
                        all.join(", ")
                    ),
                );
            }
            if command.first().is_none_or(|program| program.trim().is_empty()) {
                self.refuse(
                    word,
                    format!("the command of {:?} is empty; name a program and its arguments", word.get_ref()),
                );
            }
            executors.commands.insert(step, command.clone());
        }
        for (word, exits) in &fragment.executors.harmless_exits {
            let Some(step) = self.step(word) else { continue };
            if exits.contains(&0) {
                self.refuse(
                    word,
                    "0 means that it is done, so it cannot also mean that nothing was touched".to_owned(),
                );
            }
            executors.harmless_exits.insert(step, exits.clone());
        }
        executors
    }

    /// What commands say of the nodes of a class (R13). A name has one meaning.
    pub(super) fn words(&mut self, fragment: &ClassFragment) -> BTreeMap<String, String> {
        for (name, value) in &fragment.words {
            let is_a_name = |name: &str| {
                !name.is_empty() && name.chars().all(|sign| sign.is_ascii_lowercase() || sign == '_')
            };
            if NAMES.contains(&name.get_ref().as_str()) {
                self.refuse(name, format!("{{{}}} is the node's own; choose another name", name.get_ref()));
            } else if !is_a_name(name.get_ref()) {
                self.refuse(
                    name,
                    format!("{:?} is no name; use small letters and `_`, such as `flavor`", name.get_ref()),
                );
            }
            if value.trim().is_empty() {
                self.refuse(name, format!("{:?} is empty; say what it is, or take it out", name.get_ref()));
            }
        }
        fragment.words.iter().map(|(name, value)| (name.get_ref().clone(), value.clone())).collect()
    }

    /// The step a word names, if it is one that an executor takes.
    fn step(&mut self, word: &Spanned<String>) -> Option<Step> {
        let of_executors = || Step::ALL.iter().copied().filter(|step| step.doer() == Doer::Executor);
        let found = of_executors().find(|step| step.as_str() == word.get_ref());
        if found.is_none() {
            let known: Vec<&str> = of_executors().map(Step::as_str).collect();
            self.refuse(
                word,
                format!(
                    "{:?} is no step that an executor takes; these are: {}",
                    word.get_ref(),
                    known.join(", ")
                ),
            );
        }
        found
    }
}
