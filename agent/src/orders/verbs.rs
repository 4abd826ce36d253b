//! The verbs, one file each. A new one is a variant in the protocol, a file here and a line in [`super::driver`].

mod child;
pub mod cleanup;
pub mod collect_diagnostics;
mod dbus;
pub mod delay;
pub mod prepull;
pub mod puppet_run;
pub mod reboot;
pub mod set_fact;
pub mod set_whitelist;

use millwright_protocol::{Evidence, OrderState};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// It is done, or was so already.
fn done(evidence: Vec<Evidence>) -> OrderState {
    OrderState::Done { evidence }
}

/// It was tried, and no effect remains.
fn failed(sentence: impl Into<String>) -> OrderState {
    OrderState::Failed { sentence: sentence.into(), evidence: Vec::new() }
}

/// Puts a file that others read in the place of another, so that a reader sees the old or the new, whole.
fn publish(file: &Path, text: &str) -> io::Result<()> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Hidden, so that whoever reads every file of the folder leaves it alone.
    let draft = file.with_file_name(format!(".{name}.millwright"));
    // Whatever stands there is no file of ours to write into, least of all a link.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut draft_file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&draft)?;
    // The service's own mask would keep it from those who read it.
    draft_file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    draft_file.write_all(text.as_bytes())?;
    draft_file.sync_all()?;
    fs::rename(&draft, file)?;
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
