//! Suppression: what waits, in which order it is emitted, and what follows sees.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use std::time::Duration;

use oncestream_core::error::{TaskError, TopologyError};
use oncestream_core::serde::{HasSerde, Part};
use oncestream_operators::{
    BufferConfig, Consumed, KTable, Materialized, StreamsBuilder, Suppressed, Windowed,
};
use support::Run;

const CACHE: usize = 1 << 20;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn table(b: &StreamsBuilder) -> KTable<String, i64> {
    b.table("in")
}

/// A table that waits for 10 ms, unless the buffer is full.
fn waiting<WhenFull>(buffer: BufferConfig<WhenFull>) -> Run {
    let b = StreamsBuilder::new();
    table(&b).suppress(Suppressed::until_time_limit(ms(10), buffer)).to_stream().to("out");
    Run::new(&b.build().unwrap()).unwrap()
}

fn set(run: &mut Run, key: &str, value: Option<i64>, time: i64) {
    run.pipe("in", Some(key.to_owned()), value, time).unwrap();
}

/// What came out, as `key=value@time`.
fn out(run: &Run) -> Vec<String> {
    let sent = run.sent.iter().filter(|sent| sent.topic == "out");
    sent.map(|sent| {
        let (key, value) = (sent.key::<String>().unwrap(), sent.value::<i64>());
        format!("{key}={}@{}", value.map_or("-".to_owned(), |v| v.to_string()), sent.timestamp)
    })
    .collect()
}

#[test]
fn a_key_waits_from_its_first_update_and_is_emitted_with_its_last() {
    let mut run = waiting(BufferConfig::unbounded());
    set(&mut run, "a", Some(1), 5);
    set(&mut run, "b", Some(1), 6);
    set(&mut run, "a", Some(2), 14);
    assert!(out(&run).is_empty(), "the limit has not passed");
    // Late ones change what waits, and move no time.
    set(&mut run, "a", Some(3), 2);
    assert!(out(&run).is_empty());
    set(&mut run, "c", Some(1), 15);
    assert_eq!(out(&run), ["a=3@2"]);
    set(&mut run, "b", None, 16);
    assert_eq!(out(&run), ["a=3@2", "b=-@16"], "a deletion is a result");
    // A key that was emitted waits anew.
    set(&mut run, "a", Some(4), 17);
    set(&mut run, "d", Some(1), 25);
    assert_eq!(out(&run)[2..], ["c=1@15"]);
}

#[test]
fn keys_of_one_time_are_emitted_in_the_order_of_their_bytes() {
    let mut run = waiting(BufferConfig::unbounded());
    for (key, time) in [("c", 4), ("ab", 4), ("é", 4), ("a", 4), ("z", 3)] {
        set(&mut run, key, Some(1), time);
    }
    set(&mut run, "last", Some(1), 100);
    assert_eq!(out(&run), ["z=1@3", "a=1@4", "ab=1@4", "c=1@4", "é=1@4"]);
}

#[test]
fn a_full_buffer_emits_the_oldest_early() {
    let mut run = waiting(BufferConfig::max_records(2));
    for (key, time) in [("a", 3), ("b", 2), ("a", 4), ("c", 5), ("d", 1)] {
        set(&mut run, key, Some(time), time);
    }
    // The record that fills it counts, and may be the oldest itself.
    assert_eq!(out(&run), ["b=2@2", "d=1@1"]);
}

#[test]
fn a_full_buffer_that_may_not_emit_stops_at_its_record_and_says_what_to_do() {
    let mut run = waiting(BufferConfig::max_records(2).shut_down_when_full());
    for key in ["a", "b", "b"] {
        set(&mut run, key, Some(1), 1);
    }
    let error = run.pipe("in", Some("c".to_owned()), Some(1_i64), 1).unwrap_err();
    assert!(!error.is_of_record(), "no handler may drop the record");
    let TaskError::BufferFull { held: 3, limit: 2, unit: "records", at: Some(at), .. } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((&*at.topic, at.partition, at.offset), ("in", 0, run.offset));
    let said = error.to_string();
    for part in ["KTABLE-SUPPRESS-", "in-0 at offset 4", "emit_early_when_full"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(out(&run).is_empty());
}

/// 8 for the place, 1 for the key, 8 for the value, 20 for time, offset and partition, 2 for the topic.
const ENTRY: u64 = 8 + 1 + 8 + 20 + 2;

#[test]
fn bytes_are_counted_as_values_grow_and_shrink() {
    let mut run = waiting(BufferConfig::max_bytes(2 * ENTRY + 8));
    set(&mut run, "a", Some(1), 1);
    set(&mut run, "b", Some(1), 2);
    // The value before is the old one too, of which there is none: it takes no room.
    set(&mut run, "a", Some(2), 3);
    assert!(out(&run).is_empty(), "a has an old value now: 8 bytes");
    set(&mut run, "b", Some(2), 4);
    assert_eq!(out(&run), ["a=2@3"], "8 bytes too many");
    set(&mut run, "b", None, 5);
    set(&mut run, "c", Some(1), 6);
    assert_eq!(out(&run).len(), 1, "a deletion has no bytes");
    let mut run = waiting(BufferConfig::max_bytes(ENTRY - 1).shut_down_when_full());
    let error = run.pipe("in", Some("a".to_owned()), Some(1_i64), 1).unwrap_err();
    let is_full = |error: &TaskError| {
        matches!(error, TaskError::BufferFull { held: ENTRY, unit: "bytes", .. })
    };
    assert!(is_full(&error), "{error:?}");
}

#[test]
fn a_cache_above_is_emptied_into_the_buffer_and_its_topic_is_counted() {
    let b = StreamsBuilder::new();
    let counts = b.stream::<String, i64>("in").group_by_key().reduce(|_, new| new, "last");
    let buffer = BufferConfig::max_bytes(ENTRY - 1).shut_down_when_full();
    counts.suppress(Suppressed::until_time_limit(ms(10), buffer)).to_stream().to("out");
    let mut run = Run::with_cache(&b.build().unwrap(), CACHE).unwrap();
    set(&mut run, "a", Some(1), 1);
    let error = run.flush().unwrap_err();
    assert!(matches!(error, TaskError::BufferFull { at: None, held: ENTRY, .. }), "{error:?}");
}

/// Kafka Streams would subtract values here that were never added.
#[test]
fn a_sum_over_a_suppressed_table_is_that_of_what_was_emitted() {
    let b = StreamsBuilder::new();
    let later = Suppressed::until_time_limit(ms(10), BufferConfig::max_records(2));
    let later = table(&b).suppress(later);
    later.to_stream().to("out");
    let grouped = later.group_by(|_, v| ("all".to_owned(), *v));
    grouped.reduce(|sum, v| sum + v, |sum, v| sum - v, "sums").to_stream().to("sums");
    let mut run = Run::new(&b.build().unwrap()).unwrap();
    let mut emitted = std::collections::BTreeMap::new();
    let mut state = 7_u64;
    for at in 0..300 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let (key, value) = ((state >> 33) % 5, (state >> 40).cast_signed() % 10);
        set(&mut run, &key.to_string(), (value > 2).then_some(value), at);
        for sent in run.sent.drain(..).filter(|sent| sent.topic == "out") {
            emitted.insert(sent.key::<String>().unwrap(), sent.value::<i64>());
        }
    }
    assert_eq!(emitted.len(), 5, "every key was emitted");
    // What waits comes out, and then the first of two keys more.
    for (key, time) in [("new", 1000), ("newer", 2000)] {
        set(&mut run, key, Some(1000), time);
    }
    for sent in run.sent.iter().filter(|sent| sent.topic == "out") {
        emitted.insert(sent.key::<String>().unwrap(), sent.value::<i64>());
    }
    let sums = run.on::<String, i64>("sums");
    let (_, last) = sums.last().unwrap();
    assert_eq!(*last, Some(emitted.values().flatten().sum()));
}

/// Kafka Streams takes what an aggregation begins with for an old value: with it a group loses a member
/// for each new one.
#[test]
fn what_an_aggregation_begins_with_was_never_told() {
    let b = StreamsBuilder::new();
    let counts = b.stream::<String, i64>("in").group_by_key().count("counts");
    let at_once = Suppressed::until_time_limit(Duration::ZERO, BufferConfig::unbounded());
    let all = counts.filter(|_, _| true).suppress(at_once);
    all.group_by(|key, _| ("all".to_owned(), key.clone())).count("keys").to_stream().to("keys");
    let mut run = Run::new(&b.build().unwrap()).unwrap();
    for key in ["a", "b", "a", "c"] {
        set(&mut run, key, Some(1), 1);
    }
    let keys: Vec<i64> = run.on::<String, i64>("keys").into_iter().filter_map(|(_, n)| n).collect();
    assert_eq!(keys, [1, 2, 2, 3]);
}

#[test]
fn what_waits_too_long_by_the_clock_is_emitted_without_new_input() {
    let b = StreamsBuilder::new();
    let later = Suppressed::until_time_limit(ms(1_000_000), BufferConfig::unbounded());
    table(&b).suppress(later.or_wall_clock(ms(500))).to_stream().to("out");
    let mut run = Run::new(&b.build().unwrap()).unwrap();
    run.init().unwrap();
    let at = |run: &mut Run, now| {
        run.wall_clock(now).unwrap();
        run.flush().unwrap();
        out(run)
    };
    set(&mut run, "b", Some(1), 5);
    set(&mut run, "a", Some(1), 7);
    assert!(at(&mut run, 499).is_empty());
    assert_eq!(at(&mut run, 550), ["a=1@7", "b=1@5"]);
    set(&mut run, "a", Some(2), 8);
    assert_eq!(at(&mut run, 10_000).len(), 3);
}

fn fault(b: StreamsBuilder) -> TopologyError {
    b.build().unwrap_err()
}

#[test]
fn what_cannot_be_suppressed_is_refused_when_the_topology_is_built() {
    let limit = || Suppressed::until_time_limit(ms(1), BufferConfig::unbounded()).with_name("x");
    let x = || "x".to_owned();

    let b = StreamsBuilder::new();
    let windowed = Consumed::with("in", Windowed::time_serde(String::serde(), ms(5)), i64::serde());
    let closes = Suppressed::until_window_closes(BufferConfig::unbounded()).with_name("x");
    b.table(windowed).suppress(closes).to_stream();
    assert_eq!(fault(b), TopologyError::NoWindowsAbove { node: x() });

    let b = StreamsBuilder::new();
    table(&b).suppress(limit()).materialized("s");
    assert_eq!(fault(b), TopologyError::SuppressedTable { node: x() });

    let b = StreamsBuilder::new();
    let _ = table(&b).suppress(limit()).store();
    assert_eq!(fault(b), TopologyError::SuppressedTable { node: x() });

    let b = StreamsBuilder::new();
    table(&b).map_values(|v| v).suppress(limit());
    assert_eq!(fault(b), TopologyError::NoSerde { node: x(), part: Part::Value });

    let b = StreamsBuilder::new();
    table(&b).map_values(|v| v).materialized("s").suppress(limit()).to_stream().to("out");
    table(&b).filter(|_, _| true).suppress(limit().with_name("y")).to_stream().to("out2");
    let suppressed = table(&b).suppress(limit().with_name("z"));
    suppressed.suppress(limit().with_name("w")).filter(|_, _| true).materialized("f");
    b.build().unwrap();
}

#[test]
fn a_suppression_is_named_by_its_options_or_before() {
    let limit = || Suppressed::until_time_limit(ms(1), BufferConfig::unbounded());
    let stores = |build: fn(&KTable<String, i64>, Suppressed<String>)| {
        let b = StreamsBuilder::new();
        let counts = b.table("in").materialized(Materialized::named("s"));
        build(&counts, limit());
        let topology = b.build().unwrap();
        let mut names: Vec<String> =
            topology.store_names().iter().map(ToString::to_string).collect();
        names.retain(|name| name != "s");
        (names, topology.describe().contains("Processor: x (stores: [x-store])"))
    };
    let generated = "KTABLE-SUPPRESS-STATE-STORE-0000000003".to_owned();
    assert_eq!(stores(|t, s| drop(t.suppress(s))), (vec![generated], false));
    let named = (vec!["x-store".to_owned()], true);
    assert_eq!(stores(|t, s| drop(t.suppress(s.with_name("x")))), named);
    assert_eq!(stores(|t, s| drop(t.named("x").suppress(s))), named);
    let b = StreamsBuilder::new().explicit_names();
    b.table::<String, i64>("in").materialized("s").suppress(limit()).to_stream().to("out");
    let error = fault(b).to_string();
    assert!(error.contains("Suppressed::with_name"), "{error}");
}
