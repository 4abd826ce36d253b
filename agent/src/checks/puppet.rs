//! Puppet's last run: how old, how it ended; disabled, stuck, or failing for a day. (R14, R15)
//!
//! Only failing for a day gates: a node must not drop out because one run met a server that was away.

use super::Context;
use crate::{
    check::{Check, FactPart, Look, Looking, Observation, Rhythm},
    config::{Paths, PuppetConfig, units::spoken},
    puppet::{
        Found, Outcome, Places, Record, Report, Summary, read_disabled, read_pid, read_report, read_summary,
    },
};
use jiff::Timestamp;
use millwright_protocol::{PuppetFacts, Status};
use std::{
    fs,
    io::Read,
    time::{Duration, SystemTime},
};

/// A summary is a few KiB.
const LARGEST_SUMMARY: u64 = 1 << 20;
/// A report is not read beyond this.
const LARGEST_REPORT: u64 = 8 << 20;
/// Summary and report of one run are written within this.
const SAME_RUN: Duration = Duration::from_secs(120);
/// R15: this many failing runs in a row are told as a fault.
const FAILING_RUNS: u32 = 3;
/// A last run this far in the future is a clock's fault.
const CLOCK_SLACK: i64 = 300;

/// The check `puppet`.
pub struct PuppetCheck {
    config: PuppetConfig,
    paths: Paths,
    places: Places,
    record: Record,
    /// The last run as it was read, good while its files stay as they are.
    read: Option<ReadRun>,
}

/// A run, read.
#[derive(Debug, Clone)]
struct ReadRun {
    summary_file: Found,
    report_file: Option<Found>,
    summary: Summary,
    environment: Option<String>,
    outcome: Outcome,
}

impl PuppetCheck {
    /// The check, with its section and where paths are found.
    pub fn new(config: &PuppetConfig, paths: &Paths) -> Self {
        Self {
            places: Places::new(config.folders.iter().map(|folder| paths.rooted(folder))),
            config: config.clone(),
            paths: paths.clone(),
            record: Record::open(&paths.state, &paths.boot_id()),
            read: None,
        }
    }

    fn look_once(&mut self, now: Timestamp) -> Look {
        let disabled = self
            .places
            .newest("agent_disabled.lock")
            .map(|found| read_disabled(&read_up_to(&found, LARGEST_SUMMARY).unwrap_or_default()));
        let run = self.read_run();
        if let Ok(run) = &run
            && let Some(last_run) = run.summary.last_run
        {
            self.record.saw(last_run, run.outcome.is_clean(), self.booted_at());
        }
        let mut observations = vec![
            self.of_run(run.as_ref().map_err(String::as_str), now),
            self.of_failing(run.as_ref().map_err(String::as_str), now),
        ];
        observations.extend(disabled.as_deref().map(of_disabled));
        observations.extend(self.of_lock());
        let facts = self.facts(run.ok(), disabled);
        Look { observations, facts: vec![FactPart::Puppet(Some(facts))] }
    }

    fn read_run(&mut self) -> Result<ReadRun, String> {
        let summary_file = self
            .places
            .newest("last_run_summary.yaml")
            .ok_or_else(|| format!("there is no last_run_summary.yaml in {}", self.places.named()))?;
        let report_file = self.places.newest("last_run_report.yaml");
        if let Some(read) = &self.read
            && read.summary_file == summary_file
            && read.report_file == report_file
        {
            return Ok(read.clone());
        }
        let body = read_up_to(&summary_file, LARGEST_SUMMARY)?;
        let summary = read_summary(&body)?;
        let report = read_report_of(&summary_file, report_file.as_ref());
        let outcome = Outcome::of(&summary, report.as_ref().map_err(String::as_str));
        let environment = summary.environment.clone().or_else(|| report.ok()?.environment);
        let read = ReadRun { summary_file, report_file, summary, environment, outcome };
        self.read = Some(read.clone());
        Ok(read)
    }

    /// When this machine booted, from the line `btime` of `/proc/stat`.
    fn booted_at(&self) -> Option<Timestamp> {
        let stat = fs::read_to_string(self.paths.proc("stat")).ok()?;
        let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        Timestamp::from_second(seconds.trim().parse().ok()?).ok()
    }

    fn of_run(&self, run: Result<&ReadRun, &str>, now: Timestamp) -> Observation {
        let run = match run {
            Ok(run) => run,
            Err(why) => {
                return Observation::new(Status::Unknown, format!("nothing is known about Puppet's runs: {why}")).next(
                    "run `puppet agent -t`; where Puppet does not look after this node, set `enabled = false` in [checks.puppet]",
                );
            }
        };
        let Some(last_run) = run.summary.last_run else {
            return Observation::new(Status::Unknown, "Puppet's summary does not say when it ran last");
        };
        let seconds = now.as_second() - last_run.as_second();
        let age = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let (aged, when) = if seconds < -CLOCK_SLACK {
            (Status::Warn, "in the future (see the clock)".to_owned())
        } else if age > self.config.crit_age {
            (Status::Crit, format!("{} ago", spoken(age)))
        } else if age > self.config.warn_age {
            (Status::Warn, format!("{} ago", spoken(age)))
        } else {
            (Status::Ok, format!("{} ago", spoken(age)))
        };
        let failed_runs = self.record.streak().failed;
        let (judged, how) = match &run.outcome {
            Outcome::Clean => (Status::Ok, "and was clean".to_owned()),
            Outcome::Failed(what) if failed_runs >= FAILING_RUNS => {
                (Status::Crit, format!("and {what}; {failed_runs} runs in a row failed"))
            }
            Outcome::Failed(what) => (Status::Warn, format!("and {what}")),
            Outcome::Cached => (Status::Warn, "with an old catalog: no new one could be had".to_owned()),
            Outcome::Unknown(why) => (Status::Unknown, format!("but nothing tells how it went: {why}")),
        };
        let observation = Observation::new(aged.max(judged), format!("Puppet ran last {when} {how}"))
            .evidence("last_run", last_run, &run.summary_file.path.display().to_string())
            .evidence("clean_streak", self.record.streak().clean, "agent")
            .evidence("failed_streak", failed_runs, "agent");
        match aged.max(judged) {
            Status::Ok => observation,
            _ => observation.next("run `puppet agent -t` and read its output"),
        }
    }

    /// The only finding about Puppet that keeps a node from counting as healthy.
    fn of_failing(&self, run: Result<&ReadRun, &str>, now: Timestamp) -> Observation {
        let limit = spoken(self.config.failing_for);
        let observation = match (run, self.record.streak().failing_since) {
            (Err(_), _) => Observation::new(Status::Unknown, "whether Puppet keeps failing is not known"),
            (Ok(_), None) => Observation::new(Status::Ok, "Puppet does not keep failing"),
            (Ok(_), Some(since)) => {
                let seconds = u64::try_from(now.as_second() - since.as_second()).unwrap_or_default();
                let lasted = Duration::from_secs(seconds);
                if lasted >= self.config.failing_for {
                    Observation::new(Status::Crit, format!("Puppet has been failing for {}", spoken(lasted)))
                        .next("run `puppet agent -t`, read its output, and tell whoever owns the failing module")
                } else {
                    let sentence = format!("Puppet has been failing for {}, less than {limit}", spoken(lasted));
                    Observation::new(Status::Ok, sentence)
                }
                .evidence("failing_since", since, "agent")
            }
        };
        observation.item("failing").gating()
    }

    fn of_lock(&self) -> Option<Observation> {
        let found = self.places.newest("agent_catalog_run.lock")?;
        let age = SystemTime::now().duration_since(found.written).unwrap_or_default();
        let pid = read_pid(&read_up_to(&found, 4096).ok()?);
        let is_dead = pid.is_some_and(|pid| !self.paths.proc(pid.to_string()).exists());
        let path = found.path.display().to_string();
        let observation = if is_dead {
            let pid = pid.unwrap_or_default();
            Observation::new(Status::Warn, format!("Puppet's lock names process {pid}, which is gone"))
                .next(format!("remove {path}"))
        } else if age > self.config.lock_age {
            Observation::new(
                Status::Warn,
                format!("one Puppet run has been holding the lock for {}", spoken(age)),
            )
            .next("look at what the run waits for: `ps --forest`")
        } else {
            return None;
        };
        Some(observation.item("lock").evidence("lock", &path, "agent"))
    }

    fn facts(&self, run: Option<ReadRun>, disabled: Option<String>) -> PuppetFacts {
        PuppetFacts {
            last_run_at: run.as_ref().and_then(|run| run.summary.last_run),
            clean: run.as_ref().and_then(|run| run.outcome.is_clean()),
            clean_streak: self.record.streak().clean,
            failed_streak: self.record.streak().failed,
            disabled,
            environment: run.as_ref().and_then(|run| run.environment.clone()),
            version: run.map(|run| run.summary.version).filter(|version| !version.is_empty()),
        }
    }
}

fn of_disabled(reason: &str) -> Observation {
    let why = if reason.is_empty() { "no reason was given".to_owned() } else { format!("\"{reason}\"") };
    Observation::new(Status::Warn, format!("Puppet is disabled: {why}"))
        .item("disabled")
        .evidence("reason", reason, "agent_disabled.lock")
        .next("ask whoever disabled it; `puppet agent --enable` lifts it")
}

fn read_up_to(found: &Found, most: u64) -> Result<Vec<u8>, String> {
    let path = found.path.display();
    if found.length > most {
        return Err(format!("{path} has {} bytes, more than is read", found.length));
    }
    let mut body = Vec::new();
    fs::File::open(&found.path)
        .and_then(|file| file.take(most).read_to_end(&mut body))
        .map_err(|error| format!("read {path}: {error}"))?;
    Ok(body)
}

/// The report of the run that the summary is of.
fn read_report_of(summary: &Found, report: Option<&Found>) -> Result<Report, String> {
    let report = report.ok_or("there is no last_run_report.yaml")?;
    let apart = match report.written.duration_since(summary.written) {
        Ok(later) => later,
        Err(earlier) => earlier.duration(),
    };
    if apart > SAME_RUN {
        return Err(format!("{} is of another run", report.path.display()));
    }
    if report.length > LARGEST_REPORT {
        return Err(format!("{} is larger than 8 MiB and is not read", report.path.display()));
    }
    let file =
        fs::File::open(&report.path).map_err(|error| format!("read {}: {error}", report.path.display()))?;
    read_report(file.take(LARGEST_REPORT))
}

/// The check of Puppet on this node.
pub fn checks(context: &Context) -> Vec<Box<dyn Check>> {
    vec![Box::new(PuppetCheck::new(&context.config.checks.puppet, &context.config.paths))]
}

impl Check for PuppetCheck {
    fn name(&self) -> &'static str {
        "puppet"
    }

    fn is_gating(&self) -> bool {
        true
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm { every: self.config.every, deadline: self.config.deadline }
    }

    fn look(&mut self, now: Timestamp) -> Looking<'_> {
        Box::pin(async move { self.look_once(now) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const LAST_RUN: i64 = 1_700_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(LAST_RUN + second).unwrap()
    }

    fn check(folder: &Path) -> PuppetCheck {
        fs::create_dir_all(folder.join("proc")).unwrap();
        fs::write(folder.join("proc/stat"), format!("cpu 1\nbtime {}\n", LAST_RUN - 100_000)).unwrap();
        let paths = Paths { root: folder.to_owned(), state: folder.join("own"), ..Paths::default() };
        PuppetCheck::new(&PuppetConfig { folders: vec!["/state".into()], ..PuppetConfig::default() }, &paths)
    }

    fn write_run(folder: &Path, at: i64, failed: u32, status: &str) {
        fs::create_dir_all(folder.join("state")).unwrap();
        let summary = format!(
            "version:\n  puppet: 7.32.1\nresources:\n  failed: {failed}\n  total: 9\ntime:\n  last_run: {}\n",
            LAST_RUN + at
        );
        fs::write(folder.join("state/last_run_summary.yaml"), summary).unwrap();
        let report = format!("report_format: 12\nstatus: {status}\nenvironment: production\n");
        fs::write(folder.join("state/last_run_report.yaml"), report).unwrap();
    }

    fn status_of(look: &Look, item: Option<&str>) -> Option<Status> {
        look.observations.iter().find(|one| one.item.as_deref() == item).map(|one| one.status)
    }

    fn facts(look: &Look) -> &PuppetFacts {
        match &look.facts[..] {
            [FactPart::Puppet(Some(facts))] => facts,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_clean_run_ages_from_ok_to_warn_to_crit_and_never_gates() {
        let folder = tempfile::tempdir().unwrap();
        write_run(folder.path(), 0, 0, "unchanged");
        let mut check = check(folder.path());
        for (age, seen) in
            [(60, Status::Ok), (3601, Status::Warn), (86_401, Status::Crit), (-301, Status::Warn)]
        {
            let look = check.look_once(at(age));
            assert_eq!(status_of(&look, None), Some(seen), "{age}");
            assert_eq!(status_of(&look, Some("failing")), Some(Status::Ok));
            assert!(!look.observations[0].gating);
        }
        assert_eq!(facts(&check.look_once(at(60))).environment.as_deref(), Some("production"));
    }

    #[test]
    fn r15_a_few_failing_runs_in_a_row_are_told_as_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let mut check = check(folder.path());
        for (run, seen) in [(1, Status::Warn), (2, Status::Warn), (3, Status::Crit)] {
            write_run(folder.path(), run * 600, 1, "failed");
            let look = check.look_once(at(run * 600 + 5));
            assert_eq!((status_of(&look, None), facts(&look).failed_streak), (Some(seen), run as u32));
        }
    }

    #[test]
    fn failing_for_a_day_gates() {
        let folder = tempfile::tempdir().unwrap();
        write_run(folder.path(), 0, 0, "failed");
        let mut check = check(folder.path());
        assert_eq!(status_of(&check.look_once(at(86_399)), Some("failing")), Some(Status::Ok));
        let look = check.look_once(at(86_400));
        assert_eq!(status_of(&look, Some("failing")), Some(Status::Crit));
        assert!(look.observations.iter().any(|one| one.item.as_deref() == Some("failing") && one.gating));
    }

    #[test]
    fn clean_runs_are_counted_as_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let mut check = check(folder.path());
        for run in 1..=2 {
            write_run(folder.path(), run * 600, 0, "changed");
            assert_eq!(facts(&check.look_once(at(run * 600 + 5))).clean_streak, run as u32);
            assert_eq!(facts(&check.look_once(at(run * 600 + 35))).clean_streak, run as u32);
        }
    }

    #[test]
    fn without_a_summary_nothing_is_claimed() {
        let folder = tempfile::tempdir().unwrap();
        let look = check(folder.path()).look_once(at(0));
        assert_eq!(status_of(&look, None), Some(Status::Unknown));
        assert_eq!(status_of(&look, Some("failing")), Some(Status::Unknown));
        assert_eq!(facts(&look), &PuppetFacts::default());
    }

    #[test]
    fn the_summary_is_found_where_puppet_7_has_moved_it_beside_one_that_puppet_6_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let paths =
            Paths { root: folder.path().to_owned(), state: folder.path().join("own"), ..Paths::default() };
        let write = |path: &str, text: &str, age: u64| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let file = fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        let summary = |version: &str, failed: u32| {
            format!(
                "version:\n  puppet: {version}\nresources:\n  failed: {failed}\ntime:\n  last_run: {LAST_RUN}\n"
            )
        };
        let (old, new) = ("opt/puppetlabs/puppet/cache/state", "opt/puppetlabs/puppet/public");
        write(&format!("{old}/last_run_summary.yaml"), &summary("6.28.0", 3), 86_400);
        write(&format!("{new}/last_run_summary.yaml"), &summary("7.32.1", 0), 60);
        // The report has stayed where it was.
        write(&format!("{old}/last_run_report.yaml"), "report_format: 12\nstatus: unchanged\n", 60);
        let look = PuppetCheck::new(&PuppetConfig::default(), &paths).look_once(at(60));
        assert_eq!((facts(&look).version.as_deref(), facts(&look).clean), (Some("7.32.1"), Some(true)));
    }

    #[test]
    fn an_empty_lock_disables_puppet_as_one_with_a_reason_does() {
        let folder = tempfile::tempdir().unwrap();
        write_run(folder.path(), 0, 0, "unchanged");
        fs::write(folder.path().join("state/agent_disabled.lock"), "").unwrap();
        let look = check(folder.path()).look_once(at(60));
        assert_eq!(status_of(&look, Some("disabled")), Some(Status::Warn));
        assert_eq!(facts(&look).disabled.as_deref(), Some(""));
    }

    #[test]
    fn binary_garbage_is_not_read_as_a_run() {
        let folder = tempfile::tempdir().unwrap();
        write_run(folder.path(), 0, 0, "unchanged");
        fs::write(folder.path().join("state/last_run_report.yaml"), b"\x00\xff\x01").unwrap();
        assert_eq!(status_of(&check(folder.path()).look_once(at(60)), None), Some(Status::Unknown));
        fs::write(folder.path().join("state/last_run_summary.yaml"), b"\x00\xff\x01").unwrap();
        assert_eq!(
            status_of(&check(folder.path()).look_once(at(60)), Some("failing")),
            Some(Status::Unknown)
        );
    }

    #[test]
    fn a_disabled_puppet_is_told_with_its_reason_and_a_dead_lock_is_told_too() {
        let folder = tempfile::tempdir().unwrap();
        write_run(folder.path(), 0, 0, "unchanged");
        fs::write(folder.path().join("state/agent_disabled.lock"), br#"{"disabled_message":"disk swap"}"#)
            .unwrap();
        fs::write(folder.path().join("state/agent_catalog_run.lock"), "4242").unwrap();
        let look = check(folder.path()).look_once(at(60));
        assert_eq!(status_of(&look, Some("disabled")), Some(Status::Warn));
        assert_eq!(facts(&look).disabled.as_deref(), Some("disk swap"));
        assert_eq!(status_of(&look, Some("lock")), Some(Status::Warn));
        fs::create_dir(folder.path().join("proc/4242")).unwrap();
        assert_eq!(status_of(&check(folder.path()).look_once(at(60)), Some("lock")), None);
    }
}
