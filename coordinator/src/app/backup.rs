//! What a person does with copies of the store, on the command line.

use super::start::{STORE, StartError, own_state};
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    store::backup::{self, BackupError},
};
use std::path::Path;

/// Why nothing was copied or put back.
#[derive(Debug, thiserror::Error)]
pub enum HandlingError {
    /// The coordinator runs, or its state directory cannot be used.
    #[error(transparent)]
    State(#[from] StartError),
    /// The copy.
    #[error(transparent)]
    Backup(#[from] BackupError),
}

/// Copies the store to a file, also while a coordinator runs; says what was done.
///
/// # Errors
/// The store cannot be read, or the file cannot be written.
pub fn backup(config: &Config, to: &Path) -> Result<String, HandlingError> {
    let store = config.state_dir.join(STORE);
    backup::copy(&store, to)?;
    Ok(format!("{} is a whole copy of {}", to.display(), store.display()))
}

/// Puts a copy in the place of the store; says what was done.
///
/// # Errors
/// A coordinator runs on it, the copy cannot be used, or the state directory cannot be written.
pub fn restore(config: &Config, from: &Path) -> Result<String, HandlingError> {
    // Held until the end: no coordinator starts meanwhile.
    let _state = own_state(&config.state_dir)?;
    let store = config.state_dir.join(STORE);
    let kept = backup::restore(from, &store, SystemClock::new().now())?;
    let kept = kept.map_or_else(String::new, |kept| format!("; the store of before is {}", kept.display()));
    Ok(format!("{} is in force at the next start{kept}", from.display()))
}
