//! The check of a journal by somebody who does not write to it: a backup, a copy, the store itself.

use super::{chain::Verified, sqlite};
use crate::store::{OpenError, schema};
use std::path::Path;

/// Reads the journal in a file and computes its chain anew; nothing is changed. `is_in_use` when a coordinator has the
/// file open. No file, or one of a version that had no journal, has no entries.
///
/// # Errors
/// The file is no store, is damaged as a database, was written by a newer version, or cannot be read.
pub fn verify(path: &Path, is_in_use: bool) -> Result<Verified, OpenError> {
    schema::check(path, is_in_use)?;
    let Some(connection) = schema::open_for_a_look(path, is_in_use)? else { return Ok(Verified::default()) };
    let (_, verified) = sqlite::check(&connection).map_err(|source| OpenError::unreadable(path, source))?;
    Ok(verified)
}
