//! Plants one bug at a time into a copy of the sources and expects the tests to notice: a test that cannot fail is a
//! defect. `make mutants` runs it; it takes some minutes, so it is no part of `make test`.

#![expect(clippy::print_stdout, reason = "a program that reports to a person")]

mod copy;

use anyhow::{Context, Result, bail, ensure};
use copy::copy_sources;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

/// What the agent does with what it is told.
const AGENT: &[&str] =
    &["-p", "millwright-agent", "--lib", "--", "coordinator_client", "orders::", "memory::", "holds::"];
/// The decision, on whole stories and on properties.
const SCENARIOS: &[&str] = &["-p", "millwright-tests", "--test", "scenarios"];
/// Single operations, step by step.
const DECISION: &[&str] = &["-p", "millwright-decision", "--lib"];
/// Reading the policy, who may do what, whom and what the coordinator trusts, what it does to Mesos and Roger, what it
/// takes for a proof that a host is gone, and what it records of operations.
const COORDINATOR: &[&str] = &[
    "-p",
    "millwright-coordinator",
    "--lib",
    "--",
    "policy::tests",
    "views::",
    "people::",
    "identify::",
    "sign_in::",
    "serve::",
    "guard::",
    "mesos::",
    "marathon::",
    "aurora::",
    "foreman::",
    "puppetdb::",
    "roger::",
    "operations::",
    "restore::",
    "raise::",
    "journal::",
    "trusted::",
    "watch::",
    "outbox::",
    "channels::",
    "mail::",
];

/// One bug and where it goes.
struct Mutant {
    promise: String,
    file: PathBuf,
    find: String,
    put: String,
}

fn main() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("find the workspace")?.to_owned();
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let mutants = read_all(&root.join("tests/mutants/planted.txt"))?;
    let copy = tempfile::Builder::new().prefix("mw-mutants-").tempdir()?;
    copy_sources(&root, copy.path(), &BTreeMap::new())?;
    let bench = Bench { tree: copy.path().to_owned(), target: root.join("target/mutants") };
    if let Some(said) = bench.failure(&[SCENARIOS, DECISION, COORDINATOR, AGENT])? {
        bail!("the tests fail before anything is planted; mend that first\n{said}");
    }
    let mut missed = Vec::new();
    let mut planted = 0;
    for mutant in mutants.iter().filter(|mutant| mutant.promise.contains(&wanted)) {
        planted += 1;
        let caught = bench.catches(mutant)?;
        println!("{} {}", if caught { "caught" } else { "MISSED" }, mutant.promise);
        if !caught {
            missed.push(mutant.promise.as_str());
        }
    }
    println!("{} of {planted} planted bugs caught", planted - missed.len());
    Ok(if missed.is_empty() && planted > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_all(path: &Path) -> Result<Vec<Mutant>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.starts_with('#'));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).map(read).collect()
}

fn read(paragraph: &str) -> Result<Mutant> {
    let mut lines = paragraph.lines();
    let mut next = |prefix: &str| {
        let line = lines.next().with_context(|| format!("a paragraph ends too early:\n{paragraph}"))?;
        line.strip_prefix(prefix)
            .map(str::to_owned)
            .with_context(|| format!("{line:?} does not begin with {prefix:?}"))
    };
    Ok(Mutant { promise: next("")?, file: next("")?.into(), find: next("- ")?, put: next("+ ")? })
}

/// A copy of the sources in which bugs are planted.
struct Bench {
    tree: PathBuf,
    target: PathBuf,
}

impl Bench {
    /// What the first failing tests say; `None` when all pass.
    fn failure(&self, suites: &[&[&str]]) -> Result<Option<String>> {
        for tests in suites {
            let output = Command::new("cargo")
                .args(["test", "--quiet", "--offline"])
                .args(*tests)
                .env("CARGO_TARGET_DIR", &self.target)
                .env("RUST_BACKTRACE", "0")
                .current_dir(&self.tree)
                .output()
                .context("run cargo test")?;
            if !output.status.success() {
                let said = [output.stdout, output.stderr].concat();
                return Ok(Some(String::from_utf8_lossy(&said).into_owned()));
            }
        }
        Ok(None)
    }

    fn catches(&self, mutant: &Mutant) -> Result<bool> {
        let path = self.tree.join(&mutant.file);
        let sound = fs::read_to_string(&path).with_context(|| format!("read {}", mutant.file.display()))?;
        match sound.matches(&mutant.find).count() {
            1 => {}
            count => bail!(
                "{}: {:?} stands {count} times in {}",
                mutant.promise,
                mutant.find,
                mutant.file.display()
            ),
        }
        fs::write(&path, sound.replace(&mutant.find, &mutant.put))?;
        ensure!(self.compiles()?, "{}: the planted bug does not compile", mutant.promise);
        // No scenario runs what stands around the decision, except for the policy.
        let is_around =
            mutant.file.starts_with("coordinator/src") && !mutant.file.starts_with("coordinator/src/policy");
        let suites = match () {
            () if mutant.file.starts_with("agent") => &[AGENT][..],
            () if is_around => &[COORDINATOR],
            () => &[SCENARIOS, DECISION, COORDINATOR],
        };
        let caught = self.failure(suites)?.is_some();
        fs::write(&path, sound)?;
        Ok(caught)
    }

    /// A bug that does not compile is caught by nobody's test.
    fn compiles(&self) -> Result<bool> {
        let status = Command::new("cargo")
            .args(["check", "--quiet", "--offline", "-p", "millwright-coordinator", "-p", "millwright-agent"])
            .env("CARGO_TARGET_DIR", &self.target)
            .current_dir(&self.tree)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("run cargo check")?;
        Ok(status.success())
    }
}
