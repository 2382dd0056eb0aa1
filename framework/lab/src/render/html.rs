//! Chapters as one page that needs nothing but itself: no script, no font, no picture from elsewhere.
//!
//! The page appears in its place when it is complete, and not before.

mod place;

use std::path::PathBuf;

use super::grid::Grid;
use super::measure::clean;
use super::{svg, words};
use crate::{
    Audience, Chapter, Claim, Diagram, LabError, Language, Outcome, Scene, Table, Text, Verdict,
};

const CSS: &str = include_str!("html/page.css");

/// Collects chapters and writes them as an HTML page.
///
/// ```
/// use oncestream_lab::{Lab, Language, Page};
///
/// # oncestream_lab::run_if_worker();
/// # let folder = tempfile::tempdir()?;
/// # let place = folder.path().join("lab.html");
/// let mut page = Page::at(&place, Language::Korean)?;
/// Lab::default().run(oncestream_lab::find("at-least-once")?, &mut page)?;
/// page.write()?;
/// assert!(std::fs::read_to_string(place)?.contains("<html lang=\"ko\">"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Page {
    place: PathBuf,
    language: Language,
    chapters: Vec<Shown>,
}

/// A chapter of the page.
#[derive(Debug)]
struct Shown {
    chapter: &'static Chapter,
    body: String,
    claims: usize,
    failed: usize,
    broken_off: bool,
}

impl Page {
    /// A page that is to be written to a file; a file that is there is replaced.
    ///
    /// # Errors
    ///
    /// [`LabError::Page`] if nothing can be written there. That is tried now, so that no chapter is run
    /// in vain.
    pub fn at(place: impl Into<PathBuf>, language: Language) -> Result<Self, LabError> {
        let place = place::checked(place.into())?;
        Ok(Self { place, language, chapters: Vec::new() })
    }

    /// Writes the page.
    ///
    /// # Errors
    ///
    /// [`LabError::Page`]; what was in the place before is still there then.
    pub fn write(self) -> Result<(), LabError> {
        place::write(&self.place, &self.text())
    }

    fn text(&self) -> String {
        let language = self.language;
        let title = words::lab();
        let title = escaped(title.in_language(language));
        let about = paragraph(words::about().in_language(language));
        let contents = if self.chapters.len() > 1 { self.contents() } else { String::new() };
        let sections: String = self.chapters.iter().map(|shown| self.section(shown)).collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Oncestream: {title}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n\
             <header>\n<h1>{title}</h1>\n{about}</header>\n{contents}<main>\n{sections}</main>\n\
             </body>\n</html>\n"
        )
    }

    fn contents(&self) -> String {
        let title = words::contents();
        let title = escaped(title.in_language(self.language));
        let each = self.chapters.iter().map(|shown| {
            let (name, (kind, mark)) = (escaped(shown.chapter.name), shown.mark());
            let title = (shown.chapter.title)();
            let title = escaped(title.in_language(self.language));
            format!(
                "<li><a href=\"#{name}\">{title}</a> <code>{name}</code> \
                 <span class=\"{kind}\">{mark}</span></li>\n"
            )
        });
        let each = each.collect::<Vec<_>>().concat();
        format!("<nav aria-label=\"{title}\">\n<h2>{title}</h2>\n<ol>\n{each}</ol>\n</nav>\n")
    }

    fn section(&self, shown: &Shown) -> String {
        let name = escaped(shown.chapter.name);
        let title = (shown.chapter.title)();
        let title = escaped(title.in_language(self.language));
        let (kind, mark) = shown.mark();
        let told = words::claims(shown.claims - shown.failed, shown.claims);
        let told = escaped(told.in_language(self.language));
        format!(
            "<section id=\"{name}\">\n<header>\n<h2>{title}</h2>\n<code>{name}</code>\n</header>\n\
             {}<p><span class=\"{kind}\">{mark}</span> {told}</p>\n</section>\n",
            shown.body
        )
    }

    fn scene(&self, scene: &Scene) -> String {
        let language = self.language;
        match scene {
            Scene::Part(heading) => {
                format!("<h3>{}</h3>\n", escaped(heading.in_language(language)))
            }
            Scene::Told(text) => paragraph(text.in_language(language)),
            Scene::Code(code) => {
                let lines: Vec<String> = code.trim_end().split('\n').map(escaped).collect();
                format!("<pre lang=\"en\"><code>{}</code></pre>\n", lines.join("\n"))
            }
            Scene::Wire(diagram) => self.wire(diagram),
            Scene::Table(table) => self.table(table),
            Scene::Outcome(outcome) => self.outcome(outcome),
            Scene::Claim(claim) => self.claim(claim),
        }
    }

    fn figure(&self, class: &str, caption: &Text, body: &str) -> String {
        let caption = escaped(caption.in_language(self.language));
        format!(
            "<figure class=\"{class}\">\n<figcaption>{caption}</figcaption>\n\
             <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{caption}\">\n{body}\
             </div>\n</figure>\n"
        )
    }

    fn wire(&self, diagram: &Diagram) -> String {
        self.figure("wire", &diagram.caption, &svg::draw(diagram, self.language))
    }

    fn table(&self, table: &Table) -> String {
        let grid = Grid::of(table);
        let side = |numeric: &bool| if *numeric { " class=\"number\"" } else { "" };
        let head: Vec<String> = grid
            .names
            .iter()
            .zip(&grid.numeric)
            .map(|(name, numeric)| {
                format!("<th scope=\"col\"{}>{}</th>", side(numeric), escaped(name))
            })
            .collect();
        let mut rows: Vec<String> = grid
            .rows
            .iter()
            .map(|row| {
                let cells = row.iter().zip(&grid.numeric);
                let cells = cells
                    .map(|(cell, numeric)| format!("<td{}>{}</td>", side(numeric), escaped(cell)));
                format!("<tr>{}</tr>\n", cells.collect::<Vec<_>>().concat())
            })
            .collect();
        if grid.rows.is_empty() {
            let (columns, empty) = (grid.names.len(), words::empty());
            let empty = escaped(empty.in_language(self.language));
            rows = vec![format!("<tr><td colspan=\"{columns}\">{empty}</td></tr>\n")];
        }
        let (head, rows) = (head.concat(), rows.concat());
        let body =
            format!("<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n");
        self.figure("table", &table.caption, &body)
    }

    fn outcome(&self, outcome: &Outcome) -> String {
        let verdict = outcome.verdict();
        let (kind, mark) = match verdict {
            Verdict::Held => ("held", "✓"),
            Verdict::Doubled => ("doubled", "×2"),
            Verdict::Lost | Verdict::LostAndDoubled => ("failed", "✗"),
        };
        let told = words::verdict(verdict);
        let told = escaped(told.in_language(self.language));
        let label = escaped(outcome.label.in_language(self.language));
        let counts = words::counts(outcome);
        let lines: String = std::iter::once(counts)
            .chain(words::details(outcome))
            .map(|text| paragraph(text.in_language(self.language)))
            .collect();
        format!(
            "<div class=\"outcome {kind}\"><p class=\"label\"><span class=\"mark\">{mark}</span>\
             {label}: {told}</p>\n{lines}</div>\n"
        )
    }

    fn claim(&self, claim: &Claim) -> String {
        let text = escaped(claim.text.in_language(self.language));
        if claim.holds {
            return format!("<p class=\"claim held\"><span class=\"mark\">✓</span>{text}</p>\n");
        }
        let not_so = words::not_so();
        let not_so = escaped(not_so.in_language(self.language));
        format!(
            "<p class=\"claim failed\"><span class=\"mark\">✗</span><strong>{not_so}</strong> \
             {text}</p>\n"
        )
    }

    fn add(&mut self, html: &str) {
        if let Some(shown) = self.chapters.last_mut() {
            shown.body.push_str(html);
        }
    }
}

impl Shown {
    fn mark(&self) -> (&'static str, &'static str) {
        let held = self.failed == 0 && !self.broken_off;
        if held { ("good", "✓") } else { ("wrong", "✗") }
    }
}

fn paragraph(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|text| format!("<p>{}</p>\n", escaped(text)));
    paragraphs.collect::<Vec<_>>().concat()
}

/// The text for a place between tags or in an attribute's quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in clean(&text.replace('\n', " ")).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

impl Audience for Page {
    fn begin(&mut self, chapter: &'static Chapter) -> Result<(), LabError> {
        self.chapters.push(Shown {
            chapter,
            body: String::new(),
            claims: 0,
            failed: 0,
            broken_off: false,
        });
        Ok(())
    }

    fn show(&mut self, scene: &Scene) -> Result<(), LabError> {
        let html = self.scene(scene);
        self.add(&html);
        if let (Scene::Claim(claim), Some(shown)) = (scene, self.chapters.last_mut()) {
            shown.claims += 1;
            shown.failed += usize::from(!claim.holds);
        }
        Ok(())
    }

    fn broken_off(&mut self, error: &LabError) -> Result<(), LabError> {
        let told = words::broken_off(&error.to_string());
        let told = escaped(told.in_language(self.language));
        self.add(&format!("<p class=\"claim failed\"><span class=\"mark\">✗</span>{told}</p>\n"));
        if let Some(shown) = self.chapters.last_mut() {
            shown.broken_off = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
