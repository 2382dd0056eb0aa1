//! How wide text is in cells of a terminal, and where it is broken.
//!
//! A Hangul syllable is two cells wide. Lines are broken between words, in Korean too, because that
//! is how Korean is set; a word that is longer than a line is broken anywhere.

use unicode_width::UnicodeWidthChar as _;

/// How many cells a character takes.
pub(super) fn cells(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// How many cells a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

/// The text without what would steer a terminal, turn the direction of writing or break the line.
pub(super) fn clean(text: &str) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// The text in lines of at most `limit` cells, cleaned. An empty text is one empty line.
pub(super) fn wrap(text: &str, limit: usize) -> Vec<String> {
    wrap_behind(text, limit, limit)
}

/// The same, where the first line has another limit.
pub(super) fn wrap_behind(text: &str, first: usize, others: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut used = 0;
        for word in clean(paragraph).split(' ').filter(|word| !word.is_empty()) {
            let wide = width(word);
            let mut limit = if lines.is_empty() { first } else { others }.max(2);
            if used > 0 && used + 1 + wide > limit {
                lines.push(std::mem::take(&mut line));
                used = 0;
                limit = others.max(2);
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            for character in word.chars() {
                if used + cells(character) > limit {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                    limit = others.max(2);
                }
                line.push(character);
                used += cells(character);
            }
        }
        lines.push(line);
    }
    lines
}

/// A line of code in pieces of at most `limit` cells, its spaces kept. It is broken behind a space if
/// there is one in the second half of a piece.
pub(super) fn fold(line: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(2);
    let mut pieces = Vec::new();
    let (mut piece, mut used) = (String::new(), 0);
    for character in clean(&line.replace('\t', "    ")).chars() {
        if used + cells(character) > limit {
            let space =
                piece.rfind(' ').map(|at| at + 1).filter(|at| width(&piece[..*at]) * 2 > limit);
            let rest = piece.split_off(space.unwrap_or(piece.len()));
            pieces.push(std::mem::replace(&mut piece, rest));
            used = width(&piece);
        }
        piece.push(character);
        used += cells(character);
    }
    pieces.push(piece);
    pieces
}

/// The text with spaces behind it (before it, if `right`) so that it takes `cells`.
pub(super) fn pad(text: &str, cells: usize, right: bool) -> String {
    let spaces = " ".repeat(cells.saturating_sub(width(text)));
    if right { format!("{spaces}{text}") } else { format!("{text}{spaces}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangul_syllable_is_two_cells_wide_and_a_combining_mark_none() {
        assert_eq!(width("ab"), 2);
        assert_eq!(width("브로커 1"), 8);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(pad("유실", 6, false), "유실  ");
        assert_eq!(pad("유실", 6, true), "  유실");
    }

    #[test]
    fn lines_are_broken_between_words_by_what_they_take_on_the_screen() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("프로듀서가 결제를 보냅니다", 17), ["프로듀서가 결제를", "보냅니다"]);
        assert_eq!(wrap("a\n\nb", 10), ["a", "", "b"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap_behind("a b c d e f", 3, 5), ["a b", "c d e", "f"]);
    }

    #[test]
    fn no_line_is_wider_than_its_limit_at_any_limit() {
        let text = "프로듀서는 InitProducerId 요청을 보내고 INVALID_PRODUCER_EPOCH 응답을 받습니다";
        for limit in 2..90 {
            let lines = wrap(text, limit);
            assert!(lines.iter().all(|line| width(line) <= limit), "{limit}: {lines:?}");
            let kept: String = lines.concat().split(' ').collect();
            assert_eq!(kept, text.split(' ').collect::<String>(), "{limit}");
        }
    }

    #[test]
    fn code_keeps_its_spaces_where_it_is_broken() {
        assert_eq!(fold("  a  b\tc", 5), ["  a  ", "b    ", "c"]);
        assert_eq!(fold("key = value  # why", 12), ["key = value ", " # why"]);
        assert_eq!(fold("key = \"가나다라마\"", 12), ["key = \"가나", "다라마\""]);
        assert_eq!(fold("", 5), [""]);
    }

    #[test]
    fn what_steers_a_terminal_is_made_visible() {
        assert_eq!(clean("a\u{1b}[31mb\u{7}\u{202e}"), "a\u{fffd}[31mb\u{fffd}\u{fffd}");
        assert_eq!(wrap("a\rb\tc", 10), ["a\u{fffd}b\u{fffd}c"]);
    }
}
