//! Global tables as topologies have them: their names, what is printed of them, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::TopologyError;
use oncestream_core::graph::Graph;
use oncestream_operators::{Consumed, KStream, Materialized, StreamsBuilder, Topics};

fn stream(b: &StreamsBuilder) -> KStream<String, String> {
    b.stream("in")
}

fn join(b: &StreamsBuilder, topic: &str) {
    let table = b.global_table::<String, String>(topic);
    stream(b).join_global(&table, |key, _| Some(key.clone()), |v, _| v.clone()).to("out");
}

/// As `TopologyDescription` of Kafka Streams prints it.
#[test]
fn a_global_table_is_printed_with_its_number_and_makes_no_tasks() {
    let b = StreamsBuilder::new();
    join(&b, "users");
    let topology = b.build().unwrap();
    let described = "Topologies:
   Sub-topology: 0 for global store (will not generate tasks)
    Source: KSTREAM-SOURCE-0000000001 (topics: [users])
      --> KTABLE-SOURCE-0000000002
    Processor: KTABLE-SOURCE-0000000002 (stores: [users-STATE-STORE-0000000000])
      --> none
      <-- KSTREAM-SOURCE-0000000001

  Sub-topology: 1
    Source: KSTREAM-SOURCE-0000000003 (topics: [in])
      --> KSTREAM-LEFTJOIN-0000000004
    Processor: KSTREAM-LEFTJOIN-0000000004 (stores: [])
      --> KSTREAM-SINK-0000000005
      <-- KSTREAM-SOURCE-0000000003
    Sink: KSTREAM-SINK-0000000005 (topic: out)
      <-- KSTREAM-LEFTJOIN-0000000004

";
    assert_eq!(topology.describe(), described);
    assert!(topology.describe_mermaid().contains("users"));
    assert_eq!(topology.source_topics(), ["in".into(), "users".into()].into());
    assert!(topology.internal_topics("app").is_empty(), "its topic is its changelog");
    let graph = Graph::of(&topology);
    assert!(graph.reader_of("app", "users").is_none());
    assert_eq!(&*graph.global_tables()[0].topic, "users");
}

#[test]
fn names_that_are_given_use_up_no_number_of_the_store() {
    let b = StreamsBuilder::new();
    let table = b.global_table::<String, String>("users").materialized("names");
    stream(&b)
        .named("with-names")
        .left_join_global(&table, |key, _| Some(key.clone()), |v, _| v.clone())
        .to("out");
    let described = b.build().unwrap().describe();
    for line in [
        "Source: KSTREAM-SOURCE-0000000000 (topics: [users])",
        "Processor: KTABLE-SOURCE-0000000001 (stores: [names])",
        "Source: KSTREAM-SOURCE-0000000002 (topics: [in])",
        "Processor: with-names (stores: [])",
    ] {
        assert!(described.contains(line), "{line} in\n{described}");
    }
    let b = StreamsBuilder::new();
    b.global_table::<String, String>(Consumed::new("users").named("users"));
    stream(&b).to("out");
    let described = b.build().unwrap().describe();
    assert!(described.contains("Source: users-source (topics: [users])"), "{described}");
    assert!(described.contains("Processor: users (stores: [users-STATE-STORE-0000000000])"));
}

#[test]
fn explicit_names_ask_for_that_of_the_store() {
    let b = StreamsBuilder::new().explicit_names();
    join(&b, "users");
    let Err(TopologyError::GeneratedNames { stores, .. }) = b.build() else {
        panic!("it is built")
    };
    assert_eq!(stores, ["users-STATE-STORE-0000000000"]);
    let b = StreamsBuilder::new().explicit_names();
    b.global_table::<String, String>("users").materialized("names");
    stream(&b).to("out");
    b.build().unwrap();
}

#[test]
fn a_key_that_was_changed_needs_no_repartition_and_counts_of_partitions_may_differ() {
    let b = StreamsBuilder::new();
    let table = b.global_table::<String, String>("users");
    stream(&b)
        .select_key(|_, v| v.clone())
        .join_global(&table, |key, _| Some(key.clone()), |v, _| v.clone())
        .group_by_key()
        .count("counts")
        .to_stream()
        .to("out");
    let topology = b.build().unwrap();
    let there = [("in".into(), 4), ("users".into(), 7)].into();
    let internal = Graph::of(&topology).internal_topics("app", &there).unwrap();
    let topics: Vec<_> = internal.topics().map(|(topic, n)| (topic.to_string(), n)).collect();
    let repartition = "app-counts-repartition".to_owned();
    assert_eq!(topics, [(repartition, 4), ("app-counts-changelog".to_owned(), 4)]);
    let lacks = Graph::of(&topology).internal_topics("app", &[("in".into(), 4)].into());
    assert_eq!(lacks, Err(TopologyError::MissingSourceTopic { topic: "users".to_owned() }));
}

fn refused(build: impl FnOnce(&StreamsBuilder)) -> TopologyError {
    let b = StreamsBuilder::new();
    build(&b);
    stream(&b).to("out");
    b.build().unwrap_err()
}

#[test]
fn the_topic_of_a_global_table_has_no_other_reader() {
    let by_stream = refused(|b| drop(b.global_table::<String, String>("in")));
    let by_table = refused(|b| {
        b.global_table::<String, String>("t");
        b.table::<String, String>("t");
    });
    let by_pattern = refused(|b| {
        b.global_table::<String, String>("users");
        b.stream::<String, String>(Topics::pattern("us.*"));
    });
    let twice = refused(|b| {
        b.global_table::<String, String>("users");
        b.global_table::<String, String>("users").materialized("second");
    });
    for error in [by_stream, by_table, by_pattern, twice] {
        assert!(matches!(error, TopologyError::GlobalTopicRead { .. }), "{error}");
    }
}

#[test]
fn what_a_global_table_cannot_do_is_refused() {
    let several = refused(|b| drop(b.global_table::<String, String>(["a", "b"])));
    let pattern = refused(|b| drop(b.global_table::<String, String>(Topics::pattern("a.*"))));
    let timed = Consumed::<String, i64>::new("a").timestamp_extractor(|record, _| record.value);
    let timed = refused(|b| drop(b.global_table(timed)));
    let forgetting = refused(|b| {
        let ttl = Materialized::named("a").ttl(Duration::from_secs(1));
        b.global_table::<String, String>("a").materialized(ttl);
    });
    let versioned = refused(|b| {
        let versioned = Materialized::named("a").versioned(Duration::from_secs(1));
        b.global_table::<String, String>("a").materialized(versioned);
    });
    for error in [several, pattern, timed, forgetting, versioned] {
        assert!(matches!(error, TopologyError::InvalidGlobalTable { .. }), "{error}");
    }
    let named_twice = refused(|b| {
        b.global_table::<String, String>("a").materialized("one").materialized("two");
    });
    assert!(matches!(named_twice, TopologyError::AlreadyMaterialized { .. }), "{named_twice}");
    let nothing = StreamsBuilder::new();
    nothing.global_table::<String, String>("a");
    assert_eq!(nothing.build().unwrap_err(), TopologyError::NoSource);
}

#[test]
fn a_table_of_another_builder_is_refused() {
    let other = StreamsBuilder::new();
    let table = other.global_table::<String, String>("users");
    let error = refused(|b| {
        stream(b).join_global(&table, |key, _| Some(key.clone()), |v, _| v.clone());
    });
    assert!(matches!(error, TopologyError::ForeignHandle { .. }), "{error}");
}

#[test]
fn dead_letters_do_not_go_to_the_topic_of_a_global_table() {
    let b = StreamsBuilder::new();
    join(&b, "users");
    let topology = b.build().unwrap();
    let checked = Graph::of(&topology).check_names("app", Some("users"));
    assert!(matches!(checked, Err(TopologyError::DeadLetterRead { .. })), "{checked:?}");
}

fn keep(b: &StreamsBuilder, consumed: Consumed<String, i64>, sums: Materialized<String, i64>) {
    b.global_store(consumed, sums, |_, sums, record: Record<String, i64>| {
        sums.put(record.key, record.value)?;
        Ok(())
    });
}

#[test]
fn a_global_store_is_a_global_table_in_all_that_a_topology_says_of_it() {
    let b = StreamsBuilder::new();
    keep(&b, Consumed::new("amounts"), Materialized::named("sums"));
    stream(&b).to("out");
    let topology = b.build().unwrap();
    let described = topology.describe();
    for line in [
        "Sub-topology: 0 for global store (will not generate tasks)",
        "Source: KSTREAM-SOURCE-0000000000 (topics: [amounts])",
        "Processor: KTABLE-SOURCE-0000000001 (stores: [sums])",
    ] {
        assert!(described.contains(line), "{line} in\n{described}");
    }
    assert_eq!(&*Graph::of(&topology).global_tables()[0].store, "sums");
    assert!(topology.internal_topics("app").is_empty(), "its topic is its changelog");
}

#[test]
fn what_a_global_store_cannot_do_is_refused() {
    let read = refused(|b| keep(b, Consumed::new("in"), Materialized::named("s")));
    assert!(matches!(read, TopologyError::GlobalTopicRead { .. }), "{read}");
    let ttl = Materialized::named("s").ttl(Duration::from_secs(1));
    let forgetting = refused(|b| keep(b, Consumed::new("a"), ttl));
    let versioned = Materialized::named("s").versioned(Duration::from_secs(1));
    let versioned = refused(|b| keep(b, Consumed::new("a"), versioned));
    let timed = Consumed::new("a").timestamp_extractor(|record: &Record<_, i64>, _| record.value);
    let timed = refused(|b| keep(b, timed, Materialized::named("s")));
    let several = refused(|b| keep(b, Consumed::new(["a", "b"]), Materialized::named("s")));
    for error in [forgetting, versioned, timed, several] {
        assert!(matches!(error, TopologyError::InvalidGlobalTable { .. }), "{error}");
    }
    let named_twice = refused(|b| {
        let store = b.global_store("a", "s", |_, store, record: Record<String, i64>| {
            store.put(record.key, record.value)?;
            Ok(())
        });
        store.materialized("t");
    });
    assert!(matches!(named_twice, TopologyError::AlreadyMaterialized { .. }), "{named_twice}");
    let unnamed = StreamsBuilder::new().explicit_names();
    keep(&unnamed, Consumed::new("a"), Materialized::new());
    stream(&unnamed).to("out");
    let unnamed = unnamed.build().unwrap_err();
    assert!(matches!(unnamed, TopologyError::GeneratedNames { .. }), "{unnamed}");
}
