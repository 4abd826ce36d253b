//! The policy file as written. Every key of `policy.toml` stands here once.

use millwright_decision::{Class, Mode, Protection, Source, TaskClass, operation::Executor};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fragment {
    pub cluster: Option<Cluster>,
    #[serde(default)]
    pub hints: Hints,
    pub protections: Option<Spanned<Protections>>,
    #[serde(default)]
    pub volumes: Vec<Volume>,
    #[serde(default)]
    pub classes: BTreeMap<Class, ClassFragment>,
    #[serde(default)]
    pub nodes: Vec<Nodes>,
    #[serde(default)]
    pub tasks: Vec<Task>,
    #[serde(default)]
    pub executors: ExecutorsFragment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecutorsFragment {
    #[serde(default)]
    pub by: Executor,
    #[serde(default)]
    pub alarms: AlarmsBy,
    #[serde(default)]
    pub commands: BTreeMap<Spanned<String>, Vec<String>>,
    #[serde(default)]
    pub harmless_exits: BTreeMap<Spanned<String>, Vec<i32>>,
}

/// Who masks alarms.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AlarmsBy {
    /// Whoever takes the other steps.
    #[default]
    Executor,
    /// The coordinator, by asking Roger.
    Roger,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cluster {
    pub name: String,
    pub coordinator: Spanned<String>,
    #[serde(default)]
    pub zones: Vec<String>,
    pub project: Option<String>,
    #[serde(default)]
    pub external_checks: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hints {
    pub reboot: Option<String>,
    pub rights: Option<String>,
}

/// `protections = "none"`, or a table of lists.
#[derive(Debug)]
pub(super) enum Protections {
    Word(String),
    Table(Vec<(Spanned<String>, Vec<Protection>)>),
}

// By hand: serde's untagged enums forget on which line a key stands.
impl<'de> Deserialize<'de> for Protections {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrTable;

        impl<'de> Visitor<'de> for WordOrTable {
            type Value = Protections;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .write_str("a table such as `alibuild03 = [\"never_rebuild\"]`, or the word \"none\"")
            }

            fn visit_str<E>(self, word: &str) -> Result<Protections, E> {
                Ok(Protections::Word(word.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Protections, A::Error> {
                let mut table = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    table.push(entry);
                }
                Ok(Protections::Table(table))
            }
        }

        deserializer.deserialize_any(WordOrTable)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Volume {
    pub name: String,
    pub node: Spanned<String>,
    pub cinder: Option<String>,
    pub uuid: Option<String>,
    #[serde(default)]
    pub protections: Vec<Protection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClassFragment {
    pub mode: Option<Mode>,
    #[serde(default)]
    pub sources: BTreeMap<Source, Requirement>,
    pub out: Option<ShareFragment>,
    pub draining: Option<ShareFragment>,
    pub settle: Option<Spanned<String>>,
    pub quarantine: Option<Spanned<String>>,
    pub volume: Option<Spanned<String>>,
    #[serde(default)]
    pub images: Vec<String>,
    #[serde(default)]
    pub words: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    pub consent: Consents,
    #[serde(default)]
    pub windows: Vec<Weekly>,
    #[serde(default)]
    pub quiet_hours: Vec<Weekly>,
    #[serde(default)]
    pub freezes: Vec<FreezeFragment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Requirement {
    Required,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShareFragment {
    pub at_least: u32,
    pub percent: Spanned<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consents {
    pub reboot: Option<ConsentFragment>,
    pub rebuild: Option<ConsentFragment>,
    pub delete: Option<ConsentFragment>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsentFragment {
    pub kind: Spanned<ConsentKind>,
    pub lasts: Option<Spanned<String>>,
    pub or_after: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ConsentKind {
    None,
    ObjectionWindow,
    SecondPerson,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Weekly {
    pub name: String,
    pub days: Vec<Spanned<String>>,
    pub start: Spanned<String>,
    pub lasts: Spanned<String>,
    pub zone: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FreezeFragment {
    pub name: String,
    pub from: Spanned<String>,
    pub until: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nodes {
    pub class: Class,
    pub names: Vec<Spanned<String>>,
    pub zone: Option<Spanned<String>>,
    pub project: Option<String>,
    #[serde(default)]
    pub labels: Vec<String>,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    pub name: Spanned<String>,
    pub id: Option<Spanned<String>>,
    pub task_name: Option<Spanned<String>>,
    pub framework: Option<Spanned<String>>,
    pub role: Option<Spanned<String>>,
    pub min_cpus: Option<f64>,
    pub below_cpus: Option<f64>,
    pub class: TaskClass,
    pub warm_up: Option<Spanned<String>>,
    pub owner: Option<Spanned<String>>,
}

/// How the value of a key, named with its sections, is written: for whoever left it out or wrote something else.
pub(super) fn example(key: &str) -> Option<&'static str> {
    Some(match key.rsplit('.').next().unwrap_or(key) {
        "class" if key.starts_with("tasks") => r#""protected""#,
        "class" => r#""agent""#,
        "owner" => r#""releases""#,
        "name" => r#""build""#,
        "coordinator" => r#""alibuild-coordinator""#,
        "project" => r#""ALICE Release Testing""#,
        "zones" => r#"["cern-geneva-a", "cern-geneva-b"]"#,
        "zone" => r#""cern-geneva-a""#,
        "external_checks" => r#"["mount", "puppet"]"#,
        "node" => r#""alibuild03""#,
        "names" => r#"["alibuild01", "alibuild02"]"#,
        "labels" => r#"["slc7"]"#,
        "attributes" => r#"{ dedicated = "jenkins/master" }"#,
        "out" | "draining" => "{ at_least = 1, percent = 10 }",
        "at_least" => "1",
        "percent" => "10",
        "settle" | "quarantine" | "lasts" | "or_after" | "warm_up" => r#""30m""#,
        "volume" => r#""500GB""#,
        "images" => r#"["alisw/slc7-builder:latest"]"#,
        "words" => r#"{ flavor = "m2.2xlarge" }"#,
        "by" => r#""by_hand""#,
        "alarms" => r#""executor""#,
        "commands" => r#"{ rebuild = ["ai-rebuild", "{host}"] }"#,
        "harmless_exits" => "{ rebuild = [2, 3, 4, 5] }",
        "kind" => r#""objection_window""#,
        "days" => r#"["mon", "tue"]"#,
        "start" => r#""23:00""#,
        "from" | "until" => r#""2026-01-31T10:00:00Z""#,
        "id" | "task_name" | "framework" | "role" => r#""^mesosci/""#,
        "min_cpus" | "below_cpus" => "4.0",
        _ => return None,
    })
}
