//! The policy file: reading it, saying what is wrong with it, explaining it, drafting one.
//!
//! What the policy means is `decision`'s business. Here a text becomes a [`Policy`], or a list of everything that is
//! wrong with it, each with line, key and the accepted form.

mod checked;
mod draft;
mod explain;
mod fragment;

pub use draft::{SeenNode, draft};
pub use explain::explain;

use millwright_decision::Policy;
use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Everything that is wrong with one policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PolicyErrors {
    /// The file.
    pub path: PathBuf,
    /// One sentence each, with line and key where they are known.
    pub errors: Vec<String>,
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "read the policy {}", self.path.display())?;
        for error in &self.errors {
            write!(formatter, "\n  {error}")?;
        }
        Ok(())
    }
}

/// Reads a policy file.
///
/// # Errors
/// Everything that is wrong with it, at once: unreadable file, no UTF-8, no TOML, unknown keys, contradictions.
pub fn load(path: &Path) -> Result<Policy, PolicyErrors> {
    check(&std::fs::read(path), path)
}

/// The policy in what was read from `path`; for who looks at the bytes as well, and must not read them twice.
///
/// # Errors
/// As [`load`].
pub fn check(read: &io::Result<Vec<u8>>, path: &Path) -> Result<Policy, PolicyErrors> {
    let refuse = |error: String| PolicyErrors { path: path.to_owned(), errors: vec![error] };
    let bytes = read.as_ref().map_err(|error| refuse(format!("open the file: {error}")))?;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        refuse(format!("the file is not UTF-8 text: byte {} is not", error.valid_up_to() + 1))
    })?;
    parse(text, path)
}

/// Reads the text of a policy; `path` is for messages only.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path) -> Result<Policy, PolicyErrors> {
    let fragment: fragment::Fragment = toml::from_str(text)
        .map_err(|error| PolicyErrors { path: path.to_owned(), errors: vec![locate(text, &error)] })?;
    checked::check(&fragment, text).map_err(|errors| PolicyErrors { path: path.to_owned(), errors })
}

fn locate(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) => format!("line {}: {}", line_of(text, span.start), error.message()),
        None => error.message().to_owned(),
    }
}

/// The line, from 1, of a byte of the text.
fn line_of(text: &str, byte: usize) -> usize {
    text.as_bytes().iter().take(byte).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use millwright_decision::{Class, Protection, TaskClass, TaskMatch};

    const SHIPPED: &str = include_str!("../../packaging/coordinator/etc/millwright/policy.alice.toml");

    const SMALL: &str = r#"
protections = "none"
[cluster]
name = "try"
coordinator = "try"
[[nodes]]
class = "agent"
names = ["n01"]
"#;

    fn errors(text: &str) -> String {
        parse(text, Path::new("policy.toml")).unwrap_err().to_string()
    }

    fn shipped() -> Policy {
        parse(SHIPPED, Path::new("policy.alice.toml")).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_shipped_policy_protects_what_the_runbook_protects() {
        let policy = shipped();
        let protections = |name: &str| policy.nodes[name].protections.iter().copied().collect::<Vec<_>>();
        assert_eq!(protections("alibuild3"), Protection::ALL);
        assert_eq!(protections("alibuild9"), [Protection::NeverRebuild, Protection::NeverDelete]);
        assert_eq!(policy.nodes["alibuild3"].display, "alibuild03");
        assert!(policy.nodes_of(Class::Agent).count() >= 40);
        assert!(policy.volumes[0].protections.contains(&Protection::NeverDeleteVolume));
    }

    #[test]
    fn tasks_are_told_apart_as_the_runbook_knows_them() {
        let policy = shipped();
        let hash = "0123456789abcdef0123456789abcdef";
        let jenkins = |label: &str| format!("mesos-jenkins-{hash}-{label}");
        let cases: [(&str, &str, &str, f64, TaskClass); 13] = [
            (&jenkins("slc7_x86-64-larg"), "", "Jenkins Scheduler", 8.0, TaskClass::Protected),
            (&jenkins("slc7_x86-64-ligh"), "", "Jenkins Scheduler", 0.2, TaskClass::Checker),
            (&jenkins("slc7_x86-64-ligh"), "", "Jenkins Scheduler", 4.0, TaskClass::Protected),
            (&jenkins("slc7_x86-64-l"), "", "Jenkins Scheduler", 0.2, TaskClass::Protected),
            (&jenkins("linux-large"), "", "Jenkins Scheduler", 0.2, TaskClass::Protected),
            (&jenkins("slc6_x86-64-relv"), "", "Jenkins Scheduler", 0.2, TaskClass::Protected),
            ("w1", "Workqueue worker 3", "Mesos Workqueue Framework", 1.0, TaskClass::Protected),
            ("repo.3f", "repo", "marathon", 1.0, TaskClass::Pinned),
            ("kibana.3f", "kibana", "marathon", 1.0, TaskClass::Service),
            ("t", "jenkins/prod/jenkins_master", "TwitterScheduler", 1.0, TaskClass::Pinned),
            ("t", "mesosci/devel/build_O2_o2", "TwitterScheduler", 8.0, TaskClass::Checker),
            ("t", "mesostest/devel/x", "TwitterScheduler", 1.0, TaskClass::Disposable),
            ("t", "nobody knows", "New Framework", 1.0, TaskClass::Protected),
        ];
        for (id, name, framework, cpus, class) in cases {
            let task = TaskMatch { id, name, framework, role: "", cpus };
            assert_eq!(policy.tasks.classify(task).0, class, "{id} {name}");
        }
    }

    #[test]
    fn a_small_policy_is_enough() {
        let policy = parse(SMALL, Path::new("policy.toml")).unwrap();
        assert_eq!(policy.nodes["n1"].display, "n01");
        assert!(explain(&policy).contains("Protected: nothing"));
    }

    #[test]
    fn protections_must_be_listed_or_denied_in_so_many_words() {
        for (broken, why) in [
            (SMALL.replace("protections = \"none\"", ""), "there are no protections"),
            (SMALL.replace("\"none\"", "{}"), "[protections] is empty"),
            (SMALL.replace("\"none\"", "\"nil\""), "is not understood"),
            (SMALL.replace("\"none\"", "{ n1 = [] }"), "empty list of protections"),
            (SMALL.replace("\"none\"", "{ n2 = [\"never_delete\"] }"), "is not one of the nodes"),
            (SMALL.replace("\"none\"", "{ n1 = [\"never_sleep\"] }"), "never_"),
        ] {
            let errors = errors(&broken);
            assert!(errors.contains(why), "{why}: {errors}");
        }
    }

    #[test]
    fn names_that_are_one_node_are_an_error_with_its_line() {
        let errors = errors(&SMALL.replace("[\"n01\"]", "[\"n01\", \"N1.cern.ch\"]"));
        assert!(errors.contains("line 8: \"N1.cern.ch\" and \"n01\" are the same node"), "{errors}");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_known_ones() {
        let errors = errors(&SMALL.replace("name = \"try\"", "nmae = \"try\""));
        assert!(
            errors.contains("line 4") && errors.contains("nmae") && errors.contains("coordinator"),
            "{errors}"
        );
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let more = "[classes.agent]\nsettle = \"soon\"\nvolume = \"big\"\n[[tasks]]\nname = \"all\"\nclass = \"disposable\"\n";
        let errors = errors(&format!("{SMALL}{more}"));
        for part in ["\"soon\" is not a length of time", "\"big\" is not a size", "would match every task"] {
            assert!(errors.contains(part), "{part}: {errors}");
        }
    }

    #[test]
    fn two_masters_in_one_zone_are_an_error() {
        let broken = SHIPPED.replace(
            "class = \"master\"\nzone = \"cern-geneva-b\"",
            "class = \"master\"\nzone = \"cern-geneva-a\"",
        );
        assert!(errors(&broken).contains("R1"), "the edit must hit: {}", errors(&broken));
    }

    #[test]
    fn a_draft_is_refused_only_for_what_a_person_must_decide() {
        let text = draft("build", "coord", &[SeenNode { name: "n1".into(), class: Class::Agent }]);
        let errors = errors(&text);
        assert!(errors.contains("[protections] is empty"), "{errors}");
        assert_eq!(errors.lines().count(), 2, "{errors}");
    }
}
