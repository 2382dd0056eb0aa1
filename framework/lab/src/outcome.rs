//! What came out of what was sent: held, lost, doubled.

use std::collections::BTreeMap;

use crate::Text;

/// What became of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Each is there once.
    Held,
    /// Some are missing.
    Lost,
    /// Some are there more than once.
    Doubled,
    /// Both.
    LostAndDoubled,
}

/// What a reader sees of the messages that were meant to be there once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What was tried.
    pub label: Text,
    /// How many messages were meant to be there.
    pub meant: usize,
    /// How many records the reader sees.
    pub seen: usize,
    /// The messages that are missing.
    pub lost: Vec<String>,
    /// The messages that are there more than once, each once.
    pub doubled: Vec<String>,
}

impl Outcome {
    /// Compares what was meant to be there, each once, with what a reader sees.
    pub(crate) fn compare(label: Text, meant: &[String], seen: &[String]) -> Self {
        let mut counts: BTreeMap<&str, usize> = meant.iter().map(|m| (m.as_str(), 0)).collect();
        for message in seen {
            *counts.entry(message).or_default() += 1;
        }
        let of = |wanted: fn(usize) -> bool| {
            let found = counts.iter().filter(|(_, count)| wanted(**count));
            found.map(|(message, _)| (*message).to_owned()).collect()
        };
        Self {
            label,
            meant: meant.len(),
            seen: seen.len(),
            lost: of(|count| count == 0),
            doubled: of(|count| count > 1),
        }
    }

    /// In one word.
    pub fn verdict(&self) -> Verdict {
        match (self.lost.is_empty(), self.doubled.is_empty()) {
            (true, true) => Verdict::Held,
            (false, true) => Verdict::Lost,
            (true, false) => Verdict::Doubled,
            (false, false) => Verdict::LostAndDoubled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::text;

    fn compare(meant: &[&str], seen: &[&str]) -> Outcome {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        Outcome::compare(text!("", ""), &owned(meant), &owned(seen))
    }

    #[test]
    fn what_is_missing_is_lost_and_what_is_there_twice_is_doubled() {
        assert_eq!(compare(&["a", "b"], &["b", "a"]).verdict(), Verdict::Held);
        assert_eq!(compare(&["a", "b"], &["b"]).lost, ["a"]);
        assert_eq!(compare(&["a", "b"], &["a", "b", "b", "b"]).doubled, ["b"]);
        assert_eq!(compare(&["a", "b"], &["b", "b"]).verdict(), Verdict::LostAndDoubled);
    }
}
