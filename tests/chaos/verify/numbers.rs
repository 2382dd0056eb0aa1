//! Numbers that must come once each, and in order.

use std::collections::BTreeMap;

use super::Tally;

#[derive(Default)]
struct Seen {
    /// How often each number came.
    times: Vec<u8>,
    /// Numbers past the last one that was expected.
    beyond: u64,
    /// One more than the greatest so far.
    next: u64,
}

/// Each key has the numbers 0, 1, 2 .. up to its count; each must come once, and in order.
pub(crate) struct Numbers {
    expected: BTreeMap<String, u64>,
    seen: BTreeMap<String, Seen>,
    tally: Tally,
}

impl Numbers {
    /// How many numbers each key has.
    pub(crate) fn new(expected: BTreeMap<String, u64>) -> Self {
        Self { expected, seen: BTreeMap::new(), tally: Tally::default() }
    }

    /// Takes the next output record of a key. `at` tells where it is.
    pub(crate) fn see(&mut self, key: &str, number: u64, at: (i32, i64)) {
        self.tally.records += 1;
        let count = self.expected.get(key).copied().unwrap_or(0);
        if !self.seen.contains_key(key) {
            let fresh = Seen { times: vec![0; count as usize], ..Seen::default() };
            self.seen.insert(key.to_owned(), fresh);
        }
        let Some(seen) = self.seen.get_mut(key) else { return };
        let what = match seen.times.get_mut(number as usize) {
            None => {
                seen.beyond += 1;
                "was never to come"
            }
            Some(times) => {
                let again = *times > 0;
                *times = times.saturating_add(1);
                let late = number < seen.next;
                seen.next = seen.next.max(number + 1);
                match (again, late) {
                    (true, _) => "came again",
                    (false, true) => {
                        self.tally.reordered += 1;
                        "came late"
                    }
                    (false, false) => return,
                }
            }
        };
        self.tally.tell(|| format!("{key}: {number} {what}, at {}@{}", at.0, at.1));
    }

    /// All output was seen.
    pub(crate) fn finish(mut self) -> Tally {
        for (key, count) in &self.expected {
            if !self.seen.contains_key(key) {
                self.tally.settle(*count, 0);
                self.tally.tell(|| format!("{key}: nothing came of {count}"));
            }
        }
        for (key, seen) in &self.seen {
            let missing: Vec<usize> =
                (0..seen.times.len()).filter(|n| seen.times[*n] == 0).collect();
            let again: u64 = seen.times.iter().map(|t| u64::from(t.saturating_sub(1))).sum();
            self.tally.settle(missing.len() as u64, again + seen.beyond);
            if let Some(first) = missing.first() {
                let all = missing.len();
                self.tally.tell(|| format!("{key}: {first} never came, nor {} others", all - 1));
            }
        }
        self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::of;
    use super::*;

    fn numbers(expected: &[(&str, u64)], came: &[(&str, u64)]) -> Tally {
        let mut all = Numbers::new(expected.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect());
        for (key, number) in came {
            all.see(key, *number, (0, 0));
        }
        all.finish()
    }

    #[test]
    fn all_numbers_once_and_in_order_are_clean_whatever_other_keys_do() {
        let tally =
            numbers(&[("a", 3), ("b", 2)], &[("a", 0), ("b", 0), ("a", 1), ("a", 2), ("b", 1)]);
        assert!(tally.is_clean() && tally.records == 5, "{tally:?}");
    }

    #[test]
    fn a_lost_record_is_lost_in_the_middle_at_the_end_and_with_its_whole_key() {
        assert_eq!(of(&numbers(&[("a", 3)], &[("a", 0), ("a", 2)])), (1, 0, 0, 0));
        assert_eq!(of(&numbers(&[("a", 3)], &[("a", 0), ("a", 1)])), (1, 0, 0, 0));
        let tally = numbers(&[("a", 2), ("b", 3)], &[("a", 0), ("a", 1)]);
        assert_eq!((of(&tally), tally.keys_lost), ((3, 0, 0, 0), 1));
    }

    #[test]
    fn a_repeated_record_is_a_duplicate_and_so_is_one_that_nobody_wrote() {
        let tally = numbers(&[("a", 2)], &[("a", 0), ("a", 1), ("a", 0), ("a", 1)]);
        assert_eq!((of(&tally), tally.keys_duplicated), ((0, 2, 0, 0), 1));
        assert_eq!(of(&numbers(&[("a", 1)], &[("a", 0), ("a", 1)])), (0, 1, 0, 0));
        assert_eq!(of(&numbers(&[], &[("a", 0)])), (0, 1, 0, 0));
    }

    #[test]
    fn a_record_that_comes_late_is_reordered_and_not_lost() {
        let tally = numbers(&[("a", 3)], &[("a", 0), ("a", 2), ("a", 1)]);
        assert_eq!(of(&tally), (0, 0, 1, 0));
        assert!(!tally.is_clean());
    }

    #[test]
    fn one_lost_and_one_repeated_do_not_cancel_out() {
        assert_eq!(of(&numbers(&[("a", 2)], &[("a", 0), ("a", 0)])), (1, 1, 0, 0));
    }
}
