//! Which internal topics are planned, and which wait for topics that a pattern may match one day.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test may panic.

use std::collections::BTreeMap;
use std::sync::Arc;

use oncestream_core::error::TopologyError;
use oncestream_core::graph::{Graph, InternalTopics, Topology};
use oncestream_operators::{KStream, Repartitioned, StreamsBuilder, Topics};

const CHANGELOG: &str = "app-counts-changelog";
const REPARTITION: &str = "app-counts-repartition";

fn plan(topology: &Topology, there: &[(&str, i32)]) -> Result<InternalTopics, TopologyError> {
    let there: BTreeMap<Arc<str>, i32> =
        there.iter().map(|(topic, n)| (Arc::from(*topic), *n)).collect();
    Graph::of(topology).internal_topics("app", &there)
}

/// What is to be there, by name, and what waits.
fn planned(topology: &Topology, there: &[(&str, i32)]) -> (Vec<(String, i32)>, Vec<String>) {
    let plan = plan(topology, there).unwrap();
    let mut topics: Vec<_> = plan.topics().map(|(topic, n)| (topic.to_string(), n)).collect();
    topics.sort();
    let mut waiting: Vec<_> = plan.waiting.iter().map(ToString::to_string).collect();
    waiting.sort();
    (topics, waiting)
}

fn known(topics: &[(&str, i32)]) -> (Vec<(String, i32)>, Vec<String>) {
    (topics.iter().map(|(topic, n)| ((*topic).to_owned(), *n)).collect(), Vec::new())
}

fn waiting(topics: &[&str]) -> (Vec<(String, i32)>, Vec<String>) {
    (Vec::new(), topics.iter().map(|topic| (*topic).to_owned()).collect())
}

fn pattern(b: &StreamsBuilder) -> KStream<String, i64> {
    b.stream(Topics::pattern("in-.*"))
}

fn counting(of: impl Fn(&StreamsBuilder) -> KStream<String, i64>, by: bool) -> Topology {
    let b = StreamsBuilder::new();
    let stream = of(&b);
    let grouped = if by { stream.group_by(|k, _| k.clone()) } else { stream.group_by_key() };
    grouped.count("counts");
    b.build().unwrap()
}

#[test]
fn a_changelog_waits_for_the_topics_of_its_pattern() {
    let topology = counting(pattern, false);
    assert_eq!(planned(&topology, &[("other", 3)]), waiting(&[CHANGELOG]));
    assert_eq!(planned(&topology, &[("in-1", 3)]), known(&[(CHANGELOG, 3)]));
    // One that was made before is left as it is.
    assert_eq!(planned(&topology, &[(CHANGELOG, 3)]), waiting(&[CHANGELOG]));
}

#[test]
fn what_is_below_a_pattern_without_a_topic_waits_with_it() {
    let topology = counting(pattern, true);
    assert_eq!(planned(&topology, &[]), waiting(&[CHANGELOG, REPARTITION]));
    let both = known(&[(CHANGELOG, 3), (REPARTITION, 3)]);
    assert_eq!(planned(&topology, &[("in-1", 3)]), both);

    // Two repartition topics, one behind the other.
    let again = |b: &StreamsBuilder| pattern(b).repartition("first").map(|k, v| (k, v));
    let topology = counting(again, true);
    let all = ["app-counts-changelog", "app-counts-repartition", "app-first-repartition"];
    assert_eq!(planned(&topology, &[]), waiting(&all));
    assert_eq!(planned(&topology, &[("in-1", 3)]), known(&all.map(|topic| (topic, 3))));
}

#[test]
fn a_repartition_topic_with_partitions_of_its_own_waits_for_nobody() {
    let of =
        |b: &StreamsBuilder| pattern(b).repartition(Repartitioned::named("counts").partitions(4));
    let topology = counting(of, false);
    assert_eq!(planned(&topology, &[]), known(&[(CHANGELOG, 4), (REPARTITION, 4)]));
}

#[test]
fn a_name_beside_a_pattern_decides_without_it() {
    let of = |b: &StreamsBuilder| pattern(b).merge(&b.stream("named"));
    assert_eq!(planned(&counting(of, false), &[("named", 2)]), known(&[(CHANGELOG, 2)]));
    let both = known(&[(CHANGELOG, 2), (REPARTITION, 2)]);
    assert_eq!(planned(&counting(of, true), &[("named", 2)]), both);
    let missing = plan(&counting(of, false), &[]).unwrap_err();
    assert_eq!(missing, TopologyError::MissingSourceTopic { topic: "named".into() });
}

#[test]
fn a_repartition_topic_that_patterns_feed_keeps_its_partitions() {
    let topology = counting(pattern, true);
    let kept = known(&[(CHANGELOG, 2), (REPARTITION, 2)]);
    let there = [("in-1", 2), ("in-2", 5), (REPARTITION, 2)];
    assert_eq!(planned(&topology, &there), kept);
    // Also when its topics are gone for a while.
    assert_eq!(planned(&topology, &[(REPARTITION, 2)]), kept);
    // Named inputs decide, whatever is there.
    let topology = counting(|b| b.stream("in-1"), true);
    assert_eq!(planned(&topology, &there), known(&[(CHANGELOG, 2), (REPARTITION, 2)]));
    let there = [("in-1", 5), (REPARTITION, 2)];
    assert_eq!(planned(&topology, &there), known(&[(CHANGELOG, 5), (REPARTITION, 5)]));
}

#[test]
fn topics_of_a_stateful_pattern_have_equal_partitions() {
    let topology = counting(pattern, false);
    assert_eq!(planned(&topology, &[("in-1", 2), ("in-2", 2)]), known(&[(CHANGELOG, 2)]));
    let fault = plan(&topology, &[("in-1", 2), ("in-2", 5)]).unwrap_err();
    let topics = vec![("in-1".to_owned(), 2), ("in-2".to_owned(), 5)];
    assert_eq!(fault, TopologyError::NotCopartitioned { topics });
}

#[test]
fn a_repartition_topic_takes_the_count_of_the_topics_it_meets_in_a_store() {
    let b = StreamsBuilder::new();
    let moved = b.stream::<String, i64>("other").repartition("counts");
    moved.merge(&b.stream("named")).group_by_key().count("counts");
    let topology = b.build().unwrap();
    let both = known(&[(CHANGELOG, 2), (REPARTITION, 2)]);
    assert_eq!(planned(&topology, &[("named", 2), ("other", 5)]), both);
    // Without a store nothing meets.
    let b = StreamsBuilder::new();
    let moved = b.stream::<String, i64>("other").repartition("counts");
    moved.merge(&b.stream("named")).to("out");
    let alone = known(&[(REPARTITION, 5)]);
    assert_eq!(planned(&b.build().unwrap(), &[("named", 2), ("other", 5)]), alone);
}
