//! Rules for systemd's units: they mean the same on systemd 219 (CentOS 7) and on today's.

use super::{files, read, root};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Drop-ins may set these although 219 knows them: their values name groups of system calls, which it passes over.
const HARMLESS_ON_219: [&str; 2] = ["Service.SystemCallFilter", "Service.SystemCallErrorNumber"];
/// Each of these gives a service a mount table of its own.
const MOUNT_TABLE: [&str; 20] = [
    "BindPaths",
    "BindReadOnlyPaths",
    "InaccessibleDirectories",
    "InaccessiblePaths",
    "MountFlags",
    "PrivateDevices",
    "PrivateMounts",
    "PrivateTmp",
    "ProcSubset",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "ReadOnlyDirectories",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "TemporaryFileSystem",
];

/// Our units in the packages' trees, and what lies beside them for newer systems.
fn units_and_drop_ins(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let ours = |path: &PathBuf| path.to_string_lossy().contains("/usr/lib/systemd/system/millwright-");
    let find = |extension| files(folder, extension).into_iter().filter(ours).collect();
    (find("service"), find("conf"))
}

fn known_to_219() -> BTreeSet<String> {
    let list = read("packaging/systemd-219.txt");
    list.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// What a unit or drop-in sets, as `Section.Key` and the value.
fn settings(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).unwrap();
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{}: {line}", path.display()));
            found.push((format!("{section}.{key}"), value.to_owned()));
        }
    }
    assert!(!found.is_empty(), "{} sets nothing", path.display());
    found
}

#[test]
fn units_use_what_systemd_219_knows_and_drop_ins_the_rest() {
    let known = known_to_219();
    let (units, drop_ins) = units_and_drop_ins(&root().join("packaging"));
    assert!(units.len() >= 2 && drop_ins.len() >= 2, "{units:?} {drop_ins:?}");
    for unit in units {
        for (key, _) in settings(&unit) {
            assert!(known.contains(&key), "{}: systemd 219 does not know {key}", unit.display());
        }
    }
    for drop_in in drop_ins {
        for (key, value) in settings(&drop_in) {
            let passed_over = HARMLESS_ON_219.contains(&key.as_str());
            assert!(
                passed_over || !known.contains(&key),
                "{}: systemd 219 would obey {key}",
                drop_in.display()
            );
            // A list of what is allowed would be an empty one there: nothing would be.
            assert!(
                !key.ends_with("SystemCallFilter") || value.starts_with("~@"),
                "{}: {value}",
                drop_in.display()
            );
        }
    }
}

#[test]
fn the_agent_sees_the_mounts_of_the_node_and_the_units_for_old_systems_copy_none() {
    let packaging = root().join("packaging");
    let (agent, agent_drop_ins) = units_and_drop_ins(&packaging.join("agent"));
    let (coordinator, _) = units_and_drop_ins(&packaging.join("coordinator"));
    for path in [agent, agent_drop_ins, coordinator].concat() {
        for (key, _) in settings(&path) {
            let key = key.trim_start_matches("Service.");
            assert!(!MOUNT_TABLE.contains(&key), "{} sets {key}", path.display());
        }
    }
}

#[test]
fn nothing_in_the_boot_waits_for_us_for_longer_than_it_is_told() {
    for unit in units_and_drop_ins(&root().join("packaging")).0 {
        let set = settings(&unit);
        let keys: BTreeSet<&str> = set.iter().map(|(key, _)| key.as_str()).collect();
        // What is started by hand or by another service is no part of the boot.
        if !keys.contains("Install.WantedBy") {
            continue;
        }
        for forbidden in ["Unit.Before", "Install.RequiredBy", "Unit.RequiresMountsFor", "Unit.Requires"] {
            assert!(!keys.contains(forbidden), "{} sets {forbidden}", unit.display());
        }
        for wanted in
            ["TimeoutStartSec", "TimeoutStopSec", "WatchdogSec", "RestartSec", "CapabilityBoundingSet"]
        {
            assert!(keys.contains(format!("Service.{wanted}").as_str()), "{} lacks {wanted}", unit.display());
        }
        let has = |key: &str, value: &str| set.iter().any(|(k, v)| k == key && v == value);
        assert!(has("Service.Type", "notify") && has("Service.Restart", "always"), "{}", unit.display());
    }
}
