//! Foreign-key joins in a topology: names, numbers of partitions, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::error::{Part, TopologyError};
use oncestream_core::graph::{Graph, Topology, internal_name};
use oncestream_operators::{KTable, StreamsBuilder, TableJoined};

fn join(left: &KTable<String, String>, other: &KTable<String, String>) -> KTable<String, String> {
    left.foreign_key_join(other, |v| Some(v.clone()), |v, other| format!("{v}{other}"))
}

fn table(b: &StreamsBuilder, topic: &str) -> KTable<String, String> {
    b.table(topic)
}

/// By its values, through a repartition topic.
fn regrouped(b: &StreamsBuilder, topic: &str) -> KTable<String, String> {
    let grouped = table(b, topic).group_by(|k, v| (v.clone(), k.clone())).grouped(topic);
    grouped.reduce(|_, v| v, |old, _| old, format!("{topic}-store"))
}

fn planned(topology: &Topology, there: &[(&str, i32)]) -> BTreeMap<String, i32> {
    let there: BTreeMap<Arc<str>, i32> =
        there.iter().map(|(topic, n)| (Arc::from(*topic), *n)).collect();
    let plan = Graph::of(topology).internal_topics("app", &there).unwrap();
    plan.topics().map(|(topic, n)| (topic.to_string(), n)).collect()
}

#[test]
fn generated_names_have_the_numbers_of_kafka_streams() {
    let b = StreamsBuilder::new();
    join(&table(&b, "orders"), &table(&b, "users")).to_stream().to("out");
    let text = b.build().unwrap().describe();
    let names = [
        "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000006-topic",
        "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000007",
        "KTABLE-SINK-0000000008",
        "KTABLE-SOURCE-0000000009",
        "KTABLE-FK-JOIN-SUBSCRIPTION-STATE-STORE-0000000010",
        "KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-0000000011",
        "KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-0000000012",
        "KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-0000000013",
        "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-0000000014-topic",
        "KTABLE-SINK-0000000015",
        "KTABLE-SOURCE-0000000016",
        "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-0000000017",
        "KTABLE-FK-JOIN-OUTPUT-0000000018",
        "KTABLE-TOSTREAM-0000000020",
        "KSTREAM-SINK-0000000021",
    ];
    for name in names {
        assert!(text.contains(name), "{name}\n{text}");
    }
    assert!(!text.contains("FK-JOIN-OUTPUT-STATE-STORE"), "the result has no store\n{text}");
}

#[test]
fn a_name_begins_all_names_and_a_store_of_the_result_moves_the_numbers_up() {
    for after in [false, true] {
        let b = StreamsBuilder::new();
        let (orders, users) = (table(&b, "orders"), table(&b, "users"));
        let (of_user, joiner) = (|v: &String| Some(v.clone()), |v: &String, _: &String| v.clone());
        let results = if after {
            orders.foreign_key_join(TableJoined::with(&users).name("joined"), of_user, joiner)
        } else {
            orders.named("joined").foreign_key_join(&users, of_user, joiner)
        };
        results.materialized("results").to_stream().to("out");
        let topology = b.explicit_names().build();
        assert!(
            matches!(topology, Err(TopologyError::GeneratedNames { stores, repartitions })
            if stores.len() == 2 && repartitions.is_empty()),
            "the tables have no names"
        );
        let topology = {
            let b = StreamsBuilder::new();
            let orders = table(&b, "orders").materialized("o");
            let users = table(&b, "users").materialized("u");
            let named = TableJoined::with(&users).name("joined");
            orders
                .foreign_key_join(named, of_user, joiner)
                .materialized("results")
                .to_stream()
                .to("out");
            b.explicit_names().build().unwrap()
        };
        let text = topology.describe();
        for name in [
            "Processor: joined-subscription-registration-processor (stores: [])",
            "Sink: joined-subscription-registration-sink (topic: joined-subscription-registration-topic)",
            "Source: joined-subscription-registration-source (topics: [joined-subscription-registration-topic])",
            "Processor: joined-subscription-receive (stores: [joined-subscription-store])",
            "Processor: joined-subscription-join-foreign (stores: [u])",
            "Processor: joined-foreign-join-subscription (stores: [joined-subscription-store])",
            "Sink: joined-subscription-response-sink (topic: joined-subscription-response-topic)",
            "Source: joined-subscription-response-source (topics: [joined-subscription-response-topic])",
            "Processor: joined-subscription-response-resolver (stores: [o])",
            "Processor: joined-result (stores: [results])",
        ] {
            assert!(text.contains(name), "{name}\n{text}");
        }
        let tostream = text.lines().find(|line| line.contains("TOSTREAM")).unwrap();
        assert!(tostream.contains("0000000017"), "{tostream}");
    }
}

#[test]
fn its_topics_are_as_wide_as_the_tables_that_they_are_read_beside() {
    let b = StreamsBuilder::new();
    let named = TableJoined::with(&table(&b, "users")).name("n");
    table(&b, "orders").foreign_key_join(
        named,
        |v| Some(v.clone()),
        |v, other: &String| format!("{v}{other}"),
    );
    let topics = planned(&b.build().unwrap(), &[("orders", 3), ("users", 5)]);
    assert_eq!(topics["app-n-subscription-registration-topic"], 5);
    assert_eq!(topics["app-n-subscription-response-topic"], 3);
    assert_eq!(topics["app-n-subscription-store-changelog"], 5);
}

#[test]
fn tables_behind_repartition_topics_do_not_wait_for_each_other() {
    let b = StreamsBuilder::new();
    let (orders, users) = (regrouped(&b, "orders"), regrouped(&b, "users"));
    orders.named("n").foreign_key_join(&users, |v| Some(v.clone()), |v, _| v.clone());
    let topics = planned(&b.build().unwrap(), &[("orders", 3), ("users", 5)]);
    assert_eq!(topics["app-orders-repartition"], 3);
    assert_eq!(topics["app-n-subscription-response-topic"], 3);
    assert_eq!(topics["app-users-repartition"], 5);
    assert_eq!(topics["app-n-subscription-registration-topic"], 5);
}

#[test]
fn a_join_of_joins_and_of_a_table_with_itself_is_planned() {
    let b = StreamsBuilder::new();
    let (a, c) = (table(&b, "a"), table(&b, "c"));
    let itself = join(&a, &a);
    join(&join(&itself, &c), &itself).to_stream().to("out");
    let topics = planned(&b.build().unwrap(), &[("a", 2), ("c", 4)]);
    assert!(topics.values().all(|n| [2, 4].contains(n)), "{topics:?}");
}

#[test]
fn only_topics_of_foreign_key_joins_are_internal_among_those_that_end_in_topic() {
    fn name(topic: &str) -> Option<&str> {
        internal_name("app", topic)
    }
    let given = "app-n-subscription-registration-topic";
    assert_eq!(name(given), Some("n-subscription-registration"));
    assert_eq!(name("app-n-subscription-response-topic"), Some("n-subscription-response"));
    let generated = "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-0000000014";
    assert_eq!(name(&format!("app-{generated}-topic")), Some(generated));
    for topic in ["app-orders-topic", "app-topic", "app-FK-JOIN-0000000014-topic", "other-n-topic"]
    {
        assert_eq!(name(topic), None, "{topic}");
    }
}

#[test]
fn a_table_whose_values_have_no_serde_is_refused() {
    for left in [false, true] {
        let b = StreamsBuilder::new();
        let (known, unknown) = (table(&b, "a"), table(&b, "c").map_values(|v| v + "!"));
        if left {
            join(&unknown, &known)
        } else {
            join(&known, &unknown)
        };
        let refused = b.build().unwrap_err();
        assert!(matches!(refused, TopologyError::NoSerde { part: Part::Value, .. }), "{refused}");
    }
}

#[test]
fn a_table_of_another_builder_is_refused() {
    let (b, other) = (StreamsBuilder::new(), StreamsBuilder::new());
    join(&table(&b, "a"), &table(&other, "c")).to_stream().to("out");
    assert!(matches!(b.build(), Err(TopologyError::ForeignHandle { .. })));
}
