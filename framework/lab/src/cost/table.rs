//! The figures as a table for people, in Markdown. Pure.

use super::figures::{Costs, Figure, Measurement};

/// A column: its head, its figure, and how many decimals it has.
const COLUMNS: [(&str, Figure, usize); 5] = [
    ("records/s", |f| Some(f.records_per_second), 0),
    ("MB/s", |f| Some(f.megabytes_per_second), 1),
    ("CPU-s per million", |f| f.cpu_seconds_per_million, 2),
    ("acknowledged ms, p50", |f| Some(f.acknowledged.p50_ms), 2),
    ("p99", |f| Some(f.acknowledged.p99_ms), 2),
];

/// For transactions alone.
const COMMITTED: [(&str, Figure, usize); 2] = [
    ("committed ms, p50", |f| f.committed.map(|c| c.p50_ms), 1),
    ("p99", |f| f.committed.map(|c| c.p99_ms), 1),
];

/// The table, with a line that says under what it was measured.
pub(super) fn table(costs: &Costs) -> String {
    let columns = || COLUMNS.iter().chain(&COMMITTED);
    let mut rows = vec![vec!["batches".to_owned(), "producer".to_owned()]];
    rows[0].extend(columns().map(|(head, ..)| (*head).to_owned()));
    for measurement in &costs.measurements {
        let variant = measurement.variant;
        let mut row = vec![variant.batches.to_string(), variant.delivery.to_string()];
        row.extend(columns().map(|(_, figure, decimals)| cell(measurement, *figure, *decimals)));
        rows.push(row);
    }
    let mut text = format!("{}\n\nMedians, with the lowest and the highest.\n\n", costs.conditions);
    text.push_str(&aligned(&rows));
    text
}

fn cell(measurement: &Measurement, figure: Figure, decimals: usize) -> String {
    let number = |value| number(value, decimals);
    measurement.spread(figure).map_or_else(
        || "-".to_owned(),
        |s| format!("{} ({}-{})", number(s.median), number(s.min), number(s.max)),
    )
}

/// A number with commas between its thousands.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.find('.').map_or((text.as_str(), ""), |at| text.split_at(at));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            // Names stand left, figures right.
            if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(&line(padded.collect()));
        if at == 0 {
            let rules = widths.iter().enumerate().map(|(column, width)| {
                let dashes = "-".repeat(width.saturating_sub(1));
                if column < 2 { format!("{dashes}-") } else { format!("{dashes}:") }
            });
            text.push_str(&line(rules.collect()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_commas() {
        for (value, decimals, text) in [
            (0.0, 0, "0"),
            (999.6, 0, "1,000"),
            (12.345, 2, "12.35"),
            (1_234_567.8, 1, "1,234,567.8"),
            (100_000.0, 0, "100,000"),
        ] {
            assert_eq!(number(value, decimals), text);
        }
    }
}
