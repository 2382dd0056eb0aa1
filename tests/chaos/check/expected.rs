//! What must come out of an application, and be in its stores, from what is in its input topics.

use std::collections::BTreeMap;

use oncestream_tests::app::PARTITIONS;
use oncestream_tests::check::Counts;
use oncestream_tests::kafka::{Isolation, Read, for_each};

use super::stores::{ODD, WINDOWS};
use super::{Checked, number, text};
use crate::instance::{foreign_key, is_even_key, is_row, number_and_time_ms};
use crate::verify::{Extremes, Latest, Numbers, Results, Tally, Turns};
use crate::workload::Workload;

/// How long the windows of `word_count` are.
const WINDOW_MS: i64 = 10_000;

/// What must come out, from what is in the input topics.
pub(super) enum Expected {
    /// Of each key these numbers.
    Passed(BTreeMap<String, Turns>),
    Counted(BTreeMap<String, u64>),
    Folded(BTreeMap<String, Extremes>),
    /// Of each key the pairs of its numbers; and each number by its key and time.
    Paired(BTreeMap<String, Turns>, Counts),
    /// Of each key its row: the last of its numbers that are one.
    Joined(Counts),
}

impl Expected {
    pub(super) fn read(workload: &Workload, checked: &mut Checked) -> Self {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut extremes: BTreeMap<String, Extremes> = BTreeMap::new();
        let mut passed: BTreeMap<String, Turns> = BTreeMap::new();
        let (mut by_time, mut rows) = (Counts::new(), Counts::new());
        let mut out_of_turn = 0;
        let mut each = |r: Read| {
            checked.records_in += 1;
            let (key, value) = (text(r.key.as_ref()), r.value.as_ref());
            match workload.job {
                "word_count" => {
                    let start = r.timestamp_ms / WINDOW_MS * WINDOW_MS;
                    for word in text(value).split_whitespace() {
                        *counts.entry(word.to_owned()).or_default() += 1;
                        *counts.entry(format!("{word}@{start}")).or_default() += 1;
                    }
                }
                "smoke" => {
                    let old = extremes.get(&key).copied();
                    extremes.insert(key, Extremes::fold(old, number(value)));
                }
                "pairs" => {
                    let (number, _) = number_and_time_ms(&text(value));
                    by_time.insert(format!("{key}@{}", r.timestamp_ms), number);
                    let number = number.try_into().unwrap_or(u64::MAX);
                    let turn = passed.entry(key).or_default().add(number);
                    out_of_turn += u64::from(number != turn);
                }
                _ => {
                    let value = text(value);
                    let number = value.parse().unwrap_or(u64::MAX);
                    if workload.job == "foreign" && is_row(&key, &value) {
                        rows.insert(key.clone(), number.try_into().unwrap_or(-1));
                    }
                    let turn = passed.entry(key).or_default().add(number);
                    out_of_turn += u64::from(number != turn);
                }
            }
        };
        for (topic, count) in workload.inputs.names().iter().zip(workload.inputs.counts()) {
            for_each(topic, Isolation::Committed, &vec![None; count as usize], &mut each);
        }
        if out_of_turn > 0 {
            checked.problems.push(format!("{out_of_turn} numbers are out of turn in the input"));
        }
        match workload.job {
            "word_count" => Self::Counted(counts),
            "smoke" => Self::Folded(extremes),
            "pairs" => {
                let pairs = passed.into_iter().map(|(key, numbers)| (key, numbers.pairs()));
                Self::Paired(pairs.collect(), by_time)
            }
            "foreign" => Self::Joined(rows),
            _ => Self::Passed(passed),
        }
    }

    pub(super) fn verify(&self, output: &str) -> Tally {
        let all = [None; PARTITIONS as usize];
        let at = |r: &Read| (r.partition, r.offset);
        match self {
            Self::Passed(passed) | Self::Paired(passed, _) => {
                let counts = passed.iter().map(|(key, turns)| (key.clone(), turns.count()));
                let mut numbers = Numbers::new(counts.collect());
                let mut seen: BTreeMap<String, Turns> = BTreeMap::new();
                for_each(output, Isolation::Committed, &all, |r| {
                    let key = text(r.key.as_ref());
                    let number = text(r.value.as_ref()).parse().unwrap_or(u64::MAX);
                    let time = seen.entry(key.clone()).or_default().again(number);
                    let turn = passed.get(&key).and_then(|turns| turns.turn(number, time));
                    numbers.see(&key, turn.unwrap_or(u64::MAX - 1), at(&r));
                });
                numbers.finish()
            }
            Self::Counted(counts) => {
                let mut numbers = Numbers::new(counts.clone());
                for_each(output, Isolation::Committed, &all, |r| {
                    // Counts begin with 1; a 0 or less is as wrong as one that is too high.
                    let n = (number(r.value.as_ref()) - 1).try_into().unwrap_or(u64::MAX - 1);
                    numbers.see(&text(r.key.as_ref()), n, at(&r));
                });
                numbers.finish()
            }
            Self::Folded(extremes) => {
                let mut results = Results::new(extremes.clone());
                for_each(output, Isolation::Committed, &all, |r| {
                    results.see(&text(r.key.as_ref()), number(r.value.as_ref()), at(&r));
                });
                results.finish()
            }
            Self::Joined(rows) => {
                let named = |key: &str, number: i64| {
                    let other = rows.get(&foreign_key(key, &number.to_string()))?;
                    Some(format!("{number}:{other}"))
                };
                let even = rows.iter().filter(|(key, _)| is_even_key(key));
                let expected = even.filter_map(|(key, n)| Some((key.clone(), named(key, *n)?)));
                let mut results = Latest::new(expected.collect());
                for_each(output, Isolation::Committed, &all, |r| {
                    let result = r.value.as_ref().map(|value| text(Some(value)));
                    results.see(&text(r.key.as_ref()), result, at(&r));
                });
                results.finish()
            }
        }
    }

    /// What must be in a store in the end.
    pub(super) fn store(&self, name: &str) -> Counts {
        match self {
            Self::Passed(passed) => {
                passed.iter().map(|(key, turns)| (key.clone(), turns.count() as i64)).collect()
            }
            Self::Counted(counts) => {
                let is_of = |word: &str| word.contains('@') == (name == WINDOWS);
                let all = counts.iter().filter(|(word, _)| is_of(word));
                all.map(|(word, n)| (word.clone(), *n as i64)).collect()
            }
            Self::Folded(extremes) => {
                extremes.iter().map(|(key, e)| (key.clone(), e.of(name))).collect()
            }
            Self::Joined(rows) => {
                let all = rows.iter().filter(|(key, _)| is_even_key(key) == (name == "even"));
                all.map(|(key, n)| (key.clone(), *n)).collect()
            }
            Self::Paired(_, by_time) => {
                let is_of = |n: i64| (n % 2 != 0) == (name == ODD);
                let all = by_time.iter().filter(|(_, n)| is_of(**n));
                all.map(|(at, n)| (at.clone(), *n)).collect()
            }
        }
    }
}
