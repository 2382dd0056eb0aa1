//! What a word count must have come to. The same functions judge every run, those that are meant
//! to fail too.

use std::collections::BTreeMap;
use std::fmt;

use crate::app::{App, PARTITIONS};
use crate::kafka::{Read, read_committed};
use crate::stores::{Content, fold, read_stores};

/// So many differences are shown.
const SHOWN: usize = 10;

/// The count of each word.
pub type Counts = BTreeMap<String, i64>;

/// Where a word's count is not what it must be. A word that is missing counts 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The word.
    pub word: String,
    /// How often it was written.
    pub expected: i64,
    /// How often it was counted.
    pub actual: i64,
}

/// All differences of two counts.
pub fn differences(expected: &Counts, actual: &Counts) -> Vec<Difference> {
    let count = |of: &Counts, word: &str| of.get(word).copied().unwrap_or(0);
    let words: std::collections::BTreeSet<&String> = expected.keys().chain(actual.keys()).collect();
    words
        .into_iter()
        .map(|word| Difference {
            word: word.clone(),
            expected: count(expected, word),
            actual: count(actual, word),
        })
        .filter(|d| d.expected != d.actual)
        .collect()
}

/// Differences, the first of them in words.
pub struct Shown<'a>(pub &'a [Difference]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} words differ:", self.0.len())?;
        for d in self.0.iter().take(SHOWN) {
            write!(f, " {}: {} instead of {};", d.word, d.actual, d.expected)?;
        }
        Ok(())
    }
}

/// The words of lines, counted.
pub fn count_words(lines: &[String]) -> Counts {
    let mut counts = Counts::new();
    for word in lines.iter().flat_map(|line| line.split_whitespace()) {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("a word is text")
}

fn number(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(bytes.try_into().expect("a count has 8 bytes"))
}

/// The last count of each word in records that come in order.
pub fn last_counts(records: &[Read]) -> Counts {
    let pairs = records.iter().map(|r| {
        let (Some(key), Some(value)) = (&r.key, &r.value) else { panic!("a null in {r:?}") };
        (text(key), number(value))
    });
    pairs.collect()
}

fn content_counts(content: &Content) -> Counts {
    content.iter().map(|(key, (_, value))| (text(key), number(value))).collect()
}

/// Output records whose count is not above the one of that word before it: an update was lost, or
/// made twice.
pub fn steps_back(output: &[Read]) -> Vec<String> {
    let mut last: BTreeMap<(i32, &[u8]), i64> = BTreeMap::new();
    let mut found = Vec::new();
    for r in output {
        let (Some(key), Some(value)) = (&r.key, &r.value) else { continue };
        let count = number(value);
        if let Some(before) = last.insert((r.partition, key), count)
            && count <= before
        {
            let (word, at) = (text(key), r.offset);
            found.push(format!("{word}: {count} after {before} at {}@{at}", r.partition));
        }
    }
    found
}

/// Asserts that output, changelog and stores of a stopped word count are exactly these counts.
///
/// `slots` are those whose state directories are looked at. Each store must be what the changelog
/// says up to the store's checkpoint; of each partition the furthest store must be complete.
pub fn assert_exact(app: &App, expected: &Counts, slots: usize) {
    let output = read_committed(&app.output);
    let found = differences(expected, &last_counts(&output));
    assert!(found.is_empty(), "{}: output: {}", app.id, Shown(&found));
    let back = steps_back(&output);
    assert!(
        back.is_empty(),
        "{}: counts do not grow: {:?}",
        app.id,
        &back[..back.len().min(SHOWN)]
    );

    let changelog = read_committed(&app.changelog("counts"));
    let found = differences(expected, &last_counts(&changelog));
    assert!(found.is_empty(), "{}: changelog: {}", app.id, Shown(&found));

    let mut furthest: BTreeMap<i32, (i64, Counts)> = BTreeMap::new();
    for slot in 0..slots {
        for store in read_stores(&app.state_dir(slot), &app.id, "counts") {
            let (partition, checkpoint) = (store.partition, store.checkpoint);
            let end = changelog.iter().filter(|r| r.partition == partition).map(|r| r.offset).max();
            // A commit's marker lies behind its last record, and may be passed with it.
            assert!(
                checkpoint <= end.map_or(0, |e| e + 2),
                "{}: slot {slot}: checkpoint {checkpoint} of partition {partition} past {end:?}",
                app.id
            );
            let should = fold(&changelog, partition, checkpoint);
            assert!(
                store.content == should,
                "{}: slot {slot}: the store of partition {partition} is not its changelog up to \
                 {checkpoint}: {}",
                app.id,
                Shown(&differences(&content_counts(&should), &content_counts(&store.content)))
            );
            let counts = content_counts(&store.content);
            let best = furthest.entry(partition).or_insert((-1, Counts::new()));
            if checkpoint > best.0 {
                *best = (checkpoint, counts);
            }
        }
    }
    assert_eq!(furthest.len(), PARTITIONS as usize, "every partition has a store");
    let words: usize = furthest.values().map(|(_, counts)| counts.len()).sum();
    let stored: Counts = furthest.into_values().flat_map(|(_, counts)| counts).collect();
    assert_eq!(words, stored.len(), "a word belongs to one partition");
    let found = differences(expected, &stored);
    assert!(found.is_empty(), "{}: stores: {}", app.id, Shown(&found));
    println!(
        "{}: exact: {} words in {} output and {} changelog records",
        app.id,
        expected.values().sum::<i64>(),
        output.len(),
        changelog.len()
    );
}
