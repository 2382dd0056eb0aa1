//! A table on a terminal: aligned, or a few lines a row where it is too wide.

use super::super::grid::Grid;
use super::super::measure::{clean, pad, width, wrap};
use super::super::style::{Paint, Style};
use super::super::words;
use super::indented;
use crate::{Language, Table};

const MARGIN: usize = 2;
/// Between two columns.
const SPACE: usize = 2;
/// A column is not made narrower than this to make room.
const LEAST: usize = 12;

/// Its rows, as lines without an end.
pub(super) fn draw(table: &Table, language: Language, style: Style) -> Vec<String> {
    let grid = Grid::of(table);
    if grid.rows.is_empty() {
        return indented(words::empty().in_language(language), "  ", "  ", Paint::Dim, style);
    }
    match widths(&grid, style.cells()) {
        Some(widths) => aligned(&grid, &widths, style),
        None => stacked(&grid, style),
    }
}

/// How wide each column is; the widest gives way if it must and can.
fn widths(grid: &Grid<'_>, limit: usize) -> Option<Vec<usize>> {
    let mut widths: Vec<usize> = (0..grid.names.len())
        .map(|column| {
            let cells = grid.rows.iter().map(|row| width(&clean(row[column])));
            cells.max().unwrap_or(0).max(width(grid.names[column]))
        })
        .collect();
    let all = MARGIN + widths.iter().sum::<usize>() + SPACE * widths.len().saturating_sub(1);
    let too_much = all.saturating_sub(limit);
    let widest = widths.iter().copied().enumerate().max_by_key(|(_, width)| *width)?.0;
    if too_much > 0 {
        let left = widths[widest].checked_sub(too_much)?;
        let needed = LEAST.max(width(grid.names[widest]));
        widths[widest] = Some(left).filter(|left| *left >= needed)?;
    }
    Some(widths)
}

fn aligned(grid: &Grid<'_>, widths: &[usize], style: Style) -> Vec<String> {
    let line = |cells: Vec<String>| {
        let padded = cells.iter().zip(widths).zip(&grid.numeric);
        let padded = padded.map(|((cell, width), numeric)| pad(cell, *width, *numeric));
        padded.collect::<Vec<_>>().join(&" ".repeat(SPACE)).trim_end().to_owned()
    };
    let margin = " ".repeat(MARGIN);
    let head = line(grid.names.iter().map(|name| (*name).to_owned()).collect());
    let rule = widths.iter().map(|width| style.glyphs().line.to_string().repeat(*width));
    let rule = rule.collect::<Vec<_>>().join(&" ".repeat(SPACE));
    let mut lines = vec![
        format!("{margin}{}", style.paint(Paint::Bold, &head)),
        format!("{margin}{}", style.paint(Paint::Dim, &rule)),
    ];
    for row in &grid.rows {
        let cells: Vec<Vec<String>> =
            row.iter().zip(widths).map(|(cell, width)| wrap(cell, *width)).collect();
        for part in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let parts = cells.iter().map(|cell| cell.get(part).cloned().unwrap_or_default());
            lines.push(format!("{margin}{}", line(parts.collect())));
        }
    }
    lines
}

fn stacked(grid: &Grid<'_>, style: Style) -> Vec<String> {
    let rows = grid.rows.iter().flat_map(|row| {
        // What is not there need not be named where there is so little room.
        let told = |cell: &str| !cell.is_empty() && cell != "-";
        let cells = row.iter().zip(&grid.names).filter(|(cell, _)| told(cell));
        let cells = cells.map(|(cell, name)| {
            if name.is_empty() || cell.starts_with("... ") {
                (*cell).to_owned()
            } else {
                format!("{name}: {cell}")
            }
        });
        let text = cells.collect::<Vec<_>>().join(", ");
        indented(&text, "  ", "    ", Paint::Plain, style)
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::text;

    fn log() -> Table {
        let row = |cells: [&str; 4]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let rows = vec![
            row(["9", "1000", "결제 1", ""]),
            row(["10", "-", "payment 2", "aborted"]),
            row(["... 3", "", "", ""]),
        ];
        Table::new(text!("", ""), &["offset", "producer id", "value", ""], rows)
    }

    #[test]
    fn numbers_stand_right_and_words_left_by_what_they_take_on_the_screen() {
        let shown = draw(&log(), Language::English, Style::default()).join("\n");
        assert_eq!(
            shown,
            "  \
  offset  producer id  value
  ──────  ───────────  ─────────  ───────
       9         1000  결제 1
      10            -  payment 2  aborted
   ... 3"
        );
    }

    #[test]
    fn a_table_that_is_too_wide_is_a_few_lines_a_row() {
        let shown = draw(&log(), Language::English, Style::default().width(30)).join("\n");
        assert_eq!(
            shown,
            "  offset: 9, producer id:
    1000, value: 결제 1
  offset: 10, value: payment
    2, aborted
  ... 3"
        );
    }

    #[test]
    fn the_widest_column_gives_way_first() {
        let rows = vec![vec!["0".to_owned(), "word ".repeat(12)]];
        let table = Table::new(text!("", ""), &["offset", "value"], rows);
        let shown = draw(&table, Language::English, Style::default().width(40));
        assert_eq!(shown.len(), 4, "{shown:#?}");
        assert!(shown.iter().all(|line| width(line) <= 40), "{shown:#?}");
    }

    #[test]
    fn a_table_without_rows_says_so() {
        let table = Table::new(text!("", ""), &["offset"], vec![]);
        assert_eq!(draw(&table, Language::Korean, Style::default()), ["  (비어 있음)"]);
    }
}
