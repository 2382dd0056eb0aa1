//! What is wrong with an output: counted, and the first findings in words.

use serde_json::{Value, json};

/// So many findings are told in words.
const EXAMPLES: usize = 20;

/// What was found wrong with an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records that were looked at.
    pub(crate) records: u64,
    /// Records that must be there and are not.
    pub(crate) lost: u64,
    /// Records that are there once more than they must be.
    pub(crate) duplicated: u64,
    /// Records that came after one that they must come before.
    pub(crate) reordered: u64,
    /// Results that are wrong in a way that is neither.
    pub(crate) wrong: u64,
    /// Keys with a lost record.
    pub(crate) keys_lost: u64,
    /// Keys with a duplicated record.
    pub(crate) keys_duplicated: u64,
    /// The first findings.
    pub(crate) examples: Vec<String>,
}

impl Tally {
    /// Nothing is wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.wrong == 0
    }

    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(what());
        }
    }

    pub(super) fn settle(&mut self, lost: u64, duplicated: u64) {
        self.lost += lost;
        self.duplicated += duplicated;
        self.keys_lost += u64::from(lost > 0);
        self.keys_duplicated += u64::from(duplicated > 0);
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "records": self.records, "lost": self.lost, "duplicated": self.duplicated,
            "reordered": self.reordered, "wrong": self.wrong, "keys_lost": self.keys_lost,
            "keys_duplicated": self.keys_duplicated, "examples": self.examples,
        })
    }
}

/// Lost, duplicated, reordered and wrong.
#[cfg(test)]
pub(super) fn of(tally: &Tally) -> (u64, u64, u64, u64) {
    (tally.lost, tally.duplicated, tally.reordered, tally.wrong)
}
