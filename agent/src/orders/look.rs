//! Asks the node what it has to say: holds, inhibitors, people, package managers, planned shutdowns, arrays, work.
//!
//! Only small files are read, so a look takes a moment. What is there and cannot be read objects.

use super::local::{Known, LocalFacts};
use crate::{
    board::SharedBoard,
    clock::Moment,
    config::{Config, NodeClass, Paths},
    holds,
    puppet::{Places, read_pid},
};
use millwright_protocol::Facts;
use nix::sys::stat::{major, minor};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// No file of these is longer; of a longer one the beginning counts.
const LONGEST_FILE: u64 = 256 << 10;
/// Lock files of the package managers that the fleet has, with the name people know.
const PACKAGE_LOCKS: [(&str, &str); 5] = [
    ("/var/lib/dpkg/lock", "dpkg"),
    ("/var/lib/dpkg/lock-frontend", "apt"),
    ("/var/lib/apt/lists/lock", "apt"),
    ("/var/lib/rpm/.rpm.lock", "rpm"),
    ("/usr/lib/sysimage/rpm/.rpm.lock", "rpm"),
];
/// Package managers that write their process id instead.
const PACKAGE_PIDS: [(&str, &str); 2] =
    [("/run/yum.pid", "yum"), ("/var/cache/dnf/metadata_lock.pid", "dnf")];

/// Everything the node has to say now.
pub fn look(config: &Config, board: &SharedBoard, now: Moment) -> LocalFacts {
    let paths = &config.paths;
    let mut objections = Vec::new();
    let holds = holds::in_force(&paths.state, now.wall).unwrap_or_else(|error| {
        objections.push(error.to_string());
        Vec::new()
    });
    for part in [inhibitors(paths), sessions(paths), logins(paths), packages(paths), shutdowns(paths)] {
        match part {
            Ok(found) => objections.extend(found),
            Err(error) => objections.push(error),
        }
    }
    let facts = board.lock().facts(now);
    LocalFacts {
        holds,
        objections,
        puppet: puppet(config),
        raid: raid(paths),
        tasks: tasks(config, &facts),
        containers: containers(config, &facts),
        zookeeper: zookeeper(config, &facts),
    }
}

type Found = Result<Vec<String>, String>;
type Words = BTreeMap<String, String>;

/// Who has asked logind that nobody shuts down. Root overrules these, so they are looked at here.
fn inhibitors(paths: &Paths) -> Found {
    let mut found = Vec::new();
    for (_, words) in folder(&paths.rooted("/run/systemd/inhibit"))? {
        let word = |key: &str| words.get(key).map(String::as_str).unwrap_or_default();
        if word("MODE").starts_with("block") && word("WHAT").split(':').any(|what| what == "shutdown") {
            found.push(format!("{} forbids a shutdown: {}", word("WHO"), word("WHY")));
        }
    }
    Ok(found)
}

/// Who is logged in at a terminal, as logind knows.
fn sessions(paths: &Paths) -> Found {
    let mut found = Vec::new();
    for (id, words) in folder(&paths.rooted("/run/systemd/sessions"))? {
        let word = |key: &str| words.get(key).map(String::as_str).unwrap_or_default();
        let is_at_terminal = word("TYPE") == "tty" || !word("TTY").is_empty();
        if word("CLASS") == "user" && is_at_terminal && word("STATE") != "closing" {
            found.push(format!(
                "{} is logged in ({}, session {id})",
                word("USER"),
                or(word("REMOTE_HOST"), "here")
            ));
        }
    }
    Ok(found)
}

fn or<'a>(word: &'a str, other: &'a str) -> &'a str {
    if word.is_empty() { other } else { word }
}

/// Who is logged in at a terminal, where logind does not know, such as through an sshd without PAM.
fn logins(paths: &Paths) -> Found {
    /// A record of utmp(5), the same on all 64-bit machines and 32-bit ones beside them.
    const RECORD: usize = 384;
    const USER_PROCESS: i16 = 7;
    let bytes = bytes_of(&paths.rooted("/run/utmp"))?.unwrap_or_default();
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
    };
    let one = |record: &[u8]| {
        let kind = i16::from_ne_bytes(record.get(..2)?.try_into().ok()?);
        let pid = i32::from_ne_bytes(record.get(4..8)?.try_into().ok()?);
        let is_living = paths.proc(pid.to_string()).exists();
        let (line, user) = (text(record.get(8..40)?), text(record.get(44..76)?));
        (kind == USER_PROCESS && is_living).then(|| format!("{user} is logged in on {line}"))
    };
    Ok(bytes.chunks_exact(RECORD).filter_map(one).collect())
}

/// Package managers at work: what they leave half done may not boot.
fn packages(paths: &Paths) -> Found {
    let locks = bytes_of(&paths.proc("locks"))?.unwrap_or_default();
    let locks = String::from_utf8_lossy(&locks);
    let mut found = Vec::new();
    for (file, name) in PACKAGE_LOCKS {
        let Ok(metadata) = fs::metadata(paths.rooted(file)) else { continue };
        let id = format!("{:02x}:{:02x}:{}", major(metadata.dev()), minor(metadata.dev()), metadata.ino());
        if locks.lines().any(|line| !line.contains("->") && line.split_whitespace().any(|word| word == id)) {
            found.push(format!("{name} is at work: {file} is locked"));
        }
    }
    for (file, name) in PACKAGE_PIDS {
        let pid = bytes_of(&paths.rooted(file))?.and_then(|bytes| read_pid(&bytes));
        if let Some(pid) = pid.filter(|pid| paths.proc(pid.to_string()).exists()) {
            found.push(format!("{name} is at work: process {pid}"));
        }
    }
    Ok(found)
}

/// A shutdown that somebody has planned, or that is under way.
fn shutdowns(paths: &Paths) -> Found {
    let planned = bytes_of(&paths.rooted("/run/systemd/shutdown/scheduled"))?;
    let planned = planned.map(|bytes| {
        let words = words(&String::from_utf8_lossy(&bytes));
        let kind = words.get("MODE").cloned().unwrap_or_else(|| "shutdown".to_owned());
        format!("a {kind} is planned already (/run/systemd/shutdown/scheduled); `shutdown -c` calls it off")
    });
    let nologin = paths.rooted("/run/nologin");
    let under_way =
        nologin.exists().then(|| "the system is going up or down (/run/nologin is there)".to_owned());
    Ok(planned.into_iter().chain(under_way).collect())
}

/// The run of Puppet under way.
pub fn puppet(config: &Config) -> Option<String> {
    let folders = config.checks.puppet.folders.iter().map(|folder| config.paths.rooted(folder));
    let lock = Places::new(folders).newest("agent_catalog_run.lock")?;
    match bytes_of(&lock.path) {
        Ok(bytes) => {
            let pid = bytes.and_then(|bytes| read_pid(&bytes))?;
            config.paths.proc(pid.to_string()).exists().then(|| format!("Puppet runs, process {pid}"))
        }
        Err(error) => Some(error),
    }
}

fn raid(paths: &Paths) -> Option<String> {
    let bytes = match bytes_of(&paths.proc("mdstat")) {
        Ok(bytes) => bytes?,
        Err(error) => return Some(error),
    };
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find(|line| {
        ["recovery", "resync", "reshape"]
            .iter()
            .any(|word| line.contains(&format!("{word} =")) || line.contains(&format!("{word}=")))
    })?;
    Some(format!("an array is being put together: {}", line.trim()))
}

fn tasks(config: &Config, facts: &Facts) -> Known<Vec<String>> {
    let is_here = config.checks.mesos_agent.enabled.unwrap_or(config.node.class != NodeClass::Master);
    match &facts.mesos_agent {
        _ if !is_here => Known::NotHere,
        None => Known::Unknown,
        Some(agent) => Known::Seen {
            age_seconds: agent.age_seconds,
            value: agent.tasks.iter().map(|task| task.id.clone()).collect(),
        },
    }
}

fn containers(config: &Config, facts: &Facts) -> Known<Vec<(String, millwright_protocol::ContainerRole)>> {
    match &facts.containers {
        _ if !config.checks.containers.enabled => Known::NotHere,
        None => Known::Unknown,
        Some(docker) => {
            let running = docker.containers.iter().filter(|container| container.is_running());
            let value = running.map(|container| (container.name.clone(), container.role)).collect();
            Known::Seen { age_seconds: docker.age_seconds, value }
        }
    }
}

fn zookeeper(config: &Config, facts: &Facts) -> Known<String> {
    let is_here = config.checks.zookeeper.enabled.unwrap_or(config.node.class == NodeClass::Master);
    let member = facts.zookeeper.as_ref();
    match member.and_then(|member| Some((member.age_seconds, member.mode.clone()?))) {
        _ if !is_here => Known::NotHere,
        Some((age_seconds, value)) => Known::Seen { age_seconds, value },
        None => Known::Unknown,
    }
}

/// The files of one of systemd's folders, as words; their names first.
fn folder(path: &Path) -> Result<Vec<(String, Words)>, String> {
    let refused = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(refused)?;
        // The pipe beside each file holds the inhibitor open.
        if entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Some(bytes) = bytes_of(&entry.path())?
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((name, words(&String::from_utf8_lossy(&bytes))));
        }
    }
    Ok(files)
}

/// `KEY=VALUE` lines.
fn words(text: &str) -> Words {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').replace("\\x20", " "))).collect()
}

/// What a small file holds; none where there is none.
fn bytes_of(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let read = || {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(LONGEST_FILE).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests;
