//! A browser that somebody uses: Chromium driven by its WebDriver, with cookies, forms and clicks.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::http::{get, get_json, post};
use super::machine::needs_program;
use super::ports::free_port;
use super::process::Daemon;
use super::scratch::Scratch;
use super::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(90);
/// How WebDriver calls an element in its answers (W3C WebDriver, 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One window with a profile of its own.
#[derive(Debug)]
pub struct Window {
    session: String,
    _driver: Daemon,
    _scratch: Scratch,
}

impl Window {
    /// Opens an empty one.
    pub fn open() -> Result<Self> {
        let driver = needs_program("chromedriver", "chromium-driver")?;
        let browser = needs_program("chromium", "chromium")?;
        let scratch = Scratch::new("window")?;
        let port = free_port()?;
        let mut command = Daemon::leashed(&driver);
        command.arg(format!("--port={port}")).env("HOME", scratch.path());
        let mut daemon = Daemon::start("chromedriver", &mut command, &scratch.join("chromedriver.log"))?;
        let base = format!("http://127.0.0.1:{port}");
        daemon.wait_for("its answer", LIMIT, || get(&format!("{base}/status")).ok())?;
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--ignore-certificate-errors".to_owned(),
            "--window-size=1280,900".to_owned(),
            format!("--user-data-dir={}", scratch.join("profile").display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "binary": browser, "args": arguments } } } });
        let answer = daemon.wait_for("a window", LIMIT, || {
            let (status, answer) = post(&format!("{base}/session"), &wanted).ok()?;
            (status == 200).then_some(answer)
        })?;
        let id = answer.pointer("/value/sessionId").and_then(Value::as_str).context("find the session")?;
        Ok(Self { session: format!("{base}/session/{id}"), _driver: daemon, _scratch: scratch })
    }

    /// Goes to a page and waits until it is there.
    pub fn go(&self, url: &str) -> Result<()> {
        self.tell("url", &json!({ "url": url })).map(drop)
    }

    /// Waits until its reader sees this, and returns everything they see.
    pub fn shows(&self, words: &str) -> Result<String> {
        let mut last = String::new();
        let found = wait_for(&format!("{words:?} in the window"), LIMIT, || {
            // A page that is just going away answers with an error.
            if let Ok(text) = self.text() {
                last = text;
            }
            Ok(last.contains(words).then(|| last.clone()))
        });
        found.with_context(|| format!("it shows: {last}"))
    }

    fn text(&self) -> Result<String> {
        let body = self.element("body")?;
        self.read(&format!("element/{body}/text"))
    }

    /// The address of the page that is shown.
    pub fn address(&self) -> Result<String> {
        self.read("url")
    }

    /// Types into the first element of a CSS selector.
    pub fn write(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.tell(&format!("element/{element}/value"), &json!({ "text": text })).map(drop)
    }

    /// Clicks the first element of a CSS selector.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.tell(&format!("element/{element}/click"), &json!({})).map(drop)
    }

    /// Every cookie of the page, as WebDriver tells them.
    pub fn cookies(&self) -> Result<Value> {
        let mut answer = get_json(&format!("{}/cookie", self.session))?;
        Ok(answer.get_mut("value").map(Value::take).unwrap_or_default())
    }

    fn element(&self, selector: &str) -> Result<String> {
        let found = self.tell("element", &json!({ "using": "css selector", "value": selector }))?;
        let element = found.get(ELEMENT).and_then(Value::as_str);
        element.map(str::to_owned).with_context(|| format!("find {selector} in {found}"))
    }

    fn read(&self, what: &str) -> Result<String> {
        let answer = get_json(&format!("{}/{what}", self.session))?;
        let value = answer.get("value").and_then(Value::as_str);
        value.map(str::to_owned).with_context(|| format!("read {what} of {answer}"))
    }

    fn tell(&self, what: &str, body: &Value) -> Result<Value> {
        let (status, answer) = post(&format!("{}/{what}", self.session), body)?;
        if status != 200 {
            bail!("tell the browser {what} {body}: {status}: {answer}");
        }
        Ok(answer.get("value").cloned().unwrap_or_default())
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Its processes are not the driver's to lose.
        let _ = Command::new("curl").args(["--silent", "--request", "DELETE", &self.session]).output();
    }
}
