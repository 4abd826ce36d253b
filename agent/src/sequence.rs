//! Numbers reports, growing over restarts of the agent.
//!
//! The file holds the number from which the next run begins; it is moved ahead in blocks, so that it is
//! written rarely and a crash repeats no number. A file that is missing or broken costs nothing but a gap: the
//! count goes on from the seconds since 1970, which no count of at most one report a second has reached.

use crate::state_file;
use jiff::Timestamp;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// So many numbers are taken from the file at once: at the usual rhythm about three hours.
const BLOCK: u64 = 1000;

/// The numbers of this run.
#[derive(Debug)]
pub struct Sequence {
    file: PathBuf,
    next: u64,
    /// Numbers below this are already set aside in the file.
    ceiling: u64,
    /// Why the file could not be written last time.
    trouble: Option<String>,
}

impl Sequence {
    /// Goes on where the last run may have ended.
    pub fn open(state: &Path, now: Timestamp) -> Self {
        let file = state.join("sequence");
        let seconds = u64::try_from(now.as_second()).unwrap_or(1);
        let next =
            fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(seconds);
        Self { file, next, ceiling: next, trouble: None }
    }

    /// The next number. A disk that cannot be written to stops no report.
    pub fn take(&mut self) -> u64 {
        if self.next >= self.ceiling {
            let ceiling = self.next.saturating_add(BLOCK);
            match state_file::replace(&self.file, &format!("{ceiling}\n")) {
                Ok(()) => {
                    self.ceiling = ceiling;
                    self.trouble = None;
                }
                Err(error) => self.complain(&error),
            }
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    fn complain(&mut self, error: &io::Error) {
        let trouble = format!("write {}: {error}", self.file.display());
        if self.trouble.as_ref() != Some(&trouble) {
            log::warn!(
                "{trouble}; reports go on, but their numbers may repeat after a restart: make room or mend paths.state"
            );
        }
        self.trouble = Some(trouble);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn numbers_grow_over_restarts() {
        let state = tempfile::tempdir().unwrap();
        let mut last = 0;
        for _ in 0..3 {
            let mut sequence = Sequence::open(&state.path().join("below"), now());
            for _ in 0..BLOCK + 5 {
                let number = sequence.take();
                assert!(number > last);
                last = number;
            }
        }
    }

    #[test]
    fn a_missing_or_broken_file_never_takes_the_count_back() {
        let state = tempfile::tempdir().unwrap();
        let last = Sequence::open(state.path(), now()).take();
        for broken in [&b""[..], b"many", b"\xff\xfe", b"-3"] {
            fs::write(state.path().join("sequence"), broken).unwrap();
            let later = "2026-01-31T10:01:00Z".parse().unwrap();
            assert!(Sequence::open(state.path(), later).take() > last);
        }
    }

    #[test]
    fn a_disk_that_cannot_be_written_to_stops_no_report() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("file");
        fs::write(&file, "").unwrap();
        let mut sequence = Sequence::open(&file.join("below"), now());
        let first = sequence.take();
        assert_eq!(sequence.take(), first + 1);
    }
}
