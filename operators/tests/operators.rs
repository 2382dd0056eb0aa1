//! What operators forward, one record at a time unless a test asks for a cache.
//!
//! The expected numbers of tables, table groups, `reduce` and null keys are what Kafka Streams 4.3.1
//! gave for the same records (`TopologyTestDriver`, caches off).
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use oncestream_core::error::{BoxError, TaskError};
use oncestream_core::serde::{HasSerde, Serde};
use oncestream_operators::processor::{
    FixedKeyProcessor, FixedKeyProcessorContext, FixedKeyRecord,
};
use oncestream_operators::{Branched, Change, ChangeSerde, StreamsBuilder};
use support::Run;

fn run(builder: StreamsBuilder) -> Run {
    let mut run = Run::new(&builder.build().unwrap()).unwrap();
    run.init().unwrap();
    run
}

fn some(key: &str, value: i64) -> (Option<String>, Option<i64>) {
    (Some(key.to_owned()), Some(value))
}

fn gone(key: &str) -> (Option<String>, Option<i64>) {
    (Some(key.to_owned()), None)
}

fn put(run: &mut Run, topic: &str, key: &str, value: Option<i64>, timestamp: i64) {
    run.pipe(topic, Some(key.to_owned()), value, timestamp).unwrap();
}

#[test]
fn split_gives_a_record_to_the_first_branch_that_wants_it() {
    let b = StreamsBuilder::new();
    let mut split = b.stream::<String, i64>("in").split();
    // Taken in another order than used: the order of the branches counts.
    let small = split.branch(|_, v| *v < 10, "small");
    let even = split.branch(|_, v| v % 2 == 0, Branched::new());
    split.default_branch(Branched::new()).to("rest");
    even.to("even");
    small.to("small");
    let mut run = run(b);
    for v in [4, 12, 13] {
        put(&mut run, "in", "k", Some(v), 0);
    }
    assert_eq!(run.on("small"), [some("k", 4)]);
    assert_eq!(run.on("even"), [some("k", 12)]);
    assert_eq!(run.on("rest"), [some("k", 13)]);
}

/// With one input, where records are processed at once, and with two, where they wait.
#[test]
fn an_input_that_goes_back_is_an_error_and_nothing_is_counted_twice() {
    for inputs in [&["in"][..], &["in", "other"]] {
        let b = StreamsBuilder::new();
        b.stream::<String, i64>(inputs).group_by_key().count("counts").to_stream().to("out");
        let mut run = run(b);
        for v in [1, 2] {
            put(&mut run, "in", "k", Some(v), 0);
        }
        // What was written took an offset, too.
        run.offset -= 2;
        let error = run.pipe("in", Some("k".to_owned()), Some(2_i64), 0).unwrap_err();
        let TaskError::WentBack { topic, offset: 3, taken: 3, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(topic, "in");
        // A gap is none: transaction markers and compaction make some.
        run.offset += 7;
        put(&mut run, "in", "k", Some(3), 0);
        assert_eq!(run.on("out"), [some("k", 1), some("k", 2), some("k", 3)]);
    }
}

#[test]
fn reduce_starts_with_the_first_value_and_drops_nulls() {
    let b = StreamsBuilder::new();
    b.stream::<String, Option<i64>>("in")
        .group_by_key()
        .reduce(|a, v| a.zip(v).map(|(a, v)| a * 10 + v), "digits")
        .to_stream()
        .map_values(Option::flatten)
        .to("out");
    let mut run = run(b);
    put(&mut run, "in", "k", Some(1), 5);
    put(&mut run, "in", "k", None, 9);
    put(&mut run, "in", "k", Some(2), 3);
    assert_eq!(run.on("out"), [some("k", 1), some("k", 12)]);
    assert_eq!(run.sent.last().unwrap().timestamp, 5, "the largest of the records folded in");
    assert_eq!(run.dropped(), 1);
}

#[test]
fn a_table_drops_null_keys_and_deletes_for_null_values() {
    let b = StreamsBuilder::new();
    let table = b.table::<String, i64>("in").materialized("table");
    table.to_stream().to("all");
    table.filter(|_, v| *v > 10).to_stream().to("large");
    table.filter(|_, v| *v > 10).materialized("large").to_stream().to("large-too");
    let mut run = run(b);
    run.pipe("in", None::<String>, Some(1_i64), 0).unwrap();
    assert_eq!(run.dropped(), 1);
    for v in [Some(1), Some(11), Some(12), Some(2), None, None] {
        put(&mut run, "in", "k", v, 0);
    }
    let all = [some("k", 1), some("k", 11), some("k", 12), some("k", 2), gone("k"), gone("k")];
    assert_eq!(run.on("all"), all);
    // No deletion of what never passed, and one only of what did.
    let large = [some("k", 11), some("k", 12), gone("k")];
    assert_eq!(run.on("large"), large);
    assert_eq!(run.on("large-too"), large);
}

#[test]
fn to_table_repartitions_a_changed_key_and_reads_none_as_a_deletion() {
    let b = StreamsBuilder::new();
    b.stream::<String, Option<i64>>("in")
        .map(|k, v| (k.to_uppercase(), v))
        .named("last")
        .to_table::<i64>()
        .map_values(|v| v + 1)
        .to_stream()
        .to("out");
    let mut run = run(b);
    put(&mut run, "in", "k", Some(1), 0);
    put(&mut run, "in", "k", None, 0);
    assert_eq!(run.on::<String, i64>("app-last-repartition").len(), 2);
    assert_eq!(run.on("out"), [some("K", 1 + 1), gone("K")]);
}

#[test]
fn null_keys_are_left_out_of_a_repartition_topic_uncounted() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in")
        .group_by(|k, _| Some(k.clone()).filter(|k| k != "none"))
        .count("counts")
        .to_stream()
        .to("out");
    let mut run = run(b);
    put(&mut run, "in", "none", Some(1), 0);
    put(&mut run, "in", "k", Some(1), 0);
    assert_eq!(run.on("app-counts-repartition"), [some("k", 1)]);
    assert_eq!(run.on("out"), [some("k", 1)]);
    assert_eq!(run.dropped(), 0);
}

#[test]
fn a_table_group_subtracts_the_old_value_and_adds_the_new() {
    let b = StreamsBuilder::new();
    // The key of a group is the tens of the value.
    let grouped = b
        .table::<String, i64>("in")
        .materialized("table")
        .group_by(|_, v| ((v / 10).to_string(), *v))
        .grouped("tens");
    grouped.count("counts").to_stream().to("counts");
    grouped.reduce(|a, v| a + v, |a, v| a - v, "sums").to_stream().to("sums");
    let mut run = run(b);
    put(&mut run, "in", "a", Some(11), 10);
    put(&mut run, "in", "a", Some(12), 20);
    put(&mut run, "in", "a", Some(31), 15);
    put(&mut run, "in", "a", None, 30);

    let changes: Vec<(String, Change<i64>)> = run
        .sent
        .iter()
        .filter(|s| s.topic == "app-tens-repartition")
        .map(|s| {
            let change = ChangeSerde::new(i64::serde()).deserialize(s.value.as_ref().unwrap());
            (s.key().unwrap(), change.unwrap())
        })
        .collect();
    let change = |key: &str, new, old| (key.to_owned(), Change::latest(new, old));
    assert_eq!(
        changes,
        [
            change("1", Some(11), None),
            change("1", Some(12), Some(11)), // one record: the group stays
            change("1", None, Some(12)),     // two: it changes, out first
            change("3", Some(31), None),
            change("3", None, Some(31)),
        ]
    );
    let counts = [some("1", 1), some("1", 1), some("1", 0), some("3", 1), some("3", 0)];
    assert_eq!(run.on("counts"), counts);
    let sums = [some("1", 11), some("1", 12), some("1", 0), some("3", 31), some("3", 0)];
    assert_eq!(run.on("sums"), sums);
    let times: Vec<i64> =
        run.sent.iter().filter(|s| s.topic == "sums").map(|s| s.timestamp).collect();
    assert_eq!(times, [10, 20, 20, 15, 30]);
}

#[test]
fn with_a_cache_a_table_forwards_one_change_per_key_and_commit() {
    let b = StreamsBuilder::new();
    let table = b.table::<String, i64>("in").materialized("table");
    table.to_stream().to("all");
    table.group_by(|k, v| (k.clone(), *v)).count("n").to_stream().to("n");
    let mut run = Run::with_cache(&b.build().unwrap(), 1 << 20).unwrap();
    run.init().unwrap();
    for (v, time) in [(Some(1), 10), (Some(2), 30), (Some(3), 20)] {
        put(&mut run, "in", "k", v, time);
    }
    put(&mut run, "in", "never", Some(1), 0);
    put(&mut run, "in", "never", None, 0);
    assert!(run.on::<String, i64>("all").is_empty(), "nothing before the commit");
    run.flush().unwrap();
    assert_eq!(run.on("all"), [some("k", 3)]);
    assert_eq!(run.sent.iter().find(|s| s.topic == "all").unwrap().timestamp, 20);
    assert_eq!(run.on("n"), [some("k", 1)]);
    put(&mut run, "in", "k", Some(4), 40);
    put(&mut run, "in", "k", None, 35);
    run.flush().unwrap();
    assert_eq!(run.on("all"), [some("k", 3), gone("k")]);
    assert_eq!(run.sent.iter().rfind(|s| s.topic == "all").unwrap().timestamp, 35);
    assert_eq!(run.on("n"), [some("k", 1), some("k", 0)]);
}

/// What Kafka Streams has in its place: three operators in a row.
#[test]
fn filter_map_values_is_a_map_a_filter_and_a_map_in_one() {
    let b = StreamsBuilder::new();
    let lines = b.stream::<String, String>("in");
    lines.filter_map_values(|v| v.parse::<i64>().ok()).to("one");
    lines
        .map_values(|v| v.parse::<i64>().ok())
        .filter(|_, v| v.is_some())
        .map_values(Option::unwrap)
        .to("three");
    lines.filter_map_values_with_key(|k, v| (k == "a").then_some(v.len() as i64)).to("of-a");
    let mut run = run(b);
    for (k, v, time) in [("a", "1", 5), ("b", "one", 9), ("b", "2", 3), ("a", "two", 0)] {
        run.pipe("in", Some(k.to_owned()), Some(v.to_owned()), time).unwrap();
    }
    let sent = |topic: &str| {
        let of_topic = run.sent.iter().filter(|s| s.topic == topic);
        of_topic.map(|s| (s.key(), s.value(), s.timestamp)).collect::<Vec<_>>()
    };
    let at = |(key, value): (Option<String>, Option<i64>), time: i64| (key, value, time);
    assert_eq!(sent("one"), [at(some("a", 1), 5), at(some("b", 2), 3)]);
    assert_eq!(sent("one"), sent("three"));
    assert_eq!(sent("of-a"), [at(some("a", 1), 5), at(some("a", 3), 0)]);
    assert_eq!(run.dropped(), 0, "who is left out was not wanted");
}

#[test]
fn a_null_that_filter_map_values_gives_is_a_value() {
    let b = StreamsBuilder::new();
    b.stream::<Option<String>, Option<i64>>("in")
        .filter_map_values(|v| (v != Some(0)).then_some(v))
        .to("out");
    let mut run = run(b);
    for v in [Some(1), Some(0), None] {
        put(&mut run, "in", "k", v, 0);
    }
    run.pipe("in", None::<String>, Some(2_i64), 0).unwrap();
    assert_eq!(run.on("out"), [some("k", 1), gone("k"), (None, Some(2))]);
    assert_eq!(run.dropped(), 0);
}

/// Gives each record a header, or shows the last one as its value.
enum Trace {
    Adds,
    Shows,
}

impl FixedKeyProcessor for Trace {
    type Key = String;
    type ValueIn = i64;
    type ValueOut = i64;

    fn process(
        &mut self,
        ctx: &mut FixedKeyProcessorContext<'_, Self>,
        mut record: FixedKeyRecord<String, i64>,
    ) -> Result<(), BoxError> {
        match self {
            Self::Adds => record.headers.add("trace", Some(vec![record.value as u8])),
            Self::Shows => record.value = record.headers.last("trace").unwrap()[0].into(),
        }
        Ok(ctx.forward(record)?)
    }
}

#[test]
fn filter_map_values_leaves_headers_as_they_are() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in")
        .process_values((), |()| Trace::Adds)
        .filter_map_values(|v| (v != 2).then_some(v * 10))
        .process_values((), |()| Trace::Shows)
        .to("traces");
    let mut run = run(b);
    for v in [1, 2, 3] {
        put(&mut run, "in", "k", Some(v), 0);
    }
    assert_eq!(run.on("traces"), [some("k", 1), some("k", 3)]);
}

#[test]
fn filter_map_values_needs_no_repartition_topic_and_one_number() {
    let described = |one: bool, moved: bool| {
        let b = StreamsBuilder::new();
        let mut stream = b.stream::<String, i64>("in");
        if moved {
            stream = stream.select_key(|_, v| v.to_string());
        }
        let some = if one { stream.filter_map_values(Some) } else { stream.map_values(|v| v) };
        some.group_by_key().count("counts").to_stream().to("out");
        b.build().unwrap()
    };
    let text = described(true, false).describe();
    assert!(!text.contains("Sub-topology: 1"), "{text}");
    assert!(text.contains("KSTREAM-FILTERMAPVALUES-0000000001"), "{text}");
    // The names of all others are as with another operator in its place.
    let renamed = text.replace("KSTREAM-FILTERMAPVALUES-", "KSTREAM-MAPVALUES-");
    assert_eq!(renamed, described(false, false).describe());
    // The control: a changed key is moved after it as before it.
    assert!(described(true, true).describe().contains("Sub-topology: 1"));
}
