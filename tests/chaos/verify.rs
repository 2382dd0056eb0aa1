//! What came out against what went in, record by record and key by key.
//!
//! Pure: knows nothing of Kafka, and takes what it is shown. Invariants: nothing that was shown is
//! forgotten, and a tally is clean only if every expected record came exactly once and in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

/// So many findings are told in words.
const EXAMPLES: usize = 20;

/// Numbers of the smoke workload are near this, so that a sum tells how many are missing.
pub(crate) const STEP: i64 = 1_000_000_000;

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

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(what());
        }
    }

    fn settle(&mut self, lost: u64, duplicated: u64) {
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

#[derive(Default)]
struct Seen {
    /// How often each number came.
    times: Vec<u8>,
    /// Numbers past the last one that was expected.
    beyond: u64,
    /// One more than the greatest so far.
    next: u64,
}

/// The numbers of a key in the order of its input, which may lack some: a broker may lose what a
/// feeder was told it had, and that is no fault of who reads the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    of: HashMap<u64, Vec<u64>>,
    next: u64,
}

impl Turns {
    /// Takes the next number in, and tells its turn.
    pub(crate) fn add(&mut self, number: u64) -> u64 {
        let turn = self.next;
        self.of.entry(number).or_default().push(turn);
        self.next += 1;
        turn
    }

    /// Takes the next number in, and tells how often it was there before.
    pub(crate) fn again(&mut self, number: u64) -> usize {
        self.add(number);
        self.of[&number].len() - 1
    }

    /// The turn of a number that comes for the so manieth time. One that comes too often has that of
    /// its last time.
    pub(crate) fn turn(&self, number: u64, time: usize) -> Option<u64> {
        let turns = self.of.get(&number)?;
        turns.get(time).or(turns.last()).copied()
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> u64 {
        self.next
    }

    /// The pairs that numbers make which were written in order: each number that has a next one, once for
    /// each of the next ones.
    pub(crate) fn pairs(&self) -> Self {
        let times = |number| self.of.get(&number).map_or(0, Vec::len);
        let mut numbers: Vec<u64> = self.of.keys().copied().collect();
        numbers.sort_unstable();
        let mut pairs = Self::default();
        for number in numbers {
            let next = number.checked_add(1).map_or(0, times);
            for _ in 0..times(number) * next {
                pairs.add(number);
            }
        }
        pairs
    }
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

/// The least, the greatest and the sum of the numbers of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extremes {
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) sum: i64,
}

impl Extremes {
    /// Takes a number in.
    pub(crate) fn fold(old: Option<Self>, n: i64) -> Self {
        let old = old.unwrap_or(Self { min: n, max: n, sum: 0 });
        Self { min: old.min.min(n), max: old.max.max(n), sum: old.sum + n }
    }

    /// One of the three, by name.
    pub(crate) fn of(self, name: &str) -> i64 {
        match name {
            "min" => self.min,
            "max" => self.max,
            _ => self.sum,
        }
    }
}

/// Each key has results `min-<key>`, `max-<key>` and `sum-<key>`. Only the last one counts, but on
/// the way there a minimum never grows, a maximum never falls, and a sum always grows.
pub(crate) struct Results {
    expected: BTreeMap<String, Extremes>,
    last: BTreeMap<String, i64>,
    tally: Tally,
}

impl Results {
    /// What each key must come to.
    pub(crate) fn new(expected: BTreeMap<String, Extremes>) -> Self {
        Self { expected, last: BTreeMap::new(), tally: Tally::default() }
    }

    /// Takes the next result.
    pub(crate) fn see(&mut self, key: &str, value: i64, at: (i32, i64)) {
        self.tally.records += 1;
        let Some(before) = self.last.insert(key.to_owned(), value) else { return };
        let back = match &key[..3.min(key.len())] {
            "min" => value > before,
            "max" => value < before,
            _ => value <= before,
        };
        if back {
            self.tally.reordered += 1;
            self.tally.tell(|| format!("{key}: {value} after {before}, at {}@{}", at.0, at.1));
        }
    }

    /// All results were seen.
    pub(crate) fn finish(mut self) -> Tally {
        for (key, extremes) in &self.expected {
            for name in ["min", "max", "sum"] {
                let (full, expected) = (format!("{name}-{key}"), extremes.of(name));
                let actual = self.last.remove(&full);
                if actual == Some(expected) {
                    continue;
                }
                self.tally.tell(|| format!("{full}: {actual:?} instead of {expected}"));
                if name == "sum" {
                    let (lost, duplicated) = off_by(expected - actual.unwrap_or(0));
                    self.tally.settle(lost, duplicated);
                } else {
                    self.tally.wrong += 1;
                }
            }
        }
        for (key, value) in &self.last {
            self.tally.wrong += 1;
            self.tally.tell(|| format!("{key}: {value} of a key that was never written"));
        }
        self.tally
    }
}

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

/// How many numbers a sum lacks, or has too often. As many of both are told as one of each.
fn off_by(missing: i64) -> (u64, u64) {
    let numbers = (missing as f64 / STEP as f64).round() as i64;
    match numbers {
        0 => (1, 1),
        1.. => (numbers as u64, 0),
        _ => (0, numbers.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_those_of_the_input_whatever_it_lacks_or_repeats() {
        let mut turns = Turns::default();
        let input = [1, 2, 2, 4];
        assert!(input.into_iter().map(|n| turns.add(n)).eq(0..4));
        let mut seen = Turns::default();
        let turn = |seen: &mut Turns, n| turns.turn(n, seen.again(n));
        assert!(input.into_iter().map(|n| turn(&mut seen, n)).eq((0..4).map(Some)));
        assert_eq!(turn(&mut seen, 4), Some(3), "once more is a duplicate of that turn");
        assert_eq!(turn(&mut seen, 0), None, "never there");
    }

    #[test]
    fn a_number_is_a_pair_with_the_next_one_if_that_is_there() {
        let mut turns = Turns::default();
        for number in [0, 1, 2, 4, 5, 5] {
            turns.add(number);
        }
        let pairs = turns.pairs();
        assert_eq!(pairs.count(), 4);
        let turn = |number, time| pairs.turn(number, time);
        assert_eq!([turn(0, 0), turn(1, 0), turn(2, 0)], [Some(0), Some(1), None]);
        assert_eq!([turn(4, 0), turn(4, 1), turn(5, 0)], [Some(2), Some(3), None]);
    }

    fn numbers(expected: &[(&str, u64)], came: &[(&str, u64)]) -> Tally {
        let mut all = Numbers::new(expected.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect());
        for (key, number) in came {
            all.see(key, *number, (0, 0));
        }
        all.finish()
    }

    /// Lost, duplicated, reordered and wrong.
    fn of(tally: &Tally) -> (u64, u64, u64, u64) {
        (tally.lost, tally.duplicated, tally.reordered, tally.wrong)
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

    fn results(numbers: &[i64], came: &[(&str, i64)]) -> Tally {
        let expected = numbers.iter().fold(None, |old, n| Some(Extremes::fold(old, *n))).unwrap();
        let mut all = Results::new([("k".to_owned(), expected)].into());
        for (key, value) in came {
            all.see(key, *value, (0, 0));
        }
        all.finish()
    }

    const FED: [i64; 3] = [STEP, STEP + 1, STEP - 2];
    const MIN: (&str, i64) = ("min-k", STEP - 2);
    const MAX: (&str, i64) = ("max-k", STEP + 1);

    #[test]
    fn the_last_results_count_and_what_leads_to_them_may_leave_steps_out() {
        let came = [("sum-k", STEP), ("min-k", STEP), MIN, MAX, ("sum-k", 3 * STEP - 1)];
        assert!(results(&FED, &came).is_clean());
    }

    #[test]
    fn a_sum_tells_how_many_numbers_are_lost_or_repeated() {
        let sum = |sum| of(&results(&FED, &[MIN, MAX, ("sum-k", sum)]));
        assert_eq!(sum(2 * STEP - 1), (1, 0, 0, 0));
        assert_eq!(sum(5 * STEP + 1), (0, 2, 0, 0));
        // One is there twice, another one not at all.
        assert_eq!(sum(3 * STEP + 2), (1, 1, 0, 0));
        assert_eq!(of(&results(&FED, &[MIN, MAX])), (3, 0, 0, 0));
    }

    #[test]
    fn results_that_step_back_or_stand_still_or_end_elsewhere_are_found() {
        let sum = ("sum-k", 3 * STEP - 1);
        assert_eq!(of(&results(&FED, &[MIN, MAX, sum, sum])), (0, 0, 1, 0));
        assert_eq!(of(&results(&FED, &[MIN, ("min-k", STEP), MIN, MAX, sum])), (0, 0, 1, 0));
        assert_eq!(of(&results(&FED, &[("min-k", STEP), MAX, sum])), (0, 0, 0, 1));
        assert_eq!(of(&results(&FED, &[MIN, MAX, sum, ("min-x", 1)])), (0, 0, 0, 1));
    }
}
