//! What is refused, and how it is told.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

mod support;

use std::time::Duration;

use oncestream_core::Record;
use oncestream_core::error::{BoxError, TopologyError};
use oncestream_core::graph::{Graph, GraphBuilder, SourceTopics, TopicRef};
use oncestream_core::serde::HasSerde;
use oncestream_core::task::{BuildError, Destination, Sink, SourceConfig, SourceInstance};
use oncestream_operators::processor::{Processor, ProcessorContext};
use oncestream_operators::{
    Consumed, KStream, Materialized, Produced, Repartitioned, StreamsBuilder, Topics,
};

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
    grouped.count("same");
    grouped.count("same");
    let expected = TopologyError::DuplicateName { kind: "store", name: "same".into() };
    assert_eq!(fault(b), expected);
}

#[test]
fn a_window_of_less_than_a_millisecond_for_ids() {
    for window in [Duration::ZERO, Duration::from_micros(999)] {
        let b = StreamsBuilder::new();
        let stream = b.stream::<String, i64>("in");
        stream.named("once").deduplicate(window, |_, value| *value).to("out");
        let expected = TopologyError::InvalidDeduplication { node: "once".into(), window };
        assert_eq!(fault(b), expected);
    }
}

#[test]
fn a_generated_store_of_ids_where_names_are_asked_for() {
    let b = StreamsBuilder::new().explicit_names();
    let stream = b.stream::<String, i64>("in").map(|key, value| (key, value));
    stream.deduplicate(Duration::from_secs(1), |_, value| *value).to("out");
    let store = "KSTREAM-DEDUPLICATE-STATE-STORE-0000000003".to_owned();
    let (stores, repartitions) = (vec![store.clone()], vec![store]);
    assert_eq!(fault(b), TopologyError::GeneratedNames { stores, repartitions });
}

#[test]
fn two_groupings_that_claim_one_repartition_topic() {
    let b = StreamsBuilder::new();
    let s = b.stream::<String, i64>("in").map(|k, v| (k, v));
    for store in ["a", "b"] {
        s.group_by_key().grouped("same").count(store);
    }
    let expected = TopologyError::DuplicateName { kind: "repartition topic", name: "same".into() };
    assert_eq!(fault(b), expected);
}

#[test]
fn a_named_grouping_shares_its_repartition_topic() {
    let b = StreamsBuilder::new();
    let grouped = b.stream::<String, i64>("in").map(|k, v| (k, v)).group_by_key().grouped("shared");
    grouped.count("a");
    grouped.count("b");
    let topology = b.build().unwrap();
    let internal = ["app-a-changelog", "app-b-changelog", "app-shared-repartition"];
    assert_eq!(topology.internal_topics("app"), internal.map(Into::into).into());
}

struct Idle;

impl Processor for Idle {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = ();
    type ValueOut = ();

    fn process(
        &mut self,
        _ctx: &mut ProcessorContext<'_, Self>,
        _record: Record<String, i64>,
    ) -> Result<(), BoxError> {
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
    b.stream::<String, i64>("in").group_by_key().count("two words");
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
    stream.filter(|_, _| true).group_by_key().count("late");
    assert_eq!(topology.describe().matches("<--").count(), 0);
    assert!(topology.store_names().is_empty());
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
    let made = support::Run::new(&g.build().unwrap().into_topology());
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
            |b, t| drop(b.table::<String, i64>(t).materialized("store")),
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
        grouped.count(name);
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
    grouped.count("counts");
    let topology = b.build().unwrap();
    let graph = Graph::of(&topology);
    let check = |id: &str, dead: Option<&str>, there: &[&str]| {
        graph.check_topic_names(id, dead, there.iter().copied())
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

// ---- Names and stores ----

#[test]
fn a_name_that_names_nothing_is_refused() {
    let unused = |name: &str| TopologyError::UnusedName { name: name.into() };
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").named("first").named("second").filter(|_, _| true);
    assert_eq!(fault(b), unused("first"));

    // The options name it already.
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").named("mine").to(Produced::new("out").named("sink"));
    assert_eq!(fault(b), unused("mine"));
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").named("mine").repartition("topic").to("out");
    assert_eq!(fault(b), unused("mine"));

    // Of a table, and of both groupings.
    let b = StreamsBuilder::new();
    b.table::<String, i64>("in").named("mine").materialized("store");
    assert_eq!(fault(b), unused("mine"));
    let b = StreamsBuilder::new();
    let _ = b.stream::<String, i64>("in").group_by_key().named("mine");
    assert_eq!(fault(b), unused("mine"));
    let b = StreamsBuilder::new();
    let table = b.table::<String, i64>("in");
    let _ = table.group_by(|k, v| (k.clone(), *v)).named("mine");
    assert_eq!(fault(b), unused("mine"));
}

/// Each names the node that the test looks for, and nothing that is not there.
#[test]
fn every_operator_takes_the_name_that_it_is_given() {
    type Add = fn(KStream<String, i64>);
    let adds: [Add; 22] = [
        |s| drop(s.filter(|_, _| true)),
        |s| drop(s.filter_not(|_, _| true)),
        |s| drop(s.map(|k, v| (k, v))),
        |s| drop(s.map_values(|v| v)),
        |s| drop(s.flat_map(|k, v| [(k, v)])),
        |s| drop(s.flat_map_values(|v| [v])),
        |s| drop(s.filter_map(|k, v| Some((k, v)))),
        |s| drop(s.filter_map_values(Some)),
        |s| drop(s.select_key(|k, _| k.clone())),
        |s| drop(s.peek(|_, _| {})),
        |s| s.for_each(|_, _| {}),
        |s| drop(s.try_filter(|_, _| Ok::<_, BoxError>(true))),
        |s| drop(s.try_map(|k, v| Ok::<_, BoxError>((k, v)))),
        |s| drop(s.try_map_values(Ok::<_, BoxError>)),
        |s| drop(s.try_flat_map_values(|v| Ok::<_, BoxError>([v]))),
        // Below, as it needs another stream, which must not take the name.
        |_| (),
        |s| drop(s.split()),
        |s| drop(s.process((), |()| Idle)),
        |s| s.to("out"),
        |s| drop(s.group_by(|k, _| k.clone())),
        |s| drop(s.to_table::<i64>()),
        |s| drop(s.repartition(Repartitioned::new())),
    ];
    for (at, add) in adds.into_iter().enumerate() {
        let b = StreamsBuilder::new();
        let stream = b.stream::<String, i64>("in");
        if at == 15 {
            stream.named("mine").merge(&stream.map(|k, v| (k, v)));
        } else {
            add(stream.named("mine"));
        }
        let topology = b.build().unwrap();
        let name = if at == 21 { "mine-repartition-source" } else { "mine" };
        assert!(
            Graph::of(&topology).nodes().iter().any(|n| &*n.name == name),
            "{}",
            topology.describe()
        );
    }
}

#[test]
fn a_name_before_a_grouping_is_the_groupings() {
    for after in [true, false] {
        let b = StreamsBuilder::new();
        let stream = b.stream::<String, i64>("in").map(|k, v| (k, v));
        let table = b.table::<String, i64>("table");
        let select = |k: &String, v: &i64| (k.clone(), *v);
        if after {
            stream.group_by(|k, _| k.clone()).grouped("one").count("a");
            stream.group_by_key().grouped("two").count("b");
            table.group_by(select).grouped("three").count("c");
        } else {
            stream.named("one").group_by(|k, _| k.clone()).count("a");
            stream.named("two").group_by_key().count("b");
            table.named("three").group_by(select).count("c");
        }
        let topology = b.build().unwrap();
        let topics: Vec<_> =
            Graph::of(&topology).repartitions().iter().map(|r| r.topic.display_name()).collect();
        assert_eq!(topics, ["one-repartition", "two-repartition", "three-repartition"]);
        for name in ["one", "three"] {
            assert!(
                Graph::of(&topology).nodes().iter().any(|n| &*n.name == name),
                "{}",
                topology.describe()
            );
        }
    }
}

#[test]
fn a_time_to_live_that_is_none_is_refused() {
    let whole = Duration::from_millis(i64::MAX.unsigned_abs());
    let built = |ttl: Duration| {
        let b = StreamsBuilder::new();
        let store = || Materialized::named("store").ttl(ttl);
        b.stream::<String, i64>("in").group_by_key().count(store());
        b.build().map(drop)
    };
    for ttl in [Duration::ZERO, Duration::from_micros(999), whole + Duration::from_millis(1)] {
        let refused = TopologyError::InvalidTimeToLive { store: "store".into(), ttl };
        assert_eq!(built(ttl), Err(refused));
    }
    assert_eq!([built(Duration::from_millis(1)), built(whole)], [Ok(()), Ok(())]);
    let b = StreamsBuilder::new();
    let none = Materialized::named("seen").ttl(Duration::ZERO);
    b.add_state_store::<String, i64, _>(none);
    b.table::<String, i64>("in").materialized(Materialized::named("table").ttl(Duration::ZERO));
    assert!(matches!(fault(b), TopologyError::InvalidTimeToLive { store, .. } if store == "seen"));
}

#[test]
fn a_second_store_for_a_table_is_refused() {
    let refused = |b: StreamsBuilder, node: &str, store: &str| {
        let expected =
            TopologyError::AlreadyMaterialized { node: node.into(), store: store.into() };
        assert_eq!(fault(b), expected);
    };
    let b = StreamsBuilder::new();
    b.table::<String, i64>("in").materialized("one").materialized("two");
    refused(b, "KTABLE-SOURCE-0000000001", "one");
    let b = StreamsBuilder::new();
    b.stream::<String, i64>("in").group_by_key().count("counts").materialized("two");
    refused(b, "KSTREAM-AGGREGATE-0000000001", "counts");
    // It has got one, because its old values are needed.
    let b = StreamsBuilder::new();
    let table = b.table::<String, i64>("in");
    table.group_by(|k, v| (k.clone(), *v)).count("counts");
    table.materialized("late");
    refused(b, "KTABLE-SOURCE-0000000002", "in-STATE-STORE-0000000000");
}

#[test]
fn a_table_of_several_topics_or_a_pattern_is_refused() {
    let refused = |read: fn(&StreamsBuilder)| {
        let b = StreamsBuilder::new();
        read(&b);
        let error = fault(b);
        let TopologyError::TableTopics { topics } = error else { panic!("{error}") };
        topics
    };
    let topics = refused(|b| drop(b.table::<String, i64>(["a", "b"])));
    assert_eq!(topics, "`a`, `b`");
    let topics = refused(|b| drop(b.table::<String, i64>(Topics::pattern("a.*"))));
    assert_eq!(topics, "pattern `a.*`");
    let b = StreamsBuilder::new();
    let none: [&str; 0] = [];
    drop(b.table::<String, i64>(Consumed::new(none).named("none")));
    assert_eq!(fault(b), TopologyError::NoTopic { source_name: "none-source".into() });
}

#[test]
fn explicit_names_refuse_each_store_and_topic_with_a_generated_name() {
    let build = |b: &StreamsBuilder| {
        let stream = b.stream::<String, i64>("in");
        stream.group_by_key().count(Materialized::new());
        stream.group_by(|_, v| *v).count("counts");
        stream.group_by(|_, v| *v).count(Materialized::new());
        stream.group_by(|_, v| *v).grouped("named").count(Materialized::new());
        stream.repartition("again").repartition(Repartitioned::new()).to("out");
        stream.select_key(|_, v| *v).to_table::<i64>().to_stream().to("last");
        // No store, so no name.
        b.table::<String, i64>("bare").filter(|_, _| true).to_stream().to("out");
        b.table::<String, i64>("table").group_by(|k, v| (k.clone(), *v)).count("of-table");
        b.add_state_store::<String, i64, _>(Materialized::new());
    };
    let b = StreamsBuilder::new();
    build(&b);
    b.build().unwrap();
    let b = StreamsBuilder::new().explicit_names();
    build(&b);
    let TopologyError::GeneratedNames { stores, repartitions } = fault(b) else { panic!() };
    let stores = stores.iter().map(|s| s.trim_end_matches(|c: char| c.is_ascii_digit()));
    let aggregate = "KSTREAM-AGGREGATE-STATE-STORE-";
    let of_table = "table-STATE-STORE-";
    let expected = [aggregate, aggregate, aggregate, of_table, "KSTREAM-PROCESSOR-STATE-STORE-"];
    assert_eq!(stores.collect::<Vec<_>>(), expected);
    let topics = repartitions.iter().map(|s| s.trim_end_matches(|c: char| c.is_ascii_digit()));
    let expected = [aggregate, "KSTREAM-REPARTITION-", "KSTREAM-TOTABLE-"];
    assert_eq!(topics.collect::<Vec<_>>(), expected);

    let b = StreamsBuilder::new().explicit_names();
    b.stream::<String, i64>("in").group_by(|_, v| *v).count("counts").to_stream().to("out");
    b.build().unwrap();
}
