//! The configuration as people write it, and the shipped file as the documentation of every key.

use super::*;
use std::collections::BTreeSet;

const SHIPPED: &str = include_str!("../../../packaging/agent/etc/millwright/agent.toml");

fn read(text: &str) -> Result<Config, String> {
    Config::of(&[Fragment::new("agent.toml", text)]).map_err(|error| error.to_string())
}

fn refusal(text: &str) -> String {
    read(text).unwrap_err()
}

/// The shipped file with its defaults (`#key = …`) and, if wanted, its examples (`# key = …`) switched on. Of
/// several examples of one key the first counts.
fn shipped(with_examples: bool) -> String {
    let mut seen = BTreeSet::new();
    let mut section = String::new();
    let mut text = String::new();
    for line in SHIPPED.lines() {
        if line.starts_with('[') {
            line.clone_into(&mut section);
        }
        let setting = match line.strip_prefix("# ") {
            Some(example) if with_examples => example,
            Some(_) => "",
            None => line.strip_prefix('#').unwrap_or(line),
        };
        let key = setting.split_once(" = ").map(|(key, _)| key);
        let is_key = key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        if line.starts_with('[') || (is_key && seen.insert(format!("{section}{key:?}"))) {
            text.push_str(setting);
            text.push('\n');
        }
    }
    text
}

/// Every key a section knows, as its own refusal of an unknown one tells.
fn known_keys(section: &str) -> Option<Vec<String>> {
    let text = if section.is_empty() { "zzz = 1".to_owned() } else { format!("[{section}]\nzzz = 1") };
    let refusal = refusal(&text);
    let (_, known) = refusal.split_once("; known ")?;
    Some(known.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

/// All keys with their sections, found by asking section by section.
fn all_keys(section: &str, found: &mut Vec<String>) {
    for key in known_keys(section).unwrap_or_default() {
        let path = if section.is_empty() { key } else { format!("{section}.{key}") };
        match known_keys(&path) {
            Some(_) => all_keys(&path, found),
            None => found.push(path),
        }
    }
}

#[test]
fn the_shipped_file_is_good_as_it_is() {
    assert_eq!(read(SHIPPED), Ok(Config::default()));
}

#[test]
fn the_shipped_defaults_are_the_defaults() {
    assert_eq!(read(&shipped(false)), Ok(Config::default()));
}

#[test]
fn the_shipped_file_documents_every_key() {
    let table: toml::Table = toml::from_str(&shipped(true)).unwrap();
    read(&shipped(true)).unwrap();
    let mut keys = Vec::new();
    all_keys("", &mut keys);
    assert!(
        keys.contains(&"checks.volumes.expected".to_owned()) && keys.contains(&"node.class".to_owned()),
        "{keys:?}"
    );
    for key in keys {
        let mut value = Some(&toml::Value::Table(table.clone())).cloned();
        for part in key.split('.') {
            value = value.and_then(|value| value.get(part).cloned());
        }
        assert!(value.is_some(), "{key} is not in packaging/agent/etc/millwright/agent.toml");
    }
}

#[test]
fn a_refusal_names_file_line_key_and_the_accepted_form() {
    for (text, words) in [
        (
            "[checks.mounts]\n\nfoo = 1",
            "agent.toml line 3: unknown key `foo` in [checks.mounts]; known keys are `enabled`, `every`",
        ),
        ("x = 1", "agent.toml line 1: unknown key `x` at the top level; known keys are `node`"),
        (
            "[node]\nclass = \"agnet\"",
            "agent.toml line 2: `node.class`: unknown word `agnet`, accepted is one of `master`",
        ),
        (
            "[checks.system]\nevery = 10",
            "agent.toml line 2: `checks.system.every`: invalid type: integer `10`, expected a duration such as",
        ),
        (
            "[checks.system]\nevery = \"0s\"",
            "line 2: `checks.system.every`: \"0s\" is zero or empty; write a duration such as",
        ),
        (
            "[status]\nlisten = \"0.0.0.0:8481\"",
            "agent.toml line 2: `status.listen` = 0.0.0.0:8481 is not a loopback address",
        ),
        (
            "[coordinator]\nurl = \"http://10.1.2.3:8482\"",
            "agent.toml line 2: `coordinator.url`: \"http://10.1.2.3:8482\" would send",
        ),
        (
            "[orders]\nreboot_command = \"reboot -f\"",
            "agent.toml line 2: `orders.reboot_command` = \"reboot -f\" is no absolute path",
        ),
        (
            "[orders]\npuppet_command = [\"puppet\"]",
            "line 2: `orders.puppet_command` = \"puppet\" is no absolute path",
        ),
        (
            "[orders]\npuppet_unit = \"--force\"",
            "line 2: `orders.puppet_unit` = \"--force\" is no unit's name",
        ),
        (
            "[orders]\nfacts_folder = \"facts.d\"",
            "line 2: `orders.facts_folder` = \"facts.d\" is no absolute path",
        ),
        (
            "[mesos_master]\nwhitelist = \"list\"",
            "line 2: `mesos_master.whitelist` = \"list\" is no absolute path",
        ),
        (
            "[cleanup]\nglobs = [\"/build/*/x\", \"/*/a/b\"]",
            "line 2: `cleanup.globs` has \"/*/a/b\"; accepted are absolute",
        ),
        ("[cleanup]\nglobs = [\"/build\"]", "line 2: `cleanup.globs` has \"/build\""),
        ("[cleanup]\nglobs = [\"/build/../etc/x\"]", "line 2: `cleanup.globs` has \"/build/../etc/x\""),
        ("[cleanup]\nglobs = [\"build/a/b\"]", "line 2: `cleanup.globs` has \"build/a/b\""),
        (
            "[checks.system]\nevery = \"1s\"",
            "agent.toml line 1: `checks.system.deadline` is longer than `every`",
        ),
        (
            "[checks.volumes]\nexpected = [{ mount = \"build\" }]",
            "agent.toml line 2: `checks.volumes.expected` has a `mount`",
        ),
        ("[node]\nname = \"a b\"", "agent.toml line 2: `node.name` = \"a b\" is not a node name"),
        ("[node]\nname = = 1", "agent.toml line 2: "),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(words), "{text:?}: {refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
    }
}

#[test]
fn the_command_line_lies_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, "[node]\nname = \"n1\"\n[checks.system]\nevery = \"20s\"\n").unwrap();
    let settings = [
        "node.name=n2",
        "checks.system.deadline=2s",
        "status.listen=127.0.0.1:0",
        "protections.never_delete=true",
    ];
    let config = Config::read(&file, &settings.map(str::to_owned)).unwrap();
    assert_eq!(config.node.name.as_deref(), Some("n2"));
    assert_eq!((config.checks.system.every.as_secs(), config.checks.system.deadline.as_secs()), (20, 2));
    assert!(config.protections.never_delete);
}

#[test]
fn a_wrong_setting_of_the_command_line_is_named_as_such() {
    for (setting, words) in [
        ("node.nmae=n", "--set node.nmae=n: unknown key `nmae` in [node]"),
        ("checks.system.every=1s", "--set checks.system.every=1s: `checks.system.deadline` is longer"),
        ("node", "write KEY=VALUE"),
    ] {
        let refusal = Config::of_settings(&[setting.to_owned()]).unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[test]
fn a_file_that_is_missing_huge_or_no_text_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    let refused = || Config::read(&file, &[]).unwrap_err().to_string();
    assert!(refused().contains("No such file"));
    std::fs::write(&file, [b'#'; (1 << 20) + 1]).unwrap();
    assert!(refused().contains("larger than 1 MiB"));
    std::fs::write(&file, b"[node]\nname = \"\xff\"").unwrap();
    assert!(refused().contains("byte 15 is not UTF-8"), "{}", refused());
}

#[test]
fn volumes_are_expected_by_class() {
    let expected = |class| VolumesConfig::default().expected_of(class).len();
    let classes = [NodeClass::Agent, NodeClass::Dedicated, NodeClass::AgentNoVolume, NodeClass::Master];
    assert_eq!(classes.map(expected), [1, 1, 0, 0]);
}
