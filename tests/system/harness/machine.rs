//! What this machine offers, and what a story does where something is missing.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// `None`, with a line that says so, when the machine lacks something; the value otherwise.
///
/// With `MILLWRIGHT_LAB=required` in the environment, as in CI, nothing may be missing. Any other error ends the
/// story at once.
#[allow(clippy::panic, reason = "a system that should start and does not is a failed story")]
pub fn ready<T>(started: Result<T>) -> Option<T> {
    match started {
        Ok(system) => Some(system),
        Err(error) if error.to_string().starts_with("needs") && !lab_is_required() => {
            // Past the test harness, which keeps what stories print to itself unless they fail.
            let _ = writeln!(std::io::stderr(), "skipped: {error:#}");
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

fn lab_is_required() -> bool {
    env::var_os("MILLWRIGHT_LAB").is_some_and(|value| value == "required")
}

/// An error unless we are root.
pub fn needs_root(purpose: &str) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("needs root to {purpose}");
    }
    Ok(())
}

/// Where `program` is, also in the `sbin` folders that a user's `PATH` leaves out.
pub fn needs_program(program: &str, package: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    match folders.map(|folder| folder.join(program)).find(|file| file.is_file()) {
        Some(found) => Ok(found),
        None => bail!("needs {program} (Debian package {package}; tests/lab/install.sh installs it)"),
    }
}

/// A file that `install.sh` built or fetched.
pub fn needs_built(name: &str) -> Result<PathBuf> {
    let cache = env::var_os("MILLWRIGHT_CACHE").filter(|folder| !folder.is_empty()).map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/millwright"),
        PathBuf::from,
    );
    let file = cache.join(name);
    if !file.exists() {
        bail!("needs {} (tests/lab/install.sh makes it)", file.display());
    }
    Ok(file)
}

/// One of our programs of `tests/programs`, which cargo builds beside the test binary.
pub fn needs_our_program(name: &str) -> Result<PathBuf> {
    let file = profile_folder()?.join("examples").join(name);
    if !file.is_file() {
        bail!("needs {} (cargo build -p millwright-tests --examples)", file.display());
    }
    Ok(file)
}

/// One of the product's programs. Cargo builds them for `cargo build` only, not for `cargo test` of this package.
pub fn needs_binary(name: &str) -> Result<PathBuf> {
    let file = profile_folder()?.join(name);
    if !file.is_file() {
        bail!("needs {} (cargo build --workspace)", file.display());
    }
    Ok(file)
}

/// The folder such as `target/debug`: tests lie in `deps` below it, the demo in `examples`.
fn profile_folder() -> Result<PathBuf> {
    let program = env::current_exe()?;
    Ok(program.parent().and_then(Path::parent).unwrap_or(Path::new(".")).to_owned())
}

/// A script of `tests/lab`.
pub fn lab_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("lab").join(name)
}
