//! What the bench prints: one line a result on standard output, everything for people on standard error.

use std::{
    fmt,
    io::{self, Write},
    time::Duration,
};

/// One result: ours, and what it is compared with.
pub struct Line<'a> {
    /// What was measured, one word.
    pub name: &'a str,
    /// Our value.
    pub ours: f64,
    /// Its unit, one word.
    pub unit: &'a str,
}

/// The peer where nothing comparable exists: the number the design wants reached.
pub const GOAL: &str = "goal";

impl Line<'_> {
    /// Prints `bench NAME ours VALUE UNIT peer NAME VALUE ratio R`; the ratio is ours over theirs.
    pub fn against(&self, peer: &str, theirs: f64) {
        let Self { name, ours, unit } = self;
        let (ours, ratio, theirs) = (short(*ours), short(*ours / theirs), short(theirs));
        // Whoever closed our output wants no more lines.
        let _ = writeln!(io::stdout(), "bench {name} ours {ours} {unit} peer {peer} {theirs} ratio {ratio}");
    }
}

/// Three digits that mean something, without an exponent.
fn short(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let digits = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = usize::try_from((2 - digits).clamp(0, 6)).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// A line for the person who watches.
pub fn say(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "bench: {text}");
}

/// Processor time of this thread so far, in seconds: on a machine that others use too, the clock on the wall would
/// measure them as well.
pub fn thread_seconds() -> f64 {
    let time = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID.now();
    time.map_or(f64::NAN, |time| Duration::from(time).as_secs_f64())
}

/// The exponent `b` of the curve `a · size^b` that fits the points best (least squares over logarithms).
pub fn growth(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(size, value)| (size.ln(), value.ln())).collect();
    let count = logs.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| logs.iter().map(pick).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let slope: f64 = logs.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    slope / logs.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

/// The middle of some values.
pub fn median(values: &mut [f64]) -> f64 {
    share(values, 0.5)
}

/// The value that this share of all values does not exceed.
pub fn share(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = ((values.len() as f64 * share).ceil() as usize).saturating_sub(1);
    values.get(index).copied().unwrap_or(f64::NAN)
}
