//! Kills by the kernel for want of memory: a counter since Linux 4.13, its log before.

use crate::{
    check::Observation,
    config::{Paths, units::spoken},
};
use jiff::Timestamp;
use millwright_protocol::Status;
use nix::libc;
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    time::Duration,
};

/// A record of the kernel's log is never longer.
const LONGEST_RECORD: usize = 8192;
/// So many records are read in one look; the rest waits for the next.
const MOST_RECORDS: usize = 500;

/// Watches for kills since the agent began.
pub struct OomKills {
    source: Source,
    /// When the last kill was seen, and how many there were since the watch began.
    last: Option<Timestamp>,
    kills: u64,
}

enum Source {
    /// `/proc/vmstat`, and the count when last read.
    Counter(PathBuf, u64),
    /// `/dev/kmsg`, read from where it ended when the watch began.
    Log(File),
    Blind,
}

impl OomKills {
    /// Begins to watch.
    pub fn watch(paths: &Paths) -> Self {
        let vmstat = paths.proc("vmstat");
        let source = match fs::read_to_string(&vmstat).ok().and_then(|text| count_in(&text)) {
            Some(count) => Source::Counter(vmstat, count),
            None => open_log(paths).map_or(Source::Blind, Source::Log),
        };
        Self { source, last: None, kills: 0 }
    }

    /// Says whether there were kills lately.
    pub fn look(&mut self, now: Timestamp, told_for: Duration) -> Observation {
        let Some(new) = self.source.new_kills() else {
            let why = "kills for want of memory cannot be seen: neither /proc/vmstat nor /dev/kmsg tells";
            return Observation::new(Status::Unknown, why).item("oom_kills");
        };
        if new > 0 {
            self.kills += new;
            self.last = Some(now);
        }
        let ago = self.last.and_then(|last| Duration::try_from(now.duration_since(last)).ok());
        match ago.filter(|ago| *ago < told_for) {
            None => {
                self.kills = 0;
                Observation::new(Status::Ok, "the kernel killed nothing for want of memory")
            }
            Some(ago) => {
                let kills = match self.kills {
                    1 => "a process".to_owned(),
                    kills => format!("{kills} processes"),
                };
                let ago = spoken(ago);
                Observation::new(
                    Status::Warn,
                    format!("the kernel killed {kills} for want of memory, the last {ago} ago"),
                )
                .next("see which with `dmesg -T | grep -i 'killed process'`; a build may have failed by it")
            }
        }
        .item("oom_kills")
    }
}

impl Source {
    /// Kills since the last call; `None` when nothing tells.
    fn new_kills(&mut self) -> Option<u64> {
        match self {
            Self::Counter(path, before) => {
                let count = count_in(&fs::read_to_string(path).ok()?)?;
                let new = count.saturating_sub(*before);
                *before = count;
                Some(new)
            }
            Self::Log(log) => Some(kills_in(log)),
            Self::Blind => None,
        }
    }
}

fn count_in(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

fn open_log(paths: &Paths) -> Option<File> {
    let mut log =
        fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(paths.dev("kmsg")).ok()?;
    log.seek(SeekFrom::End(0)).ok()?;
    Some(log)
}

/// Reads on, one record a read, until there is no more.
fn kills_in(log: &mut impl Read) -> u64 {
    let mut record = vec![0; LONGEST_RECORD];
    let mut kills = 0;
    for _ in 0..MOST_RECORDS {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => kills += u64::from(is_kill(record.get(..length).unwrap_or_default())),
            // Records were overwritten before we came; the next read goes on behind them.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(_) => break,
        }
    }
    kills
}

fn is_kill(record: &[u8]) -> bool {
    const WORDS: &[u8] = b"Killed process ";
    record.windows(WORDS.len()).any(|window| window.eq_ignore_ascii_case(WORDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(minute: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(minute * 60)
    }

    #[test]
    fn a_growing_counter_is_told_for_an_hour() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        let count = |count: u64| {
            fs::write(root.path().join("proc/vmstat"), format!("pgfault 9\noom_kill {count}\n")).unwrap();
        };
        count(7);
        let mut kills = OomKills::watch(&Paths { root: root.path().into(), ..Paths::default() });
        assert_eq!(kills.look(at(0), HOUR).status, Status::Ok, "kills from before are not news");
        count(9);
        let told = kills.look(at(1), HOUR);
        assert_eq!(told.status, Status::Warn);
        assert_eq!(
            kills.look(at(60), HOUR).sentence,
            "the kernel killed 2 processes for want of memory, the last 59 min ago"
        );
        assert_eq!(kills.look(at(61), HOUR).status, Status::Ok);
    }

    #[test]
    fn without_counter_and_log_it_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        let mut kills = OomKills::watch(&Paths { root: root.path().into(), ..Paths::default() });
        assert_eq!(kills.look(at(0), HOUR).status, Status::Unknown);
    }

    /// Gives one record a read, as /dev/kmsg does; `None` is an overwritten one.
    struct Records(VecDeque<Option<&'static [u8]>>);

    impl Read for Records {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.pop_front() {
                None => Err(ErrorKind::WouldBlock.into()),
                Some(None) => Err(ErrorKind::BrokenPipe.into()),
                Some(Some(record)) => {
                    buffer[..record.len()].copy_from_slice(record);
                    Ok(record.len())
                }
            }
        }
    }

    #[test]
    fn old_kernels_tell_in_their_log() {
        let mut log = Records(VecDeque::from([
            Some(&b"3,812,99;cc1plus invoked oom-killer: gfp_mask=0x201da"[..]),
            None,
            Some(&b"3,813,99;Killed process 4711 (cc1plus) total-vm:9kB"[..]),
            Some(&b"3,814,99;Out of memory: Killed process 4712 (ld)"[..]),
        ]));
        assert_eq!(kills_in(&mut log), 2);
    }
}
