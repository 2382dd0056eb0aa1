//! The inputs and what every contender must make of them.
//!
//! Deterministic: the same sizes give the same bytes on every machine. While the input is
//! produced the right answer is worked out beside it, by plain code that shares nothing with any
//! contender. Knows no Kafka client: records go to a closure.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hasher;

use anyhow::Result;
use rustc_hash::FxHasher;

use crate::job::{LEFT, RIGHT};

/// Distinct keys of the input of `map` and `count`.
pub(crate) const KEYS: usize = 1_000_000;
/// Distinct words of the input of `wordcount`.
pub(crate) const VOCABULARY: usize = 100_000;
/// Words of a line.
pub(crate) const WORDS_PER_LINE: usize = 10;
/// Records of `map` and `count` in a minute of their times.
pub(crate) const RECORDS_PER_MINUTE: u64 = 200_000;
/// The unit of times of windows.
pub(crate) const MINUTE_MS: u64 = 60_000;
/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 100;
/// How many pairs a right record comes after its left one: 6 s.
const PAIRS_BETWEEN: usize = 10_000;
/// One record in so many updates the table of `tablejoin`.
const UPDATE_EVERY: u64 = 10;

/// What a correct output adds up to.
///
/// `digest` is a sum over all records (or over the last value of every key), so the order in
/// which partitions are read does not matter, while one wrong or missing byte does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records, or the sum of the counts.
    pub(crate) total: u64,
    /// The sum of the hashes of all (key, value) pairs, modulo 2^64.
    pub(crate) digest: u64,
}

impl Tally {
    /// Adds a pair of key and value that stands for `total` units.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8], total: u64) {
        let mut hasher = FxHasher::default();
        hasher.write(key);
        hasher.write_u8(0xff);
        hasher.write(value);
        self.total = self.total.wrapping_add(total);
        self.digest = self.digest.wrapping_add(hasher.finish());
    }

    fn add_counts(&mut self, name_of: impl Fn(usize) -> String, counts: &[u64]) {
        for (id, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add(name_of(id).as_bytes(), &count.to_be_bytes(), count);
        }
    }
}

/// Hands out the records of `map` and `count`: text keys of 8 bytes, zipf (s = 1) over
/// [`KEYS`], values of [`VALUE_BYTES`] lower-case letters, and times that begin at `begin_ms`, a full
/// minute, and rise by [`RECORDS_PER_MINUTE`]. Returns the answers to `map`, `count` and `windowcount`.
///
/// # Errors
/// Those of `emit`.
pub(crate) fn records(
    n: u64,
    begin_ms: u64,
    mut emit: impl FnMut(&[u8], &[u8], u64) -> Result<()>,
) -> Result<(Tally, Tally, Tally)> {
    let zipf = Zipf::new(KEYS);
    let mut random = Random(0x0005_eed0_fbec_0de5);
    let mut counts = vec![0_u64; KEYS];
    let (mut map, mut count) = (Tally::default(), Tally::default());
    let (mut in_window, mut windows) = (BTreeMap::<usize, u64>::new(), Tally::default());
    let mut value = [0_u8; VALUE_BYTES];
    for at in 0..n {
        let id = zipf.draw(&mut random);
        counts[id] += 1;
        *in_window.entry(id).or_default() += 1;
        random.fill(&mut value);
        let key = key_of(id);
        map.add(key.as_bytes(), &value.to_ascii_uppercase(), 1);
        emit(key.as_bytes(), &value, time_of(at, begin_ms))?;
        if (at + 1) % RECORDS_PER_MINUTE == 0 || at + 1 == n {
            let start = begin_ms + at / RECORDS_PER_MINUTE * MINUTE_MS;
            for (id, count) in std::mem::take(&mut in_window) {
                let windowed = [key_of(id).as_bytes(), &start.to_be_bytes()].concat();
                windows.add(&windowed, &count.to_be_bytes(), count);
            }
        }
    }
    count.add_counts(key_of, &counts);
    Ok((map, count, windows))
}

/// Hands out the records of `streamjoin`: of each key one marked [`LEFT`], and [`PAIRS_BETWEEN`] pairs later
/// one marked [`RIGHT`]; the last ones have none. Returns the answer.
///
/// # Errors
/// Those of `emit`.
pub(crate) fn pairs(
    n: u64,
    begin_ms: u64,
    mut emit: impl FnMut(&[u8], &[u8], u64) -> Result<()>,
) -> Result<Tally> {
    let mut random = Random(0x0005_eed0_f9a1_25e5);
    let (mut tally, mut waiting) = (Tally::default(), VecDeque::new());
    let mut lefts = 0;
    let mut value = [0_u8; VALUE_BYTES];
    for at in 0..n {
        random.fill(&mut value);
        let partner = if waiting.len() > PAIRS_BETWEEN { waiting.pop_front() } else { None };
        let key = if let Some((key, left)) = partner {
            value[0] = RIGHT;
            tally.add(String::as_bytes(&key), &halves(&left, &value), 1);
            key
        } else {
            value[0] = LEFT;
            let key = key_of(lefts);
            lefts += 1;
            waiting.push_back((key.clone(), value));
            key
        };
        emit(key.as_bytes(), &value, time_of(at, begin_ms))?;
    }
    Ok(tally)
}

/// Hands out the records of `tablejoin`: keys as those of [`records`]; one in [`UPDATE_EVERY`] is marked
/// [`RIGHT`], the others [`LEFT`]. Returns the answer.
///
/// # Errors
/// Those of `emit`.
pub(crate) fn updates(
    n: u64,
    begin_ms: u64,
    mut emit: impl FnMut(&[u8], &[u8], u64) -> Result<()>,
) -> Result<Tally> {
    let zipf = Zipf::new(KEYS);
    let mut random = Random(0x0005_eed0_f7ab_1e55);
    let (mut tally, mut table) = (Tally::default(), HashMap::new());
    let mut value = [0_u8; VALUE_BYTES];
    for at in 0..n {
        let id = zipf.draw(&mut random);
        random.fill(&mut value);
        let key = key_of(id);
        if at % UPDATE_EVERY == 0 {
            value[0] = RIGHT;
            table.insert(id, value);
        } else {
            value[0] = LEFT;
            if let Some(right) = table.get(&id) {
                tally.add(key.as_bytes(), &halves(&value, right), 1);
            }
        }
        emit(key.as_bytes(), &value, time_of(at, begin_ms))?;
    }
    Ok(tally)
}

fn halves(left: &[u8; VALUE_BYTES], right: &[u8; VALUE_BYTES]) -> Vec<u8> {
    [&left[..VALUE_BYTES / 2], &right[..VALUE_BYTES / 2]].concat()
}

/// The time of the record that is the `at`-th.
fn time_of(at: u64, begin_ms: u64) -> u64 {
    begin_ms + at * MINUTE_MS / RECORDS_PER_MINUTE
}

/// Hands out the lines of `wordcount`: [`WORDS_PER_LINE`] words, zipf (s = 1) over
/// [`VOCABULARY`]. Returns the answer.
///
/// # Errors
/// Those of `emit`.
pub(crate) fn lines(n: u64, mut emit: impl FnMut(&[u8]) -> Result<()>) -> Result<Tally> {
    let zipf = Zipf::new(VOCABULARY);
    let mut random = Random(0x0011_ae50_f7ec_0de5);
    let mut counts = vec![0_u64; VOCABULARY];
    let mut line = String::new();
    for _ in 0..n {
        line.clear();
        for _ in 0..WORDS_PER_LINE {
            let id = zipf.draw(&mut random);
            counts[id] += 1;
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word(id));
        }
        emit(line.as_bytes())?;
    }
    let mut tally = Tally::default();
    tally.add_counts(word, &counts);
    Ok(tally)
}

fn key_of(id: usize) -> String {
    format!("{id:08}")
}

/// A word of three syllables; 105^3 of them are distinct, more than the vocabulary.
fn word(id: usize) -> String {
    const CONSONANTS: &[u8] = b"bcdfghjklmnpqrstvwxyz";
    const VOWELS: &[u8] = b"aeiou";
    let mut rest = id;
    let mut word = String::with_capacity(6);
    for _ in 0..3 {
        word.push(char::from(CONSONANTS[rest % 21]));
        rest /= 21;
        word.push(char::from(VOWELS[rest % 5]));
        rest /= 5;
    }
    word
}

/// splitmix64: enough for a workload, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Small letters.
    fn fill(&mut self, value: &mut [u8]) {
        for chunk in value.chunks_mut(8) {
            for (byte, bits) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *byte = b'a' + bits % 26;
            }
        }
    }

    /// Evenly in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Ranks with probability proportional to 1 / (rank + 1), by the table of sums.
struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    fn new(n: usize) -> Self {
        let mut sum = 0.0;
        let sums = (1..=n)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Self { sums }
    }

    fn draw(&self, random: &mut Random) -> usize {
        let total = self.sums.last().copied().unwrap_or(0.0);
        let at = random.unit() * total;
        self.sums.partition_point(|&sum| sum <= at).min(self.sums.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn the_answers_are_those_of_a_plain_count() {
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        let mut upper = Tally::default();
        let (map, count, windows) = records(20_000, 60_000, |key, value, at_ms| {
            assert!((60_000..66_000).contains(&at_ms));
            assert_eq!((key.len(), value.len()), (8, VALUE_BYTES));
            *counts.entry(key.to_vec()).or_default() += 1;
            upper.add(key, &value.to_ascii_uppercase(), 1);
            Ok(())
        })
        .unwrap();
        let mut plain = Tally::default();
        for (key, count) in &counts {
            plain.add(key, &count.to_be_bytes(), *count);
        }
        assert_eq!((map, count), (upper, plain));
        assert_eq!((windows.total, windows.digest == count.digest), (count.total, false));
        assert_eq!(count.total, 20_000);
    }

    #[test]
    fn each_left_record_of_the_stream_join_gets_one_right_one_of_its_key_within_the_window() {
        let mut open = HashMap::new();
        let (mut joined, mut longest) = (Tally::default(), 0);
        let tally = pairs(50_000, 60_000, |key, value, at_ms| {
            if value[0] == LEFT {
                assert!(open.insert(key.to_vec(), (value.to_vec(), at_ms)).is_none());
                return Ok(());
            }
            let (left, since_ms) = open.remove(key).unwrap();
            longest = longest.max(at_ms - since_ms);
            joined.add(key, &[&left[..50], &value[..50]].concat(), 1);
            Ok(())
        })
        .unwrap();
        assert_eq!((tally, tally.total), (joined, (50_000 - PAIRS_BETWEEN as u64) / 2));
        assert!((5_000..MINUTE_MS).contains(&longest), "{longest}");
    }

    #[test]
    fn the_answer_to_the_table_join_is_that_of_a_plain_look_up() {
        let (mut table, mut joined) = (HashMap::new(), Tally::default());
        let tally = updates(20_000, 60_000, |key, value, _| {
            if value[0] == RIGHT {
                table.insert(key.to_vec(), value.to_vec());
            } else if let Some(right) = table.get(key) {
                joined.add(key, &[&value[..50], &right[..50]].concat(), 1);
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(tally, joined);
        assert!(tally.total > 5_000, "{}", tally.total);
    }

    #[test]
    fn a_digest_sees_one_changed_count() {
        let (mut right, mut wrong) = (Tally::default(), Tally::default());
        right.add_counts(key_of, &[2, 2]);
        wrong.add_counts(key_of, &[1, 3]);
        assert_eq!(right.total, wrong.total);
        assert_ne!(right.digest, wrong.digest);
    }

    #[test]
    fn words_are_distinct_and_lines_have_ten() {
        let words: HashSet<_> = (0..VOCABULARY).map(word).collect();
        assert_eq!(words.len(), VOCABULARY);
        let tally = lines(50, |line| {
            let line = std::str::from_utf8(line)?;
            assert_eq!(line.split_whitespace().count(), WORDS_PER_LINE);
            Ok(())
        })
        .unwrap();
        assert_eq!(tally.total, 500);
    }

    #[test]
    fn zipf_gives_the_first_key_its_share() {
        let zipf = Zipf::new(KEYS);
        let mut random = Random(7);
        let first = (0..100_000).filter(|_| zipf.draw(&mut random) == 0).count();
        // 1 / H(1 M) = 6.95 %; five standard deviations are 0.4 %.
        assert!((6_550..=7_350).contains(&first), "{first}");
    }
}
