//! Plants one bug at a time in the production code and expects the simulation to name the invariant that it breaks: a
//! checker that cannot fail proves nothing. `make planted` runs it; it takes some minutes, so it is no part of `make test`.
//!
//! The bugs are switches in a copy of the sources, so that one build serves all of them. The repository has none.

#![expect(clippy::print_stdout, reason = "a program that reports to a person")]

#[path = "../mutants/copy.rs"]
mod copy;

use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::BTreeMap,
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

/// Every package of the production code knows this one.
const SHARED: &str = "coordinator/protocol/src/lib.rs";
/// Asks which bug is planted.
const SWITCH: &str = r#"
/// Whether the bug of this number is planted.
pub fn planted(number: usize) -> bool {
    static WHICH: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let read = || std::env::var("MILLWRIGHT_PLANTED").ok().and_then(|number| number.parse().ok());
    *WHICH.get_or_init(|| read().unwrap_or(0)) == number
}
"#;

/// One bug: what it breaks, and which expressions it exchanges.
struct Bug {
    story: String,
    /// Any of these: some bugs break more than one, and which shows first is chance.
    invariants: Vec<String>,
    exchanges: Vec<Exchange>,
}

/// An expression, what stands around it, and what is put in its place.
struct Exchange {
    file: PathBuf,
    before: String,
    sound: String,
    after: String,
    put: String,
}

fn main() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("find the workspace")?.to_owned();
    let wanted = env::args().nth(1).unwrap_or_default();
    let bugs = read_all(&root.join("tests/planted/planted.txt"))?;
    let tree = root.join("target/planted/tree");
    copy::copy_sources(&root, &tree, &with_switches(&root, &bugs)?)?;
    let program = build(&tree, &root.join("target/planted/build"))?;
    if let Some(said) = run(&program, 0, "100")?.violations.first() {
        bail!("something is violated before anything is planted; mend that first\n{said}");
    }
    let (mut planted, mut missed) = (0, 0);
    for (bug, number) in bugs.iter().zip(1..).filter(|(bug, _)| bug.story.contains(&wanted)) {
        planted += 1;
        let found = run(&program, number, "1000")?;
        let said = &found.violations;
        let is_it = |said: &String| bug.invariants.iter().any(|one| said.split(':').next() == Some(one));
        let is_caught = !said.is_empty() && said.iter().all(is_it);
        missed += usize::from(!is_caught);
        println!(
            "{} after {:>4} histories, {:>3.0} s: {}",
            if is_caught { "caught" } else { "MISSED" },
            found.histories,
            found.seconds,
            bug.story
        );
        said.iter().for_each(|said| println!("       {said}"));
    }
    println!("{} of {planted} planted bugs caught by the invariant they break", planted - missed);
    Ok(if missed == 0 && planted > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_all(path: &Path) -> Result<Vec<Bug>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim_start().starts_with('#'));
    paragraphs.filter(|paragraph| !paragraph.trim().is_empty()).map(read).collect()
}

fn read(paragraph: &str) -> Result<Bug> {
    let mut lines = paragraph.lines().peekable();
    let story = lines.next().context("a paragraph has a story")?.to_owned();
    let invariants = story.split(':').next().unwrap_or_default().split(" or ").map(str::to_owned).collect();
    let mut exchanges = Vec::new();
    while let Some(file) = lines.next() {
        let mut take = |prefix: &str| {
            let mut taken = Vec::new();
            while let Some(line) = lines.peek().and_then(|line| line.strip_prefix(prefix)) {
                taken.push(line);
                lines.next();
            }
            taken.join("\n")
        };
        let (find, put) = (take("- "), take("+ "));
        ensure!(!find.is_empty() && !put.is_empty(), "{story}: nothing to exchange in {file}");
        let (before, rest) = find.split_once('«').unwrap_or(("", &find));
        let (sound, after) = rest.split_once('»').unwrap_or((rest, ""));
        let [before, sound, after] = [before, sound, after].map(str::to_owned);
        exchanges.push(Exchange { file: file.into(), before, sound, after, put });
    }
    ensure!(!exchanges.is_empty(), "{story}: nothing to exchange");
    Ok(Bug { story, invariants, exchanges })
}

/// Where something is exchanged in a file, from and to which byte, by which bugs.
type Places<'a> = BTreeMap<(usize, usize), Vec<(usize, &'a Exchange)>>;

/// The files that get switches, with them.
fn with_switches(root: &Path, bugs: &[Bug]) -> Result<BTreeMap<PathBuf, String>> {
    // Several bugs may exchange the same expression.
    let mut places: BTreeMap<&Path, Places<'_>> = BTreeMap::new();
    for (bug, number) in bugs.iter().zip(1..) {
        for exchange in &bug.exchanges {
            let text = fs::read_to_string(root.join(&exchange.file))
                .with_context(|| format!("{}: read {}", bug.story, exchange.file.display()))?;
            let whole = [&*exchange.before, &exchange.sound, &exchange.after].concat();
            let found: Vec<usize> = text.match_indices(&whole).map(|(at, _)| at).collect();
            let &[at] = found.as_slice() else {
                let (count, file) = (found.len(), exchange.file.display());
                bail!("{}: {whole:?} stands {count} times in {file}", bug.story);
            };
            let from = at + exchange.before.len();
            let place = (from, from + exchange.sound.len());
            places.entry(&exchange.file).or_default().entry(place).or_default().push((number, exchange));
        }
    }
    let mut files = BTreeMap::new();
    for (file, exchanged) in places {
        let mut text = fs::read_to_string(root.join(file))?;
        let mut behind = text.len();
        // From the end, so that places before stay where they are.
        for ((from, to), exchanges) in exchanged.into_iter().rev() {
            ensure!(to <= behind, "{}: two bugs exchange overlapping expressions", file.display());
            behind = from;
            let mut switched = String::from("(");
            for (number, exchange) in &exchanges {
                write!(switched, "if millwright_protocol::planted({number}) {{ {} }} else ", exchange.put)?;
            }
            let sound = text.get(from..to).context("a place lies in its file")?.to_owned();
            text.replace_range(from..to, &format!("{switched}{{ {sound} }})"));
        }
        files.insert(file.to_owned(), text);
    }
    let mut shared = fs::read_to_string(root.join(SHARED))?;
    shared.write_str(SWITCH)?;
    files.insert(SHARED.into(), shared);
    Ok(files)
}

/// Builds the simulation from the copy, and says where it is.
fn build(tree: &Path, target: &Path) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--offline", "--profile", "simulate"])
        .args(["-p", "millwright-tests", "--example", "simulate"])
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTFLAGS", "-Aunused_parens")
        .current_dir(tree)
        .output()
        .context("run cargo build")?;
    ensure!(output.status.success(), "the copy does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(target.join("simulate/examples/simulate"))
}

/// What the simulation finds with a bug planted, one line each, and how much it took; it stops at the first.
struct Found {
    violations: Vec<String>,
    histories: u64,
    seconds: f64,
}

fn run(program: &Path, number: usize, seeds: &str) -> Result<Found> {
    let ledger = tempfile::Builder::new().prefix("mw-planted-").tempdir()?;
    let began = Instant::now();
    let output = Command::new(program)
        .envs([("SEED", "1"), ("SEEDS", seeds), ("HOURS", "24"), ("WORKERS", "2"), ("WITHOUT", "")])
        .env("MILLWRIGHT_PLANTED", number.to_string())
        .env("MILLWRIGHT_LEDGER", ledger.path().join("ledger.json"))
        .output()
        .with_context(|| format!("run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.lines().find_map(|line| line.strip_prefix("simulated "));
    let Some(summary) = summary else {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("the simulation broke off with bug {number}:\n{why}");
    };
    // `H cluster-hours S seeds …`
    let histories = summary.split_whitespace().nth(2).and_then(|word| word.parse().ok()).unwrap_or(0);
    let is_violation = |line: &&str| {
        line.split_once(':').is_some_and(|(invariant, _)| {
            let digits = invariant.strip_prefix(['S', 'L']).unwrap_or_default();
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let violations = said.lines().filter(is_violation).map(str::to_owned).collect();
    Ok(Found { violations, histories, seconds: began.elapsed().as_secs_f64() })
}
