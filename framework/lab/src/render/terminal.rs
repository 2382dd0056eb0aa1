//! Chapters as text.

use std::io::Write;

use crate::{Audience, Chapter, Fate, LabError, Language, Scene, Step};

/// Writes scenes as text, as they come.
#[derive(Debug)]
pub struct Terminal<W> {
    out: W,
    language: Language,
}

impl<W: Write> Terminal<W> {
    /// Writes to `out`.
    pub fn new(out: W, language: Language) -> Self {
        Self { out, language }
    }
}

impl<W: Write> Audience for Terminal<W> {
    fn begin(&mut self, chapter: &'static Chapter) -> Result<(), LabError> {
        let title = (chapter.title)();
        writeln!(self.out, "\n=== {} ===", title.in_language(self.language))?;
        Ok(())
    }

    fn show(&mut self, scene: &Scene) -> Result<(), LabError> {
        let language = self.language;
        let out = &mut self.out;
        match scene {
            Scene::Part(heading) => writeln!(out, "\n--- {}", heading.in_language(language))?,
            Scene::Told(text) => writeln!(out, "\n{}", text.in_language(language))?,
            Scene::Code(code) => writeln!(out, "\n{code}")?,
            Scene::Wire(diagram) => {
                writeln!(out, "\n{}", diagram.caption.in_language(language))?;
                for step in &diagram.steps {
                    match step {
                        Step::Message { from, to, label, fate, .. } => {
                            let lost = if *fate == Fate::Lost { " (lost)" } else { "" };
                            let (from, to) =
                                (&diagram.participants[*from], &diagram.participants[*to]);
                            writeln!(out, "  {from} -> {to}: {label}{lost}")?;
                        }
                        Step::Gap(count) => writeln!(out, "  ... {count}")?,
                    }
                }
            }
            Scene::Table(table) => {
                writeln!(out, "\n{}", table.caption.in_language(language))?;
                writeln!(out, "  {}", table.columns.join(" | "))?;
                for row in &table.rows {
                    writeln!(out, "  {}", row.join(" | "))?;
                }
            }
            Scene::Outcome(outcome) => writeln!(
                out,
                "\n{}: {:?}, lost {:?}, doubled {:?}",
                outcome.label.in_language(language),
                outcome.verdict(),
                outcome.lost,
                outcome.doubled
            )?,
            Scene::Claim(claim) => {
                let mark = if claim.holds { "+" } else { "FAILED" };
                writeln!(out, "\n{mark} {}", claim.text.in_language(language))?;
            }
        }
        Ok(())
    }
}
