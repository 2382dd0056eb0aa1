//! Texts for people: tables, times, spans of time. Pure.
//!
//! Invariant: what a broker or a file says cannot steer a terminal, because control characters are
//! escaped.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Stands where there is nothing.
pub(crate) const NONE: &str = "-";

/// Columns of the width of their longest cell, two spaces apart, each line ended.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(&mut heads.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// A value, or a dash.
pub(crate) fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

/// A text of others as a terminal may show it.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A time in milliseconds since 1970, in UTC. One that no calendar has stays a number.
pub(crate) fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// How long: `350 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn span(ms: i64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{} s", ms % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// The clock of this machine, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Brokers write -1 for nothing.
pub(crate) fn known<T: Into<i64> + Copy>(value: T) -> Option<T> {
    (value.into() >= 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows =
            [vec!["lines".to_owned(), "0".to_owned()], vec!["t".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["TOPIC", "P"], &rows), "TOPIC  P\nlines  0\nt      12\n");
    }

    #[test]
    fn a_span_has_two_units_at_most() {
        for (ms, text) in [
            (0, "0 ms"),
            (350, "350 ms"),
            (12_345, "12.3 s"),
            (250_000, "4 min 10 s"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn what_others_say_cannot_steer_the_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\n가"), "a\\u{1b}[2Jb\\n가");
    }

    #[test]
    fn a_time_is_in_utc_and_one_beyond_the_calendar_a_number() {
        assert_eq!(time(1500), "1970-01-01T00:00:01.5Z");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
    }
}
