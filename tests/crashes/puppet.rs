//! What stands in for Puppet on a played machine: a run that changes nothing, with the files that it leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::system::harness::Scratch;

/// The machine's Puppet.
pub struct Puppet {
    scratch: Scratch,
}

/// Two runs at once, by itself and by an order, do not stumble over each other.
const PUPPET: &str = r#"#!/bin/sh
cd "$(dirname "$0")/state" || exit 1
printf -- '---\nversion:\n  puppet: 7.23.0\nresources:\n  failed: 0\n  total: 12\nevents:\n  failure: 0\ntime:\n  last_run: %s\n' \
    "$(date +%s)" >"summary.$$"
printf 'status: unchanged\ncached_catalog_status: not_used\ntransaction_completed: true\n' >last_run_report.yaml
mv "summary.$$" last_run_summary.yaml
"#;

impl Puppet {
    /// One that has never run.
    pub fn new() -> Result<Self> {
        let scratch = Scratch::new("puppet")?;
        let program = scratch.write("puppet", PUPPET)?;
        fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
        scratch.make("state")?;
        Ok(Self { scratch })
    }

    /// The program.
    pub fn program(&self) -> PathBuf {
        self.scratch.join("puppet")
    }

    /// Where its files are.
    pub fn folder(&self) -> PathBuf {
        self.scratch.join("state")
    }

    /// It runs by itself, as it does every half hour.
    pub fn run(&self) -> Result<()> {
        let status =
            Command::new("/bin/sh").arg(self.program()).status().context("run the stand-in of Puppet")?;
        ensure!(status.success(), "the stand-in of Puppet ended with {status}");
        Ok(())
    }

    /// A new disk has never seen it run.
    pub fn forget(&self) -> Result<()> {
        fs::remove_dir_all(self.folder()).context("forget the runs of Puppet")?;
        self.scratch.make("state").map(drop)
    }
}
