//! `set_whitelist`: the file by which a Mesos master that knows no other way keeps nodes from getting offers.
//!
//! One host a line, as Mesos 0.x to 1.x read it. Mesos reads the file again every few seconds; a file that is empty for a
//! moment would stop the cluster, so it is only ever replaced whole.

use super::{done, failed, publish};
use millwright_protocol::{Evidence, OrderState};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::Path,
};

/// Replaces the list. An empty one was refused with the order, and an older one by the checks.
pub fn run(file: &Path, hosts: &[String], version: u64, may_drop: u32) -> OrderState {
    let wanted: BTreeSet<&str> = hosts.iter().map(String::as_str).collect();
    let there = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return failed(format!("read the whitelist in force, {}: {error}", file.display())),
    };
    let in_force = hosts_in(&there);
    let dropped: Vec<&str> = in_force.difference(&wanted).copied().collect();
    if dropped.len() > usize::try_from(may_drop).unwrap_or(usize::MAX) {
        return failed(format!(
            "the new whitelist leaves out {} hosts of the one in force ({}…), and may leave out {may_drop}: \
             {} is unchanged",
            dropped.len(),
            dropped.iter().take(3).copied().collect::<Vec<_>>().join(", "),
            file.display()
        ));
    }
    let text: String = wanted.iter().map(|host| format!("{host}\n")).collect();
    if in_force != wanted
        && let Err(error) = publish(file, &text)
    {
        return failed(format!("write the whitelist {}: {error}", file.display()));
    }
    match fs::read_to_string(file) {
        Ok(there) if hosts_in(&there) == wanted => {
            let source = file.display().to_string();
            done(vec![
                Evidence::new("whitelist_version", version, source.as_str()),
                Evidence::new("whitelist_hosts", wanted.len(), source.as_str()),
                Evidence::new("whitelist_dropped", dropped.join(" "), source),
            ])
        }
        Ok(_) => OrderState::Unknown {
            sentence: format!(
                "{} is not what was written to it: somebody else writes it too; find out who",
                file.display()
            ),
        },
        Err(error) => {
            OrderState::Unknown { sentence: format!("read back the whitelist {}: {error}", file.display()) }
        }
    }
}

/// A list that no order could write is not told either, in bytes.
const LONGEST: u64 = 64 << 10;

/// The hosts in force, for a report: none when there is no file, which keeps nobody from getting offers; `None` when it cannot
/// be read, or has nothing in it, which keeps everybody.
pub fn in_force(file: &Path) -> Option<Vec<String>> {
    let mut text = String::new();
    match fs::File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text)) {
        Ok(length) if length as u64 > LONGEST || hosts_in(&text).is_empty() => None,
        Ok(_) => Some(hosts_in(&text).into_iter().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Vec::new()),
        Err(_) => None,
    }
}

fn hosts_in(text: &str) -> BTreeSet<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn list() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("whitelist");
        (folder, file)
    }

    #[test]
    fn the_list_is_written_one_host_a_line_and_read_back() {
        let (folder, file) = list();
        for names in [&["b", "a"][..], &["a", "b"], &["a", "b", "c"]] {
            let state = run(&file, &hosts(names), 1, 0);
            assert!(matches!(state, OrderState::Done { .. }), "{state:?}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "a\nb\nc\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_list_that_leaves_out_more_than_it_may_changes_nothing() {
        let (_folder, file) = list();
        run(&file, &hosts(&["a", "b", "c"]), 1, 0);
        let state = run(&file, &hosts(&["a"]), 2, 1);
        assert!(
            matches!(&state, OrderState::Failed { sentence, .. } if sentence.contains("leaves out 2")),
            "{state:?}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "a\nb\nc\n");
        assert!(matches!(run(&file, &hosts(&["a"]), 2, 2), OrderState::Done { .. }));
    }

    #[test]
    fn the_list_in_force_is_told_and_nobody_guesses_one_that_cannot_be_read() {
        let (folder, file) = list();
        assert_eq!(in_force(&file), Some(Vec::new()), "no file is no list");
        fs::write(&file, "\n").unwrap();
        assert_eq!(in_force(&file), None, "an empty one is no empty list");
        fs::write(&file, "b\n\na \n").unwrap();
        assert_eq!(in_force(&file), Some(hosts(&["a", "b"])));
        fs::write(&file, "a\n".repeat(40_000)).unwrap();
        assert_eq!(in_force(&file), None, "longer than any order");
        assert_eq!(in_force(folder.path()), None, "a folder");
    }

    #[test]
    fn a_list_that_cannot_be_read_or_written_is_an_error_that_names_it() {
        let (folder, file) = list();
        fs::create_dir(&file).unwrap();
        for place in [file, folder.path().join("none/whitelist")] {
            let state = run(&place, &hosts(&["a"]), 1, 0);
            assert!(
                matches!(&state, OrderState::Failed { sentence, .. } if sentence.contains("whitelist")),
                "{state:?}"
            );
        }
    }

    #[test]
    fn a_link_in_the_drafts_place_leads_nobody_astray() {
        let (folder, file) = list();
        let other = folder.path().join("other");
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join(".whitelist.millwright")).unwrap();
        assert!(matches!(run(&file, &hosts(&["a"]), 1, 0), OrderState::Done { .. }));
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
    }
}
