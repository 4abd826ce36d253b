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
        /// The reason code whose page it is.
        code: String,
        /// What is shown.
        text: String,
    },
}

/// A text with its title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The heading of level 1.
    pub title: String,
    /// The rest.
    pub blocks: Vec<Block>,
}

/// Reads a page. `is_page` tells which names have pages of their own, so that they become links.
pub fn read(text: &str, is_page: impl Fn(&str) -> bool) -> Document {
    let mut document = Document { title: String::new(), blocks: Vec::new() };
    let mut paragraph = String::new();
    let mut code: Option<String> = None;
    for line in text.lines() {
        if line.starts_with("```") {
            match code.take() {
                Some(lines) => document.blocks.push(Block::Code(lines)),
                None => {
                    document.end_paragraph(&mut paragraph, &is_page);
                    code = Some(String::new());
                }
            }
            continue;
        }
        if let Some(lines) = &mut code {
            lines.push_str(line);
            lines.push('\n');
            continue;
        }
        let line = line.trim();
        if let Some(item) = line.strip_prefix("- ") {
            document.end_paragraph(&mut paragraph, &is_page);
            document.add_item(spans(item, &is_page));
        } else if let Some(title) = line.strip_prefix("# ") {
            title.clone_into(&mut document.title);
        } else if let Some(heading) = line.strip_prefix("## ") {
            document.end_paragraph(&mut paragraph, &is_page);
            document.blocks.push(Block::Heading(heading.to_owned()));
        } else if line.is_empty() {
            document.end_paragraph(&mut paragraph, &is_page);
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line);
        }
    }
    document.end_paragraph(&mut paragraph, &is_page);
    document.blocks.extend(code.map(Block::Code));
    document
}

/// Reads a sentence from elsewhere, in which code stands between marks and everything else is as it is.
pub fn line(text: &str) -> Vec<Span> {
    split(text, |rest, first| if first == '`' { code(rest, &super::manual::has_page) } else { None })
}

impl Document {
    fn end_paragraph(&mut self, paragraph: &mut String, is_page: &impl Fn(&str) -> bool) {
        if !paragraph.is_empty() {
            self.blocks.push(Block::Paragraph(spans(paragraph, is_page)));
            paragraph.clear();
        }
    }

    fn add_item(&mut self, item: Vec<Span>) {
        match self.blocks.last_mut() {
            Some(Block::List(items)) => items.push(item),
            _ => self.blocks.push(Block::List(vec![item])),
        }
    }
}

fn spans(text: &str, is_page: &impl Fn(&str) -> bool) -> Vec<Span> {
    split(text, |rest, first| marked(rest, first, is_page))
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
fn marked<'a>(rest: &'a str, first: char, is_page: &impl Fn(&str) -> bool) -> Option<(Span, &'a str)> {
    match first {
        '`' => code(rest, is_page),
        '*' => {
            let (inside, after) = rest.strip_prefix('*')?.split_once('*')?;
            let is_stress = !inside.is_empty() && inside.trim() == inside;
            is_stress.then(|| (Span::Emphasis(inside.to_owned()), after))
        }
        '[' => {
            let (text, after) = rest.strip_prefix('[')?.split_once("](")?;
            let (target, after) = after.split_once(')')?;
            let code = target.strip_prefix("reasons/").unwrap_or(target).strip_suffix(".md")?;
            is_page(code).then(|| (Span::Page { code: code.to_owned(), text: text.to_owned() }, after))
        }
        _ => None,
    }
}

fn code<'a>(rest: &'a str, is_page: &impl Fn(&str) -> bool) -> Option<(Span, &'a str)> {
    let (inside, after) = rest.strip_prefix('`')?.split_once('`')?;
    let span = if is_page(inside) {
        Span::Page { code: inside.to_owned(), text: inside.to_owned() }
    } else {
        Span::Code(inside.to_owned())
    };
    Some((span, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str) -> bool {
        name == "paused"
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
    fn names_of_pages_become_links_and_other_code_stays_code() {
        assert_eq!(
            spans("see `paused`, run `ls`, read [it](reasons/paused.md)", &page),
            [
                text("see "),
                Span::Page { code: "paused".into(), text: "paused".into() },
                text(", run "),
                Span::Code("ls".into()),
                text(", read "),
                Span::Page { code: "paused".into(), text: "it".into() },
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
