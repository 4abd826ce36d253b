//! Telling tasks apart: first rule that matches wins, and what no rule knows is protected (R11).

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

/// What may happen to a task when its node is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskClass {
    /// Must finish.
    Protected,
    /// Builds pull requests one after the other: left alone until a boundary.
    Checker,
    /// Moves if another instance is healthy.
    Service,
    /// Lives on this node only.
    Pinned,
    /// May be killed.
    Disposable,
}

impl TaskClass {
    /// The word in policy, API and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::Checker => "checker",
            Self::Service => "service",
            Self::Pinned => "pinned",
            Self::Disposable => "disposable",
        }
    }
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskMatch<'a> {
    /// Mesos' task id.
    pub id: &'a str,
    /// The task's name.
    pub name: &'a str,
    /// The framework's name.
    pub framework: &'a str,
    /// The role, where told.
    pub role: &'a str,
    /// Processor shares.
    pub cpus: f64,
}

/// One rule; every condition it states must hold.
#[derive(Debug, Clone)]
pub struct TaskRule {
    /// For people: why a task is what it is.
    pub name: String,
    /// Matched against the id.
    pub id: Option<Regex>,
    /// Matched against the name.
    pub task_name: Option<Regex>,
    /// Matched against the framework's name.
    pub framework: Option<Regex>,
    /// Matched against the role.
    pub role: Option<Regex>,
    /// At least so many cores.
    pub min_cpus: Option<f64>,
    /// Fewer than so many cores.
    pub below_cpus: Option<f64>,
    /// What it makes of the task.
    pub class: TaskClass,
    /// Work that is lost beside the run time when it is killed, in seconds: the warm-up of its successor.
    pub warm_up_seconds: u64,
    /// Who is asked before an operation ends or moves the task, beside everything else that has to be so.
    pub owner: Option<String>,
}

impl TaskRule {
    fn matches(&self, task: TaskMatch<'_>) -> bool {
        let holds =
            |pattern: &Option<Regex>, text: &str| pattern.as_ref().is_none_or(|regex| regex.is_match(text));
        holds(&self.id, task.id)
            && holds(&self.task_name, task.name)
            && holds(&self.framework, task.framework)
            && holds(&self.role, task.role)
            && self.min_cpus.is_none_or(|cpus| task.cpus >= cpus)
            && self.below_cpus.is_none_or(|cpus| task.cpus < cpus)
    }
}

/// The rules in their order.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    /// First match wins.
    pub rules: Vec<TaskRule>,
}

impl Tasks {
    /// What a task is, and the rule that says so; without one it is protected.
    pub fn classify(&self, task: TaskMatch<'_>) -> (TaskClass, Option<&TaskRule>) {
        match self.rules.iter().find(|rule| rule.matches(task)) {
            Some(rule) => (rule.class, Some(rule)),
            None => (TaskClass::Protected, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(class: TaskClass) -> TaskRule {
        TaskRule {
            name: "test".into(),
            id: None,
            task_name: None,
            framework: None,
            role: None,
            min_cpus: None,
            below_cpus: None,
            class,
            warm_up_seconds: 0,
            owner: None,
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let tasks = Tasks {
            rules: vec![
                TaskRule { id: Some(Regex::new("^a").unwrap()), ..rule(TaskClass::Pinned) },
                rule(TaskClass::Disposable),
            ],
        };
        assert_eq!(tasks.classify(TaskMatch { id: "ab", ..Default::default() }).0, TaskClass::Pinned);
        assert_eq!(tasks.classify(TaskMatch { id: "b", ..Default::default() }).0, TaskClass::Disposable);
    }

    #[test]
    fn what_no_rule_knows_is_protected() {
        let tasks = Tasks::default();
        let (class, rule) = tasks.classify(TaskMatch::default());
        assert_eq!(class, TaskClass::Protected);
        assert!(rule.is_none());
    }

    #[test]
    fn every_condition_of_a_rule_must_hold() {
        let tasks = Tasks {
            rules: vec![TaskRule {
                id: Some(Regex::new("^mesos-jenkins").unwrap()),
                below_cpus: Some(4.0),
                ..rule(TaskClass::Checker)
            }],
        };
        let small = TaskMatch { id: "mesos-jenkins-x", cpus: 1.0, ..Default::default() };
        assert_eq!(tasks.classify(small).0, TaskClass::Checker);
        assert_eq!(tasks.classify(TaskMatch { cpus: 4.0, ..small }).0, TaskClass::Protected);
    }
}
