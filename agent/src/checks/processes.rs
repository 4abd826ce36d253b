//! Zombies, and processes stuck in the kernel: the signs of a dying Docker, disk or file server.

use super::Context;
use crate::{
    check::{Check, Look, Looking, Observation, Rhythm},
    config::{Config, units::spoken},
};
use jiff::Timestamp;
use millwright_protocol::Status;
use std::{collections::HashMap, fs, path::Path, rc::Rc, time::Duration};

/// The kernel's own threads (PF_KTHREAD); some of them sleep in state D for ever by design.
const KERNEL_THREAD: u64 = 0x0020_0000;
/// More stuck processes are counted, not named.
const MOST_NAMED: usize = 3;

/// The one check of the process table.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    vec![Box::new(ProcessesCheck { config: context.config.clone(), stuck: HashMap::new() })]
}

struct ProcessesCheck {
    config: Rc<Config>,
    /// Processes in state D and since when, as long as they have not run in between.
    stuck: HashMap<Sleeper, Timestamp>,
}

/// A process that has not run since: a process that did has switched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Sleeper {
    pid: u32,
    name: String,
    switches: u64,
}

impl Check for ProcessesCheck {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn is_gating(&self) -> bool {
        false
    }

    fn rhythm(&self) -> Rhythm {
        let processes = &self.config.checks.processes;
        Rhythm { every: processes.every, deadline: processes.deadline }
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move {
            let config = &self.config.checks.processes;
            let Some(table) = Table::read(&self.config.paths.proc("")) else {
                let why = format!("{} cannot be listed", self.config.paths.proc("").display());
                return Look {
                    observations: vec![Observation::new(Status::Unknown, why)],
                    facts: Vec::new(),
                };
            };
            let before = std::mem::take(&mut self.stuck);
            for sleeper in table.sleepers {
                let since = before.get(&sleeper).copied().unwrap_or(now);
                self.stuck.insert(sleeper, since.min(now));
            }
            let observations =
                vec![zombies(table.zombies, config.zombies), stuck(&self.stuck, config.stuck_for, now)];
            Look { observations, facts: Vec::new() }
        })
    }
}

fn zombies(count: usize, limit: usize) -> Observation {
    let sentence = match count {
        0 => "there are no zombies".to_owned(),
        1 => "there is 1 zombie".to_owned(),
        count => format!("there are {count} zombies"),
    };
    let observation = match count > limit {
        false => Observation::new(Status::Ok, sentence),
        true => Observation::new(Status::Warn, format!("{sentence}, more than {limit}"))
            .next("see whose they are with `ps -eo ppid,stat | grep Z | sort | uniq -c`; restarting the parent clears them"),
    };
    observation.item("zombies").evidence("zombies", count, "/proc")
}

fn stuck(sleepers: &HashMap<Sleeper, Timestamp>, limit: Duration, now: Timestamp) -> Observation {
    let for_how_long = |since: Timestamp| Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let mut long: Vec<(Duration, &Sleeper)> = sleepers
        .iter()
        .map(|(sleeper, since)| (for_how_long(*since), sleeper))
        .filter(|(duration, _)| *duration > limit)
        .collect();
    long.sort_by_key(|(duration, sleeper)| (std::cmp::Reverse(*duration), sleeper.pid));
    let Some((_, first)) = long.first() else {
        return Observation::new(Status::Ok, "no process is stuck in the kernel").item("stuck");
    };
    let next = format!(
        "see what they wait for with `cat /proc/{}/stack`; it is a disk or a file server, and a reboot is the usual cure",
        first.pid
    );
    let named: Vec<String> = long
        .iter()
        .take(MOST_NAMED)
        .map(|(duration, sleeper)| {
            format!("{} (pid {}) for {}", sleeper.name, sleeper.pid, spoken(*duration))
        })
        .collect();
    let more = match long.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Observation::new(Status::Warn, format!("stuck in the kernel: {}{more}", named.join(", ")))
        .item("stuck")
        .next(next)
}

/// The process table, as far as it matters here.
#[derive(Debug, Default)]
struct Table {
    zombies: usize,
    sleepers: Vec<Sleeper>,
}

impl Table {
    /// Reads every process once. One that ends meanwhile is passed over.
    fn read(proc: &Path) -> Option<Self> {
        let mut table = Self::default();
        for entry in fs::read_dir(proc).ok()?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(stat) = fs::read(entry.path().join("stat")) else { continue };
            match parse_stat(&String::from_utf8_lossy(&stat)) {
                Some(('Z', ..)) => table.zombies += 1,
                Some(('D', name, flags)) if flags & KERNEL_THREAD == 0 => {
                    let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
                    let switches = switches_in(&status);
                    table.sleepers.push(Sleeper { pid, name: name.to_owned(), switches });
                }
                _ => {}
            }
        }
        Some(table)
    }
}

/// State, name and flags. The name may hold anything, blanks and brackets included, so it ends at the last
/// bracket.
fn parse_stat(stat: &str) -> Option<(char, &str, u64)> {
    let (head, tail) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once(" (")?;
    let mut fields = tail.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, name, fields.nth(5)?.parse().ok()?))
}

fn switches_in(status: &str) -> u64 {
    status
        .lines()
        .filter_map(|line| line.split_once("ctxt_switches:"))
        .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(600);

    fn node(processes: &[(u32, &str, u64)]) -> (tempfile::TempDir, ProcessesCheck) {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.root = root.path().into();
        fs::create_dir(root.path().join("proc")).unwrap();
        let check = ProcessesCheck { config: Rc::new(config), stuck: HashMap::new() };
        write(root.path(), processes);
        (root, check)
    }

    fn write(root: &Path, processes: &[(u32, &str, u64)]) {
        for (pid, stat, switches) in processes {
            let folder = root.join(format!("proc/{pid}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("stat"), stat).unwrap();
            let status =
                format!("Name:\tx\nvoluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t1\n");
            fs::write(folder.join("status"), status).unwrap();
        }
    }

    async fn stuck_after(check: &mut ProcessesCheck, minutes: u64) -> Observation {
        check.look(Timestamp::UNIX_EPOCH + Duration::from_secs(60 * minutes)).await.observations.remove(1)
    }

    const HUNG: &str = "812 (docker) (x) D 1 812 812 0 -1 4194304 1 2 3";
    const KERNEL: &str = "14 (kworker/0:1) D 2 0 0 0 -1 69238880 0 0 0";

    #[tokio::test]
    async fn a_process_that_sleeps_in_the_kernel_for_more_than_ten_minutes_is_named() {
        let (_root, mut check) = node(&[(812, HUNG, 5), (14, KERNEL, 5)]);
        for minute in [0, 10] {
            assert_eq!(stuck_after(&mut check, minute).await.status, Status::Ok, "after {minute} min");
        }
        let stuck = stuck_after(&mut check, 11).await;
        assert_eq!(stuck.sentence, "stuck in the kernel: docker) (x (pid 812) for 11 min");
        assert!(stuck.next.unwrap().contains("/proc/812/stack"));
    }

    #[tokio::test]
    async fn a_process_that_ran_in_between_is_not_stuck() {
        let (root, mut check) = node(&[(812, HUNG, 5)]);
        stuck_after(&mut check, 0).await;
        write(root.path(), &[(812, HUNG, 6)]);
        assert_eq!(stuck_after(&mut check, 60).await.status, Status::Ok);
    }

    #[tokio::test]
    async fn zombies_are_counted_and_nonsense_is_passed_over() {
        let (_root, mut check) = node(&[
            (1, "1 (a) Z 1 1 1 0 -1 4 0", 0),
            (2, "nonsense", 0),
            (3, "", 0),
            (4, "4 (b) S 1 1 1 0 -1 4 0", 0),
        ]);
        let look = check.look(Timestamp::UNIX_EPOCH).await;
        assert_eq!(look.observations[0].sentence, "there is 1 zombie");
        assert_eq!((zombies(50, 50).status, zombies(51, 50).status), (Status::Ok, Status::Warn));
    }

    #[test]
    fn many_stuck_processes_are_counted_after_three_names() {
        let sleeper = |pid| Sleeper { pid, name: "cp".into(), switches: 0 };
        let sleepers = (1..=5).map(|pid| (sleeper(pid), Timestamp::UNIX_EPOCH)).collect();
        let now = Timestamp::UNIX_EPOCH + Duration::from_secs(7200);
        let sentence = stuck(&sleepers, LIMIT, now).sentence;
        assert!(sentence.ends_with("cp (pid 3) for 2 h and 2 more"), "{sentence}");
    }
}
