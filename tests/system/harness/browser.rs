//! A real browser without a screen: Chromium, once per page.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::machine::needs_program;
use super::process::run;
use super::scratch::Scratch;

/// Chromium's first start on a busy machine takes its time.
const LIMIT: Duration = Duration::from_secs(90);

/// A browser that knows nothing: each page gets a new profile.
#[derive(Debug)]
pub struct Browser {
    program: PathBuf,
}

impl Browser {
    /// Finds Chromium; nothing runs yet.
    pub fn find() -> Result<Self> {
        Ok(Self { program: needs_program("chromium", "chromium")? })
    }

    /// A picture of the page in PNG, taken of a window `width` by `height` pixels.
    pub fn screenshot(&self, url: &str, width: u32, height: u32) -> Result<Vec<u8>> {
        let scratch = Scratch::new("browser")?;
        let picture = scratch.join("page.png");
        let option = format!("--screenshot={}", picture.display());
        self.run(&scratch, &[&option, &format!("--window-size={width},{height}"), url])?;
        let bytes = fs::read(&picture).with_context(|| format!("take a picture of {url}"))?;
        if bytes.is_empty() {
            bail!("take a picture of {url}: it is empty");
        }
        Ok(bytes)
    }

    /// The page's HTML as it stands after its scripts have run, in a window `width` pixels wide.
    pub fn dump(&self, url: &str, width: u32) -> Result<String> {
        let scratch = Scratch::new("browser")?;
        self.run(&scratch, &["--dump-dom", &format!("--window-size={width},900"), url])
    }

    fn run(&self, scratch: &Scratch, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", scratch.join("profile").display()))
            // Caches and crash reports go where the profile goes.
            .env("HOME", scratch.path())
            .args(arguments);
        run(&mut command, LIMIT)
    }
}
