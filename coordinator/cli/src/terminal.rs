//! Asking whoever sits at the terminal.

use anyhow::{Context, Result};
use std::io::{self, BufRead, IsTerminal, Write};

/// Asks on standard error and reads a line; `None` when nobody is there to answer.
///
/// # Errors
/// The terminal went away.
pub fn ask(question: &str) -> Result<Option<String>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut stderr = io::stderr();
    write!(stderr, "{question} ").and_then(|()| stderr.flush()).context("ask on the terminal")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("read from the terminal")?;
    Ok(Some(line.trim().to_owned()))
}
