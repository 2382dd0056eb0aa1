//! Reads a page: its blocks of code, the commands in it, its links and anchors, and the files of the
//! source that it names. Judges nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// A page in Markdown.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    lines: Vec<Line>,
}

/// A block between two fences.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

struct Line {
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Prose,
    /// The line that begins a block, or ends it.
    Fence,
    Fenced,
    Indented,
}

impl Page {
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        let mut in_block = false;
        let mut lines: Vec<Line> = Vec::new();
        for text in text.lines() {
            let kind = if text.trim_start().starts_with("```") {
                in_block = !in_block;
                Kind::Fence
            } else if in_block {
                Kind::Fenced
            } else if text.starts_with("    ") && !continues(&lines) {
                Kind::Indented
            } else {
                Kind::Prose
            };
            lines.push(Line { text: text.to_owned(), kind });
        }
        assert!(!in_block, "{}: a block of code has no end", path.display());
        Self { path: path.to_owned(), lines }
    }

    /// Every page below a directory, without what cargo or git keeps there.
    pub(crate) fn all(root: &Path) -> Vec<Self> {
        let mut pages = Vec::new();
        collect(root, &mut pages);
        pages
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for line in &self.lines {
            match (line.kind, open.as_mut()) {
                (Kind::Fence, None) => {
                    let language = line.text.trim().trim_start_matches('`').to_owned();
                    open = Some(Block { language, text: String::new() });
                }
                (Kind::Fence, Some(_)) => blocks.extend(open.take()),
                (_, Some(block)) => {
                    block.text.push_str(&line.text);
                    block.text.push('\n');
                }
                (_, None) => {}
            }
        }
        blocks
    }

    /// The commands for cargo, in blocks and between backticks, without comments.
    pub(crate) fn commands(&self) -> Vec<String> {
        let mut pieces = Vec::new();
        let mut is_continued = false;
        for line in &self.lines {
            match line.kind {
                Kind::Fence => {}
                // Every second piece is between backticks.
                Kind::Prose => {
                    pieces.extend(line.text.split('`').skip(1).step_by(2).map(str::to_owned));
                }
                Kind::Fenced | Kind::Indented => {
                    let text = line.text.split(" #").next().unwrap_or_default().trim();
                    let part = text.trim_end_matches('\\').trim_end();
                    match pieces.last_mut().filter(|_| is_continued) {
                        Some(last) => *last = format!("{last} {part}"),
                        None => pieces.push(part.to_owned()),
                    }
                    is_continued = text.ends_with('\\');
                }
            }
        }
        pieces.retain(|piece| {
            piece.split_whitespace().find(|word| !word.contains('=')) == Some("cargo")
        });
        pieces
    }

    /// Files of the source, and tests in them as `file.rs::test`, between backticks.
    pub(crate) fn places(&self) -> Vec<String> {
        let prose = self.lines.iter().filter(|line| line.kind == Kind::Prose);
        let pieces = prose.flat_map(|line| line.text.split('`').skip(1).step_by(2));
        let is_place = |piece: &&str| {
            let file = piece.split("::").next().unwrap_or_default();
            let is_rust = Path::new(file).extension().is_some_and(|ending| ending == "rs");
            is_rust && file.contains('/') && !file.contains(['<', ' '])
        };
        pieces.filter(is_place).map(str::to_owned).collect()
    }

    /// What links lead to.
    pub(crate) fn links(&self) -> Vec<String> {
        let prose = self.lines.iter().filter(|line| line.kind == Kind::Prose);
        let text = prose.fold(String::new(), |text, line| text + "\n" + &line.text);
        // What is between backticks is no link.
        let text = text.split('`').step_by(2).collect::<String>();
        let targets = text.split("](").skip(1);
        targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
    }

    /// What a link may have after a `#`.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let prose = self.lines.iter().filter(|line| line.kind == Kind::Prose);
        let headings = prose.filter(|line| line.text.starts_with('#'));
        headings.map(|line| anchor(line.text.trim_start_matches('#').trim())).collect()
    }
}

/// Whether an indented line goes on with a paragraph, and is no code.
fn continues(lines: &[Line]) -> bool {
    lines.last().is_some_and(|line| line.kind == Kind::Prose && !line.text.is_empty())
}

/// As sites that show a repository make it: lower case, hyphens for blanks, no punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn collect(directory: &Path, pages: &mut Vec<Page>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        let is_hidden = name.to_string_lossy().starts_with('.');
        if entry.file_type().unwrap().is_dir() {
            if !is_hidden && !path.join("CACHEDIR.TAG").exists() {
                collect(&path, pages);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(Page::new(&path, &fs::read_to_string(&path).unwrap()));
        }
    }
}
