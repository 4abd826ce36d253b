//! What is printed: a page made whole, then written once, so that a closed pipe is an end and not a crash.

use millwright_protocol::Status;
use serde_json::Value;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// JSON instead of words.
    pub json: bool,
    colour: bool,
}

impl Output {
    /// Words with colours on a terminal, unless NO_COLOR says otherwise; JSON when asked for.
    pub fn new(json: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, colour: io::stdout().is_terminal() && !unwanted && !dumb && !json }
    }

    /// An empty page.
    pub fn page(self) -> Page {
        Page { text: String::new(), colour: self.colour }
    }

    /// A page of JSON.
    pub fn json_page(self, value: &Value) -> Page {
        let text =
            serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
        Page { text: text + "\n", colour: false }
    }

    /// Writes a page. A reader that has gone has seen enough.
    ///
    /// # Errors
    /// When standard output cannot be written to for another reason.
    pub fn print(self, page: &Page) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(page.text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

/// Says what went wrong, on standard error.
pub fn complain(message: &str) {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "millwright: {}", clean(message));
}

/// How something looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Plain,
    Strong,
    Faint,
    Good,
    Warn,
    Bad,
    Odd,
}

impl Look {
    /// The look of a status.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Ok => Self::Good,
            Status::Warn => Self::Warn,
            Status::Unknown => Self::Odd,
            Status::Crit => Self::Bad,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "1;31",
            Self::Odd => "35",
        }
    }
}

/// A text under construction.
#[derive(Debug)]
pub struct Page {
    text: String,
    colour: bool,
}

impl Page {
    /// Adds a text.
    pub fn add(&mut self, look: Look, text: &str) -> &mut Self {
        let text = clean(text);
        if self.colour && look != Look::Plain {
            self.text.push_str(&format!("\x1b[{}m{text}\x1b[0m", look.code()));
        } else {
            self.text.push_str(&text);
        }
        self
    }

    /// Ends the line.
    pub fn end(&mut self) -> &mut Self {
        self.text.push('\n');
        self
    }

    /// Adds a whole line.
    pub fn line(&mut self, text: &str) -> &mut Self {
        self.add(Look::Plain, text).end()
    }

    /// Adds columns, each as wide as its widest cell.
    pub fn table(&mut self, rows: &[Vec<(Look, String)>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                rows.iter()
                    .filter_map(|row| row.get(column))
                    .map(|(_, cell)| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in rows {
            for (index, ((look, cell), width)) in row.iter().zip(&widths).enumerate() {
                self.add(*look, cell);
                if index + 1 < row.len() {
                    self.text.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
                }
            }
            self.end();
        }
    }

    /// What has been written so far.
    #[cfg(test)]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Names of tasks and containers come from strangers: what could steer a terminal is shown as a question mark.
fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() && letter != '\n' { '?' } else { letter }).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Words without colours.
    pub const WORDS: Output = Output { json: false, colour: false };

    #[test]
    fn nothing_a_stranger_named_can_steer_the_terminal() {
        let mut page = Output { json: false, colour: true }.page();
        page.add(Look::Plain, "task\x1b[2J\u{9b}2J\r");
        assert_eq!(page.text(), "task?[2J?2J?");
    }

    #[test]
    fn colours_are_for_terminals() {
        let mut page = WORDS.page();
        page.add(Look::Bad, "crit");
        assert_eq!(page.text(), "crit");
    }

    #[test]
    fn columns_line_up() {
        let mut page = WORDS.page();
        let cell = |text: &str| (Look::Plain, text.to_owned());
        page.table(&[vec![cell("a"), cell("é"), cell("z")], vec![cell("long"), cell("bb"), cell("y")]]);
        assert_eq!(page.text(), "a     é   z\nlong  bb  y\n");
    }
}
