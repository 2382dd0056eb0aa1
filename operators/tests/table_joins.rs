//! What joins with tables add to a topology: names, stores, topics and their partitions, and what is
//! refused.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{Graph, Topology};
use oncestream_operators::{Joined, KTable, Materialized, StreamsBuilder};

type Table = KTable<String, i64>;

fn tables(b: &StreamsBuilder) -> (Table, Table) {
    (b.table("one"), b.table("two"))
}

/// `describe` against what Kafka Streams prints for the same topology (`data/Describe.java`), with the
/// names on a line sorted.
#[test]
fn joins_read_as_in_kafka_streams() {
    let levelled = |text: &str| -> String {
        let sorted = |names: &str| {
            let mut names: Vec<&str> = names.split(", ").collect();
            names.sort_unstable();
            names.join(", ")
        };
        let line = |line: &str| {
            if let Some((before, stores)) = line.split_once("(stores: [") {
                return format!("{before}(stores: [{}", sorted(stores.trim_end_matches("])")));
            }
            let Some(at) = line.find("--> ").or_else(|| line.find("<-- ")) else {
                return line.to_owned();
            };
            let (arrow, names) = line.split_at(at + 4);
            format!("{arrow}{}", sorted(names))
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    let b = StreamsBuilder::new();
    let (one, two) = tables(&b);
    let sum = one.join(&two.filter(|_, v| *v > 0), |a, b| a + b);
    sum.to_stream().to("sums");
    let named = one.named("n").left_join(&sum, |a, b| a + b.unwrap_or(&0)).materialized("stored");
    named.outer_join(&named, |a, b| a.or(b).copied().unwrap_or(0)).to_stream().to("itself");
    let stream = b.stream::<String, i64>("in");
    stream.join_table(&sum, |a, b| a + b).to("joined");
    let moved = stream.map(|k, v| (k, v));
    moved.left_join_table(Joined::with(&named).name("asked"), |a, _| *a).to("asked");
    moved.join_table(&two, |a, b| a + b).to("moved");
    moved.left_join_table(&one, |a, _| *a).to("moved-too");
    // The store's number comes before those of the nodes.
    let stored = one.outer_join(&two, |_, _| 0).materialized(Materialized::new());
    stored.to_stream().to("stored");
    let text = b.build().unwrap().describe();
    assert_eq!(levelled(&text), levelled(include_str!("data/describe_table_joins.txt")));
}

fn plan(topology: &Topology, there: &[(&str, i32)]) -> Result<Vec<(String, i32)>, TopologyError> {
    let there: BTreeMap<Arc<str>, i32> =
        there.iter().map(|(topic, n)| (Arc::from(*topic), *n)).collect();
    let plan = Graph::of(topology).internal_topics("app", &there)?;
    let mut topics: Vec<_> = plan.topics().map(|(topic, n)| (topic.to_string(), n)).collect();
    topics.sort();
    Ok(topics)
}

#[test]
fn the_topics_of_both_sides_must_have_equal_partitions() {
    type Add = fn(&StreamsBuilder, Table);
    let adds: [Add; 4] = [
        |b, two| drop(b.table("one").join(&two, |a: &i64, b| a + b)),
        |b, two| drop(b.table("one").outer_join(&two, |_: Option<&i64>, _| 0)),
        |b, two| drop(b.stream::<String, i64>("one").join_table(&two, |a, b| a + b)),
        // Read through what has no store.
        |b, two| {
            let two = two.filter(|_, v| *v > 0).map_values(|v| v + 1);
            b.stream::<String, i64>("one").left_join_table(&two, |a, _| *a);
        },
    ];
    for (at, add) in adds.into_iter().enumerate() {
        let b = StreamsBuilder::new();
        add(&b, b.table("two"));
        let topology = b.build().unwrap();
        let topics = plan(&topology, &[("one", 3), ("two", 3)]).unwrap();
        assert!(topics.iter().all(|(_, partitions)| *partitions == 3), "{at}: {topics:?}");
        let topics = vec![("one".to_owned(), 2), ("two".to_owned(), 3)];
        let refused = plan(&topology, &[("one", 2), ("two", 3)]).unwrap_err();
        assert_eq!(refused, TopologyError::NotCopartitioned { topics }, "{at}");
    }
}

#[test]
fn a_repartition_topic_before_a_join_takes_the_partitions_of_the_table() {
    let b = StreamsBuilder::new();
    let two = tables(&b).1;
    let moved = b.stream::<String, i64>("in").map(|k, v| (k, v));
    moved.join_table(Joined::with(&two).name("moved"), |a, b| a + b).to("out");
    let topology = b.build().unwrap();
    let topics = plan(&topology, &[("one", 1), ("two", 5), ("in", 2)]).unwrap();
    let expected = [("app-moved-repartition", 5), ("app-two-STATE-STORE-0000000003-changelog", 5)];
    assert_eq!(topics, expected.map(|(topic, n)| (topic.to_owned(), n)));
}

#[test]
fn tables_of_two_builders_are_not_joined() {
    let foreign = |add: fn(&StreamsBuilder, &Table)| {
        let (a, b) = (StreamsBuilder::new(), StreamsBuilder::new());
        add(&a, &b.table("b"));
        a.build().unwrap_err()
    };
    let refused = TopologyError::ForeignHandle { node: "n".into() };
    let of_tables =
        foreign(|b, other| drop(b.table("a").named("n").join(other, |a: &i64, b| a + b)));
    assert_eq!(of_tables, refused);
    let of_stream = foreign(|b, other| {
        let stream = b.stream::<String, i64>("a");
        stream.named("n").join_table(other, |a, b| a + b).to("out");
    });
    assert_eq!(of_stream, refused);
}

#[test]
fn a_join_that_has_a_name_takes_no_other() {
    let b = StreamsBuilder::new();
    let two = tables(&b).1;
    let stream = b.stream::<String, i64>("in").named("mine");
    stream.join_table(Joined::with(&two).name("of-options"), |a, b| a + b);
    assert_eq!(b.build().unwrap_err(), TopologyError::UnusedName { name: "mine".into() });
}

#[test]
fn explicit_names_refuse_the_stores_that_a_join_needs() {
    let b = StreamsBuilder::new().explicit_names();
    let (one, two) = tables(&b);
    one.join(&two, |a, b| a + b).materialized(Materialized::new());
    let TopologyError::GeneratedNames { stores, .. } = b.build().unwrap_err() else { panic!() };
    let expected = ["one-STATE-STORE-0000000000", "two-STATE-STORE-0000000003"];
    assert!(stores.len() == 3 && stores[..2] == expected, "{stores:?}");
    let b = StreamsBuilder::new().explicit_names();
    let (one, two) = tables(&b);
    one.materialized("a").join(&two.materialized("b"), |a, b| a + b).to_stream().to("out");
    b.build().unwrap();
}

#[test]
fn a_store_that_comes_too_late_is_refused() {
    let b = StreamsBuilder::new();
    let (one, two) = tables(&b);
    one.join(&two, |a, b| a + b);
    one.materialized("late");
    let store = "one-STATE-STORE-0000000000".to_owned();
    let refused =
        TopologyError::AlreadyMaterialized { node: "KTABLE-SOURCE-0000000002".into(), store };
    assert_eq!(b.build().unwrap_err(), refused);
}
