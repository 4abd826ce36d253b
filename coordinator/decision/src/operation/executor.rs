//! What is run where the cloud's credentials are: exact argument lists that policy names, one for each step.
//!
//! An argument list is filled with names word by word and never goes through a shell.

use super::{
    alarms,
    event::{Executor, Outcome, Wish},
    plan::Step,
};
use crate::Evidence;
use std::collections::BTreeMap;

/// Policy's choice of executor and its commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Executors {
    /// Who runs them.
    pub by: Executor,
    /// The argument list of each step, with `{node}`, `{host}`, `{project}`, `{zone}`, `{image}` where names belong.
    pub commands: BTreeMap<Step, Vec<String>>,
    /// Exit codes of each step's command that mean that nothing was touched; any other but 0 leaves it unknown.
    pub harmless_exits: BTreeMap<Step, Vec<i32>>,
    /// Whether alarms are masked, and put back, by asking Roger, whoever takes the other steps.
    pub roger_masks: bool,
}

/// Why there is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCommand {
    /// Policy names none.
    #[error("policy.toml has no command for {0}: add executors.commands.{0}")]
    Missing(Step),
    /// A name is not known that the command needs.
    #[error("the command for {step} needs {{{name}}}, which is not known for this node")]
    Unknown {
        /// For which step.
        step: Step,
        /// Which name.
        name: String,
    },
}

impl Executors {
    /// What the end of a command means: 0 is done, what policy says touched nothing is not done, and nobody knows otherwise.
    pub fn outcome(&self, step: Step, exit: Option<i32>, said: &str) -> Outcome {
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let last: String = last.chars().take(300).collect();
        match exit {
            Some(0) => Outcome::done(vec![
                Evidence::new("exit", 0, "command"),
                Evidence::new("said", last, "command"),
            ]),
            Some(exit) if self.harmless_exits.get(&step).is_some_and(|exits| exits.contains(&exit)) => {
                Outcome::not_done(format!("its command exited with {exit}, which touches nothing: {last}"))
            }
            Some(exit) => Outcome::unknown(format!(
                "its command exited with {exit}: {last}; look how far it came, then confirm `done` or `not_run`"
            )),
            None => Outcome::unknown(format!(
                "its command was ended by a signal: {last}; look how far it came, then confirm `done` or `not_run`"
            )),
        }
    }

    /// The exact command of a step.
    ///
    /// # Errors
    /// There is none, or a name in it is not known: a missing argument is a refusal, never a default.
    pub fn command(
        &self,
        step: Step,
        wish: &Wish,
        project: Option<&str>,
        zone: Option<&str>,
    ) -> Result<Vec<String>, NoCommand> {
        if wish.executor.asks_the_cloud(step) {
            return in_words(step, wish, project, zone);
        }
        if step == Step::MaskAlarms && self.roger_masks {
            return Ok(vec![alarms::BY.to_owned(), step.to_string(), wish.spelled.clone()]);
        }
        let words =
            self.commands.get(&step).filter(|words| !words.is_empty()).ok_or(NoCommand::Missing(step))?;
        let server = wish.machine.as_ref().and_then(|machine| machine.server_uuid.as_deref());
        let known: [(&str, Option<&str>); 6] = [
            ("node", Some(wish.node.as_str())),
            ("host", Some(&wish.spelled)),
            ("project", project),
            ("zone", zone),
            ("image", wish.image.as_deref()),
            ("server", server),
        ];
        words.iter().map(|word| fill(step, word, &known)).collect()
    }
}

/// What the cloud is asked for, in words that approvals bind and the journal keeps. R20: never without its project.
fn in_words(
    step: Step,
    wish: &Wish,
    project: Option<&str>,
    zone: Option<&str>,
) -> Result<Vec<String>, NoCommand> {
    let project = project.filter(|project| !project.is_empty());
    let project = project.ok_or_else(|| NoCommand::Unknown { step, name: "project".to_owned() })?;
    let mut words =
        vec!["OpenStack".to_owned(), step.to_string(), wish.spelled.clone(), format!("project={project}")];
    let server = wish.machine.as_ref().and_then(|machine| machine.server_uuid.as_deref());
    words.extend(server.filter(|_| step != Step::Create).map(|server| format!("server={server}")));
    if matches!(step, Step::Rebuild | Step::Create) {
        words.extend(wish.image.as_ref().map(|image| format!("image={image}")));
    }
    if step == Step::Create {
        words.extend(zone.map(|zone| format!("zone={zone}")));
    }
    Ok(words)
}

/// Puts names in their places; what a name contains is never looked at again.
fn fill(step: Step, word: &str, known: &[(&str, Option<&str>)]) -> Result<String, NoCommand> {
    let mut filled = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        let value = known.iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value);
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Err(NoCommand::Unknown { step, name: name.chars().take(40).collect() });
        };
        filled.push_str(before);
        filled.push_str(value);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Class, Volumes};

    fn wish() -> Wish {
        Wish {
            action: Action::Rebuild,
            node: "alibuild10".parse().unwrap(),
            spelled: "alibuild10".into(),
            class: Class::Agent,
            by: "alice".into(),
            reason: "kernel".into(),
            volumes: Volumes::Keep,
            let_go: Vec::new(),
            image: Some("{zone} x".into()),
            is_silent: false,
            machine: None,
            executor: Executor::ByHand,
        }
    }

    #[test]
    fn names_are_put_in_word_by_word_and_never_read_again() {
        let words = ["ai-rebuild", "--image={image}", "{host}"].map(str::to_owned).to_vec();
        let executors =
            Executors { commands: BTreeMap::from([(Step::Rebuild, words)]), ..Executors::default() };
        let command = executors.command(Step::Rebuild, &wish(), None, None).unwrap();
        assert_eq!(command, ["ai-rebuild", "--image={zone} x", "alibuild10"]);
    }

    #[test]
    fn what_the_cloud_is_asked_itself_takes_no_command_and_always_a_project() {
        let executors = Executors::default();
        let wish = Wish { executor: Executor::OpenStack, ..wish() };
        let words = executors.command(Step::Rebuild, &wish, Some("ALICE CI"), None).unwrap();
        assert_eq!(words, ["OpenStack", "rebuild", "alibuild10", "project=ALICE CI", "image={zone} x"]);
        let refusal = executors.command(Step::HardReboot, &wish, None, None).unwrap_err();
        assert!(refusal.to_string().contains("{project}"), "{refusal}");
        assert!(
            executors.command(Step::MaskAlarms, &wish, Some("ALICE CI"), None).is_err(),
            "no such thing there"
        );
        for executor in Executor::ALL {
            let word = serde_json::to_string(&executor).unwrap();
            assert_eq!(word, format!("{:?}", executor.as_str()));
        }
    }

    #[test]
    fn a_name_that_is_not_known_is_a_refusal() {
        let words = ["ai-rc", "{project}"].map(str::to_owned).to_vec();
        let executors =
            Executors { commands: BTreeMap::from([(Step::Rebuild, words)]), ..Executors::default() };
        let refusal = executors.command(Step::Rebuild, &wish(), None, None).unwrap_err();
        assert!(refusal.to_string().contains("{project}"), "{refusal}");
        let refusal = executors.command(Step::DeleteServer, &wish(), None, None).unwrap_err();
        assert!(refusal.to_string().contains("executors.commands.delete_server"), "{refusal}");
    }
}
