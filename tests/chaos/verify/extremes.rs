//! The smoke test's results: the least, the greatest and the sum of each key's numbers.

use std::collections::BTreeMap;

use super::Tally;

/// Numbers of the smoke workload are near this, so that a sum tells how many are missing.
pub(crate) const STEP: i64 = 1_000_000_000;

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
    use super::super::tally::of;
    use super::*;

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
