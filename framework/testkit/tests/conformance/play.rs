//! Plays the inputs of a case through a topology, and says what comes out in the lines of the golden
//! files.
//!
//! Knows the driver and the format; not which topologies there are. Invariant: a line that is expected and
//! a line that comes are compared as they are, with their order.

use std::hash::Hash;

use oncestream_core::graph::Topology;
use oncestream_core::state::{ValueAndTimestamp, Window, WindowKey};
use oncestream_core::{Header, Headers, Record};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{DriverError, TestOutput};

use crate::format::{Case, text, untext};
use crate::functions::Text;
use crate::window_stores::shown;

/// The topology of a case, and what to look at.
pub(crate) struct Setup {
    /// The topology.
    pub(crate) topology: Topology,
    /// Its stores, in the order in which the golden file prints them.
    pub(crate) stores: &'static [&'static str],
    /// Those of them that keep no time in Kafka Streams. Here every store keeps one; it is not compared.
    pub(crate) without_time: &'static [&'static str],
    /// Whether it has schedules. They begin anew with their task, in Kafka Streams too, so a crash changes
    /// what they give.
    pub(crate) schedules: bool,
    /// How long the windows of its stores are, in milliseconds, if they are window stores.
    pub(crate) window_ms: Option<i64>,
    /// Whether what is dropped is counted. Here a store tells its processor that a put came too late, and
    /// counts nothing; in Kafka Streams it counts, and tells nothing.
    pub(crate) counts_dropped: bool,
    /// The command whose answers are not compared.
    pub(crate) not_compared: Option<&'static str>,
}

impl Setup {
    /// A topology without schedules, whose stores keep times.
    pub(crate) fn new(topology: Topology, stores: &'static [&'static str]) -> Self {
        Self {
            topology,
            stores,
            without_time: &[],
            schedules: false,
            window_ms: None,
            counts_dropped: true,
            not_compared: None,
        }
    }
}

/// What happens after each input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Nothing, as in Kafka Streams' driver.
    Undisturbed,
    /// A crash.
    Crashing,
    /// A crash that takes the disk with it.
    LosingDisk,
}

/// Where the case differs from what comes here.
pub(crate) fn fault(case: &Case, setup: Setup, variant: Variant) -> Option<String> {
    let kinds = ["in", "wall", "out", "error", "store", "dropped"];
    let kinds = if setup.counts_dropped { &kinds[..] } else { &kinds[..5] };
    let command = setup.not_compared;
    let is_compared = |line: &String| {
        let value = line.strip_prefix("out\t").and_then(|rest| rest.split('\t').nth(2));
        command.is_none_or(|command| !value.is_some_and(|value| value.starts_with(command)))
    };
    let mut expected = case.lines_of(kinds);
    let mut actual = play(case, setup, variant);
    expected.retain(is_compared);
    actual.retain(is_compared);
    first_difference(case, &expected, &actual)
}

/// The first line that differs, with the input before it.
pub(crate) fn first_difference(
    case: &Case,
    expected: &[String],
    actual: &[String],
) -> Option<String> {
    let longer = expected.len().max(actual.len());
    let at = (0..longer).find(|at| expected.get(*at) != actual.get(*at))?;
    let input = expected.iter().take(at).rfind(|line| line.starts_with("in\t"));
    let (expected, actual) = (expected.get(at), actual.get(at));
    Some(format!("{}: after {input:?} expected {expected:?}, got {actual:?}", case.title()))
}

/// The lines of a case as they come here.
fn play(case: &Case, setup: Setup, variant: Variant) -> Vec<String> {
    let builder = TopologyTestDriver::builder(setup.topology).application_id("golden");
    let builder = if case.cache { builder } else { builder.cache_max_bytes(0) };
    let mut driver = builder.build().unwrap();
    let mut outputs: Vec<TestOutput<Text, Text>> =
        case.outputs.iter().map(|topic| driver.output(topic)).collect();
    let mut lines = Vec::new();
    let mut dropped = 0;
    for step in case.lines_of(&["in", "wall"]) {
        take(&mut driver, &step);
        lines.push(step);
        if variant != Variant::Undisturbed {
            // They are counted from a start on.
            dropped += driver.dropped_records();
            match variant {
                Variant::LosingDisk => driver.crash_and_lose_disk().unwrap(),
                _ => driver.crash(),
            }
            driver.recover().unwrap();
        }
        for (topic, output) in case.outputs.iter().zip(&mut outputs) {
            lines.extend(output.read_all().unwrap().iter().map(|record| out(topic, record)));
        }
    }
    for store in setup.stores {
        let timed = !setup.without_time.contains(store);
        lines.extend(match setup.window_ms {
            Some(size) => windows(&driver, store, size),
            None => rows(&driver, store, timed),
        });
    }
    if setup.counts_dropped {
        lines.push(format!("dropped\t{}", dropped + driver.dropped_records()));
    }
    lines
}

/// Pipes a record, or moves the wall clock.
fn take(driver: &mut TopologyTestDriver, step: &str) {
    let fields: Vec<&str> = step.split('\t').collect();
    match fields[..] {
        ["in", topic, key, value, timestamp, pairs] => {
            let record = Record::new(text(key), text(value), timestamp.parse().unwrap());
            let input = driver.input::<Text, Text>(topic);
            driver.pipe_record(&input, record.with_headers(headers(pairs))).unwrap();
        }
        ["wall", by] => driver.advance_wall_clock(by.parse().unwrap()).unwrap(),
        _ => panic!("this is no step: {step}"),
    }
}

fn headers(field: &str) -> Vec<Header> {
    let pairs = field.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| Header::new(name, value.as_bytes().to_vec())).collect()
}

fn out(topic: &str, record: &Record<Text, Text>) -> String {
    let (key, value) = (untext(record.key.as_deref()), untext(record.value.as_deref()));
    let (timestamp, headers) = (record.timestamp, pairs(&record.headers));
    format!("out\t{topic}\t{key}\t{value}\t{timestamp}\t{headers}")
}

fn pairs(headers: &Headers) -> String {
    let pair = |header: &Header| {
        let value = header.value.as_deref().map(String::from_utf8_lossy);
        format!("{}={}", header.key, untext(value.as_deref()))
    };
    headers.iter().map(pair).collect::<Vec<_>>().join(",")
}

/// What a window store holds, sorted by key and start.
fn windows(driver: &TopologyTestDriver, store: &str, size_ms: i64) -> Vec<String> {
    let mut all = driver.store_of_kind::<String, String, Window>(store).unwrap().all().unwrap();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    let line = |(window, found): &(WindowKey<String>, ValueAndTimestamp<String>)| {
        format!("store\t{store}\t{}\t{}\t\\N", shown(window, size_ms), found.value)
    };
    all.iter().map(line).collect()
}

/// What a store holds. Its keys and values are texts or counts.
fn rows(driver: &TopologyTestDriver, store: &str, timed: bool) -> Vec<String> {
    fn of<K, V>(
        driver: &TopologyTestDriver,
        store: &str,
        timed: bool,
        show: impl Fn(K, V) -> (Text, Text),
    ) -> Result<Vec<String>, DriverError>
    where
        K: Hash + Eq + Clone + 'static,
        V: Clone + 'static,
    {
        let line = |(key, found): (K, ValueAndTimestamp<V>)| {
            let (key, value) = show(key, found.value);
            let (key, value) = (untext(key.as_deref()), untext(value.as_deref()));
            let time = if timed { found.timestamp.to_string() } else { "\\N".to_owned() };
            format!("store\t{store}\t{key}\t{value}\t{time}")
        };
        Ok(driver.store::<K, V>(store)?.all()?.into_iter().map(line).collect())
    }
    let count = |n: i64| Some(n.to_string());
    of(driver, store, timed, |k: String, v: String| (Some(k), Some(v)))
        .or_else(|_| of(driver, store, timed, |k: String, v| (Some(k), count(v))))
        .or_else(|_| of(driver, store, timed, |k: Text, v: String| (k, Some(v))))
        .or_else(|_| of(driver, store, timed, |k: Text, v| (k, count(v))))
        .or_else(|_| of(driver, store, timed, |k: Text, v: Text| (k, v)))
        .or_else(|_| of(driver, store, timed, |k: String, v: Text| (Some(k), v)))
        .unwrap()
}
