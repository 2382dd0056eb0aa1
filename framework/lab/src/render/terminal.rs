//! Chapters as text.
//!
//! What colours say is said in marks and words too, and no line is wider than the terminal.

mod diagram;
mod table;

use std::io::Write;

use super::measure::{clean, fold, width, wrap, wrap_behind};
use super::style::{Paint, Style};
use super::{Run, words};
use crate::{
    Audience, Chapter, Claim, Diagram, LabError, Language, Outcome, Scene, Table, Text, Verdict,
};

/// Sentences are not set wider than this.
const WIDEST_TEXT: usize = 100;
/// A title has its chapters' names in a column of their own from this width on.
const TWO_COLUMNS: usize = 70;

/// Writes scenes as text, as they come.
///
/// ```
/// use oncestream_lab::{Language, Style, Terminal};
///
/// let plain = Terminal::new(Vec::new(), Language::English);
/// let as_it_can = Terminal::new(std::io::stdout(), Language::English).style(Style::of_stdout());
/// # drop((plain, as_it_can));
/// ```
#[derive(Debug)]
pub struct Terminal<W> {
    out: W,
    language: Language,
    style: Style,
}

impl<W: Write> Terminal<W> {
    /// Writes to `out`, in 80 columns and without colours.
    pub fn new(out: W, language: Language) -> Self {
        Self { out, language, style: Style::default() }
    }

    /// Writes in another style.
    #[must_use]
    pub fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// Lists chapters: name and title.
    ///
    /// # Errors
    ///
    /// [`LabError::Write`].
    pub fn list(&mut self, chapters: &[&Chapter]) -> Result<(), LabError> {
        let names = chapters.iter().map(|chapter| width(chapter.name)).max().unwrap_or(0);
        let mut lines = Vec::new();
        for chapter in chapters {
            let title = (chapter.title)();
            let title = title.in_language(self.language);
            if self.style.cells() >= TWO_COLUMNS {
                let name = format!("{:names$}  ", chapter.name);
                let behind = " ".repeat(names + 2);
                lines.extend(indented(title, &name, &behind, Paint::Plain, self.style));
            } else {
                lines.push(self.style.paint(Paint::Bold, chapter.name));
                lines.extend(indented(title, "  ", "  ", Paint::Plain, self.style));
            }
        }
        self.write(&lines)
    }

    /// Sums up the chapters that were run.
    ///
    /// # Errors
    ///
    /// [`LabError::Write`].
    pub fn summary(&mut self, runs: &[Run]) -> Result<(), LabError> {
        let glyphs = self.style.glyphs();
        let mut lines = self.heading(words::summary().in_language(self.language), glyphs.rule);
        for run in runs {
            let claims = run.claims();
            let hold = claims.iter().filter(|claim| claim.holds).count();
            let told = match &run.result {
                Ok(_) => words::claims(hold, claims.len()),
                Err(error) => words::broken_off(&error.to_string()),
            };
            let (mark, paint) =
                if run.held() { (glyphs.held, Paint::Green) } else { (glyphs.lost, Paint::Red) };
            let told = told.in_language(self.language);
            let seconds = run.took.as_secs_f64();
            let text = format!("{}: {told} ({seconds:.1} s)", run.chapter.name);
            lines.extend(self.marked(mark, "", &text, paint));
            for outcome in run.outcomes() {
                let (mark, paint) = self.mark_of(outcome.verdict());
                lines.extend(self.marked(mark, "    ", &self.verdict(outcome), paint));
            }
        }
        let seconds = runs.iter().map(|run| run.took.as_secs_f64()).sum();
        lines.push(String::new());
        let took = words::took(runs.len(), seconds);
        lines.extend(indented(took.in_language(self.language), "", "", Paint::Plain, self.style));
        self.write(&lines)
    }

    fn write(&mut self, lines: &[String]) -> Result<(), LabError> {
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;
        Ok(())
    }

    /// A heading on a line of its own, and a rule below it.
    fn heading(&self, text: &str, rule: char) -> Vec<String> {
        let lines = wrap(text, self.style.cells().min(WIDEST_TEXT));
        let wide = lines.iter().map(|line| width(line)).max().unwrap_or(0);
        let painted = lines.iter().map(|line| self.style.paint(Paint::Bold, line));
        let rule = rule.to_string().repeat(wide);
        std::iter::once(String::new()).chain(painted).chain([rule]).collect()
    }

    fn told(&self, text: &Text, paint: Paint) -> Vec<String> {
        indented(text.in_language(self.language), "", "", paint, self.style)
    }

    fn code(&self, code: &str) -> Vec<String> {
        let room = self.style.cells().saturating_sub(4);
        let pieces = code.trim_end().split('\n').flat_map(|line| fold(line, room));
        pieces
            .map(|piece| {
                let painted = self.style.paint(Paint::Dim, piece.trim_end());
                format!("    {painted}").trim_end().to_owned()
            })
            .collect()
    }

    fn wire(&self, diagram: &Diagram) -> Vec<String> {
        let mut lines = self.told(&diagram.caption, Paint::Bold);
        lines.push(String::new());
        lines.extend(diagram::draw(diagram, self.language, self.style));
        lines
    }

    fn table(&self, table: &Table) -> Vec<String> {
        let mut lines = self.told(&table.caption, Paint::Bold);
        lines.push(String::new());
        lines.extend(table::draw(table, self.language, self.style));
        lines
    }

    fn mark_of(&self, verdict: Verdict) -> (&'static str, Paint) {
        let glyphs = self.style.glyphs();
        match verdict {
            Verdict::Held => (glyphs.held, Paint::Green),
            Verdict::Doubled => (glyphs.doubled, Paint::Yellow),
            Verdict::Lost | Verdict::LostAndDoubled => (glyphs.lost, Paint::Red),
        }
    }

    fn verdict(&self, outcome: &Outcome) -> String {
        let verdict = words::verdict(outcome.verdict());
        let label = outcome.label.in_language(self.language);
        format!("{label}: {}", verdict.in_language(self.language))
    }

    fn outcome(&self, outcome: &Outcome) -> Vec<String> {
        let (mark, paint) = self.mark_of(outcome.verdict());
        let mut lines = self.marked(mark, "", &self.verdict(outcome), paint);
        let counts = words::counts(outcome);
        for text in std::iter::once(counts).chain(words::details(outcome)) {
            let text = text.in_language(self.language);
            lines.extend(indented(text, "    ", "    ", Paint::Plain, self.style));
        }
        lines
    }

    fn claim(&self, claim: &Claim) -> Vec<String> {
        let text = claim.text.in_language(self.language);
        if claim.holds {
            return self.marked(self.style.glyphs().held, "", text, Paint::Green);
        }
        let text = format!("{} {text}", words::not_so().in_language(self.language));
        self.marked(self.style.glyphs().lost, "", &text, Paint::Red)
    }

    /// A mark, and the text beside it; the mark alone is painted if all is well.
    fn marked(&self, mark: &str, before: &str, text: &str, paint: Paint) -> Vec<String> {
        let behind = " ".repeat(width(before) + width(mark) + 1);
        let beside = if paint == Paint::Green { Paint::Plain } else { paint };
        let mut lines = indented(text, &behind, &behind, beside, self.style);
        if let Some(first) = lines.first_mut() {
            let text = first.split_off(behind.len());
            *first = format!("{before}{} {text}", self.style.paint(paint, mark));
        }
        lines
    }
}

/// The text in lines, the first behind `first`, the others behind `rest`.
fn indented(text: &str, first: &str, rest: &str, paint: Paint, style: Style) -> Vec<String> {
    let room = |before: &str| style.cells().min(WIDEST_TEXT).saturating_sub(width(before));
    let lines = wrap_behind(text, room(first), room(rest));
    let lines = lines.into_iter().enumerate().map(|(number, line)| {
        let before = if number == 0 { first } else { rest };
        format!("{before}{}", style.paint(paint, &line))
    });
    lines.collect()
}

impl<W: Write> Audience for Terminal<W> {
    fn begin(&mut self, chapter: &'static Chapter) -> Result<(), LabError> {
        let title = (chapter.title)();
        let rule = self.style.glyphs().rule;
        let mut lines = self.heading(title.in_language(self.language), rule);
        lines.push(self.style.paint(Paint::Dim, &clean(chapter.name)));
        self.write(&lines)
    }

    fn show(&mut self, scene: &Scene) -> Result<(), LabError> {
        let mut lines = vec![String::new()];
        lines.extend(match scene {
            Scene::Part(heading) => {
                self.heading(heading.in_language(self.language), self.style.glyphs().line)
            }
            Scene::Told(text) => self.told(text, Paint::Plain),
            Scene::Code(code) => self.code(code),
            Scene::Wire(diagram) => self.wire(diagram),
            Scene::Table(table) => self.table(table),
            Scene::Outcome(outcome) => self.outcome(outcome),
            Scene::Claim(claim) => self.claim(claim),
        });
        self.write(&lines)
    }

    fn broken_off(&mut self, error: &LabError) -> Result<(), LabError> {
        let told = words::broken_off(&error.to_string());
        let mut lines = vec![String::new()];
        let text = told.in_language(self.language);
        lines.extend(self.marked(self.style.glyphs().lost, "", text, Paint::Red));
        self.write(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::text;

    fn shown(language: Language, style: Style, scene: &Scene) -> String {
        let mut terminal = Terminal::new(Vec::new(), language).style(style);
        terminal.show(scene).unwrap();
        String::from_utf8(terminal.out).unwrap()
    }

    #[test]
    fn marks_and_words_say_without_colours_what_became_of_messages() {
        let meant = ["a".to_owned(), "b".to_owned()];
        let outcome = |seen: &[&str]| {
            let seen: Vec<_> = seen.iter().map(|seen| (*seen).to_owned()).collect();
            let outcome = Outcome::compare(text!("Tried", "시도"), &meant, &seen);
            let shown = shown(Language::English, Style::default(), &Scene::Outcome(outcome));
            shown.trim().to_owned()
        };
        assert!(outcome(&["a", "b"]).starts_with("✓ Tried: held"));
        let lost = outcome(&["a"]);
        assert!(lost.starts_with("✗ Tried: lost") && lost.ends_with("lost: b"), "{lost}");
        let doubled = outcome(&["a", "b", "b"]);
        assert!(doubled.starts_with("×2 Tried: doubled") && doubled.ends_with("doubled: b"));
        assert!(outcome(&["b", "b"]).starts_with("✗ Tried: lost and doubled"));
    }

    #[test]
    fn a_claim_that_does_not_hold_says_so_in_words() {
        let claim = |holds| {
            Scene::Claim(Claim { name: "so", text: text!("It is so.", "그렇습니다."), holds })
        };
        let style = Style::default();
        assert_eq!(shown(Language::English, style, &claim(true)), "\n✓ It is so.\n");
        let failed = "\n✗ This does not hold: It is so.\n";
        assert_eq!(shown(Language::English, style, &claim(false)), failed);
        assert_eq!(
            shown(Language::Korean, style, &claim(false)),
            "\n✗ 성립하지 않음: 그렇습니다.\n"
        );
    }

    #[test]
    fn a_long_line_of_code_is_broken_where_the_terminal_ends() {
        let code = Scene::Code(format!("  {}\n\nend", "x".repeat(30)));
        let shown = shown(Language::English, Style::default().width(24), &code);
        let expected = format!("\n      {}\n    {}\n\n    end\n", "x".repeat(18), "x".repeat(12));
        assert_eq!(shown, expected);
    }
}
