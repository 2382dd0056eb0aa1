//! Stores with a time to live, in topologies: when a value is gone, what then begins anew, what is told, and
//! that no crash changes any of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod crashes;
#[path = "crashes/unchanged.rs"]
mod unchanged;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_core::task::PunctuationType;
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{KTable, Materialized, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;

use crashes::{builder, settle};
use unchanged::{AfterEach, unchanged_by_crashes};

const TTL_MS: i64 = 1_000;
const TTL: Duration = Duration::from_millis(1_000);

/// Without a cache, so that each update is told.
fn driver(b: StreamsBuilder) -> TopologyTestDriver {
    builder(b).cache_max_bytes(0).build().unwrap()
}

fn pipe(driver: &mut TopologyTestDriver, key: &str, value: &str, time: i64) {
    let input = driver.input::<String, String>("in");
    driver.pipe(&input, key.to_owned(), value.to_owned(), time).unwrap();
}

/// All that was forwarded.
fn told<V: oncestream_core::serde::HasSerde>(driver: &TopologyTestDriver) -> Vec<(String, V)> {
    driver.output::<String, V>("out").read_pairs().unwrap()
}

fn shown(driver: &TopologyTestDriver, store: &str) -> Vec<(String, String)> {
    let all = driver.store::<String, String>(store).unwrap().all().unwrap().into_iter();
    all.map(|(key, found)| (key, found.value)).collect()
}

fn pairs<V: Clone, const N: usize>(pairs: [(&str, V); N]) -> Vec<(String, V)> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn strings<const N: usize>(of: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs(of.map(|(key, value)| (key, value.to_owned())))
}

#[test]
fn a_count_begins_anew_when_the_last_record_is_as_old_as_the_time_to_live() {
    let b = StreamsBuilder::new();
    let counts = Materialized::named("counts").ttl(TTL);
    b.stream::<String, String>("in").group_by_key().count(counts).to_stream().to("out");
    let mut driver = driver(b);
    for time in [0, 999, 1_998, 2_998, 3_999, 3_500, 4_999] {
        pipe(&mut driver, "k", "", time);
    }
    // 2,998 is 1,000 later than the record before. 3,500 is late and joins; it makes nothing younger.
    let counts = [1, 2, 3, 1, 1, 2, 1].map(|count| ("k", Some(count)));
    assert_eq!(told::<Option<i64>>(&driver), pairs(counts));
}

#[test]
fn a_reduce_begins_with_its_next_value_and_an_aggregate_with_its_initializer() {
    let b = StreamsBuilder::new();
    let grouped = b.stream::<String, String>("in").group_by_key();
    grouped.reduce(|a, b| a + &b, Materialized::named("joined").ttl(TTL)).to_stream().to("out");
    grouped
        .aggregate(
            || "=".to_owned(),
            |_, value, all: String| all + &value,
            Materialized::named("all").ttl(TTL),
        )
        .to_stream()
        .to("all");
    let mut driver = driver(b);
    for (value, time) in [("a", 0), ("b", 500), ("c", 1_500), ("d", 1_600)] {
        pipe(&mut driver, "k", value, time);
    }
    let some = |all: [&str; 4]| all.map(|value| ("k".to_owned(), Some(value.to_owned()))).to_vec();
    assert_eq!(told::<Option<String>>(&driver), some(["a", "ab", "c", "cd"]));
    let all = driver.output::<String, Option<String>>("all").read_pairs().unwrap();
    assert_eq!(all, some(["=a", "=ab", "=c", "=cd"]));
}

fn table(b: &StreamsBuilder) -> KTable<String, String> {
    b.table::<String, String>("in").materialized(Materialized::named("table").ttl(TTL))
}

#[test]
fn a_key_of_a_table_is_gone_by_the_time_of_any_record_of_its_partition_and_nothing_is_told() {
    let b = StreamsBuilder::new();
    table(&b).to_stream().to("out");
    let mut driver = driver(b);
    pipe(&mut driver, "a", "1", 100);
    pipe(&mut driver, "b", "2", 1_099);
    assert_eq!(shown(&driver, "table"), strings([("a", "1"), ("b", "2")]));
    pipe(&mut driver, "b", "3", 1_100);
    assert_eq!(shown(&driver, "table"), strings([("b", "3")]));
    assert_eq!(driver.store::<String, String>("table").unwrap().get(&"a".into()).unwrap(), None);
    // A record that comes too late is told, as each update is, and is gone at once.
    pipe(&mut driver, "b", "late", 100);
    assert_eq!(shown(&driver, "table"), []);
    let some = |key, value: &str| (key, Some(value.to_owned()));
    let all = [some("a", "1"), some("b", "2"), some("b", "3"), some("b", "late")];
    assert_eq!(told::<Option<String>>(&driver), pairs(all));
    // The clock's time is none of its business.
    driver.pass_time(10 * TTL_MS).unwrap();
    pipe(&mut driver, "c", "4", 1_100);
    driver.pass_time(10 * TTL_MS).unwrap();
    assert_eq!(shown(&driver, "table"), strings([("c", "4")]));
}

#[test]
fn a_value_that_is_gone_is_no_old_value_and_a_sum_over_the_table_keeps_it() {
    let b = StreamsBuilder::new();
    let all = |_: &String, value: &String| ("all".to_owned(), value.parse::<i64>().unwrap());
    table(&b)
        .group_by(all)
        .aggregate(|| 0_i64, |_, v, sum| sum + v, |_, v, sum| sum - v, "sums")
        .to_stream()
        .to("out");
    let mut driver = driver(b);
    for (value, time) in [("1", 0), ("10", 999), ("100", 1_999)] {
        pipe(&mut driver, "k", value, time);
    }
    let sums = told::<Option<i64>>(&driver);
    assert_eq!(sums.last(), Some(&("all".to_owned(), Some(110))), "1 was taken out, 10 was not");
}

#[test]
fn the_deletion_of_a_key_is_told_although_its_value_is_gone() {
    for cache_bytes in [0, 1 << 20] {
        let b = StreamsBuilder::new();
        let table = table(&b);
        table.to_stream().to("out");
        table.filter(|_, value| value != "no").to_stream().to("filtered");
        let kept = Materialized::named("kept").ttl(TTL);
        table.filter(|_, value| value != "no").materialized(kept).to_stream().to("kept");
        let mut driver = builder(b).cache_max_bytes(cache_bytes).build().unwrap();
        pipe(&mut driver, "k", "yes", 0);
        pipe(&mut driver, "other", "yes", 5_000);
        pipe(&mut driver, "k", "no", 5_000);
        for topic in ["filtered", "kept"] {
            let pairs = driver.output::<String, Option<String>>(topic).read_pairs().unwrap();
            assert_eq!(pairs.last(), Some(&("k".to_owned(), None)), "{topic}, {cache_bytes}");
        }
        pipe(&mut driver, "other", "yes", 9_000);
        let input = driver.input::<String, String>("in");
        driver.pipe_null(&input, "k".to_owned(), 9_000).unwrap();
        let told = told::<Option<String>>(&driver);
        assert_eq!(told.last(), Some(&("k".to_owned(), None)), "{cache_bytes}");
    }
}

/// Puts records with a value, tells what it finds, and tells all that is there every 10 s of the clock.
struct Notes(StoreHandle<String, String>);

impl Processor for Notes {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut ProcessorContext<'_, Self>) -> Result<(), BoxError> {
        let every = Duration::from_secs(10);
        ctx.schedule(every, PunctuationType::WallClockTime, |Self(notes), ctx, now| {
            for entry in notes.all() {
                let (key, value) = entry?;
                ctx.forward(Record::new(key, format!("all: {value}"), now))?;
            }
            // Written by the clock, which moves no time.
            Ok(notes.put("clock".to_owned(), "written".to_owned())?)
        });
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        let Self(notes) = self;
        let found = notes.get(&record.key)?.unwrap_or_default();
        if !record.value.is_empty() {
            notes.put(record.key.clone(), record.value)?;
        }
        Ok(ctx.forward(Record::new(record.key, found, record.timestamp))?)
    }
}

fn notes() -> StreamsBuilder {
    let b = StreamsBuilder::new();
    let notes = b.add_state_store(Materialized::named("notes").ttl(TTL));
    b.stream::<String, String>("in").process(&notes, Notes).to("out");
    b
}

#[test]
fn a_processor_finds_no_value_that_is_gone() {
    let mut driver = driver(notes());
    pipe(&mut driver, "a", "1", 0);
    pipe(&mut driver, "b", "2", 500);
    pipe(&mut driver, "a", "", 999);
    // It is enough that a record comes, whatever is done with it.
    pipe(&mut driver, "c", "", 1_000);
    pipe(&mut driver, "a", "", 600);
    let found = [("a", ""), ("b", ""), ("a", "1"), ("c", ""), ("a", "")];
    assert_eq!(told::<String>(&driver), strings(found));
    driver.pass_time(10_000).unwrap();
    let found = [("a", ""), ("b", ""), ("a", "1"), ("c", ""), ("a", ""), ("b", "all: 2")];
    assert_eq!(told::<String>(&driver), strings(found));
    assert_eq!(shown(&driver, "notes"), strings([("b", "2"), ("clock", "written")]));
}

#[test]
fn a_crash_does_not_set_time_back_although_no_row_tells_of_it() {
    for lose_disk in [false, true] {
        let mut driver = driver(notes());
        pipe(&mut driver, "a", "1", 0);
        pipe(&mut driver, "c", "", 1_000);
        if lose_disk {
            driver.crash_and_lose_disk().unwrap();
        }
        driver.recover().unwrap();
        assert_eq!(shown(&driver, "notes"), []);
        pipe(&mut driver, "a", "", 0);
        let found = told::<String>(&driver);
        assert_eq!(found.last(), Some(&("a".to_owned(), String::new())), "{lose_disk}");
    }
}

/// Key, value and time: they go on, fall back, and jump.
const SCRIPT: [(&str, &str, i64); 14] = [
    ("a", "1", 0),
    ("b", "2", 300),
    ("a", "3", 600),
    ("c", "", 1_250),
    ("b", "4", 1_300),
    ("b", "5", 900),
    ("a", "6", 1_599),
    ("a", "", 2_598),
    ("a", "7", 2_599),
    ("c", "8", 1_598),
    ("c", "9", 1_700),
    ("b", "10", 9_000),
    ("a", "", 8_001),
    ("a", "11", 8_002),
];

/// What is told in topics, and what is in stores.
#[derive(Debug, PartialEq)]
struct Outcome {
    out: Vec<(String, String)>,
    counts: Vec<(String, Option<i64>)>,
    notes: Vec<(String, String)>,
    counted: BTreeMap<String, i64>,
}

fn several() -> StreamsBuilder {
    let b = notes();
    let counts = Materialized::named("counts").ttl(TTL);
    let stream = b.stream::<String, String>("in");
    stream.group_by_key().count(counts).to_stream().to("counts");
    b
}

fn run(driver: &mut TopologyTestDriver, after_each: AfterEach<'_>) {
    let input = driver.input::<String, String>("in").partition(0);
    for (key, value, time) in SCRIPT {
        let record = Record::new(key.to_owned(), value.to_owned(), time);
        driver.produce(&input, record).unwrap();
        settle(driver);
        after_each(driver);
    }
}

fn outcome(driver: &TopologyTestDriver) -> Outcome {
    let counts = driver.output::<String, Option<i64>>("counts").read_pairs().unwrap();
    let counted = driver.store::<String, i64>("counts").unwrap().to_map().unwrap();
    Outcome {
        out: told(driver),
        counts,
        notes: shown(driver, "notes"),
        counted: counted.into_iter().collect(),
    }
}

#[test]
fn a_crash_at_any_step_and_a_lost_disk_after_any_input_change_nothing() {
    for (cache_bytes, every) in [(0, 1), (1 << 20, 5)] {
        let driver = || builder(several()).cache_max_bytes(cache_bytes).build().unwrap();
        let (expected, steps) = unchanged_by_crashes(every, driver, run, outcome);
        let begun = expected.counts.iter().filter(|(_, count)| *count == Some(1)).count();
        assert!(steps > 20 && begun > 6, "{steps} steps, {expected:?}");
    }
}

#[test]
fn a_cache_shows_no_value_that_is_gone_and_tells_each_change_of_a_commit() {
    let b = StreamsBuilder::new();
    let counts = Materialized::named("counts").ttl(TTL);
    b.stream::<String, String>("in").group_by_key().count(counts).to_stream().to("out");
    let mut driver = builder(b).commit_interval_ms(100).build().unwrap();
    // All of one commit: the second of `a` begins anew, and `b` is gone before it is told.
    for (key, time) in [("a", 0), ("a", 1), ("b", 2), ("a", 1_002)] {
        pipe(&mut driver, key, "", time);
    }
    assert!(driver.output::<String, Option<i64>>("out").is_empty());
    let held = driver.store::<String, i64>("counts").unwrap();
    assert_eq!((held.get(&"a".into()).unwrap(), held.get(&"b".into()).unwrap()), (Some(1), None));
    driver.commit_all().unwrap();
    assert_eq!(told::<Option<i64>>(&driver), pairs([("b", Some(1)), ("a", Some(1))]));
    // What was gone when it was to be written is deleted instead.
    let changelog = driver.changelog("counts");
    let last = changelog.iter().rev().find(|record| record.key.as_deref() == Some(b"b")).unwrap();
    assert_eq!(last.value, None);
}

#[test]
fn what_is_gone_is_deleted_from_the_changelog_too() {
    let b = StreamsBuilder::new();
    table(&b).to_stream().to("out");
    let mut driver = driver(b);
    for n in 0..30 {
        pipe(&mut driver, &format!("{n:02}"), "", n * 100);
    }
    driver.commit_all().unwrap();
    let mut kept = BTreeSet::new();
    let mut deleted = 0;
    for record in driver.changelog("table") {
        let key = String::from_utf8(record.key.unwrap()).unwrap();
        match record.value {
            Some(_) => drop(kept.insert(key)),
            None => {
                deleted += 1;
                assert!(kept.remove(&key), "{key} was deleted twice");
            }
        }
    }
    let live: Vec<String> = shown(&driver, "table").into_iter().map(|(key, _)| key).collect();
    assert_eq!(live.len(), 10);
    // A commit deletes what has expired for a fourth of the time to live.
    assert!(live.iter().all(|key| kept.contains(key)) && kept.len() <= live.len() + 4);
    assert!(deleted >= 16, "{deleted}");
}
