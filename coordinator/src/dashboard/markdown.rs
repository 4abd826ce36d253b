//! Reads the little Markdown that the manual is written in: headings, paragraphs, lists, code.
//!
//! The result is plain data that the template writes out, so nothing in a text can become markup by itself. What this
//! reader does not know stays readable text.

/// One block of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading of level 2.
    Heading(String),
    /// A paragraph.
    Paragraph(Vec<Span>),
    /// A list.
    List(Vec<Vec<Span>>),
    /// A list in whose order things are done.
    Steps(Vec<Vec<Span>>),
    /// Lines to be shown as they are.
    Code(String),
}

/// A stretch of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// As it is.
    Text(String),
    /// Something to type, or a name.
    Code(String),
    /// Stressed.
    Emphasis(String),
    /// Another page of the manual.
    Page {
        /// Where it is below `/manual/`: "reasons/paused", "coordinator-down".
        path: String,
        /// What is shown.
        text: String,
    },
}

impl Span {
    /// The page of a reason, whose name is code.
    pub fn is_reason(path: &str) -> bool {
        path.starts_with("reasons/")
    }
}

/// A text with its title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The heading of level 1.
    pub title: String,
    /// The rest.
    pub blocks: Vec<Block>,
}

/// Reads a page. `page` tells which names have pages of their own, and where, so that they become links.
pub fn read(text: &str, page: impl Fn(&str) -> Option<String>) -> Document {
    let mut document = Document { title: String::new(), blocks: Vec::new() };
    let mut open = Open::Nothing;
    for line in text.lines() {
        if line.starts_with("```") {
            open = match open {
                Open::Code(lines) => {
                    document.blocks.push(Block::Code(lines));
                    Open::Nothing
                }
                before => {
                    document.close(before, &page);
                    Open::Code(String::new())
                }
            };
            continue;
        }
        if let Open::Code(lines) = &mut open {
            lines.push_str(line);
            lines.push('\n');
            continue;
        }
        let line = line.trim();
        let begins = if let Some(item) = line.strip_prefix("- ") {
            Open::Item(item.to_owned())
        } else if let Some(step) = step(line) {
            Open::Step(step.to_owned())
        } else if let Some(title) = line.strip_prefix("# ") {
            title.clone_into(&mut document.title);
            Open::Nothing
        } else if let Some(heading) = line.strip_prefix("## ") {
            Open::Heading(heading.to_owned())
        } else if line.is_empty() {
            Open::Nothing
        } else if open.goes_on_with(line) {
            continue;
        } else {
            Open::Paragraph(line.to_owned())
        };
        document.close(std::mem::replace(&mut open, begins), &page);
    }
    document.close(open, &page);
    document
}

/// What has begun and may go on in the next line.
enum Open {
    Nothing,
    Heading(String),
    Paragraph(String),
    Item(String),
    Step(String),
    Code(String),
}

impl Open {
    /// Takes one more line in, where text is open.
    fn goes_on_with(&mut self, line: &str) -> bool {
        match self {
            Self::Paragraph(text) | Self::Item(text) | Self::Step(text) => {
                text.push(' ');
                text.push_str(line);
                true
            }
            _ => false,
        }
    }
}

/// "3. Then this" without its number.
fn step(line: &str) -> Option<&str> {
    let (number, text) = line.split_once(". ")?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// Reads a sentence from elsewhere, in which code stands between marks and everything else is as it is.
pub fn line(text: &str) -> Vec<Span> {
    split(text, |rest, first| if first == '`' { code(rest, &super::manual::path_of) } else { None })
}

impl Document {
    fn close(&mut self, open: Open, page: &impl Fn(&str) -> Option<String>) {
        match open {
            Open::Nothing => {}
            Open::Heading(text) => self.blocks.push(Block::Heading(text)),
            Open::Paragraph(text) => self.blocks.push(Block::Paragraph(spans(&text, page))),
            Open::Code(text) => self.blocks.push(Block::Code(text)),
            Open::Item(text) => match self.blocks.last_mut() {
                Some(Block::List(items)) => items.push(spans(&text, page)),
                _ => self.blocks.push(Block::List(vec![spans(&text, page)])),
            },
            Open::Step(text) => match self.blocks.last_mut() {
                Some(Block::Steps(steps)) => steps.push(spans(&text, page)),
                _ => self.blocks.push(Block::Steps(vec![spans(&text, page)])),
            },
        }
    }
}

fn spans(text: &str, page: &impl Fn(&str) -> Option<String>) -> Vec<Span> {
    split(text, |rest, first| marked(rest, first, page))
}

/// Splits a text where `mark` finds something that begins here, and what is left after it; the rest is text.
fn split<'a>(text: &'a str, mark: impl Fn(&'a str, char) -> Option<(Span, &'a str)>) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match mark(rest, first) {
            Some((span, after)) => {
                if !plain.is_empty() {
                    spans.push(Span::Text(std::mem::take(&mut plain)));
                }
                spans.push(span);
                rest = after;
            }
            None => {
                plain.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    if !plain.is_empty() {
        spans.push(Span::Text(plain));
    }
    spans
}

/// A mark without its partner is text.
fn marked<'a>(rest: &'a str, first: char, page: &impl Fn(&str) -> Option<String>) -> Option<(Span, &'a str)> {
    match first {
        '`' => code(rest, page),
        '*' => {
            let (inside, after) = rest.strip_prefix('*')?.split_once('*')?;
            let is_stress = !inside.is_empty() && inside.trim() == inside;
            is_stress.then(|| (Span::Emphasis(inside.to_owned()), after))
        }
        '[' => {
            let (text, after) = rest.strip_prefix('[')?.split_once("](")?;
            let (target, after) = after.split_once(')')?;
            let target = target.strip_prefix("../").unwrap_or(target);
            let name = target.strip_prefix("reasons/").unwrap_or(target).strip_suffix(".md")?;
            Some((Span::Page { path: page(name)?, text: text.to_owned() }, after))
        }
        _ => None,
    }
}

fn code<'a>(rest: &'a str, page: &impl Fn(&str) -> Option<String>) -> Option<(Span, &'a str)> {
    let (inside, after) = rest.strip_prefix('`')?.split_once('`')?;
    let span = match page(inside) {
        Some(path) => Span::Page { path, text: inside.to_owned() },
        None => Span::Code(inside.to_owned()),
    };
    Some((span, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str) -> Option<String> {
        match name {
            "paused" => Some("reasons/paused".to_owned()),
            "coordinator-down" => Some(name.to_owned()),
            _ => None,
        }
    }

    fn text(words: &str) -> Span {
        Span::Text(words.to_owned())
    }

    #[test]
    fn a_page_is_read_into_its_blocks() {
        let document = read("# title\n\nfirst\nline\n\n## Next\n\n- one\n- two\n\n```\nls *\n```\n", page);
        assert_eq!(document.title, "title");
        assert_eq!(
            document.blocks,
            [
                Block::Paragraph(vec![text("first line")]),
                Block::Heading("Next".into()),
                Block::List(vec![vec![text("one")], vec![text("two")]]),
                Block::Code("ls *\n".into()),
            ]
        );
    }

    #[test]
    fn steps_keep_their_order_and_their_further_lines() {
        let document =
            read("# t\n1. one\n   goes on\n2. [two](../coordinator-down.md)\n- other\n  line\n", page);
        let two = Span::Page { path: "coordinator-down".into(), text: "two".into() };
        assert_eq!(
            document.blocks,
            [
                Block::Steps(vec![vec![text("one goes on")], vec![two]]),
                Block::List(vec![vec![text("other line")]]),
            ]
        );
    }

    #[test]
    fn names_of_pages_become_links_and_other_code_stays_code() {
        assert_eq!(
            spans("see `paused`, run `ls`, read [it](reasons/paused.md)", &page),
            [
                text("see "),
                Span::Page { path: "reasons/paused".into(), text: "paused".into() },
                text(", run "),
                Span::Code("ls".into()),
                text(", read "),
                Span::Page { path: "reasons/paused".into(), text: "it".into() },
            ]
        );
    }

    #[test]
    fn links_to_anywhere_else_and_lonely_marks_stay_text() {
        for odd in
            ["[a](javascript:alert(1))", "[a](reasons/no_such.md)", "a ` b", "2 * 3 * 4", "*", "[", "ä*"]
        {
            assert_eq!(spans(odd, &page), [text(odd)], "{odd}");
        }
    }

    #[test]
    fn in_a_sentence_from_elsewhere_only_code_is_marked() {
        assert_eq!(
            line("run `ls *`, not *this* or [that](paused.md)"),
            [text("run "), Span::Code("ls *".into()), text(", not *this* or [that](paused.md)")]
        );
    }

    #[test]
    fn an_unclosed_block_of_code_is_shown_to_its_end() {
        assert_eq!(read("```\nx", page).blocks, [Block::Code("x\n".into())]);
    }
}
