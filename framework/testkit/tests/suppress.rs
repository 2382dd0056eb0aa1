//! Suppression across restarts, on the test driver: what waits, since when, and what was emitted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use oncestream_core::serde::HasSerde;
use oncestream_operators::{
    BufferConfig, Produced, StreamsBuilder, Suppressed, TimeWindows, Windowed,
};
use oncestream_testkit::TopologyTestDriver;
use oncestream_testkit::driver::TestOutput;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn limited(suppressed: Suppressed<String>) -> TopologyTestDriver {
    let b = StreamsBuilder::new();
    b.table::<String, i64>("in").suppress(suppressed.with_name("later")).to_stream().to("out");
    TopologyTestDriver::builder(b.build().unwrap()).application_id("app").build().unwrap()
}

fn set(driver: &mut TopologyTestDriver, key: &str, value: i64, time: i64) {
    let input = driver.input::<String, i64>("in");
    driver.pipe(&input, key.to_owned(), value, time).unwrap();
}

fn told(output: &mut TestOutput<String, i64>) -> Vec<(String, i64)> {
    output.read_all().unwrap().into_iter().map(|record| (record.key, record.value)).collect()
}

fn pairs(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

#[test]
fn what_waits_and_how_far_time_has_come_survive_a_lost_disk() {
    let mut driver = limited(Suppressed::until_time_limit(ms(10), BufferConfig::unbounded()));
    let mut output = driver.output("out");
    set(&mut driver, "a", 1, 100);
    set(&mut driver, "b", 2, 101);
    set(&mut driver, "a", 3, 102);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    // Time is at 102: an update of 91 waits for 9 more, and one of 92 is due.
    set(&mut driver, "late", 4, 92);
    assert_eq!(told(&mut output), pairs(&[("late", 4)]));
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    set(&mut driver, "c", 5, 110);
    assert_eq!(told(&mut output), pairs(&[("a", 3)]), "its place is that of its first update");
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    set(&mut driver, "d", 6, 111);
    assert_eq!(told(&mut output), pairs(&[("b", 2)]), "what was emitted does not come again");
}

#[test]
fn the_changelog_has_the_records_of_kafka_streams() {
    let mut driver = limited(Suppressed::until_time_limit(ms(10), BufferConfig::unbounded()));
    set(&mut driver, "a", 1, 100);
    set(&mut driver, "b", 2, 110);
    let changelog = driver.changelog("later-store");
    let told: Vec<_> = changelog
        .iter()
        .map(|record| {
            let headers: Vec<_> =
                record.headers.iter().map(|h| (h.key.clone(), h.value.clone())).collect();
            (record.key.clone().unwrap(), record.value.is_some(), headers)
        })
        .collect();
    let version = vec![("v".to_owned(), Some(vec![3]))];
    assert_eq!(
        told,
        [
            (b"a".to_vec(), true, version.clone()),
            (b"b".to_vec(), true, version),
            (b"a".to_vec(), false, Vec::new()),
        ]
    );
}

#[test]
fn a_limit_on_the_wall_clock_goes_on_from_the_first_update_after_a_crash() {
    let hour = Suppressed::until_time_limit(ms(3_600_000), BufferConfig::unbounded());
    let mut driver = limited(hour.or_wall_clock(ms(1000)));
    let mut output = driver.output("out");
    set(&mut driver, "a", 1, 100);
    driver.advance_wall_clock(600).unwrap();
    set(&mut driver, "b", 2, 100);
    set(&mut driver, "a", 3, 100);
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
    assert!(told(&mut output).is_empty());
    driver.advance_wall_clock(500).unwrap();
    assert_eq!(told(&mut output), pairs(&[("a", 3)]));
    driver.advance_wall_clock(600).unwrap();
    assert_eq!(told(&mut output), pairs(&[("b", 2)]));
}

/// Counts in windows of 10 ms, whose final results come by the clock 100 ms after the last one.
fn closing(cache: usize) -> TopologyTestDriver {
    let b = StreamsBuilder::new();
    let windows = TimeWindows::of_size_and_grace(ms(10), ms(5));
    let closes = Suppressed::until_window_closes(BufferConfig::unbounded()).or_wall_clock(ms(100));
    let of_key = |key: &Windowed<String>| format!("{}@{}", key.key, key.start);
    b.stream::<String, i64>("in")
        .group_by_key()
        .windowed_by(windows)
        .count("counts")
        .suppress(closes.with_name("final"))
        .to_stream()
        .map(move |key, count: Option<i64>| (of_key(&key), count))
        .to(Produced::with("out", String::serde(), Option::<i64>::serde()));
    let builder = TopologyTestDriver::builder(b.build().unwrap()).application_id("app");
    builder.cache_max_bytes(cache).build().unwrap()
}

#[test]
fn a_window_closes_by_the_clock_once_whatever_comes_late() {
    for cache in [0, 1 << 20] {
        let mut driver = closing(cache);
        let mut output = driver.output("out");
        set(&mut driver, "a", 1, 1);
        set(&mut driver, "a", 1, 3);
        driver.advance_wall_clock(100).unwrap();
        assert!(told(&mut output).is_empty(), "12 ms of time are missing");
        driver.advance_wall_clock(20).unwrap();
        assert_eq!(told(&mut output), pairs(&[("a@0", 2)]), "with a cache of {cache}");
        // The aggregation takes it, because its own time stands still.
        set(&mut driver, "a", 1, 4);
        driver.crash_and_lose_disk().unwrap();
        driver.recover().unwrap();
        set(&mut driver, "a", 1, 5);
        set(&mut driver, "b", 1, 12);
        driver.advance_wall_clock(1000).unwrap();
        assert_eq!(told(&mut output), pairs(&[("b@10", 1)]), "with a cache of {cache}");
    }
}

#[test]
fn a_window_does_not_close_by_the_clock_while_results_come() {
    let mut driver = closing(0);
    let mut output = driver.output("out");
    for time in 0..10 {
        set(&mut driver, "a", 1, time);
        driver.advance_wall_clock(90).unwrap();
    }
    assert!(told(&mut output).is_empty());
    driver.advance_wall_clock(40).unwrap();
    assert_eq!(told(&mut output), pairs(&[("a@0", 10)]));
}
