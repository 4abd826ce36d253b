//! A real browser without a screen: Chromium's headless shell, once per page.
//!
//! It looks at the page as soon as that has loaded, so what a page learns later over its event stream is not in the
//! picture. A page without scripts is what [`super::get`] returns.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::machine::needs_program;
use super::process::run;
use super::scratch::Scratch;

/// The first start on a busy machine takes its time.
const LIMIT: Duration = Duration::from_secs(90);

/// A browser that knows nothing: each page gets a new profile.
#[derive(Debug)]
pub struct Browser {
    program: PathBuf,
}

/// A page and the window it is looked at in.
#[derive(Clone, Debug)]
pub struct View {
    /// Address of the page; `http`, `file` and `data` work.
    pub url: String,
    /// Width of the window in pixels, exactly, however narrow.
    pub width: u32,
    /// Height of the window in pixels.
    pub height: u32,
    /// Whether the page is told that its reader prefers dark pages.
    pub dark: bool,
}

impl View {
    /// A light page on a desk.
    pub fn desktop(url: &str) -> Self {
        Self { url: url.to_owned(), width: 1280, height: 900, dark: false }
    }

    /// A light page on a phone.
    pub fn phone(url: &str) -> Self {
        Self { width: 390, height: 844, ..Self::desktop(url) }
    }

    /// The same for a reader who prefers dark pages.
    pub fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

impl Browser {
    /// Finds the browser; nothing runs yet.
    pub fn find() -> Result<Self> {
        Ok(Self { program: needs_program("chromium-headless-shell", "chromium-headless-shell")? })
    }

    /// A picture of the page in PNG, as large as the window.
    pub fn screenshot(&self, view: &View) -> Result<Vec<u8>> {
        let scratch = Scratch::new("browser")?;
        let picture = scratch.join("page.png");
        self.run(&scratch, &format!("--screenshot={}", picture.display()), view)?;
        let bytes = fs::read(&picture).with_context(|| format!("take a picture of {}", view.url))?;
        if bytes.is_empty() {
            bail!("take a picture of {}: it is empty", view.url);
        }
        Ok(bytes)
    }

    /// The page's HTML as it stands once its scripts have run.
    pub fn html(&self, view: &View) -> Result<String> {
        self.run(&Scratch::new("browser")?, "--dump-dom", view)
    }

    fn run(&self, scratch: &Scratch, action: &str, view: &View) -> Result<String> {
        let mut command = Command::new(&self.program);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", scratch.join("profile").display()))
            .arg(format!("--window-size={},{}", view.width, view.height))
            // Chromium numbers them dark 0, light 1.
            .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!view.dark)))
            .args([action, &view.url])
            // Caches and crash reports go where the profile goes.
            .env("HOME", scratch.path());
        run(&mut command, LIMIT)
    }
}
