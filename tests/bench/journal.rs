//! What it costs to be sure: appends to the journal, each on the disk before it counts, beside a plain file that is synced as
//! often; and how long it takes to read 10,000 entries and to check their chain.

use crate::{
    line::{GOAL, Line, median, say},
    programs,
    sample_fleet::now,
};
use anyhow::{Context, Result, ensure};
use millwright_coordinator::store::{
    Retention, Store,
    journal::{Draft, Journal, SqliteJournal},
};
use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

/// How long each of the two is measured in a round.
const ROUND: Duration = Duration::from_millis(700);
/// Ours and theirs take turns so often, so that a disk that others use slows both.
const ROUNDS: usize = 5;
/// So many entries are read back.
const REPLAYED: u64 = 10_000;
/// What reading them may take, in milliseconds: a tenth of the second that a restart may take.
const REPLAY_GOAL: f64 = 100.0;
/// Entries of one operation.
const EACH: u64 = 40;

/// Measures and prints the lines.
pub fn run() -> Result<()> {
    let bench = programs::bench()?;
    let beside = bench.parent().context("find the folder of this program")?;
    // Not the usual folder for such files, which may be in memory.
    let folder = tempfile::tempdir_in(beside)?;
    for (name, batch) in [("journal_appends_of_1", 1), ("journal_appends_of_10", 10)] {
        let (ours, theirs) = appends(&folder.path().join(name), batch)?;
        say(format_args!("{name}: {ours:.0} a second, {theirs:.0} of a plain file; each synced"));
        Line { name, ours, unit: "per_second" }.against("fdatasync", theirs);
    }
    let ours = replay(&folder.path().join("replay"))?;
    Line { name: "journal_replay_of_10000", ours, unit: "ms" }.against(GOAL, REPLAY_GOAL);
    Ok(())
}

/// Drafts as an engine would write them, numbered on.
#[derive(Default)]
struct Engine {
    written: u64,
}

impl Engine {
    fn drafts(&mut self, count: u64) -> Vec<Draft> {
        (0..count).map(|_| self.draft()).collect()
    }

    fn draft(&mut self) -> Draft {
        let (operation, number) = (self.written / EACH, self.written % EACH + 1);
        self.written += 1;
        Draft {
            stream: format!("op-{operation:06}"),
            number,
            at: now(),
            kind: "step_done".to_owned(),
            payload: format!(
                r#"{{"step":"prove_empty","attempt":1,"node":"alibuild{number:02}","outcome":"done","evidence":[{{"fact":"tasks","value":"none","source":"agent","age_seconds":3}},{{"fact":"tasks","value":"none","source":"mesos_master","age_seconds":1}}]}}"#
            ),
        }
    }
}

fn open(path: &Path) -> Result<SqliteJournal> {
    let (store, _) = Store::open(path, Retention::default())?;
    Ok(store.journal()?)
}

/// How many batches a second are on the disk: in the journal, and in a plain file of the same texts.
fn appends(path: &Path, batch: u64) -> Result<(f64, f64)> {
    let journal = open(path)?;
    let mut plain = File::create(path.with_extension("plain"))?;
    let (mut engine, mut alike, mut last) = (Engine::default(), Engine::default(), 0);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(rate(|| {
            last = journal.append(last, &engine.drafts(batch))?;
            Ok(())
        })?);
        theirs.push(rate(|| {
            let drafts = alike.drafts(batch);
            let lines = drafts.iter().map(|Draft { stream, number, at, kind, payload }| {
                format!("{stream} {number} {at} {kind} {payload}\n")
            });
            plain.write_all(lines.collect::<String>().as_bytes())?;
            Ok(plain.sync_data()?)
        })?);
    }
    Ok((median(&mut ours), median(&mut theirs)))
}

/// How often a second something can be done.
fn rate(mut act: impl FnMut() -> Result<()>) -> Result<f64> {
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        act()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// From the file to entries that can be believed, in milliseconds.
fn replay(path: &Path) -> Result<f64> {
    let journal = open(path)?;
    let mut engine = Engine::default();
    let mut last = 0;
    while last < REPLAYED {
        last = journal.append(last, &engine.drafts(500))?;
    }
    drop(journal);
    let mut times = Vec::new();
    for _ in 0..7 {
        let journal = open(path)?;
        let start = Instant::now();
        let read = journal.read()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        ensure!(read.last == REPLAYED && read.broken.is_empty(), "read back {} entries", read.last);
    }
    Ok(median(&mut times))
}
