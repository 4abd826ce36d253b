//! `make crashes`: kills the real coordinator with SIGKILL at random places of real operations' stories and looks whether
//! each ends as if nobody had. A dozen kills for every kind of operation.
//!
//! Every kill has a coordinator, an agent and a store of its own. They share a Mesos 1.11.0 with an agent for each, a Docker
//! and a registry. Reboots are played: the machine gets another boot id. So is the cloud: programs that fail, take their time
//! and die as the real ones do, and count what they bring about.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that tells what it sees")]
#![allow(clippy::indexing_slicing, reason = "a member that an answer in JSON lacks is null")]

mod cloud;
mod kind;
mod lab;
mod puppet;
mod story;

// The lab of the stories; a path on the folder, since on the file its own modules would not be found.
#[path = "../system"]
mod system {
    #[allow(dead_code, unused_imports, reason = "this needs less than all stories together")]
    pub mod harness;
}

use std::process::ExitCode;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use kind::Kind;
use lab::Lab;

/// Kills of each kind.
const KILLS: usize = 12;

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            eprintln!("crashes: {wrong} operations did not end as they should");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("crashes: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How many operations did not end as they should.
fn run() -> Result<usize> {
    let seed = match std::env::var("SEED").ok().filter(|seed| !seed.is_empty()) {
        Some(seed) => seed.parse().context("read SEED: a whole number is wanted")?,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    println!("crashes: {KILLS} kills of each kind, SEED={seed}");
    let only = std::env::var("KIND").unwrap_or_default();
    let lab = Lab::start(KILLS)?;
    let mut wrong = 0;
    for (kind, place) in Kind::ALL.into_iter().zip(0_u64..) {
        if !only.is_empty() && !only.split(' ').any(|word| word == kind.word()) {
            continue;
        }
        let began = Instant::now();
        let ends = thread::scope(|scope| {
            let kills: Vec<_> = (0..KILLS)
                .map(|number| {
                    let mut chance = Chance(seed ^ (place << 32) ^ (number as u64 + 1));
                    let lab = &lab;
                    scope.spawn(move || story::carry_through(kind, lab, number, &mut chance))
                })
                .collect();
            kills
                .into_iter()
                .map(|kill| kill.join().unwrap_or_else(|_| bail!("it panicked")))
                .collect::<Vec<_>>()
        });
        let mut killed_after = Vec::new();
        for (number, end) in ends.into_iter().enumerate() {
            match end {
                Ok(events) => killed_after.push(events),
                Err(error) => {
                    wrong += 1;
                    eprintln!("crashes: {kind} {number}: {error:#}");
                }
            }
        }
        killed_after.sort_unstable();
        let (good, seconds) = (killed_after.len(), began.elapsed().as_secs());
        println!(
            "crashes: {kind}: {good} of {KILLS} ended as they should in {seconds} s; killed after so many events of the story: \
             {killed_after:?}"
        );
    }
    Ok(wrong)
}

/// Chance that can be repeated: a splitmix64.
pub struct Chance(u64);

impl Chance {
    /// A number from 0 up to `below`, which is above 0.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }
}
