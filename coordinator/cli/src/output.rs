//! Printing: colours on a terminal only, and no panic when the reader has gone away.

use anyhow::Result;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Where results and complaints go.
pub struct Output {
    colours: bool,
}

/// How something is shown on a terminal; the words say it as well.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    Good,
    Careful,
    Bad,
    Quiet,
    Strong,
}

impl Output {
    /// Standard output and error. `NO_COLOR` (no-color.org) switches colours off.
    pub fn standard() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colours: wanted && io::stdout().is_terminal() }
    }

    /// Without colours, whatever it is printed on.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { colours: false }
    }

    /// Prints text and a line's end.
    ///
    /// # Errors
    /// When nobody reads any more; `is_closed_pipe` tells that apart.
    pub fn line(&self, text: impl AsRef<str>) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_ref().as_bytes())?;
        stdout.write_all(b"\n")?;
        Ok(stdout.flush()?)
    }

    /// Prints a value as JSON.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn json(&self, value: &impl serde::Serialize) -> Result<()> {
        self.line(serde_json::to_string_pretty(value)?)
    }

    /// Says something on standard error, whoever listens.
    pub fn complain(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// The text in a tone. Control characters of outside text never reach a terminal.
    pub fn tone(&self, tone: Tone, text: &str) -> String {
        let text = clean(text);
        if !self.colours {
            return text;
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Careful => "33",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Replaces control characters: host and task names come from outside and could redraw a terminal.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() && letter != '\n' { '\u{fffd}' } else { letter })
        .collect()
}

/// Whether an error only says that nobody reads any more.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_cannot_redraw_the_terminal() {
        let output = Output { colours: false };
        assert_eq!(output.tone(Tone::Bad, "evil\x1b[2Jname"), "evil\u{fffd}[2Jname");
    }

    #[test]
    fn colours_come_only_where_asked_for() {
        assert_eq!(Output { colours: false }.tone(Tone::Good, "ok"), "ok");
        assert_eq!(Output { colours: true }.tone(Tone::Good, "ok"), "\x1b[32mok\x1b[0m");
    }
}
