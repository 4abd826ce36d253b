//! Waiting for a condition, never for a while.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks. Short, because most systems here are up within half a second.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks again and again until `look` finds something, fails, or `limit` is over.
///
/// `what` completes the sentence "waited … for".
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() >= limit {
            bail!("waited {limit:?} for {what}");
        }
        sleep(PAUSE);
    }
}
