//! `collect_diagnostics`: what people ask for first, in one bounded text: findings, facts, mounts, memory, the kernel's log.
//!
//! It is kept on the node, and its beginning is told with the order's end. Nothing in it is a secret: no environment, no
//! command lines, no files of builds.

use super::{done, failed};
use crate::{
    board::SharedBoard,
    clock::Moment,
    config::{Paths, units::spoken_size},
    identity::Identity,
    state_file,
};
use millwright_protocol::{Evidence, OrderState};
use nix::libc;
use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The whole is no longer.
const LONGEST: usize = 256 << 10;
/// And so much of it is told.
const TOLD: usize = 32 << 10;
/// One section is no longer, but for the facts.
const LONGEST_SECTION: usize = 48 << 10;
/// So many lines of the kernel's log, and so many are read at most to find the last.
const KERNEL_LINES: usize = 200;
const MOST_RECORDS: usize = 20_000;
/// So many bundles are kept.
const KEPT: usize = 5;

/// Files that are shown as they are, below `/proc`.
const SHOWN: [&str; 5] = ["loadavg", "meminfo", "self/mountinfo", "mdstat", "net/dev"];

/// Collects the bundle and writes it down.
pub fn run(id: &str, board: &SharedBoard, identity: &Identity, paths: &Paths, now: Moment) -> OrderState {
    let text = bundle(board, identity, paths, now);
    let folder = paths.state.join("diagnostics");
    let file = folder.join(format!("{id}.txt"));
    if let Err(error) = state_file::replace(&file, &text) {
        return failed(format!("write the diagnostics to {}: {error}", file.display()));
    }
    clear(&folder, &file);
    let source = file.display().to_string();
    done(vec![
        Evidence::new("diagnostics_size", spoken_size(text.len() as u64), source.as_str()),
        Evidence::new("diagnostics", up_to(&text, TOLD), source),
    ])
}

fn bundle(board: &SharedBoard, identity: &Identity, paths: &Paths, now: Moment) -> String {
    let report = board.lock().report(identity, 0, now);
    let mut text = format!("{} at {}\n", identity.name, now.wall);
    let mut section = |title: &str, content: &str, longest: usize| {
        text.push_str(&format!("\n== {title}\n{}\n", up_to(content, longest).trim_end()));
    };
    let findings: String = report
        .findings
        .iter()
        .map(|finding| format!("{:8}{}: {}\n", finding.status.as_str(), finding.key(), finding.sentence))
        .collect();
    section("findings", &findings, LONGEST_SECTION);
    section("kernel's log", &kernel_log(paths), LONGEST_SECTION);
    for name in SHOWN {
        section(name, &shown(&paths.proc(name)), LONGEST_SECTION / 2);
    }
    let facts = serde_json::to_string_pretty(&report.facts).unwrap_or_else(|error| error.to_string());
    section("facts", &facts, LONGEST);
    up_to(&text, LONGEST).to_owned()
}

fn shown(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_SECTION as u64).read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("({}: {error})", path.display()),
    }
}

/// The last lines of the kernel's log. Each read gives one record; at its end the kernel says that it would block.
fn kernel_log(paths: &Paths) -> String {
    let path = paths.dev("kmsg");
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
    let mut log = match opened {
        Ok(log) => log,
        Err(error) => return format!("({}: {error})", path.display()),
    };
    let (mut record, mut lines) = (vec![0; 8192], VecDeque::new());
    for _ in 0..MOST_RECORDS {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default()).into_owned();
                lines.push_back(text.lines().next().unwrap_or_default().to_owned());
                if lines.len() > KERNEL_LINES {
                    lines.pop_front();
                }
            }
            // Records that were overwritten while we read; the next read goes on behind them.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// Keeps the newest bundles; the one just made is among them whatever the clock says.
fn clear(folder: &Path, newest: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path != newest)
        .map(|path| (path.metadata().and_then(|metadata| metadata.modified()).ok(), path))
        .collect();
    files.sort();
    let surplus = (files.len() + 1).saturating_sub(KEPT);
    for (_, path) in files.into_iter().take(surplus) {
        // One that stays is cleared away the next time.
        let _ = fs::remove_file(path);
    }
}

/// The beginning of a text, up to so many bytes.
fn up_to(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn node() -> (tempfile::TempDir, Paths, Moment) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::create_dir_all(root.path().join("dev")).unwrap();
        let paths = Paths { root: root.path().into(), state: root.path().join("state"), ..Paths::default() };
        let now = Moment { wall: "2026-01-31T10:00:00Z".parse().unwrap(), uptime: Duration::from_secs(1) };
        (root, paths, now)
    }

    #[test]
    fn a_bundle_is_bounded_whatever_the_node_says_and_what_is_missing_is_named() {
        let (root, paths, now) = node();
        for name in ["meminfo", "self/mountinfo", "mdstat"] {
            fs::write(root.path().join("proc").join(name), "é".repeat(300_000)).unwrap();
        }
        let state = run("op-1.1", &SharedBoard::default(), &Identity::default(), &paths, now);
        let OrderState::Done { evidence } = state else { panic!("{state:?}") };
        let text = fs::read_to_string(paths.state.join("diagnostics/op-1.1.txt")).unwrap();
        assert!(text.len() <= LONGEST, "{}", text.len());
        assert!(text.contains("== facts") && text.contains("loadavg: No such file"), "{}", up_to(&text, 500));
        let told = &evidence.last().unwrap().value;
        assert!(told.len() <= TOLD && text.starts_with(told.as_str()));
    }

    #[test]
    fn only_the_newest_bundles_are_kept() {
        let (_root, paths, now) = node();
        for number in 0..9 {
            run(&format!("op-{number}"), &SharedBoard::default(), &Identity::default(), &paths, now);
        }
        let folder = paths.state.join("diagnostics");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), KEPT);
        assert!(folder.join("op-8.txt").exists());
    }
}
