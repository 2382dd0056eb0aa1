//! What is refused, and how it is told.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{GraphBuilder, SourceTopics, TopicRef};
use oncestream_core::serde::HasSerde;
use oncestream_core::task::{BuildError, Destination, Sink, SourceConfig, SourceInstance};
use oncestream_operators::{Grouped, Materialized, Repartitioned, StreamsBuilder};

fn fault(builder: StreamsBuilder) -> TopologyError {
    builder.build().expect_err("the topology is at fault")
}

#[test]
fn two_nodes_of_one_name() {
    let b = StreamsBuilder::new();
    let s = b.stream::<String, i64>("in");
    s.named("same").filter(|_, _| true);
    s.named("same").peek(|_, _| {});
    let expected = TopologyError::DuplicateName { kind: "node", name: "same".into() };
    assert_eq!(fault(b), expected);
}

#[test]
fn two_stores_of_one_name() {
    let b = StreamsBuilder::new();
    let grouped = b.stream::<String, i64>("in").group_by_key();
    grouped.count(Materialized::named("same"));
    grouped.count(Materialized::named("same"));
    let expected = TopologyError::DuplicateName { kind: "store", name: "same".into() };
    assert_eq!(fault(b), expected);
}

#[test]
fn two_groupings_that_claim_one_repartition_topic() {
    let b = StreamsBuilder::new();
    let s = b.stream::<String, i64>("in").map(|k, v| (k, v));
    for store in ["a", "b"] {
        s.group_by_key_with(Grouped::named("same")).count(Materialized::named(store));
    }
    let expected = TopologyError::DuplicateName { kind: "repartition topic", name: "same".into() };
    assert_eq!(fault(b), expected);
}

#[test]
fn a_named_grouping_shares_its_repartition_topic() {
    let b = StreamsBuilder::new();
    let grouped = b
        .stream::<String, i64>("in")
        .map(|k, v| (k, v))
        .group_by_key_with(Grouped::named("shared"));
    grouped.count(Materialized::named("a"));
    grouped.count(Materialized::named("b"));
    assert_eq!(b.build().unwrap().repartitions().len(), 1);
}

#[test]
fn a_store_that_nobody_added() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").named("mine").process::<(), (), _, _>(|| Idle, &["gone"]);
    let expected = TopologyError::UnknownStore { node: "mine".into(), store: "gone".into() };
    assert_eq!(fault(b), expected);
}

struct Idle;

impl oncestream_operators::processor::Processor<String, i64, (), ()> for Idle {
    fn process(
        &mut self,
        _ctx: &mut oncestream_operators::processor::ProcessorContext<'_, (), ()>,
        _record: oncestream_core::Record<String, i64>,
    ) -> Result<(), oncestream_core::error::BoxError> {
        Ok(())
    }
}

#[test]
fn a_way_back_to_its_own_topic() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").filter(|_, _| true).to("in");
    assert!(matches!(fault(b), TopologyError::Cycle { path } if path.len() == 4));
}

#[test]
fn no_source() {
    assert_eq!(fault(StreamsBuilder::new()), TopologyError::NoSource);
}

#[test]
fn a_name_that_no_topic_could_have() {
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").group_by_key().count(Materialized::named("two words"));
    assert!(matches!(fault(b), TopologyError::InvalidName { kind: "store", .. }));
}

#[test]
fn streams_of_two_builders_do_not_merge() {
    let (a, b) = (StreamsBuilder::new(), StreamsBuilder::new());
    let other = b.stream::<String, i64>("b");
    a.stream::<String, i64>("a").named("both").merge(&other);
    assert_eq!(fault(a), TopologyError::ForeignHandle { node: "both".into() });
}

#[test]
fn a_handle_that_outlives_its_builder_adds_to_nothing() {
    let b = StreamsBuilder::new();
    let stream = b.stream::<String, i64>("in");
    let topology = b.build().unwrap();
    stream.filter(|_, _| true).group_by_key().count(Materialized::named("late"));
    assert_eq!(topology.nodes().len(), 1);
    assert!(topology.stores().is_empty());
}

#[test]
fn nodes_that_disagree_on_the_types_between_them() {
    let mut g = GraphBuilder::default();
    let topics = SourceTopics::Topics(vec![TopicRef::User("in".into())]);
    let source = g.add_source("source", topics, |b, id| {
        let config = SourceConfig {
            key_serde: String::serde(),
            value_serde: i64::serde(),
            timestamp_extractor: None,
            drop_null_keys: false,
        };
        SourceInstance::new(b, id, config)
    });
    let out = TopicRef::User("out".into());
    let topic = oncestream_core::graph::SinkTopic::Topic(out.clone());
    g.add_sink("sink", topic, &[source], move |b, id| {
        let to = Destination::Topic(b.topic(&out));
        Ok(Box::new(Sink::new(b.node_name(id), to, String::serde(), String::serde(), None)))
    });
    let made = support::Run::new(&g.build().unwrap());
    let Err(BuildError::Topology(TopologyError::NodeType { parent, child, .. })) = made else {
        panic!("a sink of strings took numbers");
    };
    assert_eq!((&*parent, &*child), ("source", "sink"));
}

#[test]
fn a_topic_that_no_broker_could_have_is_refused_with_what_uses_it() {
    let long = "t".repeat(250);
    for (topic, told) in
        [("", "empty"), ("a b", "' '"), ("..", "`..`"), ("a\0", r"\0"), (&long, "250")]
    {
        let reads: [fn(&StreamsBuilder, &str); 3] = [
            |b, t| b.stream::<String, i64>(t).to("out"),
            |b, t| b.stream::<String, i64>("in").to(t),
            |b, t| drop(b.table(t, Materialized::<String, i64>::named("store"))),
        ];
        for (read, used_by) in reads.iter().zip(["reads", "writes to", "reads"]) {
            let b = StreamsBuilder::new();
            read(&b, topic);
            let error = fault(b);
            assert!(matches!(error, TopologyError::InvalidTopicName { .. }), "{error:?}");
            let error = error.to_string();
            assert!(error.contains(told) && error.contains(used_by), "{topic:?}: {error}");
        }
    }
    let b = StreamsBuilder::new();
    b.stream::<String, i64>(&"t".repeat(249)).to("A_9.z-");
    b.build().unwrap();
}

#[test]
fn a_repartition_topic_without_a_partition_is_refused() {
    for (partitions, fits) in [(1, true), (0, false), (-3, false)] {
        let b = StreamsBuilder::new();
        let named = Repartitioned::named("again").partitions(partitions);
        b.stream::<String, i64>("in").repartition(named).to("out");
        let built = b.build().map(drop);
        let name = "again".to_owned();
        let expected = Err(TopologyError::InvalidPartitions { name, partitions });
        assert_eq!(built, if fits { Ok(()) } else { expected });
    }
}

#[test]
fn names_that_differ_in_dots_and_underscores_alone_are_refused() {
    let collide = |build: fn(&StreamsBuilder)| {
        let b = StreamsBuilder::new();
        build(&b);
        match b.build() {
            Ok(_) => None,
            Err(TopologyError::NamesCollide { topic, other }) => Some((topic, other)),
            Err(error) => panic!("{error}"),
        }
    };
    let store = |b: &StreamsBuilder, name: &str| {
        let grouped = b.stream::<String, i64>("in").group_by_key();
        grouped.count(Materialized::named(name));
    };
    let own = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
    let topics = collide(|b| b.stream::<String, i64>("a.b").to("a_b"));
    assert_eq!(topics, own("a_b", "a.b"));
    assert_eq!(collide(|b| b.stream::<String, i64>("a.b").to("a-b")), None);
    let b = StreamsBuilder::new();
    store(&b, "a.b");
    store(&b, "a_b");
    let error = fault(b);
    assert!(matches!(error, TopologyError::NamesCollide { .. }), "{error:?}");
    assert!(error.to_string().contains("a_b-changelog"), "{error}");
    // Without a changelog there is no topic.
    let b = StreamsBuilder::new();
    store(&b, "a.b");
    let grouped = b.stream::<String, i64>("in").group_by_key();
    grouped.count(Materialized::named("a_b").logging_disabled());
    b.build().unwrap();
}

#[test]
fn internal_topics_are_looked_at_with_the_applications_id_and_beside_what_is_there() {
    let b = StreamsBuilder::new();
    let grouped = b.stream::<String, i64>("in.a").group_by(|k, _| k.clone());
    grouped.count(Materialized::named("counts"));
    let topology = b.build().unwrap();
    let check = |id: &str, dead: Option<&str>, there: &[&str]| {
        topology.check_topic_names(id, dead, there.iter().copied())
    };
    check("app", Some("dead"), &["in.a", "app-counts-changelog", "other.a", "other_a"]).unwrap();
    // "-counts-repartition" has 19 characters.
    check(&"a".repeat(230), None, &[]).unwrap();
    let error = check(&"a".repeat(231), None, &[]).unwrap_err().to_string();
    assert!(error.contains("250") && error.contains("repartition `counts`"), "{error}");
    for (id, dead, there) in [
        ("a_p", None, "a.p-counts-changelog"),
        ("a.p", None, "a_p-counts-repartition"),
        ("app", Some("in_a"), "in.a"),
        ("app", Some("dead.a"), "dead_a"),
        ("app", None, "in_a"),
    ] {
        let error = check(id, dead, &[there]).unwrap_err();
        assert!(matches!(error, TopologyError::NamesCollide { .. }), "{error:?}");
    }
    // Two that are there already, of brokers that took them once.
    check("app", None, &["in_a", "in.a"]).unwrap();
    assert!(matches!(check("app", Some("a b"), &[]), Err(TopologyError::InvalidTopicName { .. })));
}
