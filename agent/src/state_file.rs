//! The agent's own small files below `paths.state`, replaced whole.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// Puts the new text in the old one's place, so that a crash leaves one of the two whole. Makes the folder.
///
/// # Errors
/// The disk cannot be written to.
pub fn replace(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = file.with_extension("new");
    let mut draft_file = File::create(&draft)?;
    draft_file.write_all(text.as_bytes())?;
    draft_file.sync_data()?;
    fs::rename(&draft, file)
}
