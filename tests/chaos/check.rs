//! Reads what a run left behind in Kafka and on disk, and has it verified.
//!
//! Everything is read from the topics, with committed isolation, after all instances have ended.
//! What was fed is counted apart, so that a loss on the way into Kafka is not mistaken for ours.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use oncestream_tests::app::{Guarantee, PARTITIONS};
use oncestream_tests::check::Counts;
use oncestream_tests::kafka::{
    Isolation, Read, committed, consumer, ends, for_each, partitions, read_committed,
};
use oncestream_tests::stores::{by_changelog_key, fold, read_stores};

use crate::instance::{foreign_key, is_even_key, number_and_time_ms};
use crate::plan::INSTANCES;
use crate::verify::{Extremes, Latest, Numbers, Results, Tally, Turns};
use crate::workload::Workload;

/// The store of `pairs` that keeps the odd numbers.
const ODD: &str = "pairs-other-join-store";

/// The windowed store of `word_count`, and how long its windows are.
const WINDOWS: &str = "windows";
const WINDOW_MS: i64 = 10_000;

/// Everything that is known of one application after a run.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) job: &'static str,
    /// Records in its input topics.
    pub(crate) records_in: u64,
    /// Of each input topic its partitions, in the end.
    pub(crate) inputs: Vec<i32>,
    /// Committed records in its output topic.
    pub(crate) records_out: u64,
    /// Records of aborted transactions in the topics it writes.
    pub(crate) hidden: u64,
    /// What is wrong with the output.
    pub(crate) tally: Tally,
    /// Stores that were compared with their changelogs.
    pub(crate) stores: usize,
    /// What else is wrong.
    pub(crate) problems: Vec<String>,
}

/// Waits until the group has committed everything there is to read. False when it does not.
pub(crate) fn drained(workload: &Workload, within: Duration) -> bool {
    // What was struck last may still be on its way back; who asks then is refused, and asks again.
    came_true(within, || {
        catch_unwind(AssertUnwindSafe(|| finished(workload, within))).unwrap_or(false)
    })
}

fn finished(workload: &Workload, within: Duration) -> bool {
    let asks = consumer(&workload.id, Isolation::Committed);
    workload.sources().iter().all(|topic| {
        let mut before = Vec::new();
        came_true(within, || {
            let now = committed(&asks, topic);
            // Markers count as offsets, so only reading tells; which is worth it only when the
            // offsets stand still.
            let still = now == before;
            let mut left = 0;
            if still {
                for_each(topic, Isolation::Committed, &now, |_| left += 1);
            }
            before = now;
            still && left == 0
        })
    })
}

fn came_true(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Checks an application whose instances have ended. `fed` records were acknowledged.
pub(crate) fn check(workload: &Workload, guarantee: Guarantee, fed: u64) -> Checked {
    let mut checked = Checked { job: workload.job, ..Checked::default() };
    checked.inputs = workload.inputs.counts();
    settle(workload, &mut checked);
    if !drained(workload, Duration::from_secs(30)) {
        checked.problems.push("after the last commits, input is left to be read".to_owned());
    }
    let expected = Expected::read(workload, &mut checked);
    if checked.records_in != fed {
        let held = checked.records_in;
        checked.problems.push(format!("{fed} records were fed, and {held} are in the input"));
    }
    checked.tally = expected.verify(&workload.output);
    checked.records_out = checked.tally.records;
    // At least once, a crash leaves changelogs that are ahead of the stores.
    if guarantee == Guarantee::ExactlyOnce {
        for store in workload.stores() {
            let should = expected.store(store);
            check_store(workload, store, &should, &mut checked);
        }
    }
    checked
}

/// No transaction is left open; and what the aborted ones left behind is counted.
fn settle(workload: &Workload, checked: &mut Checked) {
    for topic in workload.written() {
        // Markers are written soon after the answer to a commit.
        let settled = came_true(Duration::from_secs(30), || {
            ends(&topic, Isolation::Committed) == ends(&topic, Isolation::Uncommitted)
        });
        if !settled {
            checked.problems.push(format!("a transaction is left open on {topic}"));
        }
        let count = |isolation| {
            let mut count = 0_u64;
            let all = partitions(&consumer("count", isolation), &topic);
            for_each(&topic, isolation, &vec![None; all as usize], |_| count += 1);
            count
        };
        let (all, visible) = (count(Isolation::Uncommitted), count(Isolation::Committed));
        checked.hidden += all.saturating_sub(visible);
    }
}

fn text(bytes: Option<&Vec<u8>>) -> String {
    bytes.map_or_else(String::new, |b| String::from_utf8_lossy(b).into_owned())
}

/// Whether the rows of a store are of a key and a time.
fn is_windowed(store: &str) -> bool {
    store == WINDOWS || store.starts_with("pairs-")
}

/// The number in a row of a store.
fn stored(store: &str, value: &Vec<u8>) -> i64 {
    match store {
        "even" | "odd" => text(Some(value)).parse().unwrap_or(-1),
        _ if store.starts_with("pairs-") => number_and_time_ms(&text(Some(value))).0,
        _ => number(Some(value)),
    }
}

/// The word and the start in the changelog key of a window.
fn windowed(key: &[u8]) -> String {
    let Some((key, _)) = key.split_last_chunk::<4>() else { return String::new() };
    let Some((word, start)) = key.split_last_chunk() else { return String::new() };
    format!("{}@{}", String::from_utf8_lossy(word), i64::from_be_bytes(*start))
}

/// A value that is no number is nobody's: no number comes out as -1.
fn number(bytes: Option<&Vec<u8>>) -> i64 {
    bytes.and_then(|b| b.as_slice().try_into().ok()).map_or(-1, i64::from_be_bytes)
}

/// What must come out, from what is in the input topics.
enum Expected {
    /// Of each key these numbers.
    Passed(BTreeMap<String, Turns>),
    Counted(BTreeMap<String, u64>),
    Folded(BTreeMap<String, Extremes>),
    /// Of each key the pairs of its numbers; and each number by its key and time.
    Paired(BTreeMap<String, Turns>, Counts),
    /// The last number of each key.
    Joined(Counts),
}

impl Expected {
    fn read(workload: &Workload, checked: &mut Checked) -> Self {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut extremes: BTreeMap<String, Extremes> = BTreeMap::new();
        let mut passed: BTreeMap<String, Turns> = BTreeMap::new();
        let (mut by_time, mut last) = (Counts::new(), Counts::new());
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
                    let number = text(value).parse().unwrap_or(u64::MAX);
                    last.insert(key.clone(), number.try_into().unwrap_or(-1));
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
            "foreign" => Self::Joined(last),
            _ => Self::Passed(passed),
        }
    }

    fn verify(&self, output: &str) -> Tally {
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
            Self::Joined(last) => {
                let named = |key: &str, number: i64| {
                    let other = last.get(&foreign_key(key, &number.to_string()))?;
                    Some(format!("{number}:{other}"))
                };
                let even = last.iter().filter(|(key, _)| is_even_key(key));
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
    fn store(&self, name: &str) -> Counts {
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
            Self::Joined(last) => {
                let all = last.iter().filter(|(key, _)| is_even_key(key) == (name == "even"));
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

/// The changelog folds to what must be; each slot's store is its fold up to its checkpoint; and
/// of each partition one store has it all.
fn check_store(workload: &Workload, name: &str, should: &Counts, checked: &mut Checked) {
    let changelog = read_committed(&workload.changelog(name));
    let mut folded = Counts::new();
    let mut complete = vec![false; PARTITIONS as usize];
    let full: Vec<_> = (0..PARTITIONS).map(|p| fold(&changelog, p, i64::MAX)).collect();
    for content in &full {
        let shown = |key: &Vec<u8>| if is_windowed(name) { windowed(key) } else { text(Some(key)) };
        folded.extend(content.iter().map(|(k, (_, v))| (shown(k), stored(name, v))));
    }
    if folded != *should {
        let off = should.iter().filter(|(k, v)| folded.get(*k) != Some(v)).count();
        checked.problems.push(format!("the changelog of {name} is wrong for {off} keys"));
    }
    for slot in 0..INSTANCES.1 {
        let state_dir = workload.state_dir(slot);
        if !state_dir.join(&workload.id).join("stores").is_dir() {
            continue; // Nobody was ever in it.
        }
        for mut store in read_stores(&state_dir, &workload.id, name) {
            if is_windowed(name) {
                store.content = by_changelog_key(store.content);
            }
            checked.stores += 1;
            let p = store.partition as usize;
            complete[p] |= store.content == full[p];
            if store.content != fold(&changelog, store.partition, store.checkpoint) {
                checked.problems.push(format!(
                    "slot {slot}: {name}-{p} is not its changelog up to {}",
                    store.checkpoint
                ));
            }
        }
    }
    if complete.contains(&false) {
        checked.problems.push(format!("{name}: complete stores: {complete:?}"));
    }
}

/// Transactions that ended, as their coordinators wrote it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transactions {
    pub(crate) committed: u64,
    pub(crate) aborted: u64,
}

/// Reads the coordinators' log.
pub(crate) fn transactions() -> Transactions {
    let topic = "__transaction_state";
    let all = partitions(&consumer("transactions", Isolation::Uncommitted), topic);
    let mut ended = Transactions::default();
    for_each(topic, Isolation::Uncommitted, &vec![None; all as usize], |r| {
        match r.value.as_deref().and_then(prepared) {
            Some(true) => ended.committed += 1,
            Some(false) => ended.aborted += 1,
            None => {}
        }
    });
    ended
}

/// Whether a record of the coordinators' log decides on a transaction: to commit it, or not.
fn prepared(value: &[u8]) -> Option<bool> {
    // Kafka's TransactionLogValue: version, producer id, epoch, timeout, and then the state.
    match value.get(2 + 8 + 2 + 4) {
        Some(2) => Some(true),
        Some(3) => Some(false),
        _ => None,
    }
}
