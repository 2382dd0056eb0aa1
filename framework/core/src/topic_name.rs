//! Which names a topic may have, as Kafka's brokers check them (`common.internals.Topic`).
//!
//! Knows no topology. An application's id begins such names, so the same holds for it.

/// The longest name of a topic, in characters.
pub const MAX_LEN: usize = 249;

/// Why a name is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// It has no characters.
    #[error("it is empty")]
    Empty,
    /// It is `.` or `..`, which are directories to a broker.
    #[error("it is `.` or `..`")]
    Dots,
    /// It is too long.
    #[error("it has {length} characters, and brokers take up to {MAX_LEN}")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// A character that no name has.
    #[error(
        "it has the character {character:?}, and names consist of a-z, A-Z, 0-9, `.`, `_` and `-`"
    )]
    Character {
        /// The first such character.
        character: char,
    },
}

/// Checks a name.
///
/// ```
/// use oncestream_core::topic_name::{NameFault, check};
/// assert_eq!(check("orders.v1"), Ok(()));
/// assert_eq!(check("my orders"), Err(NameFault::Character { character: ' ' }));
/// ```
///
/// # Errors
/// What is wrong with it.
pub fn check(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if matches!(name, "." | "..") {
        return Err(NameFault::Dots);
    }
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(character) = name.chars().find(|c| !is_legal(*c)) {
        return Err(NameFault::Character { character });
    }
    if name.len() > MAX_LEN { Err(NameFault::TooLong { length: name.len() }) } else { Ok(()) }
}

/// What two names have in common that brokers refuse to have side by side: their metrics would
/// have one name.
pub(crate) fn metric_name(name: &str) -> String {
    name.replace('.', "_")
}

/// A name for a message: one that a record chose may be of any length and have any characters.
pub(crate) fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(MAX_LEN + 1).flat_map(char::escape_debug).collect();
    if name.chars().nth(MAX_LEN + 1).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kafka() {
        let longest = "t".repeat(MAX_LEN);
        for name in ["t", "valid", "TOPIC", "nAmEs", "ar6", "VaL1d", "_0-9_.", "...", &longest] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let long = "t".repeat(MAX_LEN + 1);
        assert_eq!(check(&long), Err(NameFault::TooLong { length: 250 }));
        assert_eq!(check(""), Err(NameFault::Empty));
        assert_eq!(check("."), Err(NameFault::Dots));
        assert_eq!(check(".."), Err(NameFault::Dots));
        for (name, character) in
            [("foo bar", ' '), ("a/b", '/'), ("a,b", ','), ("a\0b", '\0'), ("ä", 'ä'), ("a:", ':')]
        {
            assert_eq!(check(name), Err(NameFault::Character { character }), "{name}");
        }
    }

    #[test]
    fn any_name_can_be_shown() {
        assert_eq!(shown("orders"), "orders");
        assert_eq!(shown("a\0b\n"), r"a\0b\n");
        assert!(shown(&"x".repeat(1 << 20)).chars().count() <= MAX_LEN + 2);
    }
}
