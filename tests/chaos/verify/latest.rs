//! Results of which the last one of each key counts.

use std::collections::{BTreeMap, BTreeSet};

use super::Tally;

/// Each key has results `<number>:<other>`, or none. Only the last one counts, but on the way there the number
/// never falls.
pub(crate) struct Latest {
    expected: BTreeMap<String, String>,
    /// Of each key the greatest number, and the last result.
    last: BTreeMap<String, (i64, Option<String>)>,
    tally: Tally,
}

impl Latest {
    /// What each key must come to; a key that is not there must come to none.
    pub(crate) fn new(expected: BTreeMap<String, String>) -> Self {
        Self { expected, last: BTreeMap::new(), tally: Tally::default() }
    }

    /// Takes the next result.
    pub(crate) fn see(&mut self, key: &str, result: Option<String>, at: (i32, i64)) {
        self.tally.records += 1;
        let number: Option<i64> =
            result.as_ref().and_then(|result| result.split_once(':')?.0.parse().ok());
        let (greatest, last) = self.last.entry(key.to_owned()).or_insert((-1, None));
        if let Some(number) = number {
            if number < *greatest {
                self.tally.reordered += 1;
                let before = *greatest;
                self.tally.tell(|| format!("{key}: {number} after {before}, at {}@{}", at.0, at.1));
            }
            *greatest = number.max(*greatest);
        }
        *last = result;
    }

    /// All results were seen.
    pub(crate) fn finish(mut self) -> Tally {
        let nothing = (-1, None);
        let keys: BTreeSet<&String> = self.expected.keys().chain(self.last.keys()).collect();
        for key in keys {
            let (should, is) = (self.expected.get(key), &self.last.get(key).unwrap_or(&nothing).1);
            if should != is.as_ref() {
                self.tally.wrong += 1;
                self.tally.tell(|| format!("{key}: {is:?} instead of {should:?}"));
            }
        }
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::of;
    use super::*;

    fn latest(expected: Option<&str>, came: &[Option<&str>]) -> Tally {
        let expected = expected.map(|result| ("k".to_owned(), result.to_owned()));
        let mut all = Latest::new(expected.into_iter().collect());
        for result in came {
            all.see("k", result.map(str::to_owned), (0, 0));
        }
        all.finish()
    }

    #[test]
    fn the_last_result_of_a_join_counts_and_no_older_number_comes_after_a_newer_one() {
        let come = |expected, came: &[Option<&str>]| of(&latest(expected, came));
        let right = [None, Some("1:7"), Some("1:8"), None, Some("2:4")];
        assert_eq!(come(Some("2:4"), &right), (0, 0, 0, 0));
        assert_eq!(come(None, &[]), (0, 0, 0, 0));
        assert_eq!(come(Some("2:4"), &[Some("2:3")]), (0, 0, 0, 1));
        assert_eq!(come(Some("2:4"), &[Some("2:4"), None]), (0, 0, 0, 1));
        assert_eq!(come(Some("2:4"), &[]), (0, 0, 0, 1));
        assert_eq!(come(None, &[Some("2:4")]), (0, 0, 0, 1));
        assert_eq!(come(Some("2:4"), &[Some("2:3"), Some("1:9"), Some("2:4")]), (0, 0, 1, 0));
    }
}
