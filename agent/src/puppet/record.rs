//! The streak of Puppet's runs, kept over restarts of the agent: Puppet itself restarts it with each upgrade, and a
//! node whose runs fail for a day must not count as healthy again because of that.

use super::Streak;
use crate::state_file;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The streak and where it is kept.
#[derive(Debug)]
pub struct Record {
    file: PathBuf,
    boot_id: String,
    streak: Streak,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    boot_id: String,
    streak: Streak,
}

impl Record {
    /// Goes on where the last agent ended. After a boot nothing counts but since when runs fail; a file that is
    /// missing or broken costs what was known.
    pub fn open(state: &Path, boot_id: &Path) -> Self {
        let file = state.join("puppet.json");
        let boot_id = fs::read_to_string(boot_id).unwrap_or_default().trim().to_owned();
        let kept = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        let streak = match kept {
            Some(kept) if kept.boot_id == boot_id && !boot_id.is_empty() => kept.streak,
            Some(kept) => kept.streak.of_an_earlier_boot(),
            None => Streak::default(),
        };
        Self { file, boot_id, streak }
    }

    /// The streak.
    pub fn streak(&self) -> Streak {
        self.streak
    }

    /// Takes in a run, as [`Streak::saw`], and keeps what is new.
    pub fn saw(&mut self, at: Timestamp, is_clean: Option<bool>, booted_at: Option<Timestamp>) {
        let before = self.streak;
        self.streak.saw(at, is_clean, booted_at);
        if self.streak == before {
            return;
        }
        let kept = Kept { boot_id: self.boot_id.clone(), streak: self.streak };
        let written = serde_json::to_string(&kept)
            .map_err(std::io::Error::other)
            .and_then(|text| state_file::replace(&self.file, &text));
        if let Err(error) = written {
            log::warn!(
                "write {}: {error}; after a restart of the agent the count of Puppet's runs begins anew: make room or mend paths.state",
                self.file.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A node with a boot id, on which the agent starts again with each `open`.
    struct Node(tempfile::TempDir);

    impl Node {
        fn booted(self, id: &str) -> Self {
            fs::write(self.0.path().join("boot_id"), id).unwrap();
            self
        }

        fn open(&self) -> Record {
            Record::open(&self.0.path().join("state"), &self.0.path().join("boot_id"))
        }
    }

    fn node() -> Node {
        Node(tempfile::tempdir().unwrap()).booted("a\n")
    }

    #[test]
    fn a_restart_of_the_agent_forgets_nothing() {
        let node = node();
        for (second, clean) in [(110, 1), (120, 2), (120, 2), (130, 3)] {
            let mut record = node.open();
            record.saw(at(second), Some(true), Some(at(100)));
            assert_eq!(record.streak().clean, clean);
        }
        node.open().saw(at(140), Some(false), Some(at(100)));
        node.open().saw(at(150), Some(false), Some(at(100)));
        let streak = node.open().streak();
        assert_eq!((streak.clean, streak.failed, streak.failing_since), (0, 2, Some(at(140))));
    }

    #[test]
    fn after_a_boot_nothing_counts_but_since_when_runs_fail() {
        let clean = node();
        clean.open().saw(at(110), Some(true), Some(at(100)));
        let mut record = clean.booted("b\n").open();
        record.saw(at(110), Some(true), Some(at(200)));
        assert_eq!(record.streak().clean, 0);
        record.saw(at(210), Some(true), Some(at(200)));
        assert_eq!(record.streak().clean, 1);

        let failing = node();
        failing.open().saw(at(110), Some(false), Some(at(100)));
        let mut record = failing.booted("b\n").open();
        record.saw(at(210), Some(false), Some(at(200)));
        assert_eq!((record.streak().failed, record.streak().failing_since), (1, Some(at(110))));
    }

    #[test]
    fn a_broken_file_or_a_full_disk_stops_nothing() {
        let node = node();
        node.open().saw(at(110), Some(true), None);
        let file = node.0.path().join("state/puppet.json");
        for broken in ["", "{", "{\"boot_id\":1}"] {
            fs::write(&file, broken).unwrap();
            assert_eq!(node.open().streak(), Streak::default(), "{broken}");
        }
        let mut record = Record::open(&file.join("below"), Path::new("/nonexistent"));
        record.saw(at(110), Some(true), None);
        assert_eq!(record.streak().clean, 1);
    }
}
