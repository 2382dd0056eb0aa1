//! Tables without a changelog: the topic that one reads brings its store back, up to where its task goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use oncestream_core::TimestampMs;
use oncestream_core::graph::Topology;
use oncestream_core::handlers::LogAndContinue;
use oncestream_operators::{KTable, Optimization, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::TopologyTestDriverBuilder;

/// A table, and the sums of its rows by their first letters, which a doubled or lost change makes wrong for ever.
fn summed() -> Topology {
    let b = StreamsBuilder::new().optimization(Optimization::none().reuse_table_source_topics());
    let table: KTable<String, i64> = b.table("in").materialized("table");
    let by_letter = table.group_by(|key, n| (key[..1].to_owned(), *n));
    by_letter.reduce(|sum, n| sum + n, |sum, n| sum - n, "sums").to_stream().to("out");
    b.build().unwrap()
}

/// Commits when it is told to.
fn driver() -> TopologyTestDriverBuilder {
    TopologyTestDriver::builder(summed()).commit_interval_ms(i64::MAX / 2)
}

fn pipe(driver: &mut TopologyTestDriver, rows: &[(&str, i64, TimestampMs)]) {
    let input = driver.input::<String, i64>("in");
    for (key, n, time) in rows {
        driver.pipe(&input, (*key).to_owned(), *n, *time).unwrap();
    }
}

fn rows(driver: &TopologyTestDriver) -> Vec<(String, i64, TimestampMs)> {
    let entries = driver.store::<String, i64>("table").unwrap().all().unwrap();
    let mut rows: Vec<_> =
        entries.into_iter().map(|(key, row)| (key, row.value, row.timestamp)).collect();
    rows.sort();
    rows
}

fn sums(driver: &TopologyTestDriver) -> BTreeMap<String, i64> {
    driver.store::<String, i64>("sums").unwrap().to_map().unwrap().into_iter().collect()
}

fn row(key: &str, n: i64, time: TimestampMs) -> (String, i64, TimestampMs) {
    (key.to_owned(), n, time)
}

fn sum(letter: &str, n: i64) -> (String, i64) {
    (letter.to_owned(), n)
}

#[test]
fn a_lost_disk_brings_the_table_back_to_where_its_task_goes_on_and_no_further() {
    let mut driver = driver().build().unwrap();
    pipe(&mut driver, &[("a1", 1, 10), ("b1", 20, 20), ("a2", 3, 30), ("a1", 5, 25)]);
    driver.commit_all().unwrap();
    // Processed, and not committed: what the sums hold of them is lost, and so must be the rows.
    pipe(&mut driver, &[("a1", 100, 40), ("c1", 7, 50)]);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(driver.restored_records().get("in"), Some(&4));
    driver.commit_all().unwrap();
    let expected = [row("a1", 100, 40), row("a2", 3, 30), row("b1", 20, 20), row("c1", 7, 50)];
    assert_eq!(rows(&driver), expected);
    let expected = BTreeMap::from([sum("a", 103), sum("b", 20), sum("c", 7)]);
    assert_eq!(sums(&driver), expected);
}

#[test]
fn a_disk_that_is_there_needs_nothing_of_the_topic() {
    let mut driver = driver().build().unwrap();
    pipe(&mut driver, &[("a1", 1, 10), ("a1", 2, 20)]);
    driver.commit_all().unwrap();
    driver.crash();
    driver.recover().unwrap();
    assert_eq!(driver.restored_records(), BTreeMap::new());
    assert_eq!(rows(&driver), [row("a1", 2, 20)]);
}

#[test]
fn a_table_follows_its_topic_from_its_checkpoint() {
    // What is committed waits in memory, and a crash takes it.
    let mut driver = driver().write_behind(1 << 20).build().unwrap();
    pipe(&mut driver, &[("a1", 1, 10), ("a2", 2, 20)]);
    driver.commit_all().unwrap();
    driver.crash();
    driver.recover().unwrap();
    assert_eq!(driver.restored_records().get("in"), Some(&2));
    driver.crash();
    driver.recover().unwrap();
    assert_eq!(rows(&driver), [row("a1", 1, 10), row("a2", 2, 20)]);
    assert_eq!(sums(&driver), BTreeMap::from([sum("a", 3)]));
}

#[test]
fn what_was_left_out_is_left_out_again_and_told_once() {
    let mut driver = driver()
        .deserialization_exception_handler(LogAndContinue::default().dead_letter_topic("dead"))
        .dropped_records_to("dropped")
        .build()
        .unwrap();
    pipe(&mut driver, &[("a1", 1, 10)]);
    let unreadable = driver.input::<String, String>("in");
    driver.pipe(&unreadable, "a1".to_owned(), "no number".to_owned(), 20).unwrap();
    let without_key = driver.input::<Option<String>, i64>("in");
    driver.pipe(&without_key, None, 9, 30).unwrap();
    driver.commit_all().unwrap();
    let letters = |driver: &TopologyTestDriver| ["dead", "dropped"].map(|t| driver.topic(t).len());
    assert_eq!(letters(&driver), [1, 1]);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(driver.restored_records().get("in"), Some(&3));
    pipe(&mut driver, &[("a2", 2, 40)]);
    driver.commit_all().unwrap();
    assert_eq!(rows(&driver), [row("a1", 1, 10), row("a2", 2, 40)]);
    assert_eq!(letters(&driver), [1, 1]);
}

#[test]
fn a_row_has_the_time_of_its_last_record_however_it_came_there() {
    let mut driver = driver().build().unwrap();
    pipe(&mut driver, &[("a1", 1, 10), ("a1", 1, 30), ("a2", 1, 20), ("a2", 1, 5)]);
    driver.commit_all().unwrap();
    let kept = rows(&driver);
    assert_eq!(kept, [row("a1", 1, 30), row("a2", 1, 5)]);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(rows(&driver), kept);
}
