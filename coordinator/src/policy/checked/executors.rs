//! Who runs what needs the cloud's credentials, and what exactly.

use super::{
    super::fragment::{AlarmsBy, Fragment},
    Checker,
};
use millwright_decision::operation::{Doer, Executors, Step};
use toml::Spanned;

impl Checker<'_> {
    pub(super) fn executors(&mut self, fragment: &Fragment) -> Executors {
        let given = &fragment.executors;
        let roger_masks = given.alarms == AlarmsBy::Roger;
        let mut executors = Executors { by: given.by, roger_masks, ..Executors::default() };
        for (word, command) in &fragment.executors.commands {
            let Some(step) = self.step(word) else { continue };
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
