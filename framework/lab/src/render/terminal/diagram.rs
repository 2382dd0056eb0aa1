//! A sequence diagram on a terminal: participants as columns, or a list where there is no room.

use super::super::measure::{cells, clean, width, wrap};
use super::super::sequence::{Columns, lost_mark};
use super::super::style::{Paint, Style};
use super::super::words;
use super::indented;
use crate::{Diagram, Fate, Language, Step};

/// In less than this a list is read more easily.
const LEAST: usize = 50;
/// Left of a diagram.
const MARGIN: usize = 2;
/// An arrow's own cells besides its label: `─ label ─>`.
const ARROW: usize = 5;

/// The steps, as lines without an end.
pub(super) fn draw(diagram: &Diagram, language: Language, style: Style) -> Vec<String> {
    let room = style.cells().saturating_sub(MARGIN);
    let columns = Columns::within(diagram, language, room).filter(|_| style.cells() >= LEAST);
    match columns {
        Some(columns) => Drawing { columns, language, style }.all(diagram),
        None => list(diagram, language, style),
    }
}

fn list(diagram: &Diagram, language: Language, style: Style) -> Vec<String> {
    let name = |index: usize| diagram.participants.get(index).map_or("?", String::as_str);
    let lines = diagram.steps.iter().flat_map(|step| match step {
        Step::Message { from, to, label, bad, fate } => {
            let mut text = format!("{} -> {}: {label}", name(*from), name(*to));
            if *fate == Fate::Lost {
                text = format!("{text} ({})", words::lost().in_language(language));
            }
            let paint = if *bad { Paint::Red } else { Paint::Plain };
            indented(&text, "  ", "    ", paint, style)
        }
        Step::Gap(count) => {
            let text = format!("... {}", words::left_out(*count).in_language(language));
            indented(&text, "  ", "    ", Paint::Dim, style)
        }
    });
    lines.collect()
}

struct Drawing {
    columns: Columns,
    language: Language,
    style: Style,
}

impl Drawing {
    fn all(&self, diagram: &Diagram) -> Vec<String> {
        let mut head = Row::default();
        for (name, line) in diagram.participants.iter().zip(&self.columns.lines) {
            let name = clean(name);
            head.put(line.saturating_sub(width(&name) / 2), &name, Paint::Bold);
        }
        let mut rows = vec![head, self.row(self.style.glyphs().life)];
        for step in &diagram.steps {
            match step {
                Step::Message { from, to, label, bad, fate } => {
                    let paint = if *bad { Paint::Red } else { Paint::Plain };
                    rows.extend(self.message(*from, *to, label, paint, *fate));
                }
                Step::Gap(count) => {
                    let mut row = self.row(self.style.glyphs().gap);
                    let text = format!(" {} ", words::left_out(*count).in_language(self.language));
                    let left = self.columns.width.saturating_sub(width(&text)) / 2;
                    row.put(left, &text, Paint::Dim);
                    rows.push(row);
                }
            }
        }
        rows.push(self.row(self.style.glyphs().life));
        rows.into_iter().map(|row| row.text(self.style)).collect()
    }

    /// A row with nothing but the participants' lines.
    fn row(&self, line: char) -> Row {
        let mut row = Row::default();
        for at in &self.columns.lines {
            row.put(*at, line.encode_utf8(&mut [0; 4]), Paint::Plain);
        }
        row
    }

    fn message(&self, from: usize, to: usize, label: &str, paint: Paint, fate: Fate) -> Vec<Row> {
        let lines = &self.columns.lines;
        let (Some(&source), Some(&target)) = (lines.get(from), lines.get(to)) else {
            return Vec::new();
        };
        let (left, right) = (source.min(target), source.max(target));
        let mark = if fate == Fate::Lost { lost_mark(self.language) } else { String::new() };
        let room = (right - left).saturating_sub(1 + ARROW + width(&mark));
        let mut texts = wrap(label, room);
        let last = texts.pop().unwrap_or_default();
        let rightward = source <= target;
        let start =
            |text: &str| if rightward { left + 3 } else { (right - 2).saturating_sub(width(text)) };
        let mut rows = Vec::new();
        for text in texts {
            let mut row = self.row(self.style.glyphs().life);
            row.put(start(&text), &text, paint);
            rows.push(row);
        }
        let mut row = self.row(self.style.glyphs().life);
        self.arrow(&mut row, (source, target), &mark, paint);
        row.put(start(&last) - 1, &format!(" {last} "), paint);
        rows.push(row);
        rows
    }

    /// The arrow, without its label. Where a message is lost, it ends in an x before the target.
    fn arrow(&self, row: &mut Row, (source, target): (usize, usize), mark: &str, paint: Paint) {
        let glyphs = self.style.glyphs();
        let rightward = source <= target;
        let (line, begin) = if rightward {
            (glyphs.request, glyphs.from_left)
        } else {
            (glyphs.answer, glyphs.from_right)
        };
        let line = line.to_string();
        for at in source.min(target) + 1..source.max(target) {
            row.put(at, &line, paint);
        }
        row.put(source, &begin.to_string(), Paint::Plain);
        let wide = width(mark);
        match (rightward, mark.is_empty()) {
            (true, true) => row.put(target.saturating_sub(1), ">", paint),
            (false, true) => row.put(target + 1, "<", paint),
            (true, false) => row.put(target.saturating_sub(wide + 1), &format!("x{mark}"), paint),
            (false, false) => row.put(target + 1, &format!("{mark}x"), paint),
        }
    }
}

/// A row of cells.
#[derive(Default)]
struct Row(Vec<Cell>);

/// What stands in a cell: nothing if the character before it covers it.
#[derive(Clone)]
struct Cell {
    text: String,
    paint: Paint,
}

impl Row {
    fn put(&mut self, at: usize, text: &str, paint: Paint) {
        let mut at = at;
        for character in text.chars() {
            let wide = cells(character);
            if wide == 0 {
                if let Some(before) = at.checked_sub(1).and_then(|at| self.0.get_mut(at)) {
                    before.text.push(character);
                }
                continue;
            }
            let space = Cell { text: " ".to_owned(), paint: Paint::Plain };
            if self.0.len() < at + wide {
                self.0.resize(at + wide, space);
            }
            self.0[at] = Cell { text: character.to_string(), paint };
            for covered in &mut self.0[at + 1..at + wide] {
                *covered = Cell { text: String::new(), paint };
            }
            at += wide;
        }
    }

    fn text(mut self, style: Style) -> String {
        while self.0.last().is_some_and(|cell| cell.text == " ") {
            self.0.pop();
        }
        let pieces = self.0.chunk_by(|one, next| one.paint == next.paint).map(|piece| {
            let text: String = piece.iter().map(|cell| cell.text.as_str()).collect();
            style.paint(piece[0].paint, &text)
        });
        format!("{}{}", " ".repeat(MARGIN), pieces.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sequence::tests::{diagram, message};
    use super::*;

    fn payments() -> Diagram {
        let steps = vec![
            message((0, 1), "Produce payments-0: 1 record", false, Fate::Arrived),
            message((1, 0), "offset 1", true, Fate::Lost),
            Step::Gap(3),
            message((0, 1), "EndTxn commit: id 1, epoch 0", true, Fate::Lost),
            message((1, 0), "INVALID_PRODUCER_EPOCH", true, Fate::Arrived),
        ];
        diagram(&["shop", "broker 1"], steps)
    }

    #[test]
    fn messages_go_from_line_to_line_and_stop_where_they_are_lost() {
        let shown = draw(&payments(), Language::English, Style::default()).join("\n");
        assert_eq!(
            shown,
            "  \
  shop                                  broker 1
    │                                       │
    ├─ Produce payments-0: 1 record ───────>│
    │ lost x╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ offset 1 ╌┤
    ┊         3 messages are left out       ┊
    ├─ EndTxn commit: id 1, epoch 0 ─x lost │
    │<╌╌╌╌╌╌╌╌╌╌╌╌╌ INVALID_PRODUCER_EPOCH ╌┤
    │                                       │"
        );
    }

    #[test]
    fn a_terminal_that_is_too_narrow_gets_a_list() {
        let shown = draw(&payments(), Language::English, Style::default().width(40)).join("\n");
        assert_eq!(
            shown,
            "  shop -> broker 1: Produce payments-0:
    1 record
  broker 1 -> shop: offset 1 (lost)
  ... 3 messages are left out
  shop -> broker 1: EndTxn commit: id 1,
    epoch 0 (lost)
  broker 1 -> shop:
    INVALID_PRODUCER_EPOCH"
        );
    }

    #[test]
    fn errors_are_red_where_there_are_colours() {
        let shown = draw(&payments(), Language::English, Style::default().colour(true)).join("\n");
        assert!(shown.contains("\x1b[31m<╌"), "{shown:?}");
        assert!(shown.contains("x lost \x1b[0m│"), "{shown:?}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_every_line_of_a_participant_stands_in_its_column() {
        let steps = vec![
            message((0, 3), "Produce 결제-0: 레코드 1개, 아주 긴 이름", false, Fate::Lost),
            message((3, 0), "INVALID_PRODUCER_EPOCH", true, Fate::Arrived),
            message((1, 2), "AddPartitionsToTxn payments-0; ledger-11", false, Fate::Arrived),
            message((2, 1), "ok", true, Fate::Lost),
        ];
        let diagram = diagram(&["상점", "a\u{1b}[2J zombie", "broker 1", "broker 2"], steps);
        for columns in 20..=120 {
            let style = Style::default().width(columns);
            for language in Language::ALL {
                for line in draw(&diagram, language, style) {
                    assert!(width(&line) <= columns, "{columns}: {line}");
                    assert!(!line.contains('\x1b'), "{columns}: {line}");
                }
            }
        }
    }

    #[test]
    fn a_plain_terminal_gets_ascii() {
        let shown = draw(&payments(), Language::English, Style::default().ascii(true)).join("\n");
        assert!(shown.is_ascii(), "{shown}");
    }
}
