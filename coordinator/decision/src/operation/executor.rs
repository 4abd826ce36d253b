//! What is run where the cloud's credentials are: exact argument lists that policy names, one for each step.
//!
//! An argument list is filled with names word by word and never goes through a shell.

use super::{
    alarms,
    event::{Executor, Outcome, Wish},
    plan::Step,
};
use crate::{Evidence, NodePolicy, Policy};
use std::collections::BTreeMap;

/// What may stand in braces in every command; the words of a class come on top.
pub const NAMES: [&str; 6] = ["node", "host", "project", "zone", "image", "server"];
/// Words of a class that the coordinator follows when it makes a server itself.
const WORDS_OF_A_SERVER: [&str; 3] = ["flavor", "image_kind", "volume_type"];

/// Policy's choice of executor and its commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Executors {
    /// Who runs them.
    pub by: Executor,
    /// The argument list of each step, with [`NAMES`] and the words of a class in braces where they belong.
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
}

impl Policy {
    /// The exact command of a step for the node of a wish.
    ///
    /// # Errors
    /// There is none, or a name in it is not known: a missing argument is a refusal, never a default.
    pub fn command(&self, step: Step, wish: &Wish) -> Result<Vec<String>, NoCommand> {
        if wish.executor.asks_the_cloud(step) {
            return self.in_words(step, wish);
        }
        if step == Step::MaskAlarms && self.executors.roger_masks {
            return Ok(vec![alarms::BY.to_owned(), step.to_string(), wish.spelled.clone()]);
        }
        let words = self.executors.commands.get(&step).filter(|words| !words.is_empty());
        words.ok_or(NoCommand::Missing(step))?.iter().map(|word| self.fill(step, word, wish)).collect()
    }

    /// What the cloud is asked for, in words that approvals bind and the journal keeps. R20: never without its project.
    fn in_words(&self, step: Step, wish: &Wish) -> Result<Vec<String>, NoCommand> {
        let named = |name: &str| self.named(name, wish).map(|value| format!("{name}={value}"));
        let project =
            named("project").ok_or_else(|| NoCommand::Unknown { step, name: "project".to_owned() })?;
        let mut words = vec!["OpenStack".to_owned(), step.to_string(), wish.spelled.clone(), project];
        words.extend(named("server").filter(|_| step != Step::Create));
        if matches!(step, Step::Rebuild | Step::Create) {
            words.extend(named("image"));
        }
        if step == Step::Create {
            words.extend(named("zone"));
            words.extend(WORDS_OF_A_SERVER.iter().filter_map(|name| named(name)));
        }
        Ok(words)
    }

    /// What a name in braces stands for; nothing empty.
    fn named<'a>(&'a self, name: &str, wish: &'a Wish) -> Option<&'a str> {
        let listed = || self.nodes.get(&wish.node);
        let value = match name {
            "node" => Some(wish.node.as_str()),
            "host" => Some(wish.spelled.as_str()),
            "project" => listed().and_then(|listed: &NodePolicy| listed.project.as_deref()),
            "zone" => listed().and_then(|listed| listed.zone.as_deref()),
            "image" => wish.image.as_deref(),
            "server" => wish.machine.as_ref().and_then(|machine| machine.server_uuid.as_deref()),
            word => self.classes.get(&wish.class)?.words.get(word).map(String::as_str),
        };
        value.filter(|value| !value.is_empty())
    }

    /// Puts names in their places; what a name contains is never looked at again.
    fn fill(&self, step: Step, word: &str, wish: &Wish) -> Result<String, NoCommand> {
        let mut filled = String::with_capacity(word.len());
        for piece in pieces(word) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => match self.named(name, wish) {
                    Some(value) => filled.push_str(value),
                    None => return Err(NoCommand::Unknown { step, name: name.chars().take(40).collect() }),
                },
            }
        }
        Ok(filled)
    }
}

/// What a word of a command is made of.
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn pieces(word: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        pieces.extend([Piece::Text(before), Piece::Name(name)]);
        rest = behind;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// The names in braces of a word of a command.
pub fn names_in(word: &str) -> impl Iterator<Item = &str> {
    pieces(word).into_iter().filter_map(|piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Class, Volumes, example};

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

    fn policy(words: Vec<String>) -> Policy {
        let mut policy = empty();
        policy.executors.commands.insert(Step::Rebuild, words);
        policy
    }

    fn empty() -> Policy {
        Policy::unreadable("", "coordinator".parse().unwrap())
    }

    fn listed() -> NodePolicy {
        NodePolicy { project: Some("ALICE CI".into()), ..example::listed("alibuild10", Class::Agent) }
    }

    #[test]
    fn names_are_put_in_word_by_word_and_never_read_again() {
        let words = ["ai-rebuild", "--image={image}", "{host}"].map(str::to_owned).to_vec();
        let command = policy(words).command(Step::Rebuild, &wish()).unwrap();
        assert_eq!(command, ["ai-rebuild", "--image={zone} x", "alibuild10"]);
    }

    #[test]
    fn what_the_cloud_is_asked_itself_takes_no_command_and_always_a_project() {
        let mut policy = empty();
        let wish = Wish { executor: Executor::OpenStack, ..wish() };
        let refusal = policy.command(Step::HardReboot, &wish).unwrap_err();
        assert!(refusal.to_string().contains("{project}"), "{refusal}");
        policy.nodes.insert(wish.node.clone(), listed());
        let words = policy.command(Step::Rebuild, &wish).unwrap();
        assert_eq!(words, ["OpenStack", "rebuild", "alibuild10", "project=ALICE CI", "image={zone} x"]);
        assert!(policy.command(Step::MaskAlarms, &wish).is_err(), "no such thing there");
        for executor in Executor::ALL {
            let word = serde_json::to_string(&executor).unwrap();
            assert_eq!(word, format!("{:?}", executor.as_str()));
        }
    }

    #[test]
    fn a_name_that_is_not_known_is_a_refusal() {
        let words = ["ai-rc", "{project}"].map(str::to_owned).to_vec();
        let policy = policy(words);
        let refusal = policy.command(Step::Rebuild, &wish()).unwrap_err();
        assert!(refusal.to_string().contains("{project}"), "{refusal}");
        let refusal = policy.command(Step::DeleteServer, &wish()).unwrap_err();
        assert!(refusal.to_string().contains("executors.commands.delete_server"), "{refusal}");
    }
}
