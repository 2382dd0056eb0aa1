//! A window store in a processor: what it counts and what it has forgotten is the same whatever
//! crashes, and its changelog has the keys of Kafka Streams and nothing of what expires.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod crashes;

use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::BoxError;
use oncestream_core::serde::HasSerde;
use oncestream_core::state::Window;
use oncestream_operators::processor::{Processor, ProcessorContext, StoreHandle};
use oncestream_operators::{Materialized, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::DriverError;

use crashes::{builder, settle};

const MINUTE_MS: i64 = 60_000;

/// Counts records per key and minute, and forwards each count; a record that comes too late is told
/// as -1.
struct PerMinute(StoreHandle<String, i64, Window>);

impl Processor for PerMinute {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = i64;

    fn process(
        &mut self,
        ctx: &mut ProcessorContext<'_, Self>,
        record: Record<String, String>,
    ) -> Result<(), BoxError> {
        let Self(store) = self;
        let start = record.timestamp / MINUTE_MS * MINUTE_MS;
        let count = store.fetch(&record.key, start)?.unwrap_or(0) + 1;
        let told = if store.put_at(record.key.clone(), start, count)? { count } else { -1 };
        let name = format!("{}@{start}", record.key);
        Ok(ctx.forward(Record::new(name, told, record.timestamp))?)
    }
}

/// Key, and time in seconds.
const SCRIPT: [(&str, i64); 8] = [
    ("a", 10),
    ("a", 50),
    ("b", 70),
    ("a", 130),
    // Behind by less than the retention, then by more.
    ("b", 100),
    ("a", 200),
    ("a", 20),
    ("b", 210),
];

fn driver() -> TopologyTestDriver {
    let b = StreamsBuilder::new();
    let retention = Window::new(Duration::from_secs(180));
    let store = Materialized::of_kind("minutes", retention, String::serde(), i64::serde());
    let minutes = b.add_state_store(store);
    b.stream::<String, String>("in").process(&minutes, PerMinute).to("out");
    builder(b).build().unwrap()
}

fn run(driver: &mut TopologyTestDriver) {
    let input = driver.input::<String, String>("in").partition(0);
    for (key, seconds) in SCRIPT {
        let record = Record::new(key.to_owned(), String::new(), seconds * 1_000);
        driver.produce(&input, record).unwrap();
        settle(driver);
    }
}

fn told(driver: &mut TopologyTestDriver) -> Vec<(String, i64)> {
    driver.output::<String, i64>("out").read_pairs().unwrap()
}

fn windows(driver: &TopologyTestDriver) -> Vec<(String, i64, i64)> {
    let store = driver.store_of_kind::<String, i64, Window>("minutes").unwrap();
    let all = store.all().unwrap().into_iter();
    all.map(|(window, found)| (window.key, window.start, found.value)).collect()
}

fn check(driver: &mut TopologyTestDriver, when: &str) {
    let expected = [
        ("a@0", 1),
        ("a@0", 2),
        ("b@60000", 1),
        ("a@120000", 1),
        ("b@60000", 2),
        ("a@180000", 1),
        ("a@0", -1),
        ("b@180000", 1),
    ];
    let expected: Vec<_> = expected.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!(told(driver), expected, "{when}");
    let left = [("b", 60_000, 2), ("a", 120_000, 1), ("a", 180_000, 1), ("b", 180_000, 1)];
    let left: Vec<_> = left.map(|(key, start, count)| (key.to_owned(), start, count)).into();
    assert_eq!(windows(driver), left, "{when}");
}

#[test]
fn windows_are_counted_once_and_forgotten_in_time_whatever_step_crashes() {
    let mut whole = driver();
    run(&mut whole);
    check(&mut whole, "without a crash");
    let steps = whole.commit_steps();
    assert!(steps > 20, "{steps}");
    for step in 0..steps {
        let mut driver = driver();
        driver.crash_at_count(step);
        run(&mut driver);
        if driver.is_down() {
            driver.recover().unwrap();
        }
        check(&mut driver, &format!("after a crash at step {step}"));
    }
}

#[test]
fn a_store_that_lost_its_disk_shows_what_it_showed() {
    let mut driver = driver();
    run(&mut driver);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    check(&mut driver, "after the disk was lost");
}

#[test]
fn the_changelog_has_kafka_streams_keys_and_no_deletion_of_what_expired() {
    let mut driver = driver();
    run(&mut driver);
    let changelog = driver.changelog("minutes");
    assert_eq!(changelog.len(), SCRIPT.len() - 1, "all but the one that came too late");
    assert!(changelog.iter().all(|record| record.value.is_some()));
    let first = [&b"a"[..], &0_i64.to_be_bytes(), &0_i32.to_be_bytes()].concat();
    assert_eq!(changelog[0].key.as_deref(), Some(&first[..]));
    assert_eq!(changelog[0].value.as_deref(), Some(&1_i64.to_be_bytes()[..]));
    assert_eq!(changelog[0].timestamp, 10_000);
}

#[test]
fn a_store_is_not_found_as_one_of_another_kind() {
    let driver = driver();
    let other = driver.store::<String, i64>("minutes").err().unwrap();
    assert!(matches!(other, DriverError::NoStore { .. }), "{other}");
    assert_eq!(driver.store_of_kind::<String, i64, Window>("minutes").unwrap().all().unwrap(), []);
}
