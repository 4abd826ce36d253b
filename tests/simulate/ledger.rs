//! The ledger: what all runs together have simulated and reached. It lies outside the repository.

use crate::{coverage::Coverage, history::Summary};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, env, fmt, fs, path::PathBuf};

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    hours: f64,
    seeds: u64,
    violations: u64,
    counts: BTreeMap<String, u64>,
}

fn path() -> PathBuf {
    let folder = env::var_os("MILLWRIGHT_LEDGER").map(PathBuf::from);
    folder.unwrap_or_else(|| {
        let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        home.join(".cache/millwright/simulation.json")
    })
}

impl Ledger {
    pub fn read() -> anyhow::Result<Self> {
        let path = path();
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("read the ledger {}; remove it to begin anew", path.display())),
            Err(_) => Ok(Self::default()),
        }
    }

    pub fn write(&self) -> anyhow::Result<()> {
        let path = path();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let draft = path.with_extension("new");
        fs::write(&draft, serde_json::to_string_pretty(self)?)?;
        fs::rename(&draft, &path).with_context(|| format!("write the ledger {}", path.display()))
    }

    pub fn add(&mut self, summary: &Summary) {
        self.hours += summary.hours;
        self.seeds += summary.seeds;
        self.violations += summary.violations.len() as u64;
        for (word, count) in &summary.coverage.counts {
            *self.counts.entry(word.clone()).or_default() += count;
        }
    }

    pub fn coverage(&self) -> Coverage {
        Coverage::of(self.counts.clone())
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, count) in &self.counts {
            writeln!(formatter, "{count:>10} {word}")?;
        }
        write!(
            formatter,
            "the ledger holds {:.0} cluster-hours of {} seeds, {} violations",
            self.hours, self.seeds, self.violations
        )
    }
}
