//! Plays the inputs of a case through a topology, and says what comes out in the lines of the golden
//! files.
//!
//! Knows the driver; not which topologies there are, nor how an output or a store is printed.

use oncestream_core::error::TaskError;
use oncestream_core::graph::Topology;
use oncestream_core::{Header, Record};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

use crate::compared::{Except, first_difference};
use crate::format::{Case, Windows, text};
use crate::functions::Text;
use crate::held::held;
use crate::outputs::Output;
use crate::waiting::waiting;

/// A commit interval that is longer than any case.
const NEVER_MS: i64 = 1_000_000_000;

/// The topology of a case, and what to look at.
pub(crate) struct Setup {
    /// The topology.
    pub(crate) topology: Topology,
    /// Its stores, in the order in which the golden file prints them.
    pub(crate) stores: &'static [&'static str],
    /// Those of them that hold windows, and which.
    pub(crate) windows: Vec<(&'static str, Windows)>,
    /// Those of them that keep no time in Kafka Streams. Here every store keeps one; it is not compared.
    pub(crate) without_time: &'static [&'static str],
    /// Whether it has schedules. They begin anew with their task, in Kafka Streams too, so a crash changes
    /// what they give.
    pub(crate) schedules: bool,
    /// What is not compared.
    pub(crate) except: &'static [Except],
    /// Nor is this.
    pub(crate) also: &'static [Except],
}

impl Setup {
    /// A topology without schedules, whose stores keep keys and values with their times.
    pub(crate) fn new(topology: Topology, stores: &'static [&'static str]) -> Self {
        Self {
            topology,
            stores,
            windows: Vec::new(),
            without_time: &[],
            schedules: false,
            except: &[],
            also: &[],
        }
    }

    /// The same; one of the stores holds windows.
    pub(crate) fn with_windows(mut self, store: &'static str, windows: Windows) -> Self {
        self.windows.push((store, windows));
        self
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
    let kinds = ["in", "wall", "commit", "out", "error", "store", "dropped"];
    let (except, also) = (setup.except, setup.also);
    let mut lines = (case.lines_of(&kinds), play(case, setup, variant));
    for except in except.iter().chain(also) {
        lines = except.apply(lines.0, lines.1);
    }
    let (expected, actual) = lines;
    first_difference(case, &expected, &actual)
}

/// The lines of a case as they come here.
fn play(case: &Case, setup: Setup, variant: Variant) -> Vec<String> {
    let builder = TopologyTestDriver::builder(setup.topology).application_id("golden");
    let builder = if case.cache { builder } else { builder.cache_max_bytes(0) };
    let builder = if case.says_commits() { builder.commit_interval_ms(NEVER_MS) } else { builder };
    let mut driver = builder.build().unwrap();
    let mut outputs: Vec<Output> =
        case.outputs.iter().map(|topic| Output::of(&driver, topic)).collect();
    let mut lines = Vec::new();
    let mut dropped = 0;
    for step in case.lines_of(&["in", "wall", "commit"]) {
        let taken = take(&mut driver, &step);
        lines.push(step);
        if let Err(error) = taken {
            lines.push(format!("error\t{0}\t{0}", exception(&error)));
            return lines;
        }
        if variant != Variant::Undisturbed {
            // They are counted from a start on.
            dropped += driver.dropped_records();
            match variant {
                Variant::LosingDisk => driver.crash_and_lose_disk().unwrap(),
                _ => driver.crash(),
            }
            driver.recover().unwrap();
        }
        lines.extend(outputs.iter_mut().flat_map(Output::lines));
    }
    for store in setup.stores {
        // No name of another store is like that.
        if store.contains("-shared-join-store") {
            lines.extend(waiting(&driver, store));
            continue;
        }
        let windows = setup.windows.iter().find(|(of, _)| of == store).map(|(_, windows)| *windows);
        let timed = !setup.without_time.contains(store);
        lines.extend(held(&driver, store, windows, timed));
    }
    // What is dropped and not committed is dropped again after a crash.
    if !case.says_commits() {
        lines.push(format!("dropped\t{}", dropped + driver.dropped_records()));
    }
    lines
}

/// Pipes a record, moves the wall clock, or commits.
fn take(driver: &mut TopologyTestDriver, step: &str) -> Result<(), DriverError> {
    let fields: Vec<&str> = step.split('\t').collect();
    match fields[..] {
        ["in", topic, key, value, timestamp, pairs] => {
            let record = Record::new(text(key), text(value), timestamp.parse().unwrap());
            let input = driver.input::<Text, Text>(topic);
            driver.pipe_record(&input, record.with_headers(headers(pairs)))
        }
        ["wall", by] => driver.advance_wall_clock(by.parse().unwrap()),
        ["commit"] => driver.commit(),
        _ => panic!("this is no step: {step}"),
    }
}

/// What Kafka Streams throws in its place.
fn exception(error: &DriverError) -> &'static str {
    match error {
        DriverError::Task { source: TaskError::BufferFull { .. }, .. } => {
            "org.apache.kafka.streams.errors.StreamsException"
        }
        other => panic!("no case foresees it: {other}"),
    }
}

fn headers(field: &str) -> Vec<Header> {
    let pairs = field.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| Header::new(name, value.as_bytes().to_vec())).collect()
}
