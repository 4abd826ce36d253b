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

use crate::written::Complaint;
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
    /// Whether there was a text to read at all.
    pub is_text: bool,
    /// One sentence each, with line and key where they are known.
    pub errors: Vec<String>,
}

impl PolicyErrors {
    /// Everything that is wrong in one line, without the file's name: for sentences, and for logs that keep to lines.
    pub fn in_one_line(&self) -> String {
        let lines: Vec<&str> = self
            .errors
            .iter()
            .flat_map(|error| error.lines())
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        lines.join("; ")
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "read the policy {}", self.path.display())?;
        if !self.is_text {
            return write!(formatter, ": {}", self.errors.join("; "));
        }
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
    let refuse = |error: String| PolicyErrors { path: path.to_owned(), is_text: false, errors: vec![error] };
    let bytes = read.as_ref().map_err(|error| refuse(error.to_string()))?;
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
    checked::read(text).map_err(|complaints| PolicyErrors {
        path: path.to_owned(),
        is_text: true,
        errors: complaints.iter().map(Complaint::to_string).collect(),
    })
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

    /// The shipped policy with the executors that it shows taken out of their comment.
    fn with_executors() -> Policy {
        let (before, executors) = SHIPPED.split_once("#[executors]\n").unwrap();
        let uncomment = |line: &str| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
            _ => line.to_owned(),
        };
        let executors: Vec<String> = executors.lines().map(uncomment).collect();
        let text = format!("{before}[executors]\n{}\n", executors.join("\n"));
        parse(&text, Path::new("policy.alice.toml")).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_executors_that_the_shipped_policy_shows_are_taken_and_show_every_key() {
        use millwright_decision::operation::{Doer, Executors, Step};
        assert_eq!(shipped().executors, Executors::default(), "nothing is switched on by itself");
        let shown = with_executors().executors;
        let complaint = parse("[executors]\nno_such_key = 1\n", Path::new("p")).unwrap_err().to_string();
        let complaint = complaint.lines().find(|line| line.contains("no_such_key")).unwrap();
        let (_, known) = complaint.split_once("; known").unwrap();
        for key in known.split('`').skip(1).step_by(2) {
            let is_shown =
                SHIPPED.contains(&format!("#{key} = ")) || SHIPPED.contains(&format!("#[executors.{key}]"));
            assert!(is_shown, "{key} is not shown");
        }
        for step in Step::ALL.iter().filter(|step| step.doer() == Doer::Executor) {
            let is_told = shown.commands.contains_key(step) || SHIPPED.contains(step.as_str());
            assert!(is_told, "{step} is neither shown nor told of");
        }
        let exits = shown.harmless_exits.keys().all(|step| shown.commands.contains_key(step));
        assert!(exits, "exit codes of a command that is not there");
    }

    #[test]
    fn r13_a_master_is_made_in_the_words_of_masters_and_an_agent_in_those_of_agents() {
        use millwright_decision::{
            Action, Volumes,
            operation::{Executor, Step, Wish},
        };
        let mut policy = with_executors();
        let line = |policy: &Policy, class: Class, executor: Executor| {
            let (node, listed) = policy.nodes_of(class).next().unwrap();
            let wish = Wish {
                action: Action::Create,
                node: node.clone(),
                spelled: listed.display.clone(),
                class,
                by: "alice".into(),
                reason: "one more".into(),
                volumes: Volumes::Keep,
                let_go: Vec::new(),
                image: Some("ALMA9".into()),
                is_silent: false,
                machine: None,
                executor,
            };
            policy
                .command(Step::Create, &wish)
                .map(|words| words.join(" "))
                .map_err(|error| error.to_string())
        };
        for class in [Class::Master, Class::Agent] {
            let listed = policy.nodes.values_mut().filter(|listed| listed.class == class);
            listed.for_each(|listed| listed.project = Some("ALICE CI".into()));
        }
        let zone = |listed: &mut millwright_decision::NodePolicy| listed.zone = Some("cern-geneva-a".into());
        policy.nodes.values_mut().for_each(zone);
        let agent = line(&policy, Class::Agent, Executor::Command).unwrap();
        assert!(agent.contains("-hostgroup alibuild/mesos/slave "), "{agent}");
        assert!(agent.contains("vdb=500GB:type=io1 "), "{agent}");
        let master = line(&policy, Class::Master, Executor::Command).unwrap();
        assert!(master.contains("-hostgroup alibuild/mesos/master "), "{master}");
        assert!(master.contains("vdb=200GB "), "{master}");
        let asked = line(&policy, Class::Agent, Executor::OpenStack).unwrap();
        assert!(
            asked.ends_with(" zone=cern-geneva-a flavor=m2.2xlarge volume_type=io1"),
            "what is approved: {asked}"
        );
        policy.classes.get_mut(&Class::Agent).unwrap().words.clear();
        let refusal = line(&policy, Class::Agent, Executor::Command).unwrap_err();
        assert!(refusal.contains("needs {hostgroup}"), "{refusal}");
    }

    #[test]
    fn a_name_that_no_class_explains_is_named_before_anybody_needs_the_command() {
        let with = |words: &str, command: &str| {
            let executors = format!("[executors.commands]\ncreate = [\"ai-bs\", \"{command}\"]\n");
            parse(&format!("{SMALL}[classes.agent.words]\n{words}\n{executors}"), Path::new("policy.toml"))
        };
        assert!(with("flavor = \"m2.2xlarge\"", "--nova-flavor={flavor}").is_ok());
        for (words, command, parts) in [
            ("", "{flavour}", ["nothing says what {flavour} is", "[classes.agent.words]"]),
            ("host = \"x\"", "{host}", ["{host} is the node's own", "choose another name"]),
            ("Flavor = \"x\"", "{host}", ["\"Flavor\" is no name", "such as `flavor`"]),
            ("flavor = \" \"", "{flavor}", ["\"flavor\" is empty", "take it out"]),
        ] {
            let refusal = with(words, command).unwrap_err().to_string();
            for part in parts {
                assert!(refusal.contains(part), "{part}: {refusal}");
            }
        }
    }

    #[test]
    fn what_ai_kill_leaves_behind_or_does_not_find_is_not_taken_for_gone() {
        use millwright_decision::{
            Action,
            operation::{Outcome, Plan, Step},
        };
        let shown = with_executors().executors;
        // It says 10 of a server that is there as well, when the project is another one.
        let outcome = shown.outcome(Step::DeleteServer, Some(10), "server not found");
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
        // Volumes are a step of their own, for which no tool is shown: none knows which they are.
        let steps = Plan::of(Action::Delete, false).steps;
        let place = |wanted: Step| steps.iter().position(|step| *step == wanted).unwrap();
        assert!(place(Step::DeleteServer) < place(Step::DeleteVolumes));
        assert!(!shown.commands.contains_key(&Step::DeleteVolumes));
        for (step, words) in &shown.commands {
            assert!(words.iter().any(|word| word.contains("{project}")), "{step} says no project");
            assert!(!words.iter().any(|word| word.contains("dry")), "{step} relies on a dry run");
        }
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
    fn a_policy_is_explained_with_days_zone_and_warm_up() {
        let told = explain(&shipped());
        for part in [
            "Quiet hours \"nightly tags\": every day from 23:00 for 7h, Europe/Zurich.",
            "a pull-request checker: checker; its successor needs 30 min to warm up",
            "Class dedicated: 1 node, mode observe",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn protections_must_be_listed_or_denied_in_so_many_words() {
        for (broken, why) in [
            (SMALL.replace("protections = \"none\"", ""), "there are no protections"),
            (SMALL.replace("\"none\"", "{}"), "line 2: `protections`: the table is empty"),
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
        assert!(
            errors.contains("line 8: `nodes.names`: \"N1.cern.ch\" and \"n01\" are the same node"),
            "{errors}"
        );
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
    fn everything_wrong_is_said_at_once_and_once() {
        let more = "[classes.agent]\nsettle = \"soon\"\nvolume = \"big\"\nout = { at_least = 1, percent = 110 }\nimages = 5\n\
                    [[classes.agent.quiet_hours]]\nname = \"n\"\ndays = [\"mon\"]\nstart = \"23:00\"\nlasts = \"7h\"\nzone = \"Mars\"\n\
                    [[tasks]]\nname = 5\nid = \"x\"\nclass = \"disposable\"\n[[tasks]]\nname = \"y\"\nrole = \"y\"\n";
        let errors = errors(&format!("{SMALL}{more}"));
        for part in [
            "line 10: `classes.agent.settle`: \"soon\" is not a length of time; write",
            "line 11: `classes.agent.volume`: \"big\" is not a size; write",
            "line 12: `classes.agent.out.percent`: 110 % is more than all; write a number from 0 to 100",
            "line 13: `classes.agent.images`: found integer `5`, and it must be a list; write it such as `images = [",
            "line 19: `classes.agent.quiet_hours.zone`: the time zone \"Mars\" is not known here; write",
            "line 21: `tasks.name`: found integer `5`, and it must be a text in quotes; write it such as `name = \"",
            "line 24: `tasks`: the key `class` is missing; write it such as `class = \"protected\"`",
        ] {
            assert_eq!(errors.matches(part).count(), 1, "{part}: {errors}");
        }
        assert_eq!(errors.lines().count(), 8, "{errors}");
    }

    #[test]
    fn what_is_missing_comes_with_a_form_to_copy() {
        let errors = errors("protections = \"none\"\n[[nodes]]\nnames = [\"n01\"]\n");
        assert!(
            errors.contains(
                "line 2: `nodes`: the key `class` is missing; write it such as `class = \"agent\"`"
            )
        );
        let errors =
            self::errors("protections = \"none\"\n[[nodes]]\nclass = \"agent\"\nnames = [\"n01\"]\n");
        assert!(errors.contains("`cluster`: the table is missing; write `[cluster]`"), "{errors}");
    }

    #[test]
    fn a_mistake_in_one_table_hides_none_in_another() {
        let errors = errors(&SMALL.replace("name = \"try\"", "name = 5").replace("\"none\"", "{}"));
        assert!(errors.contains("`cluster.name`") && errors.contains("the table is empty"), "{errors}");
    }

    #[test]
    fn what_could_not_be_read_is_not_said_to_be_missing_as_well() {
        for (from, to) in [("[\"n01\"]", "5"), ("name = \"try\"", "name = 5"), ("\"none\"", "{ n1 = 5 }")] {
            let errors = errors(&SMALL.replace(from, to));
            assert_eq!(errors.lines().count(), 2, "{errors}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_named() {
        let errors = errors(&SMALL.replace("name = \"try\"", "name = \"try\"\nname = \"again\""));
        assert!(errors.contains("line 5: `name` stands here a second time; keep one"), "{errors}");
    }

    #[test]
    fn a_file_that_is_not_there_is_no_policy_that_is_wrong() {
        let errors = load(Path::new("/nonexistent/policy.toml")).unwrap_err();
        assert!(!errors.is_text);
        assert_eq!(errors.to_string().matches("No such file").count(), 1, "{errors}");
        assert!(errors.to_string().starts_with("read the policy /nonexistent/policy.toml: "), "{errors}");
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
        assert!(errors.contains("`protections`: the table is empty"), "{errors}");
        assert_eq!(errors.lines().count(), 2, "{errors}");
    }
}
