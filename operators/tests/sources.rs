//! Topics that are read more than once: what shares a source and what is refused.
//!
//! What merged streams give is what Kafka Streams 4.3.1 gave for the same topologies
//! (`TopologyTestDriver`); it has no tables that share a source.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use std::sync::Arc;

use oncestream_core::Record;
use oncestream_core::error::TopologyError;
use oncestream_core::graph::{Graph, Topology};
use oncestream_core::serde::{DynSerde, HasSerde, JsonSerde, OptionSerde, Serde, SerdeError};
use oncestream_operators::{Consumed, StreamsBuilder, Topics};
use support::Run;

fn run(builder: StreamsBuilder) -> Run {
    let mut run = Run::new(&builder.build().unwrap()).unwrap();
    run.init().unwrap();
    run
}

fn fault(builder: StreamsBuilder) -> TopologyError {
    builder.build().expect_err("the topology is at fault")
}

/// How many sources there are.
fn sources(topology: &Topology) -> usize {
    topology.describe().matches("Source: ").count()
}

fn one_source(builder: StreamsBuilder) {
    let topology = builder.build().unwrap();
    assert_eq!(sources(&topology), 1, "{}", topology.describe());
}

/// The difference that is named, and how each reads.
fn difference(builder: StreamsBuilder) -> (&'static str, String, String) {
    let fault = fault(builder);
    let TopologyError::SourcesDiffer { topics, what, first, second } = fault else {
        panic!("{fault:?}")
    };
    assert_eq!(topics, "`in`");
    (what, first, second)
}

// ---- Streams ----

#[test]
fn streams_on_one_topic_see_every_record_in_the_order_their_operators_were_added() {
    let b = StreamsBuilder::new();
    let first = b.stream::<String, i64>("in");
    let second = b.stream::<String, i64>("in");
    second.map_values(|v| v * 10).to("out");
    first.map_values(|v| v + 1).to("out");
    let mut run = run(b);
    run.pipe("in", Some("k".to_owned()), Some(5_i64), 0).unwrap();
    let values: Vec<_> = run.on::<String, i64>("out").into_iter().map(|(_, v)| v).collect();
    assert_eq!(values, [Some(50), Some(6)]);
}

#[test]
fn streams_that_share_a_source_give_each_record_once_when_they_are_merged() {
    for same in [true, false] {
        let b = StreamsBuilder::new();
        let first = b.stream::<String, i64>("in");
        let second = if same { first.clone() } else { b.stream("in") };
        first.merge(&second).to("out");
        let mut run = run(b);
        run.pipe("in", Some("k".to_owned()), Some(5_i64), 0).unwrap();
        assert_eq!(run.on::<String, i64>("out"), [(Some("k".to_owned()), Some(5))]);
    }
}

#[test]
fn a_topic_that_is_named_twice_in_one_list_is_read_once() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>(&["in", "in"]).to("out");
    let mut run = run(b);
    run.pipe("in", Some("k".to_owned()), Some(5_i64), 0).unwrap();
    assert_eq!(run.on::<String, i64>("out").len(), 1);
}

#[test]
fn a_stream_of_no_topic_is_refused() {
    let b = StreamsBuilder::new();
    let none: [&str; 0] = [];
    b.stream::<String, i64>(Consumed::new(none).named("none")).to("out");
    assert_eq!(fault(b), TopologyError::NoTopic { source_name: "none".into() });
}

// ---- Tables ----

#[test]
fn a_table_and_a_stream_on_one_topic_share_its_source() {
    for table_first in [true, false] {
        let b = StreamsBuilder::new();
        let table =
            || b.table::<String, i64>("users").materialized("users").to_stream().to("table");
        let stream = || b.stream::<String, Option<i64>>("users").to("stream");
        if table_first {
            table();
            stream();
        } else {
            stream();
            table();
        }
        let mut run = run(b);
        for value in [Some(1_i64), None] {
            run.pipe("users", Some("k".to_owned()), value, 0).unwrap();
        }
        let both = [(Some("k".to_owned()), Some(1)), (Some("k".to_owned()), None)];
        assert_eq!(run.on::<String, i64>("stream"), both);
        assert_eq!(run.on::<String, i64>("table"), both);
        // The stream's keys cannot be null, and it must not miss a record in silence.
        assert!(run.pipe("users", None::<String>, Some(1_i64), 0).is_err());
    }
}

#[test]
fn a_table_drops_the_null_keys_that_a_stream_on_its_source_takes() {
    let b = StreamsBuilder::new();
    b.table::<Option<String>, i64>("users").to_stream().to("table");
    b.stream::<Option<String>, Option<i64>>("users").to("stream");
    let mut run = run(b);
    run.pipe("users", None::<String>, Some(1_i64), 0).unwrap();
    run.pipe("users", Some("k".to_owned()), Some(2_i64), 0).unwrap();
    assert_eq!(run.on::<String, i64>("stream").len(), 2);
    assert_eq!(run.on::<String, i64>("table"), [(Some("k".to_owned()), Some(2))]);
    assert_eq!(run.dropped(), 1);
}

#[test]
fn two_tables_on_one_topic_share_its_source_and_drop_null_keys() {
    let b = StreamsBuilder::new();
    b.table::<String, i64>("users").materialized("one").to_stream().to("one");
    b.table::<String, i64>("users").materialized("two").filter(|_, v| *v > 1).to_stream().to("two");
    let mut run = run(b);
    run.pipe("users", None::<String>, Some(1_i64), 0).unwrap();
    assert_eq!(run.dropped(), 1);
    for value in [1_i64, 2] {
        run.pipe("users", Some("k".to_owned()), Some(value), 0).unwrap();
    }
    assert_eq!(run.on::<String, i64>("one").len(), 2);
    assert_eq!(run.on::<String, i64>("two"), [(Some("k".to_owned()), Some(2))]);
}

// ---- What differs ----

#[test]
fn readers_of_other_types_are_refused_with_both_types() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in");
    b.stream::<String, String>("in");
    let wanted = ("value type", "`i64`".to_owned(), "`alloc::string::String`".to_owned());
    assert_eq!(difference(b), wanted);

    let b = StreamsBuilder::new();
    b.stream::<i32, i64>("in");
    b.stream::<i64, i64>("in");
    assert_eq!(difference(b), ("key type", "`i32`".to_owned(), "`i64`".to_owned()));

    // A table reads its values as `Option`, and the refusal shows it.
    let b = StreamsBuilder::new();
    b.table::<String, i64>("in").materialized("table");
    b.stream::<String, i64>("in");
    let wanted = ("value type", "`core::option::Option<i64>`".to_owned(), "`i64`".to_owned());
    assert_eq!(difference(b), wanted);
}

/// A serde with a field, which its type alone does not tell.
struct Plus(i64);

impl Serde<i64> for Plus {
    fn serialize(&self, value: &i64, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        i64::serde().serialize(&(value - self.0), out)
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<i64, SerdeError> {
        Ok(i64::serde().deserialize(bytes)? + self.0)
    }
}

#[test]
fn readers_with_other_serdes_are_refused_with_both() {
    let reads = |b: &StreamsBuilder, value: DynSerde<i64>| {
        b.stream::<String, i64>(Consumed::with("in", String::serde(), value));
    };
    let b = StreamsBuilder::new();
    reads(&b, i64::serde());
    reads(&b, JsonSerde::dynamic());
    let (what, first, second) = difference(b);
    assert!(what == "value serde" && first.contains("I64Serde") && second.contains("JsonSerde"));

    let b = StreamsBuilder::new();
    reads(&b, Arc::new(Plus(1)));
    reads(&b, Arc::new(Plus(2)));
    let (what, _, second) = difference(b);
    assert!(what == "value serde" && second.starts_with("another `"), "{second}");

    // One `Arc`, one type without fields, one type's own serde.
    let (b, plus) = (StreamsBuilder::new(), Arc::new(Plus(1)));
    reads(&b, plus.clone());
    reads(&b, plus);
    one_source(b);
    let b = StreamsBuilder::new();
    reads(&b, i64::serde());
    b.stream::<String, i64>("in");
    one_source(b);
}

/// A type whose own serde has a field.
#[derive(Clone)]
struct Number(i64);

struct NumberSerde(DynSerde<i64>);

impl Serde<Number> for NumberSerde {
    fn serialize(&self, value: &Number, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.0.serialize(&value.0, out)
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<Number, SerdeError> {
        self.0.deserialize(bytes).map(Number)
    }
}

impl HasSerde for Number {
    fn serde() -> DynSerde<Self> {
        Arc::new(NumberSerde(i64::serde()))
    }
}

#[test]
fn the_serde_of_a_type_is_the_same_wherever_it_is_found() {
    let b = StreamsBuilder::new();
    b.stream::<String, Option<Number>>("in").map_values(|n| n.map_or(0, |n| n.0)).to("out");
    b.stream::<String, Option<Number>>("in");
    b.table::<String, Number>("in").materialized("table");
    one_source(b);
}

#[test]
fn an_option_of_one_serde_is_one_serde() {
    let b = StreamsBuilder::new();
    let plus: DynSerde<i64> = Arc::new(Plus(1));
    let optional = Arc::new(OptionSerde::new(plus.clone()));
    b.stream::<String, Option<i64>>(Consumed::with("in", String::serde(), optional));
    b.table::<String, i64>(Consumed::with("in", String::serde(), plus));
    one_source(b);
}

fn by_value(record: &Record<String, i64>, _: i64) -> i64 {
    record.value
}

#[test]
fn readers_with_other_timestamp_extractors_are_refused() {
    let consumed = || Consumed::<String, i64>::new("in");
    let b = StreamsBuilder::new();
    b.stream(consumed().timestamp_extractor(by_value));
    b.stream(consumed());
    let (what, first, second) = difference(b);
    assert!(what == "timestamp extractor" && first.contains("by_value") && second == "none");

    // Closures that capture may capture something else.
    let b = StreamsBuilder::new();
    for plus in [1, 2] {
        b.stream(consumed().timestamp_extractor(move |r, _| r.value + plus));
    }
    let (what, _, second) = difference(b);
    assert!(what == "timestamp extractor" && second.starts_with("another `"), "{second}");

    let b = StreamsBuilder::new();
    b.stream(consumed().timestamp_extractor(by_value));
    b.stream(consumed().timestamp_extractor(by_value));
    one_source(b);
}

// ---- Names and patterns that meet ----

fn read_twice(builder: StreamsBuilder) -> (String, String, String) {
    let fault = fault(builder);
    let TopologyError::ReadTwice { topic, first, second } = fault else { panic!("{fault:?}") };
    (topic, first, second)
}

fn told(topic: &str, first: &str, second: &str) -> (String, String, String) {
    (topic.to_owned(), first.to_owned(), second.to_owned())
}

fn topics(b: &StreamsBuilder, topics: &[&str]) {
    b.stream::<String, i64>(topics).to("out");
}

fn pattern(b: &StreamsBuilder, pattern: &str) {
    b.stream::<String, i64>(Topics::pattern(pattern)).to("out");
}

#[test]
fn lists_of_topics_that_overlap_in_part_are_refused() {
    let b = StreamsBuilder::new();
    topics(&b, &["a", "b"]);
    topics(&b, &["b"]);
    assert_eq!(read_twice(b), told("b", "as one of `a`, `b`", "by its name"));

    let b = StreamsBuilder::new();
    topics(&b, &["a", "b"]);
    topics(&b, &["b", "a"]);
    topics(&b, &["c"]);
    assert_eq!(sources(&b.build().unwrap()), 2);
}

#[test]
fn a_pattern_that_matches_a_topic_read_by_name_is_refused() {
    let b = StreamsBuilder::new();
    pattern(&b, "a.*");
    topics(&b, &["ab"]);
    assert_eq!(read_twice(b), told("ab", "by pattern `a.*`", "by its name"));

    let b = StreamsBuilder::new();
    b.table::<String, i64>("ab").materialized("table");
    pattern(&b, "a.*");
    assert_eq!(read_twice(b), told("ab", "by its name", "by pattern `a.*`"));

    // A pattern is for whole names.
    let b = StreamsBuilder::new();
    pattern(&b, "a");
    topics(&b, &["ab"]);
    assert_eq!(sources(&b.build().unwrap()), 2);
}

#[test]
fn equal_patterns_share_a_source_if_they_are_read_alike() {
    let b = StreamsBuilder::new();
    pattern(&b, "a.*");
    pattern(&b, "a.*");
    one_source(b);

    let b = StreamsBuilder::new();
    pattern(&b, "a.*");
    b.stream::<String, String>(Topics::pattern("a.*"));
    let TopologyError::SourcesDiffer { topics, .. } = fault(b) else { panic!("they differ") };
    assert_eq!(topics, "pattern `a.*`");
}

#[test]
fn two_patterns_are_refused_once_a_topic_matches_both() {
    let b = StreamsBuilder::new();
    pattern(&b, "a-.*");
    pattern(&b, ".*-z");
    let topology = b.build().unwrap();
    let topology = Graph::of(&topology);
    topology.check_topics("app", ["a-b", "y-z", "app-x-changelog"]).unwrap();
    let Err(TopologyError::ReadTwice { topic, first, second }) =
        topology.check_topics("app", ["a-b", "a-z"])
    else {
        panic!("a-z has two readers")
    };
    let wanted = told("a-z", "by pattern `a-.*`", "by pattern `.*-z`");
    assert_eq!((topic, first, second), wanted);
}

#[test]
fn a_pattern_that_matches_an_output_is_refused() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").to("a-out");
    pattern(&b, "a-.*");
    let TopologyError::PatternMatchesOutput { pattern: matches, topic, sink } = fault(b) else {
        panic!("a-out is an output")
    };
    assert_eq!((&*matches, &*topic, &*sink), ("a-.*", "a-out", "KSTREAM-SINK-0000000001"));

    // Through itself.
    let b = StreamsBuilder::new();
    b.stream::<String, i64>(Topics::pattern("a-.*")).to("a-out");
    assert!(matches!(fault(b), TopologyError::PatternMatchesOutput { .. }));

    // A topic in between that is read by its name is fine.
    let b = StreamsBuilder::new();
    b.stream::<String, i64>(Topics::pattern("a-.*")).to("b");
    b.stream::<String, i64>("b").to("c");
    b.build().unwrap();
}

// ---- Names that the application keeps for itself ----

fn counting(of: impl Fn(&StreamsBuilder) -> oncestream_operators::KStream<String, i64>) -> Graph {
    let b = StreamsBuilder::new();
    of(&b).group_by(|k, _| k.clone()).count("counts").to_stream().to("out");
    Graph::of(&b.build().unwrap()).clone()
}

#[test]
fn an_internal_topic_of_the_application_is_not_used_as_if_it_were_the_users() {
    let used = |checked: Result<(), TopologyError>| {
        let Err(TopologyError::InternalTopicUsed { topic, used_by }) = checked else {
            panic!("{checked:?}")
        };
        (topic, used_by)
    };
    let by_pattern =
        |pattern: &str| counting(|b| b.stream::<String, i64>(Topics::pattern(pattern)));
    let (topic, used_by) = used(by_pattern("app-.*").check_names("app", None));
    assert_eq!((&*topic, &*used_by), ("app-counts-changelog", "pattern `app-.*` matches"));
    by_pattern("app-.*").check_names("apple", None).unwrap();
    by_pattern("app-in-.*").check_names("app", None).unwrap();

    // What an older version of the application made.
    let topology = by_pattern("app-[a-m].*");
    let (topic, _) = used(topology.check_topics("app", ["app-in", "app-gone-repartition"]));
    assert_eq!(topic, "app-gone-repartition");
    topology.check_topics("app", ["app-in", "app-in-changelogs", "apple-x-changelog"]).unwrap();

    let topology = counting(|b| b.stream("app-counts-repartition"));
    let (topic, used_by) = used(topology.check_names("app", None));
    assert_eq!(topic, "app-counts-repartition");
    assert_eq!(used_by, "source `KSTREAM-SOURCE-0000000000` reads");

    let topology = counting(|b| {
        let stream = b.stream::<String, i64>("in");
        stream.to("app-counts-changelog");
        stream
    });
    let (_, used_by) = used(topology.check_names("app", None));
    assert_eq!(used_by, "sink `KSTREAM-SINK-0000000001` writes to");

    let topology = counting(|b| b.stream("in"));
    let (_, used_by) = used(topology.check_names("app", Some("app-counts-changelog")));
    assert_eq!(used_by, "dead letters go to");
    topology.check_names("app", Some("dead")).unwrap();
}

#[test]
fn a_dead_letter_topic_that_is_an_input_is_refused() {
    let reads = |topology: &Graph| match topology.check_names("app", Some("in-dead")) {
        Err(TopologyError::DeadLetterRead { topic, reader }) => {
            assert_eq!(topic, "in-dead");
            Some(reader)
        }
        other => other.map(|()| None).unwrap(),
    };
    let reader = |b: &StreamsBuilder| b.stream(Topics::pattern("in-.*"));
    assert_eq!(reads(&counting(reader)).as_deref(), Some("by pattern `in-.*`"));
    let reader = |b: &StreamsBuilder| b.stream("in-dead");
    assert_eq!(reads(&counting(reader)).as_deref(), Some("by its name"));
    assert_eq!(reads(&counting(|b: &StreamsBuilder| b.stream("in"))), None);
}
