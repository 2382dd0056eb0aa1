//! Which columns of a table are shown, and on which side their cells stand.

use crate::Table;

/// A table as the views show it.
pub(super) struct Grid<'a> {
    /// The names of its columns, without those that say nothing.
    pub(super) names: Vec<&'a str>,
    /// Has the column numbers in it, and nothing else?
    pub(super) numeric: Vec<bool>,
    /// The rows, a cell for each name.
    pub(super) rows: Vec<Vec<&'a str>>,
}

impl<'a> Grid<'a> {
    pub(super) fn of(table: &'a Table) -> Self {
        let cell = |row: &'a Vec<String>, column: usize| -> &'a str {
            row.get(column).map_or("", String::as_str)
        };
        let says = |column: &usize| {
            !table.columns[*column].is_empty()
                || table.rows.iter().any(|row| !cell(row, *column).is_empty())
        };
        let kept: Vec<usize> = (0..table.columns.len()).filter(says).collect();
        let numeric = kept.iter().map(|column| {
            let cells = || table.rows.iter().map(|row| cell(row, *column));
            let there = cells().any(|cell| !cell.is_empty());
            there && cells().filter(|cell| is_told(cell)).all(is_number)
        });
        let rows =
            table.rows.iter().map(|row| kept.iter().map(|column| cell(row, *column)).collect());
        Self {
            names: kept.iter().map(|column| table.columns[*column]).collect(),
            numeric: numeric.collect(),
            rows: rows.collect(),
        }
    }
}

/// Neither empty, nor the sign for "none", nor the place of rows that are left out.
fn is_told(cell: &str) -> bool {
    !cell.is_empty() && cell != "-" && !cell.starts_with("... ")
}

fn is_number(cell: &str) -> bool {
    cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::text;

    #[test]
    fn a_column_without_name_and_cells_is_not_shown() {
        let rows = vec![
            vec!["0".to_owned(), "-".to_owned(), "a".to_owned(), String::new()],
            vec!["... 9".to_owned(), String::new(), String::new(), String::new()],
            vec!["10".to_owned(), "-".to_owned(), "1".to_owned(), String::new()],
        ];
        let table = Table::new(text!("", ""), &["offset", "epoch", "value", ""], rows);
        let grid = Grid::of(&table);
        assert_eq!(grid.names, ["offset", "epoch", "value"]);
        assert_eq!(grid.numeric, [true, true, false]);
        assert_eq!(grid.rows[2], ["10", "-", "1"]);
    }
}
