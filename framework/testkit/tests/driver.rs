//! What the driver promises: Kafka's partitions, transactions and offsets, in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use oncestream_core::commit::Guarantee;
use oncestream_core::graph::Topology;
use oncestream_core::handlers::{DeserializationExceptionHandler, LogAndContinue, LogAndFail};
use oncestream_core::partitioner::partition_for_key;
use oncestream_core::{Header, Record};
use oncestream_operators::{StreamsBuilder, Topics};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::{CommitStep, DriverError};

fn pass_through() -> Topology {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").to("out");
    b.build().unwrap()
}

/// Counts words behind a repartition topic.
fn word_count() -> Topology {
    let b = StreamsBuilder::new();
    b.stream::<Option<String>, String>("lines")
        .flat_map_values(|v| v.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("counts");
    b.build().unwrap()
}

const REPARTITION: &str = "app-counts-repartition";

#[test]
fn records_go_to_the_partition_a_java_producer_picks() {
    let mut driver =
        TopologyTestDriver::builder(pass_through()).default_partitions(5).build().unwrap();
    let input = driver.input::<String, i64>("in");
    for n in 0..50 {
        driver.pipe(&input, format!("key-{n}"), n, 0).unwrap();
    }
    driver.pipe(&input.partition(4), "chosen".into(), 50, 0).unwrap();
    for topic in ["in", "out"] {
        let records = driver.topic(topic);
        assert_eq!(records.len(), 51);
        for record in records.iter().take(50) {
            assert_eq!(record.partition, partition_for_key(record.key.as_ref().unwrap(), 5));
        }
    }
    assert_eq!(driver.topic("in")[50].partition, 4);
    assert_eq!(driver.tasks().len(), 5);
}

#[test]
fn records_without_a_key_use_every_partition() {
    let mut driver =
        TopologyTestDriver::builder(word_count()).partitions("lines", 3).build().unwrap();
    let lines = driver.input::<Option<String>, String>("lines");
    for _ in 0..3 {
        driver.pipe(&lines, None, "a".into(), 0).unwrap();
    }
    let mut used: Vec<i32> = driver.topic("lines").iter().map(|r| r.partition).collect();
    used.sort_unstable();
    assert_eq!(used, [0, 1, 2]);
}

#[test]
fn a_partition_that_is_not_there_is_refused() {
    let mut driver = TopologyTestDriver::builder(pass_through()).build().unwrap();
    let input = driver.input::<String, i64>("in");
    let refused = driver.pipe(&input.partition(1), "k".into(), 1, 0);
    assert!(matches!(refused, Err(DriverError::NoPartition { partition: 1, partitions: 1, .. })));
}

#[test]
fn downstream_sees_a_repartition_topic_after_the_commit_only() {
    let mut driver = TopologyTestDriver::builder(word_count())
        .application_id("app")
        .commit_interval_ms(100)
        .build()
        .unwrap();
    let lines = driver.input::<Option<String>, String>("lines");
    let mut counts = driver.output::<String, Option<i64>>("counts");
    driver.pipe(&lines, None, "a b".into(), 7).unwrap();
    assert!(driver.topic(REPARTITION).is_empty(), "the transaction is open");
    assert_eq!(driver.store::<String, i64>("counts").unwrap().get(&"a".into()).unwrap(), None);
    assert_eq!(driver.committed_offset("lines", 0), Some(0), "where it begins, and no more");

    driver.commit().unwrap();
    assert_eq!(driver.topic(REPARTITION).len(), 2);
    assert_eq!(driver.committed_offset("lines", 0), Some(1));
    let store = driver.store::<String, i64>("counts").unwrap();
    assert_eq!(store.get(&"a".into()).unwrap(), Some(1), "processed, not committed");
    assert_eq!(store.get_with_timestamp(&"a".into()).unwrap().unwrap().timestamp, 7);
    assert!(counts.is_empty() && driver.changelog("counts").is_empty());

    driver.commit().unwrap();
    assert_eq!(counts.read_pairs().unwrap(), [("a".into(), Some(1)), ("b".into(), Some(1))]);
    assert_eq!(driver.changelog("counts").len(), 2);
    assert!(counts.is_empty());
}

#[test]
fn at_least_once_hides_nothing() {
    let mut driver = TopologyTestDriver::builder(word_count())
        .application_id("app")
        .commit_interval_ms(100)
        .cache_max_bytes(0)
        .guarantee(Guarantee::AtLeastOnce)
        .build()
        .unwrap();
    let lines = driver.input::<Option<String>, String>("lines");
    driver.pipe(&lines, None, "a b".into(), 0).unwrap();
    assert_eq!(driver.topic("counts").len(), 2);
    assert_eq!(driver.committed_offset("lines", 0), Some(0), "where it begins, and no more");
}

#[test]
fn a_commit_due_by_the_wall_clock_happens_and_an_idle_driver_commits_nothing() {
    let mut driver =
        TopologyTestDriver::builder(pass_through()).commit_interval_ms(100).build().unwrap();
    driver.advance_wall_clock(1_000).unwrap();
    assert_eq!(driver.commit_steps(), 0, "no transaction for nothing");
    let input = driver.input::<String, i64>("in");
    driver.pipe(&input, "k".into(), 1, 0).unwrap();
    driver.advance_wall_clock(99).unwrap();
    assert!(driver.topic("out").is_empty());
    driver.advance_wall_clock(1).unwrap();
    assert_eq!(driver.topic("out").len(), 1);
    assert_eq!(driver.now_ms(), 1_100);
}

#[test]
fn aborted_records_and_markers_take_offsets_and_are_never_read() {
    let mut driver = TopologyTestDriver::builder(pass_through()).build().unwrap();
    let input = driver.input::<String, i64>("in");
    driver.crash_at(CommitStep::BeforeCommit);
    let crashed = driver.pipe(&input, "k".into(), 1, 0);
    assert!(matches!(crashed, Err(DriverError::Crashed { step: CommitStep::BeforeCommit })));
    assert!(driver.is_down() && driver.topic("out").is_empty());
    driver.pipe(&input, "k".into(), 2, 0).unwrap();
    assert!(driver.topic("out").is_empty(), "a driver that is down does nothing");
    assert!(matches!(driver.commit(), Err(DriverError::Down)));
    driver.recover().unwrap();
    let offsets: Vec<i64> = driver.topic("out").iter().map(|r| r.offset).collect();
    // 0 is aborted, 1 its marker, 3 the marker behind 2.
    assert_eq!(offsets, [2, 4]);
    let pairs = driver.output::<String, i64>("out").read_pairs().unwrap();
    assert_eq!(pairs, [("k".into(), 1), ("k".into(), 2)]);
}

#[test]
fn an_open_transaction_holds_back_what_others_write_behind_it() {
    let mut driver =
        TopologyTestDriver::builder(pass_through()).commit_interval_ms(100).build().unwrap();
    let (input, out) = (driver.input::<String, i64>("in"), driver.input::<String, i64>("out"));
    driver.pipe(&input, "k".into(), 1, 0).unwrap();
    driver.produce(&out, Record::new("k".into(), 2, 0)).unwrap();
    assert!(driver.topic("out").is_empty());
    driver.commit().unwrap();
    assert_eq!(driver.topic("out").len(), 2);
}

#[test]
fn a_record_that_cannot_be_read_stops_the_driver_or_is_counted() {
    fn run(
        handler: impl DeserializationExceptionHandler + 'static,
    ) -> (Result<(), DriverError>, bool, u64, Option<i64>) {
        let mut driver = TopologyTestDriver::builder(pass_through())
            .deserialization_exception_handler(handler)
            .build()
            .unwrap();
        let bad = driver.input::<String, String>("in");
        let result = driver.pipe(&bad, "k".into(), "not 8 bytes".into(), 0);
        (result, driver.is_down(), driver.dropped_records(), driver.committed_offset("in", 0))
    }
    let (result, down, ..) = run(LogAndFail::default());
    assert!(matches!(result, Err(DriverError::Task { .. })) && down);
    let (result, down, dropped, committed) = run(LogAndContinue::default());
    assert!(result.is_ok() && !down);
    assert_eq!((dropped, committed), (1, Some(1)), "its offset is committed");
}

#[test]
fn a_source_pattern_reads_the_topics_that_were_named() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>(Topics::pattern("in-.*")).to("out");
    let mut driver = TopologyTestDriver::builder(b.build().unwrap())
        .partitions("in-a", 1)
        .partitions("in-b", 1)
        .partitions("other", 1)
        .build()
        .unwrap();
    for topic in ["in-a", "in-b", "other"] {
        let input = driver.input::<String, i64>(topic);
        driver.pipe(&input, topic.to_owned(), 0, 0).unwrap();
    }
    let read = driver.output::<String, i64>("out").read_pairs().unwrap();
    assert_eq!(read, [("in-a".to_owned(), 0), ("in-b".to_owned(), 0)]);
}

#[test]
fn a_store_is_found_by_name_and_types() {
    let mut driver =
        TopologyTestDriver::builder(word_count()).partitions("lines", 3).build().unwrap();
    let lines = driver.input::<Option<String>, String>("lines");
    driver.pipe(&lines, None, "a b c d e f a".into(), 0).unwrap();
    let store = driver.store::<String, i64>("counts").unwrap();
    assert_eq!(store.get(&"a".into()).unwrap(), Some(2));
    assert_eq!(store.get(&"x".into()).unwrap(), None);
    assert_eq!(store.to_map().unwrap().len(), 6);
    assert!(matches!(driver.store::<String, i32>("counts"), Err(DriverError::NoStore { .. })));
    assert!(matches!(driver.store::<String, i64>("count"), Err(DriverError::NoStore { .. })));
}

#[test]
fn headers_travel_through_the_topology() {
    let mut driver = TopologyTestDriver::builder(pass_through()).build().unwrap();
    let input = driver.input::<String, i64>("in");
    let headers = [Header::new("trace", b"7".to_vec()), Header::new("null", None)];
    let record = Record::new("k".to_owned(), 1, 5).with_headers(headers);
    driver.pipe_record(&input, record.clone()).unwrap();
    assert_eq!(driver.output::<String, i64>("out").read_record().unwrap(), Some(record));
}

#[test]
fn a_null_is_piped_whatever_the_type_of_the_values() {
    let b = StreamsBuilder::new();
    b.table::<String, i64>("in").materialized("table").to_stream().to("out");
    let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
    let input = driver.input::<String, i64>("in");
    driver.pipe(&input, "k".into(), 1, 5).unwrap();
    driver.pipe_null(&input, "k".into(), 6).unwrap();
    assert_eq!(driver.topic("in")[1].value, None);
    let changes = driver.output::<String, Option<i64>>("out").read_all().unwrap();
    let changes: Vec<_> = changes.into_iter().map(|r| (r.value, r.timestamp)).collect();
    assert_eq!(changes, [(Some(1), 5), (None, 6)]);
}

#[test]
fn the_state_of_a_lost_disk_comes_back_from_the_changelog() {
    let mut driver =
        TopologyTestDriver::builder(word_count()).partitions("lines", 2).build().unwrap();
    let lines = driver.input::<Option<String>, String>("lines");
    driver.pipe(&lines, None, "a a b".into(), 3).unwrap();
    let before = driver.store::<String, i64>("counts").unwrap().all().unwrap();
    driver.crash();
    driver.recover().unwrap();
    assert!(driver.restored_records().is_empty(), "the disk was there");
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert_eq!(driver.restored_records()["counts"], driver.changelog("counts").len() as u64);
    assert_eq!(driver.store::<String, i64>("counts").unwrap().all().unwrap(), before);
}
