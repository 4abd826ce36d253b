//! A program under watch: started in control groups of its own where this machine lets us, then read from outside.
//!
//! Memory is the larger of two readings. PSS sums what each process of the group has, shared pages divided among
//! those that share them. The control group knows its anonymous memory and what the kernel holds for it (sockets,
//! page tables, buffers); the file cache stays apart. Processor time is the control group's, or the processes' own.

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What a program gets to end by itself after being asked to.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// One program with its children.
pub struct Watched {
    /// How the lines call it.
    pub name: &'static str,
    /// The most memory any look found, in bytes.
    pub peak_bytes: u64,
    child: Child,
    groups: Groups,
    log: PathBuf,
}

/// The control groups of one program; each is missing where this machine does not let us make it.
#[derive(Default)]
struct Groups {
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
}

/// One look.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Summed over the processes, in bytes.
    pub pss: u64,
    /// Anonymous memory and the kernel's, in bytes, where there is a group.
    pub group: Option<u64>,
}

impl Memory {
    /// The larger of the two.
    pub fn larger(self) -> u64 {
        self.pss.max(self.group.unwrap_or_default())
    }
}

impl Watched {
    /// Starts `command`, its output in `folder/NAME.log`.
    pub fn start(name: &'static str, command: &Command, folder: &Path) -> Result<Self> {
        let groups = Groups::make(name);
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).context("make a log")?;
        // A shell enters the groups and becomes the program; setpriv ends it should we be killed.
        let mut wrapped = Command::new("/bin/sh");
        wrapped
            .args([
                "-c",
                "for group in $BENCH_GROUPS; do echo $$ >$group/cgroup.procs; done; exec \"$@\"",
                "sh",
            ])
            .args(["setpriv", "--pdeathsig", "TERM"])
            .arg(command.get_program())
            .args(command.get_args())
            .env("BENCH_GROUPS", groups.paths())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        for (key, value) in command.get_envs() {
            wrapped.env(key, value.unwrap_or_default());
        }
        let child = wrapped.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { name, peak_bytes: 0, child, groups, log })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `look` says yes. An end of the program is an error, with the tail of its log.
    pub fn wait_for(&mut self, what: &str, mut look: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !look() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before {what}: {}", self.name, self.log_tail());
            }
            if start.elapsed() > Duration::from_secs(30) {
                bail!("waited 30 s for {what} of {}: {}", self.name, self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The end of what it wrote.
    pub fn log_tail(&self) -> String {
        let log = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n  ")
    }

    /// Looks at its memory and keeps the peak.
    pub fn look(&mut self) -> Memory {
        let pss = self.processes().into_iter().map(pss_of).sum();
        let memory = Memory { pss, group: self.groups.memory.as_deref().and_then(group_memory) };
        self.peak_bytes = self.peak_bytes.max(memory.larger());
        memory
    }

    /// Processor time so far, children that have ended included, in seconds.
    pub fn cpu_seconds(&self) -> Option<f64> {
        match &self.groups.cpu {
            Some(group) => group_cpu(group),
            None => Some(self.processes().into_iter().filter_map(process_cpu).sum()),
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The program and its descendants.
    fn processes(&self) -> BTreeSet<u32> {
        let members = self.groups.memory.as_ref().map(|group| fs::read_to_string(group.join("cgroup.procs")));
        if let Some(Ok(members)) = members {
            return members.lines().filter_map(|line| line.parse().ok()).collect();
        }
        let mut family = BTreeSet::from([self.pid()]);
        let parents = parents();
        // Each round finds one more generation.
        loop {
            let before = family.len();
            family.extend(
                parents
                    .iter()
                    .filter(|(_, parent)| family.contains(parent))
                    .map(|(pid, _)| *pid)
                    .collect::<Vec<_>>(),
            );
            if family.len() == before {
                return family;
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGTERM);
        }
        let start = Instant::now();
        while self.is_alive() && start.elapsed() < STOP_LIMIT {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.groups.remove();
    }
}

impl Groups {
    /// Groups of version 2 where memory is counted there, of version 1 otherwise.
    fn make(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounts: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
        let make = |wanted: &str, file: &str| {
            let hierarchy = mounts.iter().find(|mount| match (mount.get(2), mount.get(3)) {
                (Some(&"cgroup2"), _) => wanted == "cgroup2",
                (Some(&"cgroup"), Some(options)) => options.split(',').any(|option| option == wanted),
                _ => false,
            })?;
            let group =
                Path::new(hierarchy.get(1)?).join(format!("millwright-bench-{}-{name}", std::process::id()));
            fs::create_dir(&group).ok()?;
            if fs::read(group.join(file)).is_err() {
                let _ = fs::remove_dir(&group);
                return None;
            }
            Some(group)
        };
        match make("cgroup2", "memory.stat") {
            Some(group) => Self { memory: Some(group.clone()), cpu: Some(group) },
            None => Self {
                memory: make("memory", "memory.kmem.usage_in_bytes"),
                cpu: make("cpuacct", "cpuacct.usage"),
            },
        }
    }

    /// The distinct ones, as a shell splits them.
    fn paths(&self) -> String {
        let paths: BTreeSet<&PathBuf> = self.memory.iter().chain(&self.cpu).collect();
        paths.into_iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
    }

    fn remove(&self) {
        for group in self.memory.iter().chain(&self.cpu) {
            // Children that outlived the program would keep the group.
            for pid in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
                if let Ok(pid) = pid.parse() {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            for _ in 0..50 {
                if fs::remove_dir(group).is_ok() || !group.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn group_memory(group: &Path) -> Option<u64> {
    let stat = fs::read_to_string(group.join("memory.stat")).ok()?;
    let value = |key: &str| stat.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
    if let Some(kernel) = value("kernel ") {
        return Some(value("anon ")? + kernel);
    }
    let kernel = fs::read_to_string(group.join("memory.kmem.usage_in_bytes")).ok()?;
    Some(value("total_rss ")? + kernel.trim().parse::<u64>().ok()?)
}

fn group_cpu(group: &Path) -> Option<f64> {
    if let Ok(nanoseconds) = fs::read_to_string(group.join("cpuacct.usage")) {
        return Some(nanoseconds.trim().parse::<f64>().ok()? / 1e9);
    }
    let stat = fs::read_to_string(group.join("cpu.stat")).ok()?;
    let microseconds = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(microseconds.trim().parse::<f64>().ok()? / 1e6)
}

fn pss_of(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kibibytes = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"));
    kibibytes.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// User and system time, children that were waited for included.
pub fn process_cpu(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything: state is field 3; utime, stime, cutime and cstime are 14 to 17.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    Some(ticks as f64 / per_second as f64)
}

/// Every process and its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?))
    })
    .collect()
}
