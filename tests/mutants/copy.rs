//! Copies of the sources, in which bugs are planted.

use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Copies what git knows of, so that build output stays behind; files of `instead` get its text. What is there already
/// and the same is left alone, so that a build of the copy goes on where it was.
pub fn copy_sources(root: &Path, into: &Path, instead: &BTreeMap<PathBuf, String>) -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .context("ask git for the files")?;
    ensure!(listed.status.success(), "git ls-files failed in {}", root.display());
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        let (from, target) = (root.join(name), into.join(name));
        let bytes = match instead.get(Path::new(name)) {
            Some(text) => text.clone().into_bytes(),
            None => fs::read(&from).with_context(|| format!("read {name}"))?,
        };
        if fs::read(&target).is_ok_and(|there| there == bytes) {
            continue;
        }
        fs::create_dir_all(target.parent().context("a file has a folder")?)?;
        fs::write(&target, bytes).with_context(|| format!("copy {name}"))?;
        fs::set_permissions(&target, fs::metadata(&from)?.permissions())?;
    }
    Ok(())
}
