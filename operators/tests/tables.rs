//! What tables forward with a store and without, and what nulls do in them.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use oncestream_core::Record;
use oncestream_core::serde::HasSerde;
use oncestream_operators::{Consumed, Materialized, StreamsBuilder};
use support::Run;

type Pair = (Option<String>, Option<i64>);

fn some(key: &str, value: i64) -> Pair {
    (Some(key.to_owned()), Some(value))
}

fn gone(key: &str) -> Pair {
    (Some(key.to_owned()), None)
}

/// Pipes values of one key, each with its place as its time, and flushes.
fn run(b: StreamsBuilder, cache: usize, values: &[Option<i64>]) -> Run {
    let mut run = Run::with_cache(&b.build().unwrap(), cache).unwrap();
    run.init().unwrap();
    for (at, value) in values.iter().enumerate() {
        run.pipe("in", Some("k".to_owned()), *value, at as i64).unwrap();
    }
    run.flush().unwrap();
    run
}

const CACHE: usize = 1 << 20;

#[test]
fn a_table_without_a_store_is_not_cached_and_one_with_a_store_is() {
    let values = [Some(1), Some(2), None];
    for materialized in [false, true] {
        let b = StreamsBuilder::new();
        let (table, of_stream) =
            (b.table::<String, i64>("in"), b.stream::<String, Option<i64>>("in").to_table::<i64>());
        if materialized {
            table.materialized("one").to_stream().to("table");
            of_stream.materialized("two").to_stream().to("of-stream");
        } else {
            table.to_stream().to("table");
            of_stream.to_stream().to("of-stream");
        }
        let run = run(b, CACHE, &values);
        // What came and went within one commit is not told.
        let wanted =
            if materialized { vec![] } else { vec![some("k", 1), some("k", 2), gone("k")] };
        assert_eq!(run.on("table"), wanted);
        assert_eq!(run.on("of-stream"), wanted);
    }
}

#[test]
fn a_filter_with_a_store_deletes_only_what_had_passed_whatever_is_above() {
    let values = [Some(1), Some(20), Some(2), None, Some(3)];
    let filter = |above: bool, own: bool| {
        let b = StreamsBuilder::new();
        let table = b.table::<String, i64>("in");
        let table = if above { table.materialized("above") } else { table };
        let filtered = table.filter(|_, v| *v > 10);
        let filtered = if own { filtered.materialized("own") } else { filtered };
        filtered.to_stream().to("out");
        run(b, 0, &values).on::<String, i64>("out")
    };
    let passed = [some("k", 20), gone("k")];
    assert_eq!(filter(true, true), passed);
    assert_eq!(filter(false, true), passed);
    assert_eq!(filter(true, false), passed);
    // Nobody knows what was before, as in Kafka Streams.
    assert_eq!(filter(false, false), [gone("k"), some("k", 20), gone("k"), gone("k"), gone("k")]);
}

#[test]
fn a_mapper_of_a_table_that_gives_none_deletes() {
    let values = [Some(1), Some(20), Some(2)];
    for own in [false, true] {
        let b = StreamsBuilder::new();
        let table = b.table::<String, i64>("in").materialized("above");
        let mapped = table.filter_map_values(|v| (v > 10).then_some(v * 10));
        let with_key = table.filter_map_values_with_key(|k, v| (k == "k" && v < 10).then_some(v));
        let keyed = table.map_values_with_key(|k, v| v + k.len() as i64);
        if own {
            mapped.materialized("own").to_stream().to("mapped");
        } else {
            mapped.to_stream().to("mapped");
        }
        with_key.to_stream().to("with-key");
        keyed.to_stream().to("keyed");
        // The old value is mapped too, so the count is of what is there.
        let counts = mapped.group_by(|k, v| (k.clone(), *v)).count("counts");
        counts.to_stream().to("counts");
        let run = run(b, 0, &values);
        assert_eq!(run.on("mapped"), [gone("k"), some("k", 200), gone("k")]);
        assert_eq!(run.on("with-key"), [some("k", 1), gone("k"), some("k", 2)]);
        assert_eq!(run.on("keyed"), [some("k", 2), some("k", 21), some("k", 3)]);
        assert_eq!(run.on("counts"), [some("k", 1), some("k", 0)]);
    }
}

#[test]
fn none_from_a_reducer_or_an_aggregator_deletes_and_the_table_stays_one_of_values() {
    let b = StreamsBuilder::new();
    let grouped = b.stream::<String, i64>("in").group_by_key();
    grouped.reduce(|sum, v| (v != 0).then_some(sum + v), "sums").to_stream().to("sums");
    let count = |_: &String, v: i64, n: i64| (v != 0).then_some(n + 1);
    grouped.aggregate(|| 100_i64, count, "counts").to_stream().to("counts");
    let run = run(b, 0, &[Some(1), Some(2), Some(0), Some(3)]);
    assert_eq!(run.on("sums"), [some("k", 1), some("k", 3), gone("k"), some("k", 3)]);
    assert_eq!(run.on("counts"), [some("k", 101), some("k", 102), gone("k"), some("k", 101)]);
}

#[test]
fn none_from_an_adder_or_a_subtractor_deletes_the_group() {
    let b = StreamsBuilder::new();
    let grouped = b.table::<String, i64>("in").group_by(|_, v| ("all".to_owned(), *v));
    let less = |sum: i64, v: i64| (sum > v).then_some(sum - v);
    grouped.reduce(|sum, v| sum + v, less, "sums").to_stream().to("sums");
    let add = |_: &String, v: i64, n: i64| (v < 10).then_some(n + 1);
    let subtract = |_: &String, _, n: i64| (n > 1).then_some(n - 1);
    grouped.aggregate(|| 0_i64, add, subtract, "counts").to_stream().to("counts");
    let run = run(b, 0, &[Some(1), Some(2), None, Some(10)]);
    let sums = [some("all", 1), some("all", 2), gone("all"), some("all", 10)];
    assert_eq!(run.on("sums"), sums);
    assert_eq!(run.on("counts"), [some("all", 1), some("all", 1), gone("all"), gone("all")]);
}

#[test]
fn a_table_takes_the_time_of_its_extractor_but_for_deletions() {
    let b = StreamsBuilder::new();
    let by_value = |r: &Record<String, i64>, _| r.value * 100;
    let consumed = Consumed::new("in").timestamp_extractor(by_value);
    b.table::<String, i64>(consumed).to_stream().to("out");
    let run = run(b, 0, &[Some(3), None]);
    let times: Vec<_> = run.sent.iter().map(|sent| sent.timestamp).collect();
    assert_eq!(times, [300, 1]);
}

/// A store that is named without serdes has those that its topic was given.
#[test]
fn a_store_has_the_serdes_of_its_topic_unless_it_is_given_others() {
    for own in [false, true] {
        let b = StreamsBuilder::new();
        let json = oncestream_core::serde::JsonSerde::dynamic;
        let table = b.table::<String, i64>(Consumed::with("in", String::serde(), json()));
        let store = if own {
            Materialized::with("store", String::serde(), i64::serde())
        } else {
            Materialized::named("store")
        };
        table.materialized(store).to_stream().to("out");
        let mut run = Run::new(&b.build().unwrap()).unwrap();
        run.pipe("in", Some("k".to_owned()), Some("7".to_owned()), 0).unwrap();
        assert_eq!(run.on("out"), [some("k", 7)]);
        run.flush().unwrap();
        let logged: Vec<_> = run
            .sent
            .iter()
            .filter(|s| s.topic.ends_with("changelog"))
            .map(|s| s.value.clone())
            .collect();
        let wanted = if own { 7_i64.to_be_bytes().to_vec() } else { b"7".to_vec() };
        assert_eq!(logged, [Some(wanted)]);
    }
}
